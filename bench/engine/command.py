"""What `descant bench engine` does with its options: settings to a course, a run, a report, tables, a plot."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Final

from rich.console import Console

from agent.apps.progress import shown
from agent.config.invocation import open_store
from agent.errors import BadQuestion
from bench.engine.cases import CONTEXTS, Course
from bench.engine.figures import Figures
from bench.engine.measure import COMPILED, EAGER, LLAMA_CPP, Measured, MeasurementRequest, command_of, measure
from bench.engine.show import draw, show
from bench.plots import require
from bench.report import Report

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from agent.config.invocation import Invocation


_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class EngineBenchOptions:
    """What the command line asks for."""

    against: str | None
    """`llama.cpp`, or nothing."""
    llama_cpp_python: Path
    contexts: str | None
    """Numbers with commas between."""
    repeats: int
    """Rounds that count."""
    loads: int
    """Loads of each kind."""
    quick: bool
    budget_s: float | None
    """Seconds after which the run is ended, with what it has by then."""
    json_file: Path | None
    plot: Path | None


def run(invocation: Invocation, overrides: Mapping[str, object], options: EngineBenchOptions) -> None:
    """Run the benchmark and tell its outcome."""
    console, progress_console = Console(), Console(stderr=True)
    settings = invocation.load(overrides).settings
    if options.plot:
        require()
    course = _course(options)
    with shown() as progress:
        file = open_store(settings.models).language_model(settings.models.llm, progress)
    wanted = MeasurementRequest(
        model=file,
        threads=settings.engine.threads,
        course=course,
        contenders=_contenders(options),
        llama_cpp_python=options.llama_cpp_python,
        loads=1 if options.quick else options.loads,
        turns=1 if options.quick else 3,
    )
    for name in wanted.contenders:
        command_of(name, wanted)
    start = perf_counter()

    def tell(line: str) -> None:
        progress_console.print(f"{perf_counter() - start:4.0f} s  {line}", highlight=False)

    measured = Measured()
    failure = asyncio.run(_to_its_end(measure(wanted, measured, tell), measured, options.budget_s))
    figures = Figures(measured, course, settings.engine.threads)
    described = {
        "models": asdict(settings.models),
        "engine": asdict(settings.engine),
        "course": asdict(course),
        "contenders": wanted.contenders,
        "quick": options.quick,
    }
    results = {**figures.document(), "wall_s": perf_counter() - start}
    report = Report("engine", described, results, figures.targets())
    if options.json_file:
        report.write(options.json_file)
    if options.plot and measured.seconds:
        draw(figures, options.plot)
    show(figures, console)
    report.show_targets(console)
    if failure is not None:
        raise failure


async def _to_its_end(
    work: Coroutine[None, None, None], measured: Measured, budget_s: float | None
) -> BaseException | None:
    """Let the benchmark run until it is done, a signal comes, or its time is over; give what it failed by.

    Its processes are ended in each case, and what was measured stays.
    """
    loop, task = asyncio.get_running_loop(), asyncio.create_task(work)
    failure: BaseException | None = None

    def end(why: str, ends_by: BaseException | None) -> None:
        nonlocal failure
        measured.ended, failure = why, ends_by
        task.cancel()

    for number in _SIGNALS:
        loop.add_signal_handler(number, end, number.name, SystemExit(128 + number))
    over = loop.call_later(budget_s, end, f"{budget_s:g} s are over", None) if budget_s else None
    try:
        await asyncio.wait([task])
    finally:
        if over is not None:
            over.cancel()
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
    if not task.cancelled() and (error := task.exception()) is not None:
        measured.ended, failure = str(error), error
    return failure


def _contenders(options: EngineBenchOptions) -> list[str]:
    if options.against not in (None, LLAMA_CPP):
        raise BadQuestion(f"--vs {options.against}: there is only {LLAMA_CPP} to compare with.")
    return [COMPILED, EAGER, *([LLAMA_CPP] if options.against else [])]


def _course(options: EngineBenchOptions) -> Course:
    if options.quick:
        return Course(contexts=CONTEXTS[:2], steps=4, repeats=1)
    if options.contexts is None:
        return Course(repeats=options.repeats)
    try:
        contexts = tuple(sorted({int(each) for each in options.contexts.split(",")}))
    except ValueError as error:
        raise BadQuestion(f"--contexts {options.contexts}: write it as numbers with commas, as in 256,1024.") from error
    return Course(contexts=contexts, repeats=options.repeats)
