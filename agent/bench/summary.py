"""From samples to figures: one summary a row, comparisons between rows item by item, targets. Knows no engine."""

from __future__ import annotations

import math
from collections import defaultdict
from statistics import fmean
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from rich.table import Table

from agent.bench.report import Target
from agent.bench.statistics import bootstrap, kept, percentile, ratio, wilson

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rich.console import Console

    from agent.bench.metrics import Sample

_GAIN: Final = 0.2
"""A task belongs to those where thinking pays when it gains at least this share of right answers."""
_WAITS_S: Final = 4.0
"""Items whose first word think-first makes wait this long are those where promptness is compared."""
_MEANS: Final = (
    "delay_to_first_s", "total_delay_s", "adjusted_delay_s", "steps_to_first", "delay_steps", "delay_minus10_steps",
    "words", "words_until_answer", "holds", "unsaid_words", "revised_words",
)  # fmt: skip
_SPREADS: Final = ("first_sound_s", "first_content_s", "final_correct_s", "longest_silence_s", "reply_end_s")


def by_row(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    """Sort samples by row, in the order of their coming."""
    rows: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        rows[sample.row].append(sample)
    return dict(rows)


def summarise(samples: Sequence[Sample]) -> dict[str, Any]:
    """Give the figures of one row."""
    right = sum(sample.right for sample in samples)
    low, high = wilson(right, len(samples))
    thoughts = [sample.thought == sample.answer for sample in samples if sample.thought is not None]
    figures: dict[str, Any] = {
        "items": len(samples),
        "accuracy": right / len(samples),
        "accuracy_low": low,
        "accuracy_high": high,
        "thoughts_concluded": len(thoughts),
        "thoughts_accuracy": fmean(thoughts) if thoughts else None,
        "contradictions": fmean(sample.contradicts for sample in samples),
        "unrepaired": fmean(sample.contradicts and not sample.repaired for sample in samples),
        "silent": sum(not sample.spoken for sample in samples),
        "unfinished": sum(sample.reason != "complete" for sample in samples),
    }
    for name in _MEANS:
        values = [value for sample in samples if (value := getattr(sample, name)) is not None]
        figures[name] = fmean(values) if values else None
    for name in _SPREADS:
        values = [value for sample in samples if (value := getattr(sample, name)) is not None]
        figures[name] = {"n": len(values), "p50": percentile(values, 50), "p95": percentile(values, 95)}
    streams = sorted({name for sample in samples for name in sample.tokens})
    figures["tokens"] = {name: fmean(sample.tokens.get(name, 0) for sample in samples) for name in streams}
    return figures


def by_task(samples: Sequence[Sample]) -> dict[str, dict[str, Any]]:
    """Give right answers of one row, task by task."""
    tasks: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        tasks[sample.task].append(sample)
    return {task: {"items": len(of), "right": sum(sample.right for sample in of)} for task, of in tasks.items()}


def gaining(rows: Mapping[str, Sequence[Sample]]) -> list[str]:
    """Name the tasks where thinking first gains at least 20 points over not thinking."""
    if not {"think-first", "no-think"} <= rows.keys():
        return []
    first, none = by_task(rows["think-first"]), by_task(rows["no-think"])
    return [task for task in first if first[task]["right"] - none[task]["right"] >= _GAIN * first[task]["items"]]


def compare(rows: Mapping[str, Sequence[Sample]]) -> dict[str, Any]:
    """Compare rows item by item; each figure with its paired bootstrap interval."""
    found: dict[str, Any] = {"gaining_tasks": gaining(rows)}
    if {"think-first", "no-think"} <= rows.keys():
        for name in rows.keys() - {"think-first", "no-think"}:
            columns = [[float(sample.right) for sample in rows[row]] for row in (name, "no-think", "think-first")]
            found[f"gain_kept: {name}"] = _figure(columns, kept)
    for name in rows.keys() - {"think-first", "no-think", "aloud"}:
        found[f"total_delay: {name} / think-first"] = _ratio(rows, name, "think-first", "total_delay_s", _waits)
        found[f"final_correct: {name} / think-first"] = _ratio(rows, name, "think-first", "final_correct_s")
        found[f"words_until_answer: {name} / aloud"] = _ratio(rows, name, "aloud", "words_until_answer")
    return {name: figure for name, figure in found.items() if figure is not None}


def _waits(sample: Sample) -> bool:
    return (sample.delay_to_first_s or 0.0) >= _WAITS_S


def _ratio(
    rows: Mapping[str, Sequence[Sample]],
    this: str,
    that: str,
    name: str,
    counts: Callable[[Sample], bool] = lambda _: True,
) -> dict[str, Any] | None:
    if that not in rows:
        return None
    pairs = [(getattr(one, name), getattr(other, name))
             for one, other in zip(rows[this], rows[that], strict=True) if counts(other)]  # fmt: skip
    pairs = [pair for pair in pairs if None not in pair]
    return _figure([[one for one, _ in pairs], [other for _, other in pairs]], ratio) if pairs else None


def _figure(columns: Sequence[Sequence[float]], figure: Callable[[Any], Any]) -> dict[str, Any]:
    value = float(figure(np.array([fmean(column) for column in columns])))
    low, high = bootstrap(columns, figure)
    return {"items": len(columns[0]), "value": value, "low": low, "high": high}


def targets(rows: Mapping[str, Sequence[Sample]], compared: Mapping[str, Any]) -> list[Target]:
    """Give a row for every figure that is asked for; `async` is what they are about."""

    def spread(name: str, share: str) -> float | None:
        return summarise(rows["async"])[name][share] if "async" in rows else None

    def figure(name: str, part: str = "value") -> float | None:
        value: float | None = compared.get(name, {}).get(part)
        return None if value is None or math.isnan(value) else value

    one = summarise(rows["async"]) if "async" in rows else {}
    return [
        Target("accuracy_gain_kept", figure("gain_kept: async"), at_least=0.95),
        Target("accuracy_gain_kept_low", figure("gain_kept: async", "low"), at_least=0.85),
        Target("first_sound_p50_s", spread("first_sound_s", "p50"), at_most=1.2),
        Target("first_content_p50_s", spread("first_content_s", "p50"), at_most=1.8),
        Target("total_delay_over_think_first", figure("total_delay: async / think-first"), at_most=0.25),
        Target("words_until_answer_over_aloud", figure("words_until_answer: async / aloud"), at_most=0.6),
        Target("longest_silence_p95_s", spread("longest_silence_s", "p95"), at_most=2.0),
        Target("contradictions", one.get("contradictions"), at_most=0.02),
        Target("contradictions_unrepaired", one.get("unrepaired"), at_most=0.0),
        Target("final_correct_over_think_first", figure("final_correct: async / think-first"), at_most=1.25),
        Target("correction_tokens_over_restart", None, at_most=0.6),
    ]


def _shown(name: str, form: str = "{:.2f}", share: str = "") -> Callable[[dict[str, Any]], str]:
    def told(figures: dict[str, Any]) -> str:
        value = figures[name][share] if share else figures[name]
        return "—" if value is None else form.format(value)

    return told


_LINES: Final[Sequence[tuple[str, Callable[[dict[str, Any]], str]]]] = (
    ("items", _shown("items", "{}")),
    ("right", _shown("accuracy", "{:.0%}")),
    ("  95 % interval", lambda of: f"{of['accuracy_low']:.0%}–{of['accuracy_high']:.0%}"),
    ("concluded thoughts right", _shown("thoughts_accuracy", "{:.0%}")),
    ("first sound, p50, s", _shown("first_sound_s", share="p50")),
    ("first content, p50, s", _shown("first_content_s", share="p50")),
    ("final correct, p50, s", _shown("final_correct_s", share="p50")),
    ("longest silence, p95, s", _shown("longest_silence_s", share="p95")),
    ("delay to first, mean, s", _shown("delay_to_first_s")),
    ("total delay, mean, s", _shown("total_delay_s")),
    ("delay steps, mean", _shown("delay_steps", "{:.0f}")),
    ("words", _shown("words", "{:.1f}")),
    ("words until the answer", _shown("words_until_answer", "{:.1f}")),
    ("holding phrases", _shown("holds", "{:.1f}")),
    ("words unsaid", _shown("unsaid_words", "{:.1f}")),
    ("contradictions", _shown("contradictions", "{:.0%}")),
    ("tokens", lambda of: f"{sum(of['tokens'].values()):.0f}"),
)


def show(console: Console, rows: Mapping[str, Sequence[Sample]], compared: Mapping[str, Any]) -> None:
    """Print a line for each row, accuracy task by task, and the comparisons."""
    table = Table("", *rows, box=None)
    figures = [summarise(samples) for samples in rows.values()]
    for label, told in _LINES:
        table.add_row(label, *(told(of) for of in figures))
    console.print(table)
    tasks = Table("task", *rows, box=None)
    counts = {name: by_task(samples) for name, samples in rows.items()}
    for task in next(iter(counts.values()), {}):
        tasks.add_row(task, *(f"{of[task]['right']}/{of[task]['items']}" for of in counts.values()))
    console.print(tasks)
    for name, figure in sorted(compared.items()):
        if isinstance(figure, dict):
            text = f"{figure['value']:.2f} ({figure['low']:.2f}–{figure['high']:.2f}, {figure['items']} items)"
            console.print(f"{name}: {text}", highlight=False)
        else:
            console.print(f"{name.replace('_', ' ')}: {', '.join(figure) or 'none'}", highlight=False)
