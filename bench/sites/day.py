"""A day of conversations in steps of five minutes, under one way of choosing sites. Knows no model and no network.

Users live in six cities and talk by day; a site is a shipped one with a number of places. What is modelled: the way
there and back, a first clause that takes longer on a busy site, energy of a turn, and that of reading a history again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from agent.costs.routing import Offer
from agent.costs.site import Footprint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agent.costs.site import ComputeSite

EPOCHS: Final = 288
TURNS: Final = 12
"""Of a conversation in five minutes."""
FIRST_S: Final = 0.9
"""Seconds to a first clause on an idle site."""
BUSY_S: Final = 0.4
"""Seconds that are added when all its places are taken, growing with the square of the load."""
REREAD_TURNS: Final = 0.5
"""Energy of reading a history again, in turns."""
SITES: Final = ("california", "brazil", "spain", "norway")
ROUND_TRIP_MS: Final = {
    "los-angeles": (5, 157, 160, 167),
    "sao-paulo": (157, 5, 208, 216),
    "madrid": (160, 208, 5, 52),
    "helsinki": (167, 216, 52, 5),
    "london": (139, 190, 26, 39),
    "montreal": (73, 127, 101, 115),
}
"""Milliseconds from users' regions to `SITES`, between regions of Google's cloud (in Sukprasert et al., EuroSys 2024);
Helsinki's stand for Norway's; 5 within a region."""
CITIES: Final = tuple(ROUND_TRIP_MS)
_OFFSET_H: Final = (-8, -3, 1, 2, 0, -5)
"""Winter time of the cities, hours from UTC."""


@dataclass(slots=True)
class Caller:
    """A conversation."""

    city: int
    epochs: int
    """That it still lasts."""
    speaking_s: float
    """How long its user speaks now."""
    reread_s: float
    """How long its history takes to be read."""
    site: int = -1


@dataclass(frozen=True, slots=True)
class Moment:
    """What a way of choosing knows at the beginning of an epoch."""

    hour: int
    places: int
    """Of each site."""
    costs: Sequence[Footprint]
    """Of a turn at each site."""
    loads: Sequence[int]
    """Conversations at each site."""

    def offers(self, caller: Caller) -> list[Offer]:
        """Give what the sites offer a conversation."""
        return [
            Offer(
                SITES[site],
                # As if all places were taken: whoever comes later makes nobody late.
                expected_s(caller.city, site, 1.0),
                self.costs[site],
                self.places - load,
                caller.reread_s,
            )
            for site, load in enumerate(self.loads)
        ]


class SiteChoice(Protocol):
    """A way of choosing sites."""

    def place(self, callers: Sequence[Caller], now: Moment) -> list[int]:
        """Give a site for each conversation, -1 for none; those that have one come first."""
        ...


@dataclass(slots=True)
class DayTotals:
    """What a day came to."""

    first_s: list[float] = field(default_factory=list)
    """To the first clause, of sampled turns."""
    grams: float = 0.0
    millilitres: float = 0.0
    money: float = 0.0
    turns: int = 0
    moves: int = 0
    refused: int = 0
    late: int = 0
    """Turns whose expected time is above the limit."""

    def figures(self) -> Mapping[str, float]:
        """Give what is reported, of a thousand turns where it adds up."""
        thousand = self.turns / 1000
        p50, p95 = np.percentile(self.first_s, [50, 95])
        return {
            "p50 s": float(p50),
            "p95 s": float(p95),
            "g": self.grams / thousand,
            "mL": self.millilitres / thousand,
            "mEUR": 1000 * self.money / thousand,
            "moves": self.moves / thousand,
            "late %": 100 * self.late / self.turns,
            "refused": float(self.refused),
        }


def expected_s(city: int, site: int, load: float) -> float:
    """Seconds to a first clause, in the mean."""
    return FIRST_S + BUSY_S * load * load + ROUND_TRIP_MS[CITIES[city]][site] / 1000


def run_day(
    choice: SiteChoice,
    sites: Mapping[str, ComputeSite],
    *,
    seed: int,
    places: int,
    arrivals: float,
    joules: float,
    limit_s: float,
) -> DayTotals:
    """Let a day pass. arrivals: conversations that begin in an epoch, in the mean; joules: of a turn."""
    random = np.random.default_rng(seed)
    noise = np.random.default_rng(seed + 10_000)
    totals, callers = DayTotals(), list[Caller]()
    for epoch in range(EPOCHS):
        hour = epoch * 24 // EPOCHS
        costs = [sites[name].footprint(joules, hour) for name in SITES]
        callers = [caller for caller in callers if caller.epochs > 0]
        for caller in callers:
            caller.speaking_s = float(random.lognormal(1.0, 0.6))
        before = [caller.site for caller in callers]
        callers += _arriving(random, hour, arrivals)
        loads = [before.count(site) for site in range(len(SITES))]
        placed = choice.place(callers, Moment(hour, places, costs, loads))
        for caller, site in zip(callers, placed, strict=True):
            if caller.site not in {-1, site}:
                totals.moves += 1
                _add(totals, costs[site], REREAD_TURNS)
            caller.site = site
        totals.refused += placed.count(-1)
        callers = [caller for caller in callers if caller.site >= 0]
        loads = [sum(caller.site == site for caller in callers) for site in range(len(SITES))]
        assert max(loads) <= places, "a site has more conversations than places"  # noqa: S101 - a choice's mistake
        for caller in callers:
            caller.epochs -= 1
            totals.turns += TURNS
            _add(totals, costs[caller.site], TURNS)
            mean = expected_s(caller.city, caller.site, loads[caller.site] / places)
            totals.late += TURNS * (mean > limit_s)
            totals.first_s.append(mean + float(noise.lognormal(-2.0, 0.6)) - 0.162)
    return totals


def _arriving(random: np.random.Generator, hour: int, arrivals: float) -> list[Caller]:
    """Draw who begins to talk: by day in each city, most at its noon and none at its midnight."""
    came = []
    for city, offset in enumerate(_OFFSET_H):
        by_day = 1 - np.cos(2 * np.pi * ((hour + offset) % 24) / 24)
        for _ in range(random.poisson(arrivals / len(CITIES) * by_day)):
            lasts = 1 + int(random.geometric(0.5))
            came.append(Caller(city, lasts, float(random.lognormal(1.0, 0.6)), float(random.uniform(0.5, 4.0))))
    return came


def _add(totals: DayTotals, cost: Footprint, turns: float) -> None:
    totals.grams += turns * cost.grams
    totals.millilitres += turns * cost.millilitres
    totals.money += turns * cost.money
