"""`descant doctor`: what is installed, what is wrong, and how to mend it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.options import Engine, Model, ModelServers, ServerKey
from agent.config.invocation import engine_overrides

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.apps.doctor import Finding
    from agent.config.invocation import Invocation
    from agent.config.settings import Settings


def doctor(
    context: typer.Context,
    echo: Annotated[
        bool, typer.Option("--echo", help="Play eight seconds of babble and measure its echo instead.")
    ] = False,
    engine: Engine = None,
    server: ModelServers = None,
    api_key_file: ServerKey = None,
    model: Model = None,
) -> None:
    """Look at the machine, the libraries, the devices, the models and the robot; exit 1 when `talk` would not work."""
    from agent.apps.doctor import Verdict, examine, examine_plan  # noqa: PLC0415 - `--help` must be quick
    from agent.config.invocation import open_store  # noqa: PLC0415 - the same

    invocation: Invocation = context.obj
    loaded = invocation.load({"models.llm": model, **engine_overrides(engine, server, api_key_file)})
    settings = loaded.settings
    if echo:
        from agent.apps.echo_check import check_echo  # noqa: PLC0415 - the same

        findings = [asyncio.run(check_echo(settings.devices))]
    else:
        findings = [
            *examine(settings.models, open_store(settings.models), settings.engine.native),
            *(examine_plan(loaded) if settings.engine.kind == "torch" else []),
            *asyncio.run(_examine_others(settings)),
        ]
    show(findings)
    if any(finding.verdict is Verdict.BAD for finding in findings):
        raise typer.Exit(1)


def show(findings: Sequence[Finding]) -> None:
    """Print what was found, and what mends it in lines of their own, which no column breaks: they are to be copied."""
    from rich.table import Table  # noqa: PLC0415 - `--help` must be quick
    from rich.text import Text  # noqa: PLC0415 - the same

    from agent.apps.doctor import Verdict  # noqa: PLC0415 - the same
    from agent.apps.printing import plain_console  # noqa: PLC0415 - the same

    marks = {Verdict.GOOD: ("ok", "green"), Verdict.NOTE: ("note", "yellow"), Verdict.BAD: ("wrong", "red")}
    table, console = Table("", "what", "found", box=None), plain_console()
    for finding in findings:
        table.add_row(Text(*marks[finding.verdict]), finding.what, finding.found)
    console.print(table)
    for finding in findings:
        if finding.mend:
            console.print(f"to mend {finding.what}: {finding.mend}", soft_wrap=True)


async def _examine_others(settings: Settings) -> list[Finding]:
    from agent.apps.doctor import examine_device, examine_robot, examine_servers  # noqa: PLC0415 - `--help` must be quick

    found = [*examine_device(settings.engine), *await examine_servers(settings)]
    return [*found, *await examine_robot(settings.robot)]
