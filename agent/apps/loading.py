"""Says what is being loaded, and what came of a start, on standard error. Loads nothing."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.models.assembly import OpenModels


def telling(line: str) -> None:
    """Print a line on standard error."""
    Console(stderr=True).print(line, soft_wrap=True, highlight=False, markup=False)


def tell_start(models: OpenModels, *, verbose: bool) -> None:
    """Say what was chosen for this machine, and where the time went."""
    for line in [models.plan, *(models.times.lines() if verbose else [])]:
        if line:
            telling(line)


@contextmanager
def spinning(what: str) -> Iterator[None]:
    """Show "loading …" on standard error while the block runs, on a terminal only."""
    with Console(stderr=True).status(f"loading {what}"):
        yield
