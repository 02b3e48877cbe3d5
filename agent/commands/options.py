"""Options that `ask` and `talk` share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Mode = Annotated[
    str | None,
    typer.Option("--mode", metavar="async|think-first|no-think", help="How thinking and speaking are ordered."),
]
Model = Annotated[str | None, typer.Option("--model", metavar="NAME", help="Language model: a name, or a .gguf file.")]
TimelineFile = Annotated[
    Path | None, typer.Option("--timeline", metavar="FILE", help="Write what happened when, as JSON lines.")
]
Seed = Annotated[int, typer.Option("--seed", help="Seed of all sampling.")]
