"""Measures what a step costs, and how quick ears and voice are. A few seconds; bounded whatever happens meanwhile.

A machine that is suspended in the middle, or a clock that jumps, spoils single samples: what cannot be is dropped, and
of the others the median counts. Does not know what is chosen by it.
"""

from __future__ import annotations

import asyncio
import math
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from agent.errors import NotMeasured
from agent.plan.choice import MachineMeasures, filled_in
from audio.clock import RATE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from audio.hearing.transcriber import Recogniser
    from audio.speaking.synthesizer import Voice

CONTEXT: Final = 256
"""Tokens that the streams of a measured step read: a prompt, and a question."""
_ROWS: Final = (1, 4, 8)
"""Rows of a step, beside the two of thinker and writer."""
_READ: Final = 16
"""Rows by which the reading of a long text is measured."""
_CLAUSE: Final = "That makes forty-two euros in all,"
_BUDGET_S: Final = 0.3
"""For the samples of one figure; two are taken at least."""
_MOST: Final = 9
"""Samples of one figure."""
_GAIN: Final = 1.05
"""Times as long as with most threads a step may take with fewer."""
_TOTAL_S: Final = 5.0
"""Once so much was spent on steps, the rest is estimated: a row more costs at most what a row costs."""
_LONGEST_S: Final = 60.0
"""A sample that claims to have taken longer was no measurement."""


class TimedEngine(Protocol):
    """What is measured: the embedded engine."""

    async def fit(self, *, threads: int, prefill_rows: int, usual_s: Sequence[float] = ()) -> None:
        """Compute with so many threads from now on."""
        ...

    async def step_seconds(self, streams: int, *, reading: int = 0, context: int) -> float:
        """Give the seconds of a step of so many streams, and rows of waiting text."""
        ...


class Samples:
    """Times work again and again, and knows how long that took in all."""

    def __init__(self) -> None:
        self.spent_s = 0.0

    async def median(self, sample: Callable[[], Awaitable[float]], *, cold: bool = False) -> float:
        """Give the median of some samples, in seconds; `cold`: the first is for warming up.

        Raises:
            NotMeasured: none of them makes sense.

        """
        if cold:
            self._spend(await sample())
        found: list[float] = []
        for _ in range(_MOST):
            seconds = self._spend(await sample())
            if seconds:
                found.append(seconds)
            # Without the longest: one in which the machine slept must not be the last.
            if len(found) >= 2 and sum(sorted(found)[:-1]) >= _BUDGET_S:
                break
        if not found:
            raise NotMeasured(f"the clock gave no time that makes sense in {_MOST} tries")
        return sorted(found)[(len(found) - 1) // 2]

    def _spend(self, seconds: float) -> float:
        """Count a sample; 0 for one that makes no sense."""
        sound = seconds if math.isfinite(seconds) and 0 < seconds < _LONGEST_S else 0.0
        self.spent_s += sound
        return sound


async def measured(
    engine: TimedEngine, recogniser: Recogniser, voice: Voice, counts: Sequence[int], *, busy: bool
) -> MachineMeasures:
    """Measure steps, with the number of threads of `counts` that does best; then ears and voice.

    busy: whether others are computing.

    Raises:
        NotMeasured: no sample could be had that makes sense.

    """
    samples = Samples()
    best, joint_s = await _threads(engine, samples, counts)
    seconds = {2: joint_s}
    for rows in _ROWS:
        step = partial(engine.step_seconds, rows, context=CONTEXT)
        seconds[rows] = await samples.median(step) if samples.spent_s < _TOTAL_S else joint_s * max(1, rows / 2)
    read = partial(engine.step_seconds, 0, reading=_READ, context=0)
    token_s = await samples.median(read) / _READ if samples.spent_s < _TOTAL_S else seconds[8] / 8
    # Noise, so that there is something to encode; what is heard in it does not matter.
    sound = (0.05 * np.random.default_rng(0).standard_normal(RATE)).astype(np.float32)
    decode_s = await samples.median(lambda: _timed(lambda: recogniser.decode(sound, final=False)), cold=True)
    clause_s = await samples.median(lambda: _timed(lambda: voice.speak(_CLAUSE)), cold=True)
    return MachineMeasures(best, filled_in(seconds), token_s, decode_s, clause_s, busy)


async def _threads(engine: TimedEngine, samples: Samples, counts: Sequence[int]) -> tuple[int, float]:
    """Have the engine compute with the best of these numbers of threads; give it, and the seconds of a joint step."""
    joint: dict[int, float] = {}
    for count in counts:
        await engine.fit(threads=count, prefill_rows=1)
        joint[count] = await samples.median(lambda: engine.step_seconds(2, context=CONTEXT), cold=True)
    # Cores that gain next to nothing are better left to ears and voice.
    best = min(counts, key=lambda count: (joint[count] > _GAIN * min(joint.values()), count))
    await engine.fit(threads=best, prefill_rows=1)
    return best, joint[best]


async def _timed(work: Callable[[], object]) -> float:
    def run() -> float:
        began = perf_counter()
        work()
        return perf_counter() - began

    return await asyncio.to_thread(run)
