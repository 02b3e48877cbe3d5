"""`descant bench engine`: what a step of the engine costs, side by side with llama.cpp on the same file.

    compiled    the embedded engine with its own C kernels
    eager       the same engine on torch alone
    llama.cpp   llama-cpp-python, when asked for

Each is a process of its own. Rounds go case by case, and in each case from contender to contender, in turn first: a
slow minute of the machine hits all alike. What was measured is there also when a run is ended early. Knows no pipe and
no table.
"""

from __future__ import annotations

import math
import shutil
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import platformdirs

from bench.engine.contenders import KernelsUnavailable, contender, embedded, llama_cpp
from bench.report import read_speed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence

    from bench.engine.cases import Case, Course
    from bench.engine.contenders import Contender

COMPILED: Final = "compiled"
EAGER: Final = "eager"
LLAMA_CPP: Final = "llama.cpp"
_NATIVE: Final = {COMPILED: "require", EAGER: "off"}
_QUESTIONS: Final = (
    "One ticket costs nine dollars. I buy four of them and pay with a fifty. How much do I get back?",
    "A train leaves at twenty past three and takes two hours and fifty minutes. When does it arrive?",
    "There are twelve boxes with eight eggs each, and seven eggs break. How many are whole?",
)
"""Turns in which the share of probes is measured."""


@dataclass(frozen=True, slots=True)
class MeasurementRequest:
    """What is to be measured."""

    model: Path
    threads: int
    course: Course
    contenders: Sequence[str]
    llama_cpp_python: Path
    loads: int
    """Loads of each kind that are timed."""
    turns: int
    """Questions that are answered to count probes."""


@dataclass(slots=True)
class Measured:
    """Samples, and what they can be compared with."""

    seconds: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    """By contender and case: a sample for each round."""
    loads: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    """By contender: `cold_s` and `warm_s`, to the first token; `start_s`, until libraries are imported."""
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By contender: the set of its kernels, bytes of weights and of cache for a token, tokens of a probe, …"""
    peaks: dict[str, dict[str, int]] = field(default_factory=dict)
    """By contender: bytes resident at most after the cases of one conversation, and after those of all."""
    turns: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    rounds: int = 0
    """Whole rounds; where the run was ended early, some cases may have one more sample."""
    ended: str | None = None
    """Why the run was ended before its end."""
    read_bytes_s: list[float] = field(default_factory=list)
    """Bytes per second that the threads together read, before, between and after."""

    def median(self, name: str, case: Case) -> float | None:
        """Give the median of a contender's samples of a case; None where it was not run."""
        samples = self.seconds.get(name, {}).get(case.key)
        return median(samples) if samples else None

    @property
    def bandwidth(self) -> float:
        """Bytes per second that memory gives: the best that was seen."""
        return max(self.read_bytes_s, default=math.nan)


async def measure(wanted: MeasurementRequest, measured: Measured, told: Callable[[str], None]) -> None:
    """Run the whole benchmark and fill `measured`; `told` is given a line for each part.

    Raises:
        ContenderFailed: a process failed.
        BenchExtraMissing: llama.cpp is asked for and not there.

    """
    measured.read_bytes_s.append(read_speed(wanted.threads))
    cache = platformdirs.user_cache_path("descant")
    cache.mkdir(parents=True, exist_ok=True)
    # Beside the real cache: a folder for temporary files may lie in memory.
    with tempfile.TemporaryDirectory(prefix="bench-", dir=cache) as place:
        folders = {name: Path(place) / name for name in wanted.contenders}
        await _load_all(wanted, folders, measured, told)
        await _run(wanted, folders, measured, told)
        # The other loads come last: of a run that is ended early, steps are worth more.
        for _ in range(wanted.loads - 1):
            await _load_all(wanted, folders, measured, told)
    measured.read_bytes_s.append(read_speed(wanted.threads))


def command_of(name: str, wanted: MeasurementRequest) -> list[str]:
    """Give the command line of a contender."""
    return llama_cpp(wanted.llama_cpp_python) if name == LLAMA_CPP else embedded()


