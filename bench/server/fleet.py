"""`descant bench fleet`: what more and more conversations at once get from language model servers.

The conversations are the agent's own, with ears and a voice that only keep time (`simulation`); the language model is
real, on the servers, in real time. Each mode runs at each number, on the same servers, one after the other; where they
have live views, `async` runs with them and without. Figures of the servers come from their own counters, so nothing
else may use them meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import chain, cycle, product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.table import Table

from agent.apps.progress import shown
from agent.config.invocation import open_store
from agent.conversation import timeline
from agent.errors import ConfigError
from agent.models.registry import find
from agent.models.served import open_served
from bench.plots import draw_fleet, require
from bench.report import Report
from bench.server import capacity
from bench.statistics import percentile
from bench.think.items.generated import items
from bench.think.items.question import TaskQuestion
from bench.think.metrics import Sample, measure
from bench.think.think import Row
from bench.virtual.pace import measure_pace
from bench.virtual.simulation import Record, converse
from bench.virtual.timed import Pace, Utterance

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from agent.config.invocation import Invocation
    from agent.config.settings import Settings
    from bench.think.think import BenchMode
    from reasoning.prompting.script import Script
    from reasoning.vllm.engine import VllmEngine
    from reasoning.vllm.servers import Servers

_APART_S: Final = 1.3
"""Seconds between the beginnings of two conversations: people do not begin together."""
_STALL_S: Final = 1.0
"""A silence inside a reply that is longer counts as a stall."""
_WATCH_S: Final = 0.1
_ITEMS: Final = tuple(
    TaskQuestion("fleet", number, question, answer, "number")
    for number, (question, answer) in enumerate(
        (
            ("What is twelve times seven?", "84"),
            ("A box holds six rows of four eggs. How many eggs are in three boxes?", "72"),
            ("A ticket costs nine dollars. I buy four and pay with a fifty. How much do I get back?", "14"),
            ("I read twenty pages a day for two weeks. How many pages is that?", "280"),
        )
    )
)


@dataclass(frozen=True, slots=True)
class FleetBenchOptions:
    """What the command line asks for."""

    numbers: tuple[int, ...]
    turns: int
    tasks: tuple[str, ...]
    """Whose development questions are asked; empty: four plain questions again and again."""
    hardware: capacity.Hardware
    json_file: Path | None
    plot: Path | None


@dataclass(slots=True)
class FleetLevel:
    """All conversations of one number in one mode."""

    mode: str
    conversations: int
    seconds: float = 0.0
    samples: list[Sample] = field(default_factory=list)
    useful: int = 0
    """Tokens of what was heard, without fillers."""
    generated: float = 0.0
    """Tokens that the servers generated."""
    read: float = 0.0
    """Tokens of all prompts."""
    cached: float = 0.0
    """Of these, those that the servers had in their caches."""
    step_s: float | None = None
    """Seconds between two tokens of a request, in the mean of all, by the servers' own account."""
    thought_gaps_s: list[float] = field(default_factory=list)
    """Seconds between two thoughts of one stream, as they came."""
    tokens_to_first: list[int] = field(default_factory=list)
    """Tokens that came, of all streams, from the end of each question until the first clause of its answer."""
    running: list[float] = field(default_factory=list)
    """Requests that the servers were working on, looked up again and again."""

    @property
    def first_clause(self) -> list[float]:
        """Seconds from the last word of a question to the first clause of its answer."""
        firsts = (next((at for at, kind, _ in sample.timeline if kind == "content"), None) for sample in self.samples)
        return [first for first in firsts if first is not None]

    def figures(self) -> dict[str, Any]:
        """Give what is reported, beside the samples."""
        busy_s = sum(sample.reply_end_s or 0.0 for sample in self.samples)
        computed = self.read - self.cached + self.generated
        return {
            "mode": self.mode,
            "conversations": self.conversations,
            "seconds": self.seconds,
            "answers": len(self.first_clause),
            "first_clause_p50_s": percentile(self.first_clause, 50),
            "first_clause_p95_s": percentile(self.first_clause, 95),
            "stalls": sum(sample.longest_silence_s > _STALL_S for sample in self.samples),
            "longest_silence_s": max((sample.longest_silence_s for sample in self.samples), default=0.0),
            "fillers": sum(sample.fillers for sample in self.samples),
            "right": sum(sample.right for sample in self.samples),
            "tokens_per_useful_token": self.generated / self.useful if self.useful else None,
            "computed_per_useful_token": computed / self.useful if self.useful else None,
            "cache_hit_rate": self.cached / self.read if self.read else None,
            "step_s": self.step_s,
            "thought_gap_p95_s": percentile(self.thought_gaps_s, 95),
            "generated_per_s": self.generated / self.seconds if self.seconds else None,
            "answering": busy_s / (self.seconds * self.conversations) if self.seconds else None,
        }


