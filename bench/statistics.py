"""Intervals: Wilson's for a share, and the paired bootstrap for ratios of two or three modes. Knows no benchmark."""

from __future__ import annotations

import math
from statistics import fmean
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

_Z: Final = 1.959964
RESAMPLES: Final = 10_000
_SEED: Final = 8


def wilson(right: int, of: int) -> tuple[float, float]:
    """Give the 95 % interval of a share (Wilson 1927); of nothing it is 0..1."""
    if not of:
        return 0.0, 1.0
    share, z2 = right / of, _Z * _Z
    middle = (share + z2 / (2 * of)) / (1 + z2 / of)
    half = _Z * math.sqrt(share * (1 - share) / of + z2 / (4 * of * of)) / (1 + z2 / of)
    return max(0.0, middle - half), min(1.0, middle + half)


def bootstrap(
    columns: Sequence[Sequence[float]], figure: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> tuple[float, float]:
    """Give the 95 % interval of a figure of paired samples, by resampling items (10,000 times, fixed seed).

    columns: one row of values a mode, item by item. figure: takes means [..., modes] and gives the figure [...].
    """
    values = np.asarray(columns, np.float64)
    if values.size == 0:
        return math.nan, math.nan
    random = np.random.default_rng(_SEED)
    drawn = random.integers(0, values.shape[1], (RESAMPLES, values.shape[1]))
    means = np.stack([row[drawn].mean(axis=1) for row in values], axis=-1)
    figures = figure(means)
    figures = figures[np.isfinite(figures)]
    if not len(figures):
        return math.nan, math.nan
    low, high = np.percentile(figures, [2.5, 97.5])
    return float(low), float(high)


def paired(columns: Sequence[Sequence[float]], figure: Callable[[Any], Any]) -> dict[str, Any]:
    """Give a figure of paired samples with its interval, for a report; columns and figure as for `bootstrap`."""
    value = float(figure(np.array([fmean(column) for column in columns])))
    low, high = bootstrap(columns, figure)
    return {"items": len(columns[0]), "value": value, "low": low, "high": high}


def paired_median(differences: Sequence[float]) -> dict[str, Any]:
    """Give the median of differences between pairs with its 95 % interval, by resampling pairs, for a report."""
    values = np.asarray(differences, np.float64)
    random = np.random.default_rng(_SEED)
    medians = np.median(values[random.integers(0, len(values), (RESAMPLES, len(values)))], axis=1)
    low, high = np.percentile(medians, [2.5, 97.5])
    return {"items": len(values), "value": float(np.median(values)), "low": float(low), "high": float(high)}


def kept(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the share of a gain that is kept, of means [..., (this, nothing, everything)]."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((means[..., 0] - means[..., 1]) / (means[..., 2] - means[..., 1]), np.float64)


def ratio(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the ratio of two means [..., (this, that)]."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(means[..., 0] / means[..., 1], np.float64)


def difference(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the difference of two means [..., (this, that)]."""
    return np.asarray(means[..., 0] - means[..., 1], np.float64)


def percentile(values: Sequence[float], share: float, missing: int = 0) -> float | None:
    """Give a percentile (0..100) of values and `missing` ones beyond all of them; None of nothing, or of those."""
    place = share / 100 * (len(values) + missing - 1)
    if not values or place > len(values) - 1:
        return None
    return float(np.percentile(values, 100 * place / max(1, len(values) - 1)))
