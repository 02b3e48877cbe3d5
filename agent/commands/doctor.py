"""`descant doctor`: what is installed, what is wrong, and how to mend it."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer


def doctor(
    context: typer.Context,
    echo: Annotated[
        bool, typer.Option("--echo", help="Play eight seconds of babble and measure its echo instead.")
    ] = False,
) -> None:
    """Look at the machine, the libraries, the devices, the models and the robot; exit 1 when `talk` would not work."""
    from rich.console import Console  # noqa: PLC0415 - `--help` must be quick
    from rich.table import Table  # noqa: PLC0415 - the same

    from agent.commands.invocation import open_store  # noqa: PLC0415 - the same
    from agent.doctor import Verdict, examine, examine_robot  # noqa: PLC0415 - the same

    settings = context.obj.load().settings
    if echo:
        from agent.echo_check import check_echo  # noqa: PLC0415 - the same

        findings = [asyncio.run(check_echo(settings.devices))]
    else:
        findings = [*examine(settings.models, open_store(settings.models)), *asyncio.run(examine_robot(settings.robot))]
    marks = {Verdict.GOOD: "[green]ok", Verdict.NOTE: "[yellow]note", Verdict.BAD: "[red]wrong"}
    table = Table("", "what", "found", "to mend it", box=None)
    for finding in findings:
        table.add_row(marks[finding.verdict], finding.what, finding.found, finding.mend)
    Console().print(table)
    if any(finding.verdict is Verdict.BAD for finding in findings):
        raise typer.Exit(1)
