"""`descant talk`: a recording plays the microphone, and the reply is written as a listener would hear it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.commands.options import Mode, Model, Seed, TimelineFile

if TYPE_CHECKING:
    from agent.commands.invocation import Invocation


def talk(
    context: typer.Context,
    input_file: Annotated[Path, typer.Option("--input", metavar="WAV", help="Recording that plays the microphone.")],
    output_file: Annotated[Path, typer.Option("--output", metavar="WAV", help="What a listener hears meanwhile.")],
    mode: Mode = None,
    model: Model = None,
    timeline: TimelineFile = None,
    seed: Seed = 0,
    max_seconds: Annotated[
        float, typer.Option("--max-seconds", min=1, help="Give up this long after the end of the recording.")
    ] = 120.0,
) -> None:
    """Talk: the recording plays in real time, and what a listener would have heard is written to a WAV file."""
    invocation: Invocation = context.obj
    settings = invocation.load({"loop.mode": mode, "models.llm": model}).settings
    from agent.recording import Talk, run  # noqa: PLC0415 - torch is slow to import, `--help` must be quick

    asyncio.run(run(settings, Talk(input_file, output_file, timeline, seed, max_seconds)))
