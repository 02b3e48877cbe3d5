"""From conversations and their restarts to figures: accuracy and cost, pair by pair. Prints nothing."""

from __future__ import annotations

import re
from statistics import fmean
from typing import TYPE_CHECKING, Any

from bench.statistics import difference, paired, percentile, ratio, wilson
from bench.think.scoring import right

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.think.items.question import TaskQuestion
    from bench.think.metrics import Sample
    from bench.think.scenarios import Pair, ScenarioPlan


def figures(
    scenarios: Mapping[str, Sequence[Pair]], rows: Sequence[str], samples: Mapping[tuple[str, ScenarioPlan], Sample]
) -> dict[str, dict[str, Any]]:
    """Give the figures of each scenario and row, of the pairs whose two conversations were measured."""
    found: dict[str, dict[str, Any]] = {}
    for scenario, pairs in scenarios.items():
        for row in rows:
            measured = [(pair, samples[row, pair.there], samples[row, pair.anew]) for pair in pairs
                        if {(row, pair.there), (row, pair.anew)} <= samples.keys()]  # fmt: skip
            if measured:
                found.setdefault(scenario, {})[row] = _of(measured)
    return found


def _of(measured: Sequence[tuple[Pair, Sample, Sample]]) -> dict[str, Any]:
    there, anew = [one for _, one, _ in measured], [other for _, _, other in measured]
    low, high = wilson(sum(sample.right for sample in there), len(there))
    anew_low, anew_high = wilson(sum(sample.right for sample in anew), len(anew))
    waiting = [(pair.first, sample) for pair, sample, _ in measured if pair.first is not None]
    return {
        "items": len(measured),
        "interrupted": fmean(sample.interrupted for sample in there),
        "accuracy": fmean(sample.right for sample in there),
        "accuracy_low": low,
        "accuracy_high": high,
        "anew_accuracy": fmean(sample.right for sample in anew),
        "anew_low": anew_low,
        "anew_high": anew_high,
        "accuracy_difference": paired([[sample.right for sample in of] for of in (there, anew)], difference),
        "tokens_to_answer": _ratio(measured, "tokens_to_answer"),
        "final_correct_s": _ratio(measured, "final_correct_s"),
        "words_until_answer": _ratio(measured, "words_until_answer"),
        "first_content_p50_s": _middle(there),
        "anew_first_content_p50_s": _middle(anew),
        "first_answered": fmean(_says(sample, first) for first, sample in waiting) if waiting else None,
    }


def _ratio(measured: Sequence[tuple[Pair, Sample, Sample]], name: str) -> dict[str, Any] | None:
    """Give the ratio of means, where both are right, and where words that wait for a reply did cut one short."""
    both = [(getattr(one, name), getattr(other, name)) for pair, one, other in measured
            if one.right and other.right and (one.interrupted or not _waits(pair))]  # fmt: skip
    both = [pair for pair in both if None not in pair]
    return paired([[one for one, _ in both], [other for _, other in both]], ratio) if both else None


def _waits(pair: Pair) -> bool:
    return any(utterance.after == "reply" for utterance in pair.there.said)


def _middle(samples: Sequence[Sample]) -> float | None:
    times = [sample.first_content_s for sample in samples if sample.first_content_s is not None]
    return percentile(times, 50, len(samples) - len(times))


def _says(sample: Sample, first: TaskQuestion) -> bool:
    """Say whether any sentence that was heard states the first question's answer."""
    sentences = re.split(r"(?<=[.!?])\s+", f"{sample.before} {sample.spoken}")
    return any(right(sentence, first) for sentence in sentences)
