"""Says what is being loaded, and what came of a start, on standard error. Loads nothing."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.text import Text

from agent.apps.printing import plain_console

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.models.assembly import OpenModels


def telling(line: str) -> None:
    """Print a line on standard error."""
    plain_console(stderr=True).print(line, soft_wrap=True)


def tell_start(models: OpenModels, *, verbose: bool) -> None:
    """Say what was chosen for this machine, and where the time went."""
    for line in [models.plan, *(models.times.lines() if verbose else [])]:
        if line:
            telling(line)


@contextmanager
def spinning(what: str) -> Iterator[None]:
    """Show "loading …" on standard error while the block runs, on a terminal only."""
    # A text of its own: rich reads markup in every string that spins.
    with plain_console(stderr=True).status(Text(f"loading {what}")):
        yield
