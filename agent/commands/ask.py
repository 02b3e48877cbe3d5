"""`descant ask`: one typed question, the same loop, the answer as text."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from agent.commands.options import Mode, Model, Seed, TimelineFile

if TYPE_CHECKING:
    from agent.commands.invocation import Invocation


def ask(
    context: typer.Context,
    text: Annotated[str, typer.Argument(help="The question.")],
    mode: Mode = None,
    model: Model = None,
    timeline: TimelineFile = None,
    seed: Seed = 0,
    thoughts: Annotated[bool, typer.Option(help="Show the private thoughts, dimmed.")] = True,
) -> None:
    """Ask a typed question; the answer appears as it is written."""
    invocation: Invocation = context.obj
    settings = invocation.load({"loop.mode": mode, "models.llm": model}).settings
    from agent.typed import run  # noqa: PLC0415 - torch is slow to import, `--help` must be quick

    asyncio.run(run(settings, text, timeline, seed, thoughts=thoughts))
