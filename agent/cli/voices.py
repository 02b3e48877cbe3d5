"""`descant voices`: which voices there are, and how they sound."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agent.cli.output import check_target

app = typer.Typer(help="Voices: list them, hear one.", rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def list_voices(
    context: typer.Context,
    language: Annotated[
        str | None, typer.Option("--language", metavar="TAG", help="Only those of a language, as in de or en-GB.")
    ] = None,
) -> None:
    """List the voices: language, what can be set, licence, and whether each can speak here. `play` lets one speak."""
    if context.invoked_subcommand is not None:
        return
    from agent.apps.voices import show  # noqa: PLC0415 - `--help` must be quick

    show(context.obj.load().settings, language)


@app.command()
def play(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A voice that `descant voices` lists.")],
    text: Annotated[
        str | None, typer.Option("--text", metavar="TEXT", help="What it says.", show_default="a sample")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE.wav", help="Write a file instead of playing.", show_default=False),
    ] = None,
    speed: Annotated[float | None, typer.Option("--speed", help="Instead of voice.speed.", show_default=False)] = None,
    pitch: Annotated[float | None, typer.Option("--pitch", help="Instead of voice.pitch.", show_default=False)] = None,
) -> None:
    """Let a voice speak, on the loudspeaker or into a file."""
    check_target(output)
    from agent.apps.voices import sample  # noqa: PLC0415 - `--help` must be quick

    settings = context.obj.load({"voice.speed": speed, "voice.pitch": pitch}).settings
    sample(settings, name, text, output)
