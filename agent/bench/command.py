"""What `descant bench think` does with its options: settings to rows, a run, a report, a table, a plot."""

from __future__ import annotations

import asyncio
import json
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from threading import Lock
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, cast

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

from agent.bench import summary, tasks
from agent.bench.pace import measure_pace
from agent.bench.plots import draw, require
from agent.bench.report import Report
from agent.bench.simulation import Pace
from agent.bench.stepped import StepCosts, measure_costs
from agent.bench.think import MODES, BenchMode, Row, Stage, open_model, settings_document, simulate
from agent.commands.invocation import open_store
from agent.commands.progress import shown
from agent.errors import BadQuestion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from agent.bench.metrics import Sample
    from agent.bench.tasks import Item, Split
    from agent.bench.think import Model
    from agent.commands.invocation import Invocation
    from agent.config import Settings
    from reasoning.store import Store
_CLOCKED: Final = ("first_sound_s", "first_content_s", "total_delay_s", "reply_end_s")
"""Figures that are put side by side, simulated and real."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for."""

    tasks: str | None
    """Names with commas between, or a report."""
    count: int
    """Items of each task."""
    split: str
    modes: str
    rows: tuple[str, ...]
    """`name: group.field=value; …`"""
    batch: int
    """Conversations that share a step."""
    real: int
    """Items that are run in real time as well."""
    costs: Path | None
    """A report whose step costs and pace are taken."""
    json_file: Path | None
    plot: Path | None


def run(invocation: Invocation, overrides: Mapping[str, object], wanted: Wanted) -> None:
    """Run the benchmark and tell its outcome."""
    console = Console()
    settings = invocation.load(overrides).settings
    rows = _rows(invocation, overrides, settings, wanted)
    if wanted.plot:
        require()
    if wanted.split not in tasks.SEEDS:
        raise BadQuestion(f"there is no split {wanted.split!r}; there are dev and test.")
    split = cast("Split", wanted.split)
    items = [item for task in _tasks(wanted.tasks) for item in tasks.items(task, split, wanted.count)]
    store = open_store(settings.models)
    with shown() as progress:
        file = store.language_model(settings.models.llm, progress)
    model = open_model(file, settings.engine)
    costs, pace = _clock(wanted.costs, model, settings, store)
    stage = Stage(model, settings, pace)
    with _counted(len(rows) * len(items)) as count:
        done = simulate(stage, rows, items, costs, batch=wanted.batch, done=count)
    by_row = summary.by_row(done.samples)
    compared = summary.compare(by_row)
    checked = _checked(stage, rows, items[: wanted.real], by_row)
    described = {
        **settings_document(settings),
        "tasks": list(dict.fromkeys(item.task for item in items)),
        "split": split,
        "items_per_task": wanted.count,
        "batch": wanted.batch,
        "pace": asdict(pace),
        "step_costs_s": {str(logits): points for logits, points in costs.seconds.items()},
        "rows": {row.name: {"mode": row.mode, "loop": asdict(row.options)} for row in rows},
    }
    results = {
        "rows": {name: summary.summarise(of) | {"tasks": summary.by_task(of)} for name, of in by_row.items()},
        "compared": compared,
        "clock": checked,
        "wall_s": done.wall_s,
        "forwards": done.forwards,
        "samples": [asdict(sample) for sample in done.samples],
    }
    report = Report("think", described, results, summary.targets(by_row, compared))
    if wanted.json_file:
        report.write(wanted.json_file)
    if wanted.plot:
        draw(by_row, wanted.plot)
    summary.show(console, by_row, compared)
    report.show_targets(console)
    for line in checked:
        told = ", ".join(f"{name} {value}" for name, value in line.items())
        console.print(f"clock: {told}", highlight=False, soft_wrap=True)
    console.print(f"{len(done.samples)} conversations in {done.wall_s:.0f} s", highlight=False)


