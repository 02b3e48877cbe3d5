"""Draws what benchmarks found. Needs the extra "think" of bench."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from itertools import cycle
from typing import TYPE_CHECKING, Any, Final

from bench.errors import BenchExtraMissing, ReportError
from bench.server.capacity import conversations
from bench.think.summary import summarise

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

    from bench.server.capacity import FleetLoad, Hardware
    from bench.think.metrics import Sample


_LOOKS: Final = (
    ("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#CC79A7", "D"), ("#000000", "v"), ("#E69F00", "P"),
)  # fmt: skip
"""Colours that the colour-blind tell apart, and marks for those who print without any."""


def require() -> None:
    """Say early that the plotting library is missing.

    Raises:
        BenchExtraMissing: it is.

    """
    if find_spec("matplotlib") is None:
        raise BenchExtraMissing("--plot needs matplotlib; add it with: pip install -e 'bench[think]'")


def draw(rows: Mapping[str, Sequence[Sample]], path: Path) -> None:
    """Draw accuracy (95 % interval) against time to the first content (median, quartiles) of every row.

    A row whose middle item never told any content has no point.

    Raises:
        ReportError: the file cannot be written.

    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - optional

    # White whatever surrounds it: a page may be dark.
    figure = Figure(figsize=(7, 4.5), layout="constrained", facecolor="white")
    axes = figure.subplots()
    points: dict[str, tuple[float, float]] = {}
    for (name, samples), (colour, mark) in zip(rows.items(), cycle(_LOOKS)):
        of = summarise(samples)
        middle, low, high = (of["first_content_s"][share] for share in ("p50", "p25", "p75"))
        if middle is None:
            continue
        points[name] = middle, 100 * of["accuracy"]
        axes.errorbar(
            *points[name],
            xerr=[[middle - low], [0.0 if high is None else high - middle]],
            yerr=[[100 * (of["accuracy"] - of["accuracy_low"])], [100 * (of["accuracy_high"] - of["accuracy"])]],
            fmt=mark,
            color=colour,
            markersize=8,
            elinewidth=1.5,
            capsize=3,
            label=f"{name} (n = {len(samples)})",
        )
    if {"no-think", "think-first"} <= points.keys():
        waiting = zip(points["no-think"], points["think-first"], strict=True)
        axes.plot(*waiting, color="0.6", linestyle="--", linewidth=1, zorder=0, label="what waiting buys")
    axes.set_xlabel("seconds from the last word of the question to the first content (median, quartiles)")
    axes.set_ylabel("right answers, % (95 % interval)")
    axes.set_xlim(left=0)
    axes.set_ylim(-3, 103)
    axes.grid(alpha=0.3)
    if points:
        axes.legend(loc="best", framealpha=0.9)
    _save(figure, path)


def draw_fleet(levels: Sequence[Mapping[str, Any]], load: FleetLoad, hardware: Hardware, path: Path) -> None:
    """Draw what was measured, time to the first clause, beside what is calculated, conversations by bandwidth.

    Raises:
        ReportError: the file cannot be written.

    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - optional

    figure = Figure(figsize=(10, 4.5), layout="constrained", facecolor="white")
    measured, calculated = figure.subplots(1, 2)
    for mode, (colour, mark) in zip(dict.fromkeys(level["mode"] for level in levels), cycle(_LOOKS)):
        of_mode = [level for level in levels if level["mode"] == mode and level["first_clause_p50_s"] is not None]
        numbers = [level["conversations"] for level in of_mode]
        for figure_name, line, label in (("p50", "-", "median"), ("p95", ":", "95th percentile")):
            seconds = [level[f"first_clause_{figure_name}_s"] for level in of_mode]
            measured.plot(numbers, seconds, line, marker=mark, color=colour, label=f"{mode}, {label}")
    measured.set(title="measured", xlabel="conversations at once", ylabel="seconds to the first clause")
    measured.set_ylim(bottom=0)
    measured.set_xticks(sorted({level["conversations"] for level in levels}))
    steps = [hardware.bandwidth * share / 50 for share in range(1, 101)]
    fits = [conversations(load, replace(hardware, bandwidth=step)) for step in steps]
    calculated.plot([step / 1e9 for step in steps], fits, color="black")
    calculated.axvline(hardware.bandwidth / 1e9, linestyle=":", color="0.4")
    calculated.set(
        title=f"calculated, not measured\nweights {hardware.weights / 1e9:g} GB, batch {hardware.batch}",
        xlabel="memory bandwidth, GB/s",
        ylabel="conversations at once, at most",
    )
    measured.legend()
    for axes in (measured, calculated):
        axes.grid(alpha=0.3)
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    try:
        figure.savefig(path, dpi=150)
    except (OSError, ValueError) as error:
        raise ReportError(
            f"the plot {path} cannot be written: {error}; name another file (.png, .svg, .pdf)."
        ) from error
