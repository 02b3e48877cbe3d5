"""Draws how promptness and memory grow with the number of conversations that one server holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.errors import ReportError
from bench.server.levels import IN_TIME_S
from bench.statistics import percentile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.server.levels import ServerLevel


def draw(levels: Sequence[ServerLevel], path: Path) -> None:
    """Draw every answer's first sound, the 95th percentile of each level, and resident memory.

    Raises:
        ReportError: the file cannot be written.

    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - optional
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415 - the same

    figure = Figure(figsize=(7, 5), layout="constrained")
    promptness, memory = figure.subplots(2, sharex=True, height_ratios=(3, 1))
    for level in levels:
        promptness.plot([level.conversations] * len(level.times_s), level.times_s, "o", color="C0", alpha=0.4)
    numbers = [level.conversations for level in levels]
    promptness.plot(numbers, [percentile(level.times_s, 95) for level in levels], "_-", color="C0", label="p95")
    promptness.axhline(IN_TIME_S, color="grey", linestyle="--")
    promptness.set_ylabel("s from the question's last\nsample to the first sound")
    promptness.set_ylim(bottom=0)
    promptness.legend()
    memory.plot(numbers, [level.memory_mb for level in levels], "s-", color="C1")
    memory.set_ylabel("resident MB")
    memory.set_ylim(0, 1.2 * max(level.memory_mb for level in levels))
    memory.set_xlabel("conversations at once")
    memory.xaxis.set_major_locator(MaxNLocator(integer=True))
    try:
        figure.savefig(path, dpi=150)
    except (OSError, ValueError) as error:
        raise ReportError(f"the plot {path} cannot be written: {error}.") from error
