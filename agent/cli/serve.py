"""`descant serve`: the realtime server."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.options import Broker, Engine, Mode, Model, ModelServers, RobotAddress, SiteMap, Verbose, within
from agent.config.invocation import engine_overrides
from descant.ranges import Range

if TYPE_CHECKING:
    from agent.config.invocation import Invocation


def serve(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="Address to listen on; others than this machine's need a key.")] = (
        "127.0.0.1"
    ),
    port: Annotated[
        int,
        typer.Option(callback=within("--port", Range(0, 65535, "TCP has no other")), help="Port; 0 takes a free one."),
    ] = 8765,
    api_key_file: Annotated[
        Path | None, typer.Option("--api-key-file", metavar="FILE", help="File whose first line is the key.")
    ] = None,
    max_sessions: Annotated[int | None, typer.Option("--max-sessions", help="Clients at once.")] = None,
    tls_cert: Annotated[Path | None, typer.Option("--tls-cert", metavar="FILE", help="Certificate (PEM).")] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", metavar="FILE", help="Its key (PEM).")] = None,
    mode: Mode = None,
    model: Model = None,
    engine: Engine = None,
    server: ModelServers = None,
    robot: RobotAddress = None,
    broker: Broker = None,
    site_map: SiteMap = None,
    verbose: Verbose = False,
) -> None:
    """Serve the OpenAI Realtime protocol and a web page; any Realtime client can talk to it."""
    if robot is None and (broker or site_map):
        raise typer.BadParameter("--broker and --map say where a robot is; name it with --robot.")
    invocation: Invocation = context.obj
    overrides = {
        "loop.mode": mode,
        "models.llm": model,
        # --api-key-file is the clients' key here; that of language model servers is vllm.api_key_file.
        **engine_overrides(engine, server, None),
        "server.max_sessions": max_sessions,
        "robot.address": robot,
        "robot.broker": broker,
        "robot.map": site_map,
    }
    loaded = invocation.load(overrides)
    from agent.apps.serving import ServeOptions, run  # noqa: PLC0415 - torch is slow to import, `--help` must be quick

    place = ServeOptions(host, port, api_key_file, tls_cert, tls_key, robot is not None, verbose)
    asyncio.run(run(loaded, place))
