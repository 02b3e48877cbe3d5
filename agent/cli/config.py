"""`descant config`: the effective settings."""

from __future__ import annotations

import typer

app = typer.Typer(no_args_is_help=True, help="The settings: file, environment, command line.", rich_markup_mode=None)


@app.callback()
def group() -> None:
    """Keep `show` a command of its own; typer would fold a single command into its group."""


@app.command()
def show(context: typer.Context) -> None:
    """Print the effective settings as TOML, with what each means and where it came from."""
    from agent.config.settings import render  # noqa: PLC0415 - `--help` must be quick

    typer.echo(render(context.obj.load()), nl=False)
