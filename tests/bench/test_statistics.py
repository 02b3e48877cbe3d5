from __future__ import annotations

import math
import random

import pytest

from bench.statistics import bootstrap, kept, percentile, ratio, wilson


@pytest.mark.parametrize(
    ("right", "of", "low", "high"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662), (0, 0, 0.0, 1.0)],
)
def test_wilson(right: int, of: int, low: float, high: float) -> None:
    assert list(wilson(right, of)) == pytest.approx([low, high], abs=2e-4)


def test_pairs_are_resampled_together() -> None:
    # Each item's value in one row is twice its value in the other: only an unpaired resampling finds a spread.
    values = [random.Random(1).uniform(1, 9) for _ in range(40)]
    assert list(bootstrap([[2 * value for value in values], values], ratio)) == pytest.approx([2.0, 2.0])


def test_the_kept_gain_has_an_interval_around_it_and_is_reproducible() -> None:
    none = [0.0] * 60 + [1.0] * 40
    first = [0.0] * 20 + [1.0] * 80
    this = [0.0] * 30 + [1.0] * 70
    low, high = bootstrap([this, none, first], kept)
    assert low < 0.75 < high
    assert (low, high) == bootstrap([this, none, first], kept)
    assert high - low > 0.05


def test_nothing_has_no_interval() -> None:
    assert all(map(math.isnan, bootstrap([[], []], ratio)))
    assert all(map(math.isnan, bootstrap([[1.0], [1.0], [1.0]], kept)))
    assert percentile([], 50) is None
    assert percentile([1.0, 2.0, 3.0], 50) == 2.0
