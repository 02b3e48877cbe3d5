"""`--tools module:name`: tools from the user's own module, before anything slow is loaded."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reasoning.tools.calls import Tool

Tools = Annotated[
    list[str] | None,
    typer.Option(
        "--tools",
        metavar="MODULE[:NAME]",
        help="Tools it may call, made with @descant.tool: one, a list, or all of a module; repeatable.",
        show_default=False,
    ),
]


def tools_of(wanted: Sequence[str] | None) -> list[Tool]:
    """Import the tools that were named; modules are looked for in the current folder first. Raises BadTool."""
    if not wanted:
        return []
    from reasoning.tools.calls import checked_tools  # noqa: PLC0415 - `--help` must be quick

    if str(Path.cwd()) not in sys.path:
        # A console script does not look where it was started, unlike `python -m`.
        sys.path.insert(0, str(Path.cwd()))
    return list(checked_tools([tool for name in wanted for tool in _named(name)]))


def _named(wanted: str) -> Iterator[Tool]:
    from reasoning.errors import BadTool  # noqa: PLC0415 - `--help` must be quick
    from reasoning.tools.calls import Tool  # noqa: PLC0415 - the same

    place, colon, name = wanted.partition(":")
    try:
        module = importlib.import_module(place)
    except BadTool:
        raise
    except Exception as error:
        raise BadTool(f"--tools {wanted}: {place!r} cannot be imported: {type(error).__name__}: {error}") from error
    if not colon:
        found = list({id(value): value for value in vars(module).values() if isinstance(value, Tool)}.values())
        if not found:
            raise BadTool(f"--tools {wanted}: {place!r} has no tools; make one of a function with @descant.tool")
        yield from found
        return
    value = getattr(module, name, None)
    if value is None:
        raise BadTool(f"--tools {wanted}: {place!r} has no {name!r}")
    for item in value if isinstance(value, list | tuple) else [value]:
        if not isinstance(item, Tool):
            raise BadTool(
                f"--tools {wanted}: {name!r} holds {type(item).__name__}, no tool; make one with @descant.tool"
            )
        yield item
