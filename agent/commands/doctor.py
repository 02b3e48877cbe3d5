"""`descant doctor`: what is installed, what is wrong, and how to mend it."""

from __future__ import annotations

import typer


def doctor(context: typer.Context) -> None:
    """Look at the machine, the libraries, the devices and the models; exit 1 when `talk` would not work."""
    from rich.console import Console  # noqa: PLC0415 - `--help` must be quick
    from rich.table import Table  # noqa: PLC0415 - the same

    from agent.commands.invocation import open_store  # noqa: PLC0415 - the same
    from agent.doctor import Verdict, examine  # noqa: PLC0415 - the same

    options = context.obj.load().settings.models
    findings = examine(options, open_store(options))
    marks = {Verdict.GOOD: "[green]ok", Verdict.NOTE: "[yellow]note", Verdict.BAD: "[red]wrong"}
    table = Table("", "what", "found", "to mend it", box=None)
    for finding in findings:
        table.add_row(marks[finding.verdict], finding.what, finding.found, finding.mend)
    Console().print(table)
    if any(finding.verdict is Verdict.BAD for finding in findings):
        raise typer.Exit(1)
