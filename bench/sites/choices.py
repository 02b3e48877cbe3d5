"""Ways of choosing sites: nearest, in turn, least loaded, the product's router, an exact one, and a game."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from operator import le
from typing import TYPE_CHECKING, Final

from bench.sites.day import CITIES, ROUND_TRIP_MS, SITES, Caller, Moment, expected_s

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agent.costs.routing import CostWeights, SiteRouter

_SWEEP: Final = tuple(shares for shares in product(range(4), repeat=4) if sum(shares) == 3)
"""Thirds of the conversations that belong to the agents of time, carbon, water and money."""


@dataclass(slots=True)
class Sticky:
    """A new conversation goes to the free site of the lowest rank, and stays there."""

    rank: Callable[[Caller, int, Sequence[int]], float]
    """Takes the conversation, the site, and the loads."""

    def place(self, callers: Sequence[Caller], now: Moment) -> list[int]:
        """Place them one by one."""
        loads, placed = list(now.loads), []
        for caller in callers:
            site = caller.site
            if site < 0:
                free = [other for other, load in enumerate(loads) if load < now.places]
                site = min(free, key=lambda other: self.rank(caller, other, loads), default=-1)
                if site >= 0:
                    loads[site] += 1
            placed.append(site)
        return placed


def nearest() -> Sticky:
    """Go to the site with the shortest way."""
    return Sticky(lambda caller, site, _: ROUND_TRIP_MS[CITIES[caller.city]][site])


def least_loaded() -> Sticky:
    """Go to the site with the fewest conversations."""
    return Sticky(lambda _, site, loads: loads[site])


@dataclass(slots=True)
class RoundRobin:
    """Each new conversation goes to the next free site in turn."""

    next: int = 0

    def place(self, callers: Sequence[Caller], now: Moment) -> list[int]:
        """Place them one by one."""

        def rank(_: Caller, site: int, __: Sequence[int]) -> float:
            return (site - self.next) % len(SITES)

        loads, placed = list(now.loads), []
        for caller in callers:
            (site,) = Sticky(rank).place([caller], replace(now, loads=loads))
            if caller.site < 0 <= site:
                loads[site] += 1
                self.next = site + 1
            placed.append(site)
        return placed


@dataclass(slots=True)
class Routed:
    """The product's router, conversation by conversation."""

    router: SiteRouter

    def place(self, callers: Sequence[Caller], now: Moment) -> list[int]:
        """Place them one by one, in the order of their coming."""
        loads, placed = list(now.loads), []
        for caller in callers:
            here = SITES[caller.site] if caller.site >= 0 else ""
            name = self.router.choose(
                replace(now, loads=loads).offers(caller), now_at=here, speaking_s=caller.speaking_s
            )
            site = -1 if name is None else SITES.index(name)
            if site != caller.site:
                if caller.site >= 0:
                    loads[caller.site] -= 1
                loads[site] += 1
            placed.append(site)
        return placed


@dataclass(slots=True)
class Exact:
    """All conversations of an epoch at once, at the least weighted sum that capacity and the limit allow.

    What a turn costs depends on its site alone, so the sets of conversations that can be served together by the places
    are independent sets of a transversal matroid: filling sites from the cheapest on, with augmenting paths, is exact
    (Edmonds 1971). The limit is kept at full load. Who cannot move now stays, and takes its place before.
    """

    weights: CostWeights
    limit_s: float

    def place(self, callers: Sequence[Caller], now: Moment) -> list[int]:
        """Place them all."""
        prices = [self.weights.price(cost) for cost in now.costs]
        allowed = [_allowed(caller, self.limit_s) for caller in callers]
        return fill(
            allowed, sorted(range(len(SITES)), key=prices.__getitem__), [now.places] * len(SITES), _homes(callers)
        )


def _homes(callers: Sequence[Caller]) -> list[int]:
    return [caller.site for caller in callers]


def _allowed(caller: Caller, limit_s: float) -> frozenset[int]:
    if caller.site >= 0 and caller.reread_s > caller.speaking_s:
        return frozenset({caller.site})
    soon = {site for site in range(len(SITES)) if expected_s(caller.city, site, 1.0) <= limit_s}
    return frozenset(soon | {caller.site} if caller.site >= 0 else soon or range(len(SITES)))


def fill(
    allowed: Sequence[frozenset[int]], order: Sequence[int], places: Sequence[int], homes: Sequence[int]
) -> list[int]:
    """Serve as many conversations as can be, each place of an earlier site in `order` rather than of a later one.

    Gives the site of each, -1 for none. Who is at home at a site goes before others that could take the place.
    """
    placed = [-1] * len(allowed)
    at: list[set[int]] = [set() for _ in places]
    for site in order:
        while len(at[site]) < places[site] and _augment(site, allowed, placed, at, homes):
            pass
    return placed


