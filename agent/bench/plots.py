"""Draws accuracy against promptness, one point a row. Needs the extra "bench"."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from agent.bench.statistics import percentile
from agent.bench.summary import summarise
from agent.errors import BenchExtraMissing, ReportError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from agent.bench.metrics import Sample


def require() -> None:
    """Say early that the plotting library is missing.

    Raises:
        BenchExtraMissing: it is.

    """
    if find_spec("matplotlib") is None:
        raise BenchExtraMissing("--plot needs matplotlib; add it with: pip install 'descant[bench]'")


def draw(rows: Mapping[str, Sequence[Sample]], path: Path) -> None:
    """Draw accuracy (95 % interval) against time to the first content (median, quartiles) of every row.

    Raises:
        ReportError: the file cannot be written.

    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - optional

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for name, samples in rows.items():
        times = [sample.first_content_s for sample in samples if sample.first_content_s is not None]
        middle, low, high = (percentile(times, share) for share in (50, 25, 75))
        if middle is None or low is None or high is None:
            continue
        of = summarise(samples)
        axes.errorbar(
            middle,
            100 * of["accuracy"],
            xerr=[[middle - low], [high - middle]],
            yerr=[[100 * (of["accuracy"] - of["accuracy_low"])], [100 * (of["accuracy_high"] - of["accuracy"])]],
            fmt="o",
            capsize=3,
            label=f"{name} ({len(samples)})",
        )
    axes.set_xlabel("seconds from the last word of the question to the first content (median, quartiles)")
    axes.set_ylabel("right answers, % (95 % interval)")
    axes.set_xlim(left=0)
    axes.set_ylim(0, 100)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    try:
        figure.savefig(path, dpi=150)
    except (OSError, ValueError) as error:
        raise ReportError(
            f"the plot {path} cannot be written: {error}; name another file (.png, .svg, .pdf)."
        ) from error
