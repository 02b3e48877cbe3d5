"""Draws the spoken stops: for each, from the end of the word to the wire, and to a robot that stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bench.errors import ReportError
from bench.robot.stop import CONDITIONS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_MARKS: Final = {"wire_ms": "o", "standing_ms": "s"}
_NAMES: Final = {"wire_ms": "startPause on the wire", "standing_ms": "robot stands"}


def draw(results: Mapping[str, Any], path: Path) -> None:
    """Draw a report's trials; tasks have no figure.

    Raises:
        ReportError: there are no trials, or the file cannot be written.

    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - optional

    trials = results.get("trials")
    if not trials:
        raise ReportError(f"{path}: there is nothing to draw; run the benchmark without --tasks or --ordinary.")
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for row, condition in enumerate(CONDITIONS):
        for name, mark in _MARKS.items():
            values = [t[name] for t in trials if t["condition"] == condition and t[name] is not None]
            label = _NAMES[name] if not row else None
            axes.plot(values, [row] * len(values), mark, alpha=0.6, color="C0" if mark == "o" else "C1", label=label)
    axes.axvline(500, color="grey", linestyle="--")
    axes.set_yticks(range(len(CONDITIONS)), CONDITIONS)
    axes.set_xlabel("ms after the end of the spoken stop (below 0: before it ended)")
    figure.legend(loc="outside lower center", ncols=len(_MARKS))
    try:
        figure.savefig(path, dpi=150)
    except (OSError, ValueError) as error:
        raise ReportError(f"the plot {path} cannot be written: {error}.") from error
