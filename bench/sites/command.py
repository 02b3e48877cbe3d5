"""`descant bench sites`: the same days under each way of choosing a site, with intervals over the seeds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from statistics import fmean
from typing import TYPE_CHECKING, Any, Final

from rich.table import Table

from agent.apps.printing import plain_console
from agent.costs.routing import CostWeights, SiteRouter
from agent.costs.site import shipped_sites
from bench.report import Report
from bench.sites.choices import Exact, Game, RoundRobin, Routed, least_loaded, nearest
from bench.sites.day import SITES, SiteChoice, run_day
from bench.statistics import bootstrap

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from agent.costs.site import ComputeSite

_SHOWN: Final = ("p50 s", "p95 s", "g", "mL", "mEUR", "late %", "moves", "refused")


@dataclass(frozen=True, slots=True)
class SitesBenchOptions:
    """What the command line asks for."""

    days: int
    places: int
    """Of each site."""
    arrivals: float
    """Conversations that begin in five minutes, in the mean of a day."""
    limit_s: float
    joules: float
    """Of a turn."""
    json_file: Path | None = None


def even_weights(sites: Mapping[str, ComputeSite], joules: float) -> CostWeights:
    """Give weights by which carbon, water and money of the mean turn count alike."""
    turns = [sites[name].footprint(joules, hour) for name in SITES for hour in range(24)]
    return CostWeights(
        1 / fmean(turn.grams for turn in turns),
        1 / fmean(turn.millilitres for turn in turns),
        1 / fmean(turn.money for turn in turns),
    )


def ways(weights: CostWeights, limit_s: float) -> Mapping[str, Callable[[], SiteChoice]]:
    """Give the ways of choosing by name; each day has one of its own."""
    return {
        "nearest": nearest,
        "round robin": RoundRobin,
        "least loaded": least_loaded,
        "greedy": partial(Routed, SiteRouter(weights, limit_s)),
        "exact": partial(Exact, weights, limit_s),
        "game": partial(Game, weights, limit_s),
    }


def run(options: SitesBenchOptions) -> None:
    """Let the days pass under each way, print the table, write the report."""
    sites = shipped_sites()
    weights = even_weights(sites, options.joules)
    results: dict[str, Any] = {}
    for name, way in ways(weights, options.limit_s).items():
        days = [
            run_day(
                way(),
                sites,
                seed=seed,
                places=options.places,
                arrivals=options.arrivals,
                joules=options.joules,
                limit_s=options.limit_s,
            ).figures()
            for seed in range(options.days)
        ]
        results[name] = {figure: [day[figure] for day in days] for figure in _SHOWN}
    console = plain_console()
    # Wider than a pipe is taken for, which would cut the figures.
    console.print(_table(results), width=112, crop=False)
    console.print(
        f"first clause; CO2e, water, money and moves of a thousand turns at {options.joules:g} J; refused: a day"
    )
    console.print(f"means of {options.days} days, ± half their 95 % interval")
    if options.json_file is not None:
        settings = {name: getattr(options, name) for name in ("days", "places", "arrivals", "limit_s", "joules")}
        Report("sites", settings, results).write(options.json_file)


def _table(results: Mapping[str, Mapping[str, Sequence[float]]]) -> Table:
    table = Table("way", *_SHOWN, box=None)
    for name, figures in results.items():
        table.add_row(name, *(_shown(figures[figure]) for figure in _SHOWN))
    return table


def _shown(days: Sequence[float]) -> str:
    low, high = bootstrap([days], lambda means: means[..., 0])
    return f"{fmean(days):.3g}" if low == high else f"{fmean(days):.3g}±{(high - low) / 2:.1g}"
