"""`descant bench robot`: how soon a spoken stop stops a robot, how soon its news is spoken, and what it gets done.

Everything is real but the robot, which is simulated in a process of its own: ears, voice, engine, broker. And how often
ordinary speech is taken for a stop.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.table import Table

from agent.apps.loading import spinning
from agent.apps.progress import shown
from agent.config.invocation import open_store
from agent.models.assembly import open_embedded
from agent.models.registry import find
from audio.speaking.kokoro import KokoroModel
from bench.errors import ReportError
from bench.plots import require
from bench.report import Report, Target
from bench.robot import false_stops, spoken
from bench.robot import plot as robot_plot
from bench.robot.gate import commands_per_second
from bench.robot.news import reactions
from bench.robot.rig import rig
from bench.robot.stage import Models, with_stage
from bench.robot.stop import CONDITIONS, Trial, measure
from bench.statistics import percentile, wilson

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from agent.config.invocation import Invocation
    from agent.config.settings import Settings
    from agent.models.registry import Files
    from audio.speaking.synthesizer import Synthesizer
    from bench.robot.judging import SpokenOutcome
    from bench.robot.spoken import Split, SpokenSet
    from bench.robot.stage import RobotStage

WIRE_MS: Final = 500.0
STANDING_MS: Final = 2000.0
"""Half a second more than a robot at full speed needs to brake, and a round trip."""
REACTION_S: Final = 3.0
TASKS_DONE: Final = 0.8
FALSE_STOPS_PER_HOUR: Final = 1.0


@dataclass(frozen=True, slots=True)
class RobotBenchOptions:
    """What the command line asks for."""

    stops: int
    """Spoken stops."""
    news: int
    """Events of the robot to react to."""
    tasks: bool
    """Whether the spoken tasks are run, and nothing else."""
    spoken: SpokenSet | None
    """The set of spoken tasks that is run, and nothing else."""
    ordinary: float
    """Minutes of ordinary speech to listen to, and nothing else; 0: none."""
    skip: int
    """Sentences of it that an earlier run has said."""
    split: Split
    phrasings: tuple[int, ...] | None
    """Numbers of the phrasings; None: all."""
    json_file: Path | None
    plot: Path | None


def run(invocation: Invocation, overrides: Mapping[str, object], wanted: RobotBenchOptions) -> None:
    """Run the benchmark and tell its outcome."""
    if wanted.plot:
        require()
    settings = invocation.load(overrides).settings
    with shown() as progress:
        files = find(settings, open_store(settings.models), progress, speech=True)
    console = Console()
    results, targets = asyncio.run(_measured(settings, files, wanted, console))
    shown_settings = {"model": settings.models.llm, "asr": settings.models.asr, **asdict(settings.ears)}
    report = Report("robot", shown_settings, results, targets)
    report.show_targets(console)
    if wanted.json_file:
        report.write(wanted.json_file)
    if wanted.plot:
        robot_plot.draw(results, wanted.plot)


async def _measured(
    settings: Settings, files: Files, wanted: RobotBenchOptions, console: Console
) -> tuple[dict[str, Any], list[Target]]:
    if wanted.ordinary:
        return await _ordinary(settings, files, wanted, console)
    async with open_embedded(files.llm, settings.engine, spinning) as (engine, script):
        models = Models(engine, script, files, settings)
        if wanted.spoken:
            return await _spoken(models, wanted.spoken, console)
        if wanted.tasks:
            return await _tasks(models, wanted, console)
        return await _stops(models, wanted, console)


async def _stops(models: Models, wanted: RobotBenchOptions, console: Console) -> tuple[dict[str, Any], list[Target]]:
    async def stops(stage: RobotStage, synthesizer: Synthesizer) -> list[Trial]:
        return await measure(stage, synthesizer, wanted.stops)

    async def news(stage: RobotStage, _: Synthesizer) -> list[float | None]:
        return await reactions(stage, wanted.news)

    async with rig() as stands:
        trials: list[Trial] = await with_stage(stands, models, stops, busy=True)
    async with rig() as stands:
        heard: list[float | None] = await with_stage(stands, models, news, busy=False)
    gate = commands_per_second()
    clear = [trial for trial in trials if trial.condition != CONDITIONS[-1]]
    wire, standing = ([_late(getattr(trial, name)) for trial in clear] for name in ("wire_ms", "standing_ms"))
    spoken = [_late(value) for value in heard]
    _show(trials, heard, gate, console)
    results = {
        "trials": [asdict(trial) for trial in trials],
        "reactions_s": heard,
        "gate_commands_per_second": gate,
    }
    return results, [
        Target("stop_on_the_wire_p95_ms", _p(wire, 95), at_most=WIRE_MS),
        Target("stop_on_the_wire_p50_ms", _p(wire, 50), at_most=WIRE_MS),
        Target("robot_stands_p95_ms", _p(standing, 95), at_most=STANDING_MS),
        Target("robot_stands_p50_ms", _p(standing, 50), at_most=STANDING_MS),
        Target("event_to_spoken_word_p50_s", _p(spoken, 50), at_most=REACTION_S),
    ]


async def _tasks(models: Models, wanted: RobotBenchOptions, console: Console) -> tuple[dict[str, Any], list[Target]]:
    tasks = spoken.phrased_tasks(wanted.split, wanted.phrasings)
    samples = [await _carried_out(task, models, spoken.piper, console) for task in tasks]
    counts = Counter(sample.outcome for sample in samples)
    done, failed = counts["done"], len(samples) - counts["done"]
    low, high = wilson(done, len(samples))
    console.print(
        f"{wanted.split} phrasings: done {done} of {len(samples)} "
        f"(95 % interval {100 * low:.0f} to {100 * high:.0f} %), {_counted(counts)}"
    )
    results = {"split": wanted.split, "counts": counts, "samples": [asdict(sample) for sample in samples]}
    if wanted.split != "test":
        # What may be tuned on proves nothing.
        return results, []
    return results, [
        Target("tasks_done", done / len(samples), at_least=TASKS_DONE),
        Target("failures_that_ask_or_refuse", counts["asked"] / failed if failed else 1.0, at_least=1.0),
    ]


async def _spoken(models: Models, of: SpokenSet, console: Console) -> tuple[dict[str, Any], list[Target]]:
    with shown() as progress:
        folder = open_store(models.settings.models).ensure(spoken.VOICES_MODEL, progress)
    voices = await asyncio.to_thread(KokoroModel, folder, models.settings.voice)
    tasks = spoken.spoken_tasks(of)
    samples = [await _carried_out(task, models, spoken.kokoro(voices, task.voice), console) for task in tasks]
    counts, right = Counter(sample.outcome for sample in samples), sum(sample.right for sample in samples)
    console.print(f"set {of}: right {right} of {len(samples)}; done {counts['done']}, {_counted(counts)}")
    results = {"set": of, "counts": counts, "right": right, "samples": [asdict(sample) for sample in samples]}
    if of == "develop":
        # What may be tuned on proves nothing.
        return results, []
    return results, [
        Target("spoken_tasks_right", right / len(samples), at_least=spoken.RIGHT),
        Target("spoken_tasks_wrong", counts["wrong"], at_most=0),
    ]


async def _carried_out(
    task: spoken.SpokenTask, models: Models, say: spoken.Say, console: Console
) -> spoken.SpokenSample:
    """Have one task done, and show what became of it."""
    sample = await spoken.carry_out(task, models, say)
    told = "right" if sample.right else sample.outcome
    happened, heard = ", ".join(sample.happened) or "nothing", " / ".join(sample.heard)
    console.print(f"{told:6} {task.say} | {heard} | {happened} | {sample.seconds:.1f} s", markup=False, soft_wrap=True)
    return sample


def _counted(counts: Mapping[SpokenOutcome, int]) -> str:
    return f"asked or refused {counts['asked']}, left undone {counts['undone']}, wrong {counts['wrong']}"


async def _ordinary(
    settings: Settings, files: Files, wanted: RobotBenchOptions, console: Console
) -> tuple[dict[str, Any], list[Target]]:
    with console.status(f"listening to {wanted.ordinary:g} minutes of ordinary speech"):
        listened = await false_stops.listen(files, settings, wanted.ordinary, wanted.skip)
    table = Table("voice", "minutes", box=None)
    for voice, seconds in listened.seconds.items():
        table.add_row(voice, f"{seconds / 60:.1f}")
    console.print(table)
    for stop in listened.stops:
        console.print(f"{stop.by} heard {stop.phrase!r} ({stop.voice}): {stop.text}", markup=False)
    if not listened.hours:
        raise ReportError("the benchmark was ended before its first sentence; let it run for a minute at least")
    rate = len(listened.stops) / listened.hours
    console.print(
        f"false stops: {len(listened.stops)} in {listened.sentences} sentences, {60 * listened.hours:.1f} minutes of "
        f"speech; to go on where this ended: --skip {listened.skipped + listened.sentences}"
    )
    return asdict(listened), [Target("false_stops_per_hour_of_speech", rate, at_most=FALSE_STOPS_PER_HOUR)]


def _show(trials: Sequence[Trial], heard: Sequence[float | None], gate: float, console: Console) -> None:
    table = Table("spoken stop", "heard", "on the wire p50", "p95", "robot stands p50", "p95", box=None)
    for condition in CONDITIONS:
        of = [trial for trial in trials if trial.condition == condition]
        figures = [
            percentile([value for trial in of if (value := getattr(trial, name)) is not None], share)
            for name in ("wire_ms", "standing_ms")
            for share in (50, 95)
        ]
        count = f"{sum(trial.wire_ms is not None for trial in of)} of {len(of)}"
        table.add_row(condition, count, *("-" if figure is None else f"{figure:.0f} ms" for figure in figures))
    console.print(table)
    before, during = (_p([getattr(trial, f"steps_{when}") for trial in trials], 50) for when in ("before", "during"))
    console.print(
        f"engine: {before or 0:.1f} steps/s while the robot sets off, {during or 0:.1f} while a stop is said; "
        f"gate: {gate:.0f} commands/s"
    )
    told = ", ".join("nothing" if value is None else f"{value:.2f} s" for value in heard)
    console.print(f"from an event of the robot to a spoken word about it: {told or 'not measured'}")


def _late(value: float | None) -> float:
    """Count what never came as infinitely late."""
    return math.inf if value is None else value


def _p(values: Sequence[float], share: float) -> float | None:
    """Give a percentile of measured times, without interpolating towards what never came."""
    if not values:
        return None
    return sorted(values)[min(len(values) - 1, math.ceil(share / 100 * len(values)) - 1)]
