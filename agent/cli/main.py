"""The console script `descant`: its commands, and what becomes of an error.

It knows the commands' names only; each command imports what it needs when it runs, so that `--help` is quick. A
distribution that is installed beside this one adds commands by the entry point `descant.commands`.
"""

from __future__ import annotations

import os
import sys
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Annotated

import typer

from agent.cli import ask, config, doctor, models, robot, serve, talk, voices
from agent.cli.output import drop_output, open_output
from agent.config.invocation import Invocation
from agent.errors import OutputLost

app = typer.Typer(
    name="descant",
    help="A real-time voice agent that thinks, listens and speaks at the same time.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(config.app, name="config")
app.add_typer(models.app, name="models")
app.add_typer(robot.app, name="robot")
app.add_typer(voices.app, name="voices")
app.command()(doctor.doctor)
app.command()(ask.ask)
app.command()(serve.serve)
app.command()(talk.talk)


def _take_in(added: EntryPoint) -> None:
    """Add a command of another distribution; where it is broken, the others still work."""
    try:
        app.add_typer(added.load(), name=added.name)
    except ImportError as error:
        print(f"descant: the command '{added.name}' is left out: {error}", file=sys.stderr)


for added in entry_points(group="descant.commands"):
    _take_in(added)


def _print_version(wanted: bool) -> None:
    if wanted:
        from agent import __version__  # noqa: PLC0415 - only this option needs it

        typer.echo(f"descant {__version__}")
        raise typer.Exit


@app.callback()
def top(
    context: typer.Context,
    config_file: Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Settings file (TOML).")] = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="GROUP.NAME=VALUE", help="Set one value; repeatable.")
    ] = None,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Take the options that stand before the command."""
    context.obj = Invocation(config_file, tuple(assignments or ()))


def main() -> None:
    """Run the command line; every failure is one line on standard error and an exit code.

    1: the environment, or the run failed. 2: bad input. 130: interrupted.
    """
    open_output()
    try:
        try:
            app(prog_name="descant")
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit(130)
    except SystemExit:
        raise
    except BaseException as error:
        # Rust's panics are no Exception, and are told like other errors that nobody has foreseen.
        if os.environ.get("DESCANT_DEBUG", "") not in ("", "0"):
            raise
        sys.exit(_explain(error))


def _fact_of(error: BaseException) -> str:
    """Put an error of a robot that is known by a fact into words; nothing for all others."""
    fact = getattr(error, "fact", None)
    if fact is None:
        return ""
    from agent.robot.telling import told  # noqa: PLC0415 - other commands know no robots
    from languages.english import ENGLISH  # noqa: PLC0415 - the same

    return told(fact, ENGLISH)


def _explain(error: BaseException) -> int:
    """Print one line about an error and return its exit code; a TaskGroup's error is told by its first cause."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, KeyboardInterrupt):
        return 130
    if isinstance(error, OutputLost):
        drop_output()
        if error.reader_gone:
            # As `head` does once it has enough: nobody is there to be told.
            return 1
    # Every room's root error carries an exit code; importing all rooms here to name them would load them all.
    code = getattr(error, "exit_code", None)
    told = " ".join((_fact_of(error) or str(error)).split())
    if not isinstance(code, int):
        told = f"{type(error).__name__}: {told}" if told else type(error).__name__
        told = f"internal error: {told} (run with DESCANT_DEBUG=1 for the traceback)"
    typer.echo(f"descant: {told}", err=True)
    return code if isinstance(code, int) else 1
