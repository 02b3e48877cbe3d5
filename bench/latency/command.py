"""What `descant bench latency` does with its options: exchanges, a report, a table, a plot."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass, field
from statistics import fmean
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from rich.console import Console
from rich.table import Table

from agent.apps.loading import spinning
from agent.apps.progress import shown
from agent.config.invocation import open_store
from agent.models.assembly import open_embedded
from agent.models.registry import find, load_recogniser, load_voice
from audio.speaking.synthesizer import Synthesizer
from bench.errors import ReportError
from bench.latency.dialogues import dialogues
from bench.latency.latency import LatencyStage, SpokenExchange
from bench.plots import require
from bench.report import Report, Target
from bench.statistics import percentile
from bench.stopping import run_until_stopped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from agent.config.invocation import Invocation
    from agent.config.settings import Settings
    from agent.models.registry import Files
    from bench.latency.dialogues import SpokenDialogue

_FIGURES: Final = {
    "first_sound_s": "first sound",
    "first_content_s": "first content",
    "end_of_turn_s": "· end of turn",
    "recognised_s": "· recognised",
    "first_sentence_s": "· first sentence",
    "voice_s": "· synthesis and playout",
    "silent_s": "barge-in to silence",
}


@dataclass(frozen=True, slots=True)
class LatencyBenchOptions:
    """What the command line asks for."""

    count: int
    json_file: Path | None
    plot: Path | None


def run(invocation: Invocation, overrides: Mapping[str, object], options: LatencyBenchOptions) -> None:
    """Run the benchmark and tell its outcome."""
    settings = invocation.load(overrides).settings
    if options.plot:
        require()
    with shown() as progress:
        files = find(settings, open_store(settings.models), progress, speech=True)
    held = _Run()
    try:
        run_until_stopped(held.hold(settings, files, options.count))
    finally:
        # What was measured is not lost to what ended the run.
        if held.exchanges:
            _tell(settings, options, held.exchanges, held.speed)
    if not held.exchanges:
        raise ReportError("the benchmark was ended before its first exchange; let it run for a minute at least")


def _tell(
    settings: Settings, options: LatencyBenchOptions, exchanges: Sequence[SpokenExchange], speed: float | None
) -> None:
    console, results = Console(), summarise(exchanges)
    report = Report(
        "latency",
        settings.model_dump(mode="json"),
        results | {"ears_real_time_factor": speed, "exchanges": [asdict(exchange) for exchange in exchanges]},
        targets(results),
    )
    if options.json_file:
        report.write(options.json_file)
    if options.plot:
        draw(exchanges, options.plot)
    _show(console, results, speed)
    report.show_targets(console)


@dataclass(slots=True)
class _Run:
    """Exchanges that were held so far; SIGINT or SIGTERM ends them after whatever is complete."""

    exchanges: list[SpokenExchange] = field(default_factory=list)
    speed: float | None = None
    """Real-time factor of the ears."""

    async def hold(self, settings: Settings, files: Files, count: int) -> None:
        """Hold so many exchanges."""
        console = Console(stderr=True)
        async with Synthesizer(lambda: load_voice(files.voice, settings), settings.voice) as voice:
            script = await dialogues(voice, count)
        self.speed = await asyncio.to_thread(_real_time_factor, settings, files, script)
        async with open_embedded(files.llm, settings.engine, spinning) as (engine, words):
            stage = LatencyStage(settings, files, engine, words)
            for number, dialogue in enumerate(script, 1):
                start = perf_counter()
                self.exchanges.append(await stage.exchange(dialogue))
                first = self.exchanges[-1].first_sound_s
                told = "-" if first is None else f"{first:.2f} s to the first sound"
                console.print(
                    f"{number:3} of {count}  {dialogue.kind:9} {told}, {perf_counter() - start:.0f} s in all",
                    highlight=False,
                )


def _real_time_factor(settings: Settings, files: Files, script: Sequence[SpokenDialogue]) -> float:
    """Give seconds of a final decode per second of speech, with nothing else running."""
    decoder = load_recogniser(files.asr, settings)
    sounds = [dialogue.sound for dialogue in script[:8]]
    decoder.decode(sounds[0], final=True)
    start = perf_counter()
    for sound in sounds:
        decoder.decode(sound, final=True)
    return (perf_counter() - start) / (sum(map(len, sounds)) / 16_000)


def summarise(exchanges: Sequence[SpokenExchange]) -> dict[str, Any]:
    """Give n and percentiles of every figure, and the counts of what went wrong."""
    figures: dict[str, Any] = {}
    for name in _FIGURES:
        values = [value for exchange in exchanges if (value := getattr(exchange, name)) is not None]
        figures[name] = {"n": len(values)} | {f"p{share}": percentile(values, share) for share in (50, 95, 99)}
    paused = [exchange for exchange in exchanges if exchange.kind in {"pause", "filler"}]
    over = [exchange for exchange in exchanges if exchange.kind in {"cough", "listens"}]
    barged = [exchange for exchange in exchanges if exchange.silent_s is not None]
    memory = [exchange.memory_mb for exchange in exchanges if exchange.memory_mb is not None]
    words = sum(exchange.words for exchange in exchanges)
    return figures | {
        "turns": len(exchanges),
        "false_cut_offs": _share([exchange.cut_off for exchange in paused]),
        "false_cut_offs_without_pause": _share([e.cut_off for e in exchanges if e not in paused]),
        "missed_ends": _share([exchange.missed for exchange in exchanges]),
        "stopped_by_no_words": _share([exchange.wrongly_stopped for exchange in over]),
        "not_stopped_by_words": _share([exchange.not_stopped for exchange in barged]),
        "self_interruptions": sum(exchange.self_interruptions for exchange in exchanges),
        "agent_spoke_s": sum(exchange.spoken_s for exchange in exchanges),
        "underruns": sum(exchange.underruns for exchange in exchanges),
        "word_error_rate": sum(exchange.word_errors for exchange in exchanges) / words if words else None,
        "event_loop_held_s": max((e.held_s for e in exchanges if e.held_s is not None), default=None),
        "joules": _joules(exchanges),
        "memory_mb": {"first": memory[0], "last": memory[-1], "most": max(memory)} if memory else None,
    }


def _joules(exchanges: Sequence[SpokenExchange]) -> dict[str, Any] | None:
    told = [(e.joules, e.cpu_s) for e in exchanges if e.joules is not None and e.cpu_s is not None]
    if not told:
        return None
    joules, cpu_s = (fmean(column) for column in zip(*told, strict=True))
    return {"mean": joules, "processor_s": cpu_s, "measured": all(e.joules_measured for e in exchanges)}


def _share(happened: Sequence[bool]) -> dict[str, float | None]:
    return {"n": len(happened), "share": sum(happened) / len(happened) if happened else None}


def targets(results: Mapping[str, Any]) -> list[Target]:
    """Give the rows that the plan asks for."""
    sound, content, memory = results["first_sound_s"], results["first_content_s"], results["memory_mb"]
    return [
        Target("turns", results["turns"], at_least=40),
        Target("first_sound_p50_s", sound["p50"], at_most=1.2),
        Target("first_sound_p95_s", sound["p95"], at_most=2.0),
        Target("first_content_p50_s", content["p50"], at_most=1.8),
        Target("first_content_p95_s", content["p95"], at_most=3.0),
        Target("barge_in_to_silence_p95_s", results["silent_s"]["p95"], at_most=0.25),
        Target("false_cut_offs_on_pauses", results["false_cut_offs"]["share"], at_most=0.1),
        Target("self_interruptions", results["self_interruptions"], at_most=0),
        Target("underruns", results["underruns"], at_most=0),
        Target("memory_mb", memory["most"] if memory else None, at_most=3000),
    ]


def _show(console: Console, results: Mapping[str, Any], speed: float | None) -> None:
    table = Table("from the last sample of speech", "n", "p50", "p95", "p99", box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for name, title in _FIGURES.items():
        of = results[name]
        told = ("-" if of[share] is None else f"{of[share]:.2f} s" for share in ("p50", "p95", "p99"))
        table.add_row(title, str(of["n"]), *told)
    console.print(table)
    for name in ("false_cut_offs", "missed_ends", "stopped_by_no_words", "not_stopped_by_words"):
        of = results[name]
        share = "-" if of["share"] is None else f"{100 * of['share']:.0f} %"
        console.print(f"{name.replace('_', ' ')}: {share} of {of['n']}", highlight=False)
    errors, memory = results["word_error_rate"], results["memory_mb"]
    rate = "-" if errors is None else f"{100 * errors:.1f} %"
    factor = "-" if speed is None else f"{speed:.2f}"
    console.print(f"word error rate {rate}, real-time factor of a final decode {factor}", highlight=False)
    if results["event_loop_held_s"] is not None:
        console.print(f"longest hold of the event loop {1000 * results['event_loop_held_s']:.0f} ms", highlight=False)
    if (cost := results["joules"]) is not None:
        kind = "measured" if cost["measured"] else "an estimate"
        took = f"{cost['mean']:.0f} J an exchange ({kind}), {cost['processor_s']:.1f} s of processor"
        console.print(took, highlight=False)
    if memory:
        console.print(f"memory {memory['first']:.0f} MB at first, {memory['last']:.0f} MB at last", highlight=False)


def draw(exchanges: Sequence[SpokenExchange], path: Path) -> None:
    """Draw the share of turns that had sound, and content, by then.

    Raises:
        ReportError: the file cannot be written.

    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - optional

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name, colour in (("first_sound_s", "tab:green"), ("first_content_s", "tab:blue"), ("silent_s", "tab:red")):
        values = sorted(value for exchange in exchanges if (value := getattr(exchange, name)) is not None)
        if values:
            shares = 100 * np.arange(1, len(values) + 1) / len(values)
            axes.step(values, shares, where="post", color=colour, label=f"{_FIGURES[name]} (n = {len(values)})")
    axes.set_xlabel("seconds from the last sample of speech (barge-in: from its first)")
    axes.set_ylabel("turns, %")
    axes.set_xlim(left=0)
    axes.set_ylim(0, 100)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    try:
        figure.savefig(path, dpi=150)
    except (OSError, ValueError) as error:
        raise ReportError(f"the plot {path} cannot be written: {error}; name another file (.png, .svg).") from error