def run(invocation: Invocation, overrides: Mapping[str, object], options: FleetBenchOptions) -> None:
    """Run the benchmark and tell its outcome."""
    if options.plot is not None:
        require()
    settings = invocation.load(overrides).settings
    if not settings.vllm.servers:
        raise ConfigError("descant bench fleet needs servers: add --server URL[,URL...], or set vllm.servers")
    store = open_store(settings.models)
    with shown() as progress:
        files = find(settings, store, progress, speech=False)
    console = Console()

    async def measured() -> list[FleetLevel]:
        pace = await measure_pace(settings, store)
        async with open_served(files.llm, settings) as (engine, script):
            stage = _Stage(script, settings, pace, options.turns, _items(options))
            # Whoever comes first would pay for reading the questions, which the servers' caches keep for the others.
            await stage.level(Way("warming up", "no-think", engine), max(options.numbers))
            async with _ways(files.llm, settings, engine) as ways:
                found = []
                for number, way in product(options.numbers, ways):
                    found.append(await stage.level(way, number))
                    console.print(_line(found[-1]), highlight=False)
                return found

    levels = asyncio.run(measured())
    load = _load_of(levels)
    fits = capacity.conversations(load, options.hardware)
    console.print(_table(levels))
    told = f"{options.hardware.bandwidth / 1e9:g} GB/s, batch {options.hardware.batch}"
    console.print(f"calculated, not measured: {fits} conversations at {told} (see bench/server/capacity.py)")
    results = {
        "levels": [{**level.figures(), "samples": [asdict(sample) for sample in level.samples]} for level in levels],
        "calculated": {"load": asdict(load), "hardware": asdict(options.hardware), "conversations": fits},
    }
    if options.json_file is not None:
        Report("fleet", settings.model_dump(mode="json"), results).write(options.json_file)
    if options.plot is not None:
        draw_fleet([level.figures() for level in levels], load, options.hardware, options.plot)


@dataclass(frozen=True, slots=True)
class Way:
    """One way to answer that is measured."""

    name: str
    mode: BenchMode
    engine: VllmEngine


@asynccontextmanager
async def _ways(file: Path, settings: Settings, engine: VllmEngine) -> AsyncIterator[tuple[Way, ...]]:
    think_first = Way("think-first", "think-first", engine)
    if not engine.live_views:
        yield Way("async", "async", engine), think_first
        return
    stock = settings.model_copy(update={"vllm": replace(settings.vllm, live_views=False)})
    async with open_served(file, stock) as (resubmitting, _):
        yield Way("async, live views", "async", engine), Way("async, re-submitted", "async", resubmitting), think_first


