"""`descant ask`: one typed question, the same loop, the answer as text."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.options import Cost, Engine, Mode, Model, Seed, Server, ServerKey, TimelineFile
from agent.cli.output import check_target
from agent.cli.tools import Tools, tools_of
from agent.config.invocation import engine_overrides, no_cost_here, no_models_here, no_tools_here, server_key

if TYPE_CHECKING:
    from agent.config.invocation import Invocation


def ask(
    context: typer.Context,
    text: Annotated[str, typer.Argument(help="The question.")],
    mode: Mode = None,
    model: Model = None,
    timeline: TimelineFile = None,
    seed: Seed = 0,
    thoughts: Annotated[bool, typer.Option(help="Show the private thoughts, dimmed.")] = True,
    engine: Engine = None,
    server: Server = None,
    api_key_file: ServerKey = None,
    tools: Tools = None,
    cost: Cost = False,
) -> None:
    """Ask a typed question; the answer appears as it is written."""
    check_target(timeline)
    invocation: Invocation = context.obj
    if server is not None and engine != "vllm":
        from agent.apps import remote  # noqa: PLC0415 - websockets are slow to import, `--help` must be quick

        no_models_here(mode, model)
        no_tools_here(tools)
        no_cost_here(cost=cost)
        asyncio.run(remote.ask(server, server_key(api_key_file), text, timeline, thoughts=thoughts))
        return
    overrides = {"loop.mode": mode, "models.llm": model, **engine_overrides(engine, server, api_key_file)}
    loaded = invocation.load(overrides)
    from agent.apps.typed import run  # noqa: PLC0415 - torch is slow to import, `--help` must be quick

    asyncio.run(run(loaded, text, timeline, seed, thoughts=thoughts, tools=tools_of(tools), cost=cost))
