"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from agent.errors import ConfigError
from descant.ranges import Range

_Number = TypeVar("_Number", bound=float | None)


def within(option: str, allowed: Range) -> Callable[[_Number], _Number]:
    """Make the check of an option that is no setting; those that are have their ranges with the settings."""

    def checked(value: _Number) -> _Number:
        if value is not None and value not in allowed:
            raise ConfigError(f"{option} {value} is not allowed: from {allowed}, since {allowed.why}.")
        return value

    return checked


Mode = Annotated[
    str | None,
    typer.Option("--mode", metavar="async|think-first|no-think", help="How thinking and speaking are ordered."),
]
Model = Annotated[
    str | None, typer.Option("--model", metavar="NAME", help="Language model: a name, a .gguf file or a folder.")
]
TimelineFile = Annotated[
    Path | None, typer.Option("--timeline", metavar="FILE", help="Write what happened when, as JSON lines.")
]
Seed = Annotated[
    int,
    typer.Option(
        "--seed",
        callback=within("--seed", Range(0, 2**63 - 1, "generators of chance take no other")),
        help="Seed of what is drawn, where loop.temperature or the model's profile has it.",
    ),
]
Broker = Annotated[str | None, typer.Option("--broker", metavar="HOST:PORT", help="MQTT broker of the robot.")]
RobotAddress = Annotated[str | None, typer.Option("--robot", metavar="MANUFACTURER/SERIAL", help="The robot.")]
SiteMap = Annotated[Path | None, typer.Option("--map", metavar="FILE", help="Site map (YAML): places and limits.")]
Engine = Annotated[
    str | None, typer.Option("--engine", metavar="torch|vllm", help="Compute here, or leave the model to servers.")
]
Server = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="URL[,URL...]",
        help="Let a Realtime server think, as http://127.0.0.1:8765; with --engine vllm, the language model servers.",
    ),
]
ModelServers = Annotated[
    str | None, typer.Option("--server", metavar="URL[,URL...]", help="With --engine vllm: the language model servers.")
]
ServerKey = Annotated[
    Path | None, typer.Option("--api-key-file", metavar="FILE", help="File whose first line is that server's key.")
]
Verbose = Annotated[bool, typer.Option("--verbose", help="Say what the start takes its time for.")]
Cost = Annotated[bool, typer.Option("--cost", help="End with a line about what it cost; docs/costs.md.")]
SaveFile = Annotated[
    Path | None,
    typer.Option("--save", metavar="FILE", help="Write what was said, as text. Nothing is saved otherwise."),
]
