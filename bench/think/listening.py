"""Ways to spend the time while the user speaks, question by question against the first of them. Prints nothing."""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING, Any, Final

from bench.statistics import difference, paired, paired_median

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.think.metrics import Sample

_SOONER: Final = ("first_content_s", "final_correct_s")
"""What may come sooner; compared where it came both times."""


def against_first(rows: Mapping[str, Sequence[Sample]]) -> dict[str, dict[str, Any]]:
    """Give for each other row what it changes: seconds, right answers, and what became of its early thoughts."""
    (_, first), *others = rows.items()
    return {name: _of(list(zip(first, samples, strict=True))) for name, samples in others}


def _of(pairs: Sequence[tuple[Sample, Sample]]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "items": len(pairs),
        "right": paired([[float(one.right) for _, one in pairs], [float(one.right) for one, _ in pairs]], difference),
        "same_words": fmean(one.spoken == other.spoken for one, other in pairs),
    }
    for name in _SOONER:
        both = [(getattr(one, name), getattr(other, name)) for one, other in pairs]
        changes = [other - one for one, other in both if one is not None and other is not None]
        found[name] = paired_median(changes) if changes else None
    early = fmean(other.tokens.get("early", 0) for _, other in pairs)
    spared = fmean(_steps(one) - _steps(other) for one, other in pairs)
    return {**found, "early_tokens": early, "steps_spared": spared}


def _steps(sample: Sample) -> int:
    """Give the steps in which the thoughts were written after the end of the turn."""
    return sample.paces["thinker"].steps if "thinker" in sample.paces else 0
