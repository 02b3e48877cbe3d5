"""`descant config`: the effective settings."""

from __future__ import annotations

import typer

app = typer.Typer(no_args_is_help=True, help="The settings: file, environment, command line.", rich_markup_mode=None)


@app.callback()
def group() -> None:
    """Keep `show` a command of its own; typer would fold a single command into its group."""


@app.command()
def show(context: typer.Context) -> None:
    """Print the effective settings as TOML, what each means, and where it came from or by what it was chosen."""
    from agent.config.settings import render  # noqa: PLC0415 - `--help` must be quick
    from agent.plan.record import any_kept  # noqa: PLC0415 - the same

    loaded = context.obj.load()
    chosen, measured = {}, []
    if any_kept():
        from agent.plan.fitting import known  # noqa: PLC0415 - torch is slow to import

        fitting = known(loaded.settings, loaded.origins)
        if fitting is not None and fitting.plan is not None:
            chosen, measured = fitting.plan.settings(), fitting.measurements()
    typer.echo(render(loaded, chosen, measured), nl=False)
