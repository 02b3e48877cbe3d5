"""Says what is being loaded while it is: a spinner on a terminal, a line elsewhere. Loads nothing."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def loading(what: str, console: Console | None = None) -> Iterator[None]:
    """Show "loading …" on standard error while the block runs."""
    console = console or Console(stderr=True)
    if not console.is_terminal:
        console.print(f"loading {what}", soft_wrap=True, highlight=False, markup=False)
        yield
        return
    with console.status(f"loading {what}"):
        yield


@contextmanager
def spinning(what: str) -> Iterator[None]:
    """Show "loading …" on standard error while the block runs, on a terminal only."""
    with Console(stderr=True).status(f"loading {what}"):
        yield
