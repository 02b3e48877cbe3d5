"""Fits the weights of audio.hearing.turn_end to pauses, and says what waits they make: cuts against waiting. Pure.

What is made small: the seconds waited at true ends, plus a price for every pause that is waited for too briefly. A
pause whose length is known counts as cut when the wait is shorter (softened by a tenth of a second, so that a wait does
not stand right behind a pause that happens to be in the data); one of a recording that was broken off, with the chance
that a pause of people is longer than the wait. A penalty holds the weights near what is known without data. Gradient
descent (Adam) from there, so the outcome depends on nothing but the data.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean, median
from typing import TYPE_CHECKING, Final

import numpy as np

from audio.hearing.turn_end import features

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from audio.options import EarsOptions
    from bench.ears.pauses import PauseSample

PRIOR: Final = (-1.5, 3.0, -1.0, 4.0, 2.0, 1.0, 0.8, 2.5, 7.0)
"""Weights without data: unfinished words, an open conjunction and long pauses before keep a turn open."""

_WORTH: Final = {"people": 1.0, "people, broken off": 0.1, "voice": 0.05, "voice, broken off": 0.05}
"""A pause of each source beside a real one: they are more, and less like what is to be met."""
_MEAN_S: Final = 0.37
_SHORTEST_S: Final = 0.2
"""Pauses in the midst of a turn, of people: exponential behind the shortest that is noticed. The mean of 26."""
_SOFT_S: Final = 0.1
_MARGIN_S: Final = 0.06
_STEPS: Final = 400
_RATE: Final = 0.05

Weights = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """What some waits do to recordings of people."""

    cut: int
    """Recordings of which a turn is cut at a pause."""
    clips: int
    wait_s_p50: float
    wait_s_mean: float
    wait_s_p90: float


def fit(
    pauses: Sequence[PauseSample], price_s: float, options: EarsOptions, *, near: float = 1.0, prior: Weights = PRIOR
) -> Weights:
    """Give the weights that make waiting and cuts cost least; `price_s`: seconds of waiting that a cut is worth."""
    x = np.array([features(pause.ending, pause.heard) for pause in pauses])
    over = np.array([pause.over for pause in pauses])
    lasted = np.array([pause.lasted_s or 0.0 for pause in pauses])
    known = lasted > 0
    worth = np.array([_WORTH[pause.source] for pause in pauses])
    shortest, span = options.hard_end_ms / 1000, (options.unfinished_end_ms - options.hard_end_ms) / 1000
    start = np.array(prior)
    weights, mean, square = start.copy(), np.zeros_like(start), np.zeros_like(start)
    for step in range(1, _STEPS + 1):
        open_ = 1 / (1 + np.exp(-x @ weights))
        wait = shortest + span * open_
        by_chance = -np.exp(-(wait - _SHORTEST_S) / _MEAN_S) / _MEAN_S
        cut = 1 / (1 + np.exp((wait - lasted - _MARGIN_S) / _SOFT_S))
        slope = np.where(over, 1.0, price_s * np.where(known, -cut * (1 - cut) / _SOFT_S, by_chance))
        away = 2 * near * (weights - start)
        # The bias is what the data say.
        away[0] = 0.0
        gradient = x.T @ (worth * slope * span * open_ * (1 - open_)) + away
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.99 * square + 0.01 * gradient**2
        pace = _RATE if step < _STEPS // 2 else _RATE / 5
        weights = weights - pace * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.99**step)) + 1e-9)
    return tuple(float(weight) for weight in weights)


def crossed(pauses: Sequence[PauseSample], price_s: float, options: EarsOptions) -> dict[str, Weights]:
    """Fit once for each speaker, without a pause of theirs."""
    speakers = {pause.speaker for pause in pauses if pause.source == "people"}
    return {one: fit([pause for pause in pauses if pause.speaker != one], price_s, options) for one in speakers}


def measure(pauses: Sequence[PauseSample], wait_s: Callable[[PauseSample], float]) -> CurvePoint:
    """Say what waits do to the recordings of people among these."""
    people = [pause for pause in pauses if pause.source == "people"]
    cut = {pause.clip for pause in people if pause.lasted_s is not None and pause.lasted_s > wait_s(pause)}
    waits = [wait_s(pause) for pause in people if pause.over]
    return CurvePoint(
        len(cut), len({pause.clip for pause in people}), median(waits), fmean(waits), float(np.percentile(waits, 90))
    )
