"""`descant talk`: over the sound card; or a recording plays the microphone and the reply is written to a file."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.options import (
    Broker,
    Cost,
    Engine,
    Mode,
    Model,
    RobotAddress,
    SaveFile,
    Seed,
    Server,
    ServerKey,
    SiteMap,
    TimelineFile,
    Verbose,
    within,
)
from agent.cli.output import check_target
from agent.cli.tools import Tools, tools_of
from agent.config.invocation import engine_overrides, no_cost_here, no_models_here, no_tools_here, server_key
from descant.ranges import Range

if TYPE_CHECKING:
    from agent.config.invocation import Invocation


def talk(
    context: typer.Context,
    input_file: Annotated[
        Path | None,
        typer.Option("--input", metavar="FILE", help="Recording that plays the microphone: WAV, FLAC, Ogg, MP3."),
    ] = None,
    output_file: Annotated[
        Path | None, typer.Option("--output", metavar="WAV", help="What a listener hears of a recording's reply.")
    ] = None,
    microphone: Annotated[str | None, typer.Option(metavar="NAME", help="Microphone, or a part of its name.")] = None,
    loudspeaker: Annotated[str | None, typer.Option(metavar="NAME", help="Loudspeaker, the same.")] = None,
    headphones: Annotated[bool, typer.Option("--headphones", help="You wear headphones: no echo to cancel.")] = False,
    no_ui: Annotated[bool, typer.Option("--no-ui", help="Plain lines instead of a picture.")] = False,
    mode: Mode = None,
    model: Model = None,
    timeline: TimelineFile = None,
    save: SaveFile = None,
    robot: RobotAddress = None,
    broker: Broker = None,
    site_map: SiteMap = None,
    seed: Seed = 0,
    max_seconds: Annotated[
        float,
        typer.Option(
            "--max-seconds",
            callback=within("--max-seconds", Range(1, 86400, "in less nothing is said, and nobody waits for a day")),
            help="Give up this long after the end of a recording.",
        ),
    ] = 120.0,
    engine: Engine = None,
    server: Server = None,
    api_key_file: ServerKey = None,
    tools: Tools = None,
    verbose: Verbose = False,
    cost: Cost = False,
) -> None:
    """Talk over microphone and loudspeaker; with --input and --output a recording is asked and answered instead."""
    if (input_file is None) != (output_file is None):
        raise typer.BadParameter("--input and --output go together; leave both out to talk live.")
    if robot is None and (broker or site_map):
        raise typer.BadParameter("--broker and --map say where a robot is; name it with --robot.")
    check_target(output_file, timeline, save)
    realtime = server if engine != "vllm" else None
    if robot is not None and realtime is not None:
        raise typer.BadParameter(
            "--robot does not go with --server: start the server with `descant serve --robot MANUFACTURER/SERIAL`."
        )
    invocation: Invocation = context.obj
    loaded = invocation.load(
        {
            "loop.mode": mode,
            "models.llm": model,
            **engine_overrides(engine, server, api_key_file),
            "devices.input": microphone,
            "devices.output": loudspeaker,
            "devices.headphones": headphones or None,
            "robot.address": robot,
            "robot.broker": broker,
            "robot.map": site_map,
        }
    )
    if realtime is not None:
        from agent.apps import remote_talk  # noqa: PLC0415 - websockets are slow to import, `--help` must be quick

        no_models_here(mode, model)
        no_tools_here(tools)
        no_cost_here(cost=cost)
        place = remote_talk.RemotePlace(realtime, server_key(api_key_file), timeline)
        if input_file is not None and output_file is not None:
            asyncio.run(remote_talk.run_recording(place, input_file, output_file, max_seconds))
        else:
            asyncio.run(remote_talk.run_live(place, loaded.settings.devices))
        return
    if input_file is not None and output_file is not None:
        from agent.apps.recording import RecordingOptions, run  # noqa: PLC0415 - torch is slow to import, `--help` must be quick

        asyncio.run(
            run(
                loaded,
                RecordingOptions(
                    *(input_file, output_file, timeline, seed, max_seconds, save, robot is not None, tools_of(tools)),
                    verbose=verbose,
                    cost=cost,
                ),
            )
        )
        return
    from agent.apps.desktop import DeskOptions, lines  # noqa: PLC0415 - the same
    from agent.apps.desktop import run as run_live  # noqa: PLC0415 - the same

    live = DeskOptions(timeline, seed, save, robot is not None, tools_of(tools), verbose, cost)
    if no_ui or not sys.stdout.isatty():
        asyncio.run(run_live(loaded, live, lines))
        return
    from agent.terminal.app import terminal  # noqa: PLC0415 - the same

    asyncio.run(run_live(loaded, live, terminal))
