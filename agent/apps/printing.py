"""The console that programs print on: text comes out as it is.

Words of people, paths, names of devices and hints such as `pip install 'descant[desktop]'` hold what rich takes for its
markup, so it is off everywhere; what has a colour says so by a style.
"""

from __future__ import annotations

from rich.console import Console


def plain_console(*, stderr: bool = False, force_terminal: bool | None = None, quiet: bool = False) -> Console:
    """Make a console that changes nothing in what it is given: no markup, no emoji, no colours of its own."""
    return Console(
        stderr=stderr, force_terminal=force_terminal, quiet=quiet, markup=False, emoji=False, highlight=False
    )
