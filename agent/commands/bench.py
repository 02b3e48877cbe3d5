"""`descant bench`: measurements, each with a table for people and a JSON document for the rest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.commands.options import Model

if TYPE_CHECKING:
    from agent.commands.invocation import Invocation

app = typer.Typer(no_args_is_help=True, help="Benchmarks: think.", rich_markup_mode=None)

JsonFile = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all figures and samples.")]
PlotFile = Annotated[Path | None, typer.Option("--plot", metavar="FILE", help="Draw the figure (PNG, SVG or PDF).")]
Quick = Annotated[bool, typer.Option("--quick", help="One item of each task: shows that it runs, proves nothing.")]


@app.command()
def think(
    context: typer.Context,
    tasks: Annotated[
        str | None, typer.Option("--tasks", metavar="A,B", help="Tasks, or a report whose gaining tasks to take.")
    ] = None,
    count: Annotated[int, typer.Option("--n", min=1, help="Items of each task.")] = 20,
    split: Annotated[str, typer.Option("--split", metavar="dev|test", help="test is for reporting only.")] = "dev",
    modes: Annotated[
        str, typer.Option("--modes", metavar="A,B", help="Of async, think-first, no-think, aloud, published.")
    ] = "async,think-first,no-think",
    row: Annotated[
        list[str] | None,
        typer.Option("--row", metavar="NAME: K=V; …", help="Another row with other settings; repeatable."),
    ] = None,
    model: Model = None,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Conversations that share a step.")] = 16,
    real: Annotated[int, typer.Option("--real", min=0, help="Items also run in real time, to check the clock.")] = 0,
    costs: Annotated[
        Path | None, typer.Option("--costs", metavar="FILE", help="Take step costs and pace from an earlier report.")
    ] = None,
    json_file: JsonFile = None,
    plot: PlotFile = None,
    quick: Quick = False,
) -> None:
    """Compare thinking while speaking with thinking first and not at all: accuracy against promptness."""
    invocation: Invocation = context.obj
    from agent.bench.command import Wanted, run  # noqa: PLC0415 - torch is slow to import, `--help` must be quick

    wanted = Wanted(
        tasks=tasks,
        count=1 if quick else count,
        split=split,
        modes=modes,
        rows=tuple(row or ()),
        batch=batch,
        real=real,
        costs=costs,
        json_file=json_file,
        plot=plot,
    )
    run(invocation, {"models.llm": model}, wanted)