async def _load(one: Contender, wanted: MeasurementRequest, folder: Path) -> dict[str, Any]:
    return await one.ask(
        do="load",
        model=str(wanted.model.absolute()),
        threads=wanted.threads,
        packed=str(folder),
        native=_NATIVE.get(one.name, ""),
    )


async def _load_all(
    wanted: MeasurementRequest, folders: dict[str, Path], measured: Measured, told: Callable[[str], None]
) -> None:
    """Load each contender as often as there are kinds; one that cannot run here leaves `folders`."""
    told("loading")
    for name, folder in list(folders.items()):
        try:
            await _load_twice(wanted, name, folder, measured)
        except KernelsUnavailable as error:
            told(f"left out: {error}")
            del folders[name], measured.loads[name]


async def _load_twice(wanted: MeasurementRequest, name: str, folder: Path, measured: Measured) -> None:
    """Load into an empty folder, then from what lies in it; llama.cpp keeps nothing, so it has warm loads only."""
    loads = measured.loads.setdefault(name, {})
    kinds = ("warm_s",) if name == LLAMA_CPP else ("cold_s", "warm_s")
    for kind in kinds:
        if kind == "cold_s":
            shutil.rmtree(folder, ignore_errors=True)
        async with contender(name, command_of(name, wanted)) as one:
            facts = await _load(one, wanted, folder)
            loads.setdefault(kind, []).append(facts["load_s"] + facts["first_token_s"])
            loads.setdefault("start_s", []).append(one.start_s)


async def _run(
    wanted: MeasurementRequest, folders: dict[str, Path], measured: Measured, told: Callable[[str], None]
) -> None:
    async with AsyncExitStack() as stack:
        running: list[Contender] = []
        for name, folder in folders.items():
            one = await stack.enter_async_context(contender(name, command_of(name, wanted)))
            measured.facts[name] = await _load(one, wanted, folder)
            if name == LLAMA_CPP:
                measured.facts[name] |= await one.ask(do="choose")
            running.append(one)
        await _run_rounds(wanted, running, measured, told)
        for question in _QUESTIONS[: wanted.turns]:
            told("answering a question")
            for one in running:
                if one.name != LLAMA_CPP:
                    measured.turns.setdefault(one.name, []).append(await one.ask(do="turn", question=question))


async def _run_rounds(
    wanted: MeasurementRequest, running: Sequence[Contender], measured: Measured, told: Callable[[str], None]
) -> None:
    course = wanted.course

    async def warm_up(cases: Iterator[Case], peak: str) -> None:
        async for _ in _met(course.warming(cases), course, running):
            pass
        for one in running:
            measured.peaks.setdefault(one.name, {})[peak] = await one.peak_bytes()

    told("warming up")
    await warm_up(course.alone(), "one_conversation")
    await warm_up(course.together(), "all")
    for number in range(course.repeats):
        told(f"round {number + 1} of {course.repeats}")
        await _round((*course.alone(), *course.together()), course, running, measured)
        measured.rounds += 1
        measured.read_bytes_s.append(read_speed(wanted.threads))


async def _round(cases: Iterable[Case], course: Course, running: Sequence[Contender], measured: Measured) -> None:
    """Let every contender meet every case once, and keep the samples; another one begins in each round."""
    first = measured.rounds % len(running)
    async for one, case, taken in _met(cases, course, [*running[first:], *running[:first]]):
        measured.seconds.setdefault(one.name, {}).setdefault(case.key, []).append(taken)


async def _met(
    cases: Iterable[Case], course: Course, running: Sequence[Contender]
) -> AsyncIterator[tuple[Contender, Case, float]]:
    for case in cases:
        for one in running:
            if _can(one.name, case, course):
                yield one, case, await one.run(case)


def _can(name: str, case: Case, course: Course) -> bool:
    if case.kind == "products":
        return name == COMPILED
    return name != LLAMA_CPP or course.of_llama_cpp(case)