@contextmanager
def _counted(total: int) -> Iterator[Callable[[Sample], None]]:
    """Show how many conversations are over: a bar on a terminal, a line for each tenth elsewhere."""
    console = Console(stderr=True)
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    start, lock, over = perf_counter(), Lock(), 0
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("conversations", total=total)

        def count(_: Sample) -> None:
            nonlocal over
            with lock:
                over += 1
                if not console.is_terminal and over * 10 // total > (over - 1) * 10 // total:
                    console.print(f"{over} of {total} conversations, {perf_counter() - start:.0f} s", highlight=False)
            bar.advance(task)

        yield count


def _tasks(named: str | None) -> list[str]:
    if named is None:
        return list(tasks.TASKS)
    if named.endswith(".json"):
        found = _read(named)["results"]["compared"]["gaining_tasks"]
        if not found:
            raise BadQuestion(f"{named}: in no task did thinking first gain enough; name tasks instead.")
        return [str(task) for task in found]
    return [name.strip() for name in named.split(",") if name.strip()]


def _rows(invocation: Invocation, overrides: Mapping[str, object], settings: Settings, wanted: Wanted) -> list[Row]:
    rows = [Row(name, _mode(name), settings.loop) for name in map(str.strip, wanted.modes.split(",")) if name]
    for text in wanted.rows:
        name, colon, assignments = text.partition(":")
        if not colon or not name.strip():
            raise BadQuestion(f"--row {text}: write it as name: loop.field=value; loop.field=value")
        given: dict[str, object] = dict(overrides)
        for assignment in filter(None, map(str.strip, assignments.split(";"))):
            key, _, value = assignment.partition("=")
            given[key.strip()] = value.strip()
        mode = _mode(str(given.pop("mode", "async")))
        rows.append(Row(name.strip(), mode, invocation.load(given).settings.loop))
    names = [row.name for row in rows]
    if len(set(names)) < len(names) or not rows:
        raise BadQuestion(f"rows need different names, and at least one: {', '.join(names) or 'none is named'}.")
    return rows


def _mode(name: str) -> BenchMode:
    if name not in MODES:
        raise BadQuestion(f"there is no mode {name!r}; there are {', '.join(MODES)}.")
    return cast("BenchMode", name)


def _read(path: Path | str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - the command line gives text
            found: dict[str, Any] = json.load(file)
    except (OSError, ValueError) as error:
        raise BadQuestion(f"{path}: no report can be read from it ({error}).") from error
    if found.get("bench") != "think":
        raise BadQuestion(f"{path}: not a report of `descant bench think`.")
    return found


def _clock(earlier: Path | None, model: Model, settings: Settings, store: Store) -> tuple[StepCosts, Pace]:
    """Measure what steps and speech cost, or take it from an earlier report."""
    if earlier is None:
        return measure_costs(model.decoder), asyncio.run(measure_pace(settings, store))
    settled = _read(earlier)["settings"]
    seconds = {
        int(logits): [(int(rows), float(taken)) for rows, taken in points]
        for logits, points in settled["step_costs_s"].items()
    }
    return StepCosts(seconds), Pace(**settled["pace"])


def _checked(
    stage: Stage, rows: Sequence[Row], items: Sequence[Item], simulated: Mapping[str, Sequence[Sample]]
) -> list[dict[str, Any]]:
    """Run some items in real time, and put both clocks side by side."""
    lines: list[dict[str, Any]] = []
    for item in items:
        for row in rows:
            real = stage.in_real_time(row, item)
            twin = next(of for of in simulated[row.name] if (of.task, of.number) == (item.task, item.number))
            line: dict[str, Any] = {"row": row.name, "task": item.task, "number": item.number}
            for name in _CLOCKED:
                values = getattr(twin, name), getattr(real, name)
                line[name] = [None if value is None else round(value, 2) for value in values]
            lines.append({**line, "same_words": real.spoken == twin.spoken})
    return lines
