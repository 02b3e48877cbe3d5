"""How far a model is, on standard error: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as Bars

from agent.apps.printing import plain_console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console
    from rich.progress import TaskID

    from reasoning.store.store import Progress

_WORDS = {
    "copy": "copying",
    "hub": "from the hub",
    "release": "from its release",
    "repository": "from its repository",
    "registry": "from the registry",
    "check": "checking",
}
_LINE_EVERY = 0.1
"""Share of a file between two plain lines."""


@contextmanager
def shown(console: Console | None = None) -> Iterator[Callable[[Progress], None]]:
    """Show what the store reports while the block runs."""
    console = console or plain_console(stderr=True)
    if not console.is_terminal:
        yield _ProgressLines(console)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=console) as bars:
        yield _Bars(bars)


class _Bars:
    """One bar for each file and phase."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._tasks: dict[tuple[str, str], TaskID] = {}
        self._told: set[str] = set()

    def __call__(self, progress: Progress) -> None:
        if line := _remark(progress):
            if line not in self._told:
                self._told.add(line)
                self._bars.console.print(line, style="yellow")
            return
        key = (progress.file, progress.phase)
        if key not in self._tasks:
            description = f"{progress.file} {_WORDS[progress.phase]}"
            self._tasks[key] = self._bars.add_task(description, total=progress.total)
        self._bars.update(self._tasks[key], completed=progress.done)


class _ProgressLines:
    """One line for each tenth of a file."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last: dict[tuple[str, str], float] = {}
        self._told: set[str] = set()

    def __call__(self, progress: Progress) -> None:
        if line := _remark(progress):
            if line not in self._told:
                self._told.add(line)
                self._say(line)
            return
        key = (progress.file, progress.phase)
        share = progress.done / max(1, progress.total)
        if key not in self._last or share >= self._last[key] + _LINE_EVERY or share >= 1 > self._last[key]:
            self._last[key] = share
            self._say(
                f"{progress.file} {_WORDS[progress.phase]}: "
                f"{progress.done / 1e6:,.0f} of {progress.total / 1e6:,.0f} MB ({share:.0%})"
            )

    def _say(self, line: str) -> None:
        self._console.print(line, soft_wrap=True)


def _remark(progress: Progress) -> str:
    """Say what is no progress: once for a model, though each of its files may meet the same."""
    if progress.phase == "wait":
        return f"{progress.model}: another process is fetching it; waiting"
    return f"{progress.model}: {progress.note}" if progress.phase == "failed" else ""
