"""From samples to figures: a summary of each row, comparisons between rows item by item, targets. Knows no engine."""

from __future__ import annotations

import math
from collections import defaultdict
from statistics import fmean
from typing import TYPE_CHECKING, Any, Final

from bench.report import Target
from bench.statistics import difference, kept, paired, percentile, ratio, wilson

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bench.think.metrics import Sample

_GAIN: Final = 0.2
"""A task belongs to those where thinking pays when it gains at least this share of right answers."""
_SPOILED: Final = 0.03
"""Share of right answers that may be missing where thinking, or not thinking, would have had them."""
_WAITS_S: Final = 4.0
"""Items whose first word think-first makes wait this long are those where promptness is compared."""
_MEANS: Final = (
    "delay_to_first_s", "total_delay_s", "waited_s", "adjusted_delay_s", "steps_to_first", "delay_steps",
    "delay_minus10_steps", "words", "words_until_answer", "fillers", "unsaid_words", "revised_words", "joules",
)  # fmt: skip
_SPREADS: Final = ("first_sound_s", "first_content_s", "final_correct_s", "longest_silence_s", "reply_end_s")
_AWAITED: Final = ("first_sound_s", "first_content_s")
"""What every reply should have: one without it counts as one that never came."""
_ABLATED: Final = (
    "right", "first_content_s", "final_correct_s", "longest_silence_s", "total_delay_s", "words_until_answer",
    "contradicts", "spent",
)  # fmt: skip
"""What another setting may change."""


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
        missing = len(samples) - len(values) if name in _AWAITED else 0
        shares = {f"p{share}": percentile(values, share, missing) for share in (25, 50, 75, 95)}
        figures[name] = {"n": len(values), **shares}
    for role in ("thinker", "writer"):
        made = [sample.paces[role] for sample in samples if role in sample.paces]
        tokens, steps, seconds = (sum(getattr(pace, part) for pace in made) for part in ("tokens", "steps", "seconds"))
        figures[f"{role}_tokens_per_step"] = tokens / steps if steps else None
        figures[f"{role}_tokens_per_s"] = tokens / seconds if seconds else None
    streams = sorted({name for sample in samples for name in sample.tokens})
    figures["tokens"] = {name: fmean(sample.tokens.get(name, 0) for sample in samples) for name in streams}
    return figures


def by_task(samples: Sequence[Sample]) -> dict[str, dict[str, Any]]:
    """Give what one row is worth, task by task: right answers, medians of seconds, tokens of a reply."""
    tasks: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        tasks[sample.task].append(sample)
    return {
        task: {
            "items": len(of),
            "right": sum(sample.right for sample in of),
            "first_content_s": _median(of, "first_content_s"),
            "longest_silence_s": _median(of, "longest_silence_s"),
            "tokens": fmean(sum(sample.tokens.values()) for sample in of),
        }
        for task, of in tasks.items()
    }


def _median(samples: Sequence[Sample], name: str) -> float | None:
    """Give the median; a reply that has none counts as one that never came."""
    values = [value for sample in samples if (value := getattr(sample, name)) is not None]
    return percentile(values, 50, len(samples) - len(values))


def spoiled(rows: Mapping[str, Sequence[Sample]]) -> list[str]:
    """Name the tasks where `async` is worse than both of its baselines by more than 3 points."""
    if not {"async", "think-first", "no-think"} <= rows.keys():
        return []
    mine, first, none = (by_task(rows[name]) for name in ("async", "think-first", "no-think"))
    return [
        task
        for task, of in mine.items()
        if min(first[task]["right"], none[task]["right"]) - of["right"] > _SPOILED * of["items"]
    ]


def false_noes(rows: Mapping[str, Sequence[Sample]]) -> list[Sample]:
    """Give what `async` answered wrongly at once, for the need probe said no, and thinking first answered rightly."""
    if not {"async", "think-first"} <= rows.keys():
        return []
    pairs = zip(rows["async"], rows["think-first"], strict=True)
    return [mine for mine, first in pairs if first.right and not mine.right and not mine.thoughts]


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
            found[f"gain_kept: {name}"] = paired(columns, kept)
    for name in rows.keys() - {"think-first", "no-think", "aloud"}:
        found[f"total_delay: {name} / think-first"] = _ratio(rows, name, "think-first", "total_delay_s", _waits)
        found[f"waited: {name} / think-first"] = _ratio(rows, name, "think-first", "waited_s", _waits)
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
    return paired([[one for one, _ in pairs], [other for _, other in pairs]], ratio) if pairs else None


def ablation(rows: Mapping[str, Sequence[Sample]], names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Give what each of these rows changes against `async`: means of differences, item by item, with intervals."""
    found: dict[str, dict[str, Any]] = {}
    for name in names if "async" in rows else ():
        found[name] = {}
        for figure in _ABLATED:
            values = [(_value(one, figure), _value(other, figure))
                      for one, other in zip(rows[name], rows["async"], strict=True)]  # fmt: skip
            pairs = [(one, other) for one, other in values if one is not None and other is not None]
            if pairs:
                found[name][figure] = paired([[one for one, _ in pairs], [other for _, other in pairs]], difference)
    return found


def _value(sample: Sample, figure: str) -> float | None:
    value = sum(sample.tokens.values()) if figure == "spent" else getattr(sample, figure)
    return None if value is None else float(value)


def targets(
    rows: Mapping[str, Sequence[Sample]], compared: Mapping[str, Any], scenarios: Mapping[str, Any]
) -> list[Target]:
    """Give a row for every figure that is asked for; `async` is what they are about."""

    def spread(name: str, share: str) -> float | None:
        return summarise(rows["async"])[name][share] if "async" in rows else None

    def figure(name: str, part: str = "value") -> float | None:
        value: float | None = compared.get(name, {}).get(part)
        return None if value is None or math.isnan(value) else value

    one = summarise(rows["async"]) if "async" in rows else {}
    corrected = scenarios.get("correction", {}).get("async", {}).get("tokens_to_answer") or {}
    return [
        Target("items", one.get("items"), at_least=300),
        Target("tasks", len(by_task(rows["async"])) if "async" in rows else None, at_least=5),
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
        Target("correction_tokens_over_restart", corrected.get("value"), at_most=0.6),
    ]
