"""Shows how far a run of many conversations has come, and how long the rest may take."""

from __future__ import annotations

from contextlib import contextmanager
from threading import Lock
from time import perf_counter
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_EVERY_S: Final = 60.0
"""Seconds without a terminal after which a line is due, whatever was done meanwhile."""


@contextmanager
def counted(total: int, name: str, console: Console | None = None) -> Iterator[Callable[[object], None]]:
    """Give what is to be called after each: a bar on a terminal, elsewhere a line for each tenth and each minute."""
    console = console or Console(stderr=True)
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    start, lock, over = perf_counter(), Lock(), 0
    told_at = start
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(name, total=total)

        def count(_: object) -> None:
            nonlocal over, told_at
            with lock:
                over += 1
                now = perf_counter()
                due = over * 10 // total > (over - 1) * 10 // total or now - told_at > _EVERY_S
                if due and not console.is_terminal:
                    told_at = now
                    # The first ones say little: those that share their steps are still under way.
                    left = (now - start) / over * (total - over)
                    estimate = f", about {left:.0f} s left" if over * 10 >= total else ""
                    told = f"{over} of {total} {name}, {now - start:.0f} s{estimate}"
                    console.print(told, highlight=False, soft_wrap=True)
            bar.advance(task)

        yield count