def _items(options: FleetBenchOptions) -> tuple[TaskQuestion, ...]:
    if not options.tasks:
        return _ITEMS
    count = -(-max(options.numbers) * options.turns // len(options.tasks))
    return tuple(chain.from_iterable(zip(*(items(task, "dev", count) for task in options.tasks), strict=True)))


@dataclass(frozen=True, slots=True)
class _Stage:
    script: Script
    settings: Settings
    pace: Pace
    turns: int
    items: tuple[TaskQuestion, ...]

    async def conversation(self, way: Way, item: TaskQuestion) -> tuple[Sample, Record]:
        """Ask one question, from the first word to the end of the reply."""
        row = Row(way.name, way.mode, self.settings.loop)
        async with way.engine.session() as session:
            record = await converse(
                session,
                row.mind(self.script, self.settings.engine.context),
                (Utterance(item.question),),
                pace=self.pace,
                ears=self.settings.ears,
                options=row.options,
                encode=self.script.tokenizer.encode,
            )
        return measure(row.name, item, record, self.pace, self.script.tokenizer.decode), record

    async def level(self, way: Way, count: int) -> FleetLevel:
        """Hold so many conversations at once."""
        level, servers, asked = FleetLevel(way.name, count), way.engine.servers, cycle(self.items)
        before, began = await servers.counters(), time.monotonic()

        async def hold(number: int) -> None:
            await asyncio.sleep(number * _APART_S)
            for _ in range(self.turns):
                sample, record = await self.conversation(way, next(asked))
                level.samples.append(sample)
                level.tokens_to_first += _tokens_to_first(record)
                level.thought_gaps_s += record.thought_gaps_s

        watching = asyncio.create_task(self._watch(level, servers), name="watch")
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(count):
                    group.create_task(hold(number), name="conversation")
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        level.seconds = time.monotonic() - began
        self._count(level, before, await servers.counters())
        return level

    def _count(self, level: FleetLevel, before: Mapping[str, float], after: Mapping[str, float]) -> None:
        def counted(name: str) -> float:
            return after[name] - before[name]

        level.generated, level.read = counted("generation_tokens_total"), counted("prompt_tokens_total")
        level.cached = counted("prefix_cache_hits_total")
        tokens = counted("inter_token_latency_seconds_count")
        level.step_s = counted("inter_token_latency_seconds_sum") / tokens if tokens else None
        level.useful = sum(len(self.script.tokenizer.encode(sample.spoken)) for sample in level.samples)

    async def _watch(self, level: FleetLevel, servers: Servers) -> None:
        while True:
            level.running.append((await servers.counters())["num_requests_running"])
            await asyncio.sleep(_WATCH_S)


def _load_of(levels: Sequence[FleetLevel]) -> capacity.FleetLoad:
    """Take what a conversation asks for from the smallest number, where nobody waits for others."""
    alone = min((level for level in levels if level.mode.startswith("async")), key=lambda level: level.conversations)
    busy_s = sum(sample.reply_end_s or 0.0 for sample in alone.samples)
    working = [number for number in alone.running if number]
    first = percentile(alone.tokens_to_first, 50)
    return capacity.FleetLoad(
        tokens_per_s=alone.generated / busy_s if busy_s else 0.0,
        streams_each=sum(working) / len(working) / alone.conversations if working else 0.0,
        # Those of a thinker and a writer that run at once are counted one after another, to be on the safe side.
        tokens_to_first=first or 0.0,
        answering=busy_s / (alone.seconds * alone.conversations) if alone.seconds else 0.0,
    )


def _tokens_to_first(record: Record) -> list[int]:
    """Count tokens from the last word of the question until the first sentence of the answer; none without one."""
    zero_ms = max((entry.event.last_sample_ms for entry in record.entries
                   if isinstance(entry.event, timeline.SpeechStopped)), default=0.0)  # fmt: skip
    said_ms = [entry.t_ms for entry in record.entries
               if isinstance(entry.event, timeline.ReplyText) and entry.t_ms >= zero_ms]  # fmt: skip
    # A question counts by its length: one token is weighed, what it reads is prefill.
    return [sum(zero_ms <= 1000 * at <= said_ms[0] for at, _ in record.spent)] if said_ms else []


def _line(level: FleetLevel) -> str:
    return f"{level.conversations} at once, {level.mode}: {len(level.samples)} answers in {level.seconds:.0f} s"


def _table(levels: Sequence[FleetLevel]) -> Table:
    names = ("conversations", "mode", "answers", "first clause p50", "p95", "stalls", "right")
    table = Table(*names, "tokens per useful one", "computed", "from the cache", "step", "thoughts apart p95", box=None)
    for level in levels:
        told = level.figures()

        def shown_as(name: str, form: str, told: Mapping[str, Any] = told) -> str:
            return "—" if told[name] is None else form.format(told[name])

        table.add_row(
            str(level.conversations),
            level.mode,
            f"{told['answers']}/{len(level.samples)}",
            shown_as("first_clause_p50_s", "{:.2f} s"),
            shown_as("first_clause_p95_s", "{:.2f} s"),
            str(told["stalls"]),
            str(told["right"]),
            shown_as("tokens_per_useful_token", "{:.1f}"),
            shown_as("computed_per_useful_token", "{:.1f}"),
            shown_as("cache_hit_rate", "{:.0%}"),
            shown_as("step_s", "{:.3f} s"),
            shown_as("thought_gap_p95_s", "{:.2f} s"),
        )
    return table
