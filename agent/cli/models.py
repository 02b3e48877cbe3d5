"""`descant models`: what the catalogue knows, what the cache holds, and how it gets there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.output import check_target
from agent.config.invocation import open_store

if TYPE_CHECKING:
    from agent.config.settings import ModelOptions
    from reasoning.store.store import ModelStatus

app = typer.Typer(no_args_is_help=True, help="Models: list, pull, verify, calibrate.", rich_markup_mode=None)

Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", show_default=False)]


@app.command("list")
def list_models(context: typer.Context) -> None:
    """List the catalogue and what of it is in the cache."""
    from rich.table import Table  # noqa: PLC0415 - `--help` must be quick

    from agent.apps.printing import plain_console  # noqa: PLC0415 - the same
    from reasoning.store.catalogue import CATALOGUE  # noqa: PLC0415 - the same

    options: ModelOptions = context.obj.load().settings.models
    store = open_store(options)
    table = Table("name", "use", "MB", "licence", "cache", "about", box=None)
    table.columns[2].justify = "right"
    for name, entry in CATALOGUE.items():
        state = store.status(name).state
        table.add_row(name, entry.use, f"{entry.size / 1e6:,.0f}", entry.licence, state, entry.about)
    console = plain_console()
    console.print(table)
    used = ", ".join(name for name in (options.llm, options.asr, options.voice, options.turn) if name)
    console.print(f"in use: {used}; cache: {options.cache_dir}", soft_wrap=True)


@app.command()
def pull(context: typer.Context, names: Names = None) -> None:
    """Fetch models; without names, those that the settings use."""
    from agent.apps.progress import shown  # noqa: PLC0415 - `--help` must be quick
    from audio.speaking.voices import find_voice  # noqa: PLC0415 - the same
    from reasoning.store.catalogue import CATALOGUE, find  # noqa: PLC0415 - the same

    options: ModelOptions = context.obj.load().settings.models
    store = open_store(options)
    for name in names or ():
        find(name)
    with shown() as progress:
        if not names:
            own = store.language_model(options.llm, progress) if options.llm not in CATALOGUE else None
            ears = "" if ":" in options.asr else options.asr
            others = ears, find_voice(options.voice).model, options.turn
            names = [name for name in ("" if own else options.llm, *others) if name]
        folders = {name: store.ensure(name, progress) for name in names}
    for name, folder in folders.items():
        typer.echo(f"{name}: verified, in {folder}")


@app.command()
def verify(context: typer.Context, names: Names = None) -> None:
    """Hash models anew; without names, all that are in the cache. A wrong file is set aside."""
    from agent.apps.progress import shown  # noqa: PLC0415 - `--help` must be quick
    from reasoning.store.catalogue import CATALOGUE  # noqa: PLC0415 - the same
    from reasoning.store.store import StoreState  # noqa: PLC0415 - the same

    options: ModelOptions = context.obj.load().settings.models
    store = open_store(options)
    present = [name for name in CATALOGUE if store.status(name).state is not StoreState.MISSING]
    wrong: list[ModelStatus] = []
    for name in names or present:
        with shown() as progress:
            status = store.verify(name, progress)
        mend = "" if status.state is StoreState.VERIFIED else f"; `descant models pull {name}` mends it"
        typer.echo(f"{name}: {status.state}{mend}")
        if status.state is StoreState.DAMAGED:
            wrong.append(status)
    if not names and not present:
        typer.echo(f"no model is in {options.cache_dir}; `descant models pull` fetches those in use")
    if wrong:
        raise typer.Exit(1)


@app.command()
def calibrate(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", show_default=False)] = None,
    output: Annotated[Path | None, typer.Option("--output", metavar="FILE", help="Write the profile there.")] = None,
) -> None:
    """Measure, in minutes, what small talk and problems look like to a language model, and write its profile."""
    import asyncio  # noqa: PLC0415 - `--help` must be quick

    from agent.apps.calibration import run  # noqa: PLC0415 - the same
    from agent.errors import ConfigError  # noqa: PLC0415 - the same

    check_target(output)
    if output is not None and output.exists():
        raise ConfigError(f"{output} is there already; name another file by --output, and join them yourself.")
    asyncio.run(run(context.obj.load({"models.llm": name}), output))
