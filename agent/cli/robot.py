"""`descant robot`: command a robot by typed words, stop it, let it move again, look at it, simulate one.

User name, password file and certificates are settings of the group `robot`; no secret stands on a command line.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.options import Broker, Engine, Model, ModelServers, RobotAddress, Seed, ServerKey, SiteMap, within
from agent.cli.output import check_target
from agent.config.invocation import engine_overrides
from descant.ranges import Range

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.config.invocation import Invocation
    from agent.config.settings import Loaded

app = typer.Typer(no_args_is_help=True, help="Command a robot over MQTT (VDA 5050), or simulate one.")


@app.command()
def run(
    context: typer.Context,
    request: Annotated[
        str | None, typer.Argument(metavar="TEXT", help="What the robot shall do; none: lines of standard input.")
    ] = None,
    site_map: SiteMap = None,
    broker: Broker = None,
    robot: RobotAddress = None,
    model: Model = None,
    engine: Engine = None,
    server: ModelServers = None,
    api_key_file: ServerKey = None,
    confirmed: Annotated[bool, typer.Option("--yes", help="Say yes to every question of the gate in advance.")] = False,
    thoughts: Annotated[bool, typer.Option("--thoughts/--no-thoughts", help="Show private thoughts.")] = True,
    seed: Seed = 0,
) -> None:
    """Do what is typed, without a microphone: shows what is said, thought, commanded and reported.

    On a terminal further lines are read while the robot moves: "stop" stops it at once.
    """
    given = {"robot.map": site_map, "robot.broker": broker, "robot.address": robot, "models.llm": model}
    loaded = _load(context, {**given, **engine_overrides(engine, server, api_key_file)})
    from agent.robot.typed import TypedOptions  # noqa: PLC0415 - torch is slow to import
    from agent.robot.typed import run as carry_out  # noqa: PLC0415 - the same

    listen = request is None or sys.stdin.isatty()
    typed = TypedOptions((request,) if request else (), listen, confirmed, thoughts, seed)
    if not asyncio.run(carry_out(loaded, typed)):
        raise typer.Exit(1)


@app.command()
def stop(context: typer.Context, broker: Broker = None, robot: RobotAddress = None) -> None:
    """Stop the robot, whoever commands it, and say by its own state what happened."""
    options = _load(context, {"robot.broker": broker, "robot.address": robot}).settings.robot
    from agent.robot.telling import told_event  # noqa: PLC0415 - quick to stop, but `--help` is quicker
    from languages.english import ENGLISH  # noqa: PLC0415 - the same
    from robots.events import Happening  # noqa: PLC0415 - the same
    from robots.protocols.reach import adapter_of  # noqa: PLC0415 - the same
    from robots.session import stop_robot  # noqa: PLC0415 - the same

    adapter = adapter_of(options)
    event = asyncio.run(stop_robot(adapter))
    typer.echo(told_event(event, adapter.name, ENGLISH))
    if event.happening is not Happening.STOPPED:
        raise typer.Exit(1)


@app.command()
def resume(
    context: typer.Context,
    site_map: SiteMap = None,
    broker: Broker = None,
    robot: RobotAddress = None,
    confirmed: Annotated[bool, typer.Option("--yes", help="Confirm in advance.")] = False,
) -> None:
    """End a pause of the robot, after you have confirmed it."""
    options = _load(context, {"robot.map": site_map, "robot.broker": broker, "robot.address": robot}).settings.robot
    from agent.robot.access import resume as let_go  # noqa: PLC0415 - see `stop`

    def confirm(question: str) -> bool:
        return confirmed or typer.confirm(question)

    text, moved = asyncio.run(let_go(options, confirm))
    typer.echo(text)
    if not moved:
        raise typer.Exit(1)


@app.command()
def state(context: typer.Context, broker: Broker = None, robot: RobotAddress = None, site_map: SiteMap = None) -> None:
    """Say what the robot reports: where it is, what it does, what it can do, and whether it can be commanded."""
    options = _load(context, {"robot.map": site_map, "robot.broker": broker, "robot.address": robot}).settings.robot
    from agent.robot.access import look  # noqa: PLC0415 - see `stop`

    seen = asyncio.run(look(options))
    for name, value in seen.lines:
        typer.echo(f"{name:<12} {value}")
    if seen.command:
        raise typer.Exit(1)


@app.command("map")
def example_map() -> None:
    """Print a site map to begin with; it is the one that the simulated robot uses."""
    from robots.simulator.run import EXAMPLE_MAP  # noqa: PLC0415 - see `stop`

    typer.echo(EXAMPLE_MAP.read_text(encoding="utf-8"), nl=False)


@app.command()
def simulate(
    context: typer.Context,
    broker: Broker = None,
    robot: RobotAddress = None,
    site_map: SiteMap = None,
    start: Annotated[str | None, typer.Option("--start", metavar="PLACE", help="Where it stands at first.")] = None,
    speed: Annotated[
        float,
        typer.Option(
            "--speed",
            callback=within("--speed", Range(0.01, 1000, "slower it stands still, and faster it cannot be computed")),
            help="Simulated seconds per second.",
        ),
    ] = 1.0,
    fault: Annotated[
        list[str] | None,
        typer.Option("--fault", metavar="FAULT", help="drop=0.1, delay=0.5, obstacle@6=4 and others; repeatable."),
    ] = None,
    seed: Seed = 0,
    draw: Annotated[
        Path | None, typer.Option("--draw", metavar="FILE", help="At the end, draw the run: .png or .gif.")
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            "--seconds",
            callback=within("--seconds", Range(0.01, 604800, "in less nothing happens, and after a week nobody looks")),
            help="End after so long; else with Ctrl-C.",
        ),
    ] = None,
) -> None:
    """Be a robot on a small map, in two dimensions, with faults at will; Ctrl-C ends it."""
    check_target(draw)
    options = _load(context, {"robot.map": site_map, "robot.broker": broker, "robot.address": robot}).settings.robot
    from agent.robot.telling import told  # noqa: PLC0415 - see `stop`
    from languages.english import ENGLISH  # noqa: PLC0415 - the same
    from robots.simulator.run import SimulationOptions  # noqa: PLC0415 - see `stop`
    from robots.simulator.run import simulate as be_a_robot  # noqa: PLC0415 - the same

    asyncio.run(
        be_a_robot(
            options,
            SimulationOptions(
                start=start, speed=speed, faults=tuple(fault or ()), seed=seed, draw=draw, seconds=seconds
            ),
            lambda fact: typer.echo(told(fact, ENGLISH), err=True),
        )
    )


def _load(context: typer.Context, given: Mapping[str, object]) -> Loaded:
    invocation: Invocation = context.obj
    return invocation.load(given)