def _augment(
    site: int, allowed: Sequence[frozenset[int]], placed: list[int], at: list[set[int]], homes: Sequence[int]
) -> bool:
    """Serve one more conversation from a site, by letting others change to it from theirs, along a shortest path."""
    came: dict[int, tuple[int, int] | None] = {site: None}
    waiting = [site]
    for here in waiting:
        waits = (one for one, sites in enumerate(allowed) if placed[one] < 0 and here in sites)
        fresh = min(waits, key=lambda one: (homes[one] != here, one), default=None)
        if fresh is not None:
            _shift(fresh, here, came, placed, at)
            return True
        for other in range(len(at)):
            if (
                other not in came
                and (one := next((who for who in at[other] if here in allowed[who]), None)) is not None
            ):
                came[other] = (here, one)
                waiting.append(other)
    return False


def _shift(
    fresh: int, here: int, came: dict[int, tuple[int, int] | None], placed: list[int], at: list[set[int]]
) -> None:
    step = came[here]
    if step is not None:
        onto, one = step
        at[here].remove(one)
        _shift(one, onto, came, placed, at)
    placed[fresh] = here
    at[here].add(fresh)


@dataclass(slots=True)
class Game:
    """The idea of MARLIN (arXiv 2605.13496) without its learning: an agent for each objective, best response.

    The agents of time, carbon, water and money each place their share of the conversations where their own objective is
    best, given what the others hold, until none improves. Shares are swept; of the outcomes, those that no other beats
    in every objective are the Pareto front, of which the one with the least weighted sum is taken.
    """

    weights: CostWeights
    limit_s: float

    def place(self, callers: Sequence[Caller], now: Moment) -> list[int]:
        """Play every share of the sweep, and take the best outcome."""
        allowed = [_allowed(caller, self.limit_s) for caller in callers]
        homes, worth = _homes(callers), _worths(now)
        held = [sites if home < 0 else frozenset({home}) for sites, home in zip(allowed, homes, strict=True)]
        start = fill(held, range(len(SITES)), [now.places] * len(SITES), homes)
        outcomes = [_play(shares, callers, allowed, list(start), worth, now.places) for shares in _SWEEP]
        scores = [_score(placed, callers, worth) for placed in outcomes]
        front = [
            number
            for number, score in enumerate(scores)
            if not any(all(map(le, other, score)) and other != score for other in scores)
        ]
        prices = [self.weights.price(cost) for cost in now.costs]
        return min(
            (outcomes[number] for number in front), key=lambda one: sum(prices[site] for site in one if site >= 0)
        )


def _play(
    shares: Sequence[int],
    callers: Sequence[Caller],
    allowed: Sequence[frozenset[int]],
    placed: list[int],
    worth: Sequence[Sequence[Sequence[float]]],
    places: int,
) -> list[int]:
    """Let the agents answer one another, from a placement on, until none improves; twenty rounds at most."""
    owners = [agent for agent, share in enumerate(shares) for _ in range(share)]
    loads = [placed.count(site) for site in range(len(SITES))]
    for _ in range(20):
        moved = False
        for one, caller in enumerate(callers):
            agent, here = owners[one % len(owners)], placed[one]
            if here < 0:
                continue
            mine = worth[agent][caller.city]
            open_to = [site for site in allowed[one] if site == here or loads[site] < places]
            best = min(open_to, key=mine.__getitem__)
            if mine[best] < mine[here]:
                loads[here] -= 1
                loads[best] += 1
                placed[one], moved = best, True
        if not moved:
            break
    return placed


def _score(placed: Sequence[int], callers: Sequence[Caller], worth: Sequence[Sequence[Sequence[float]]]) -> list[float]:
    """Give what each objective comes to."""
    pairs = [(caller.city, site) for caller, site in zip(callers, placed, strict=True) if site >= 0]
    return [sum(of[city][site] for city, site in pairs) for of in worth]


def _worths(now: Moment) -> list[list[list[float]]]:
    """Give the four objectives by agent, city and site: seconds of way, grams, millilitres, money of a turn."""
    ways = [[ms / 1000 for ms in ROUND_TRIP_MS[city]] for city in CITIES]
    costs = zip(*((cost.grams, cost.millilitres, cost.money) for cost in now.costs), strict=True)
    return [ways, *([[*of]] * len(CITIES) for of in costs)]
