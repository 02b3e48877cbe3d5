"""What `descant bench think` does with its options: settings to rows, a run, a report, tables, a plot."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Final, cast, get_args

from rich.console import Console

from agent.apps.progress import shown
from agent.config.invocation import open_store
from agent.errors import BadQuestion
from agent.models.registry import find
from bench.plots import draw, require
from bench.report import Report
from bench.think import listening, scenario_figures, summary, tables
from bench.think.counting import counted
from bench.think.items import sets
from bench.think.items.corrections import CORRECTABLE
from bench.think.items.generated import SEEDS, TASKS
from bench.think.kept import KeptSamples, kept_lines
from bench.think.scenarios import BENCH_SCENARIOS, ScenarioPlan, pairs, plain
from bench.think.think import LOOP_MODES, MODES, BenchMode, Row, ThinkStage, open_model, settings_document, simulate
from bench.think.unhurried import checked, spoken
from bench.virtual.pace import measure_pace
from bench.virtual.stepped import StepCosts, measure_costs
from bench.virtual.timed import Pace
from reasoning.options import Listening
from reasoning.policies.sums.switches import PolicySwitches

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from agent.config.invocation import Invocation
    from agent.config.settings import Settings
    from bench.think.items.question import Split, TaskQuestion
    from bench.think.metrics import Sample
    from bench.think.scenarios import Pair
    from bench.think.think import Model, Simulated
    from reasoning.options import LoopOptions
    from reasoning.store.store import Store
_POLICIES: Final = "policies."
"""Begins the keys of a row's policies; the others are settings."""
_FREE: Final = frozenset({"tasks", "split", "items_per_task", "scenarios", "batch"})
"""What runs that go on with one another may differ in."""
_STOPPED: Final = 130
"""Exit code of a run that was told to end, as shells have it."""


@dataclass(frozen=True, slots=True)
class ThinkBenchOptions:
    """What the command line asks for."""

    tasks: str | None
    """Names with commas between, of tasks or of sets of them, or a report."""
    questions: Path | None
    """The folder that has the public questions."""
    count: int
    """Plain questions of each task."""
    split: str
    modes: str
    listening: str
    """Ways to listen, with commas between, each a row of its own in the place of those of the modes; empty: none."""
    rows: tuple[str, ...]
    """`name: group.field=value; policies.name=false; …`"""
    scenarios: str
    """Names with commas between, or `all`; an empty text: none."""
    scenario_count: int
    """Conversations of each task in each scenario."""
    batch: int
    """Conversations that share a step."""
    real: int
    """Items that are run in real time as well."""
    speech: int
    """Items that are spoken and listened to as well."""
    costs: Path | None
    """A report whose step costs and pace are taken."""
    keep: Path | None
    """Takes each conversation as it is finished, and has those of earlier runs."""
    json_file: Path | None
    plot: Path | None


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a run consists of."""

    rows: Sequence[Row]
    items: Sequence[TaskQuestion]
    """Plain questions, a task after the other."""
    scenarios: Mapping[str, Sequence[Pair]]

    @property
    def loops(self) -> list[Row]:
        """The rows that can do more than answer one question."""
        return [row for row in self.rows if row.mode in LOOP_MODES]

    def jobs(self) -> list[tuple[Row, ScenarioPlan]]:
        """Give every conversation once, those of an item or a pair side by side; tasks take turns."""
        jobs = [(row, plain(item)) for item in spread(self.items, len(self.items)) for row in self.rows]
        for made in self.scenarios.values():
            jobs += [(row, plan) for pair in made for row in self.loops for plan in (pair.there, pair.anew)]
        return list(dict.fromkeys(jobs))


def run(invocation: Invocation, overrides: Mapping[str, object], wanted: ThinkBenchOptions) -> None:
    """Run the benchmark and tell its outcome."""
    settings = invocation.load(overrides).settings
    rows = _rows(invocation, overrides, settings, wanted)
    if wanted.plot:
        require()
    asked = _asked(rows, wanted)
    store = open_store(settings.models)
    with shown() as progress:
        files = find(settings, store, progress, speech=wanted.speech > 0)
    model = open_model(files.llm, settings.engine)
    costs, pace = _clock(wanted, model, settings, store)
    stage, jobs = ThinkStage(model, settings, pace), asked.jobs()
    described = _described(asked, settings, wanted, costs, pace)
    done = _held(stage, jobs, costs, described, wanted)
    complete = len(done.samples) == len(jobs)
    live: dict[str, Any] = {"clock": [], "spoken": []}
    if complete:
        few = spread(asked.items, max(wanted.real, wanted.speech))
        live["clock"], complete = checked(stage, rows, few[: wanted.real], done.samples)
    if complete:
        live["spoken"], complete = spoken(stage, asked.loops, few[: wanted.speech], done.samples, files)
    _tell(asked, done, live, described, wanted, complete=complete)
    if not complete:
        sys.exit(_STOPPED)


def _described(
    asked: _Asked, settings: Settings, wanted: ThinkBenchOptions, costs: StepCosts, pace: Pace
) -> dict[str, Any]:
    return {
        **settings_document(settings),
        "tasks": list(dict.fromkeys(item.task for item in asked.items)),
        "split": wanted.split,
        "items_per_task": wanted.count,
        "scenarios": {name: len(made) for name, made in asked.scenarios.items()},
        "batch": wanted.batch,
        "pace": asdict(pace),
        "step_costs_s": {str(logits): points for logits, points in costs.seconds.items()},
        "rows": {
            row.name: {"mode": row.mode, "loop": asdict(row.options), "policies": asdict(row.policies)}
            for row in asked.rows
        },
    }


def _held(
    stage: ThinkStage,
    jobs: Sequence[tuple[Row, ScenarioPlan]],
    costs: StepCosts,
    described: Mapping[str, Any],
    wanted: ThinkBenchOptions,
) -> Simulated:
    """Hold the conversations but for those that an earlier run has kept."""
    # What is asked, and how many share a step, changes none of them.
    alike = {name: of for name, of in described.items() if name not in _FREE}
    kept = KeptSamples(wanted.keep, alike) if wanted.keep else None
    old = kept.found(jobs) if kept else {}
    left = [(row, plan) for row, plan in jobs if (row.name, plan) not in old]
    with counted(len(left), "conversations") as count:

        def finished(sample: Sample) -> None:
            if kept:
                kept.keep(sample)
            count(sample)

        done = simulate(stage, left, costs, batch=wanted.batch, done=finished)
    return replace(done, samples={**old, **done.samples})


def _tell(
    asked: _Asked,
    done: Simulated,
    live: Mapping[str, Any],
    described: Mapping[str, Any],
    wanted: ThinkBenchOptions,
    *,
    complete: bool,
) -> None:
    """Make figures of what was measured; write, draw and print them."""
    console = Console()
    by_row = _by_row(asked, done)
    compared = summary.compare(by_row)
    named = {name.strip() for name in wanted.modes.split(",")}
    ablation = summary.ablation(by_row, [name for name in by_row if name not in named])
    scenarios = scenario_figures.figures(asked.scenarios, [row.name for row in asked.loops], done.samples)
    total = len(asked.jobs())
    compared_samples = [sample for samples in by_row.values() for sample in samples]
    known = set(map(id, compared_samples))
    heard = listening.against_first(by_row) if wanted.listening and by_row else {}
    results = {
        "complete": complete,
        "conversations": {"measured": len(done.samples), "of": total},
        "rows": {name: summary.summarise(of) | {"tasks": summary.by_task(of)} for name, of in by_row.items()},
        "compared": compared,
        "spoiled": summary.spoiled(by_row),
        "false_noes": [[sample.task, sample.number] for sample in summary.false_noes(by_row)],
        "ablation": ablation,
        "scenarios": scenarios,
        "listening": heard,
        **live,
        "wall_s": done.wall_s,
        "forwards": done.forwards,
        "samples": [asdict(sample) for sample in compared_samples],
        "other_samples": [asdict(sample) for sample in done.samples.values() if id(sample) not in known],
    }
    report = Report("think", described, results, summary.targets(by_row, compared, scenarios))
    if wanted.json_file:
        report.write(wanted.json_file)
    if wanted.plot and by_row:
        draw(by_row, wanted.plot)
    if by_row:
        tables.show(console, by_row, compared)
    tables.show_ablation(console, ablation)
    tables.show_listening(console, heard, next(iter(by_row), ""))
    tables.show_scenarios(console, scenarios)
    tables.show_live(console, live)
    report.show_targets(console)
    console.print(f"{len(done.samples)} conversations in {done.wall_s:.0f} s", highlight=False)
    if not complete:
        console.print(
            f"stopped: {len(done.samples)} of {total} conversations were measured, and what every row has of them told",
            highlight=False,
            soft_wrap=True,
        )


def _by_row(asked: _Asked, done: Simulated) -> dict[str, list[Sample]]:
    """Sort samples by row, those of items that every row has answered."""
    plans = [plain(item) for item in asked.items]
    whole = [plan for plan in plans if all((row.name, plan) in done.samples for row in asked.rows)]
    return {row.name: [done.samples[row.name, plan] for plan in whole] for row in asked.rows} if whole else {}


def _asked(rows: Sequence[Row], wanted: ThinkBenchOptions) -> _Asked:
    if wanted.split not in SEEDS:
        raise BadQuestion(f"there is no split {wanted.split!r}; there are dev and test.")
    split, names = cast("Split", wanted.split), _tasks(wanted.tasks)
    scenarios = _scenarios(wanted.scenarios)
    if not wanted.count and not scenarios:
        raise BadQuestion("there is nothing to ask: --n 0 needs --scenarios.")
    if not wanted.count and (wanted.real or wanted.speech):
        raise BadQuestion("--real and --speech take plain questions: give --n at least 1.")
    asked = _Asked(rows, _items(names, split, wanted.count, wanted), {})
    if not scenarios:
        return asked
    if not asked.loops:
        raise BadQuestion(f"--scenarios needs a row of the loop: {', '.join(LOOP_MODES)}.")
    items = _items(names, split, wanted.scenario_count, wanted)
    made = {name: pairs(name, items, split) for name in scenarios}
    for name, found in made.items():
        if not found:
            raise BadQuestion(f"scenario {name}: no item fits; corrections can be made to {', '.join(CORRECTABLE)}.")
    return _Asked(rows, asked.items, made)


def _items(names: Sequence[str], split: Split, count: int, wanted: ThinkBenchOptions) -> list[TaskQuestion]:
    return [item for name in names for item in sets.items(name, split, count, wanted.questions)]


def _scenarios(named: str) -> list[str]:
    names = list(BENCH_SCENARIOS) if named.strip() == "all" else [name.strip() for name in named.split(",")]
    for name in filter(None, names):
        if name not in BENCH_SCENARIOS:
            raise BadQuestion(f"there is no scenario {name!r}; there are {', '.join(BENCH_SCENARIOS)}, and all.")
    return list(dict.fromkeys(filter(None, names)))


def spread(items: Sequence[TaskQuestion], count: int) -> list[TaskQuestion]:
    """Give so many items, of all tasks in turn."""
    places: dict[str, int] = {}
    turns = []
    for item in items:
        places[item.task] = places.get(item.task, -1) + 1
        turns.append((places[item.task], item))
    return [item for _, item in sorted(turns, key=lambda turn: turn[0])][:count]


def _tasks(named: str | None) -> list[str]:
    if named is None:
        return list(TASKS)
    if named.endswith(".json"):
        found = _read(named)["results"]["compared"]["gaining_tasks"]
        if not found:
            raise BadQuestion(f"{named}: in no task did thinking first gain enough; name tasks instead.")
        return [str(task) for task in found]
    return sets.named([name.strip() for name in named.split(",") if name.strip()])


def _rows(
    invocation: Invocation, overrides: Mapping[str, object], settings: Settings, wanted: ThinkBenchOptions
) -> list[Row]:
    if wanted.listening:
        rows = [_listens(name, settings.loop) for name in map(str.strip, wanted.listening.split(",")) if name]
    else:
        rows = [Row(name, _mode(name), settings.loop) for name in map(str.strip, wanted.modes.split(",")) if name]
    for text in wanted.rows:
        name, colon, assignments = text.partition(":")
        if not colon or not name.strip():
            raise BadQuestion(f"--row {text}: write it as name: loop.field=value; loop.field=value")
        given: dict[str, object] = dict(overrides)
        switched: dict[str, bool] = {}
        for assignment in filter(None, map(str.strip, assignments.split(";"))):
            key, _, value = map(str.strip, assignment.partition("="))
            if key.startswith(_POLICIES):
                switched[key.removeprefix(_POLICIES)] = _switch(key, value)
            else:
                given[key] = value
        mode = _mode(str(given.pop("mode", "async")))
        rows.append(Row(name.strip(), mode, invocation.load(given).settings.loop, PolicySwitches(**switched)))
    names = [row.name for row in rows]
    if len(set(names)) < len(names) or not rows:
        raise BadQuestion(f"rows need different names, and at least one: {', '.join(names) or 'none is named'}.")
    return rows


def _listens(name: str, options: LoopOptions) -> Row:
    """Give the row of one way to listen."""
    if name not in get_args(Listening):
        raise BadQuestion(f"there is no way to listen {name!r}; there are {', '.join(get_args(Listening))}.")
    return Row(name, "async", replace(options, listening=cast("Listening", name)))


def _switch(key: str, value: str) -> bool:
    """Read whether a policy is in force."""
    names = [field.name for field in fields(PolicySwitches)]
    if key.removeprefix(_POLICIES) not in names:
        raise BadQuestion(f"there is no policy {key!r}; there are {', '.join(_POLICIES + name for name in names)}.")
    if value not in {"true", "false"}:
        raise BadQuestion(f"{key}={value}: a policy is true or false.")
    return value == "true"


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


def _clock(wanted: ThinkBenchOptions, model: Model, settings: Settings, store: Store) -> tuple[StepCosts, Pace]:
    """Measure what steps and speech cost, or take it from an earlier report, or a run that goes on."""
    kept = kept_lines(wanted.keep) if wanted.keep else []
    if wanted.costs is None and not kept:
        return measure_costs(model.decoder), asyncio.run(measure_pace(settings, store))
    settled = (_read(wanted.costs) if wanted.costs else kept[0])["settings"]
    seconds = {
        int(logits): [(int(rows), float(taken)) for rows, taken in points]
        for logits, points in settled["step_costs_s"].items()
    }
    return StepCosts(seconds), Pace(**settled["pace"])
