from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from agent.errors import NotMeasured
from agent.plan.measuring import Samples, measured
from audio.hearing.whisper import Hypothesis

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from audio.clock import Pcm, Sound


class Clocked:
    """An engine whose steps take what they are said to take."""

    def __init__(self, row_s: float = 0.01, base_s: float = 0.07, hiccups: Iterable[float] = ()) -> None:
        self.row_s, self.base_s, self.hiccups = row_s, base_s, list(hiccups)
        self.threads = 0
        self.steps = 0
        self.usual_s: Sequence[float] = ()

    async def fit(self, *, threads: int, prefill_rows: int, usual_s: Sequence[float] = ()) -> None:
        del prefill_rows
        self.threads, self.usual_s = threads, usual_s

    async def step_seconds(self, streams: int, *, reading: int = 0, context: int) -> float:
        del context
        self.steps += 1
        if self.hiccups:
            return self.hiccups.pop(0)
        return self.base_s + self.row_s * (streams + reading)


class Ears:
    def decode(self, sound: Sound, *, final: bool, expected: str = "") -> Hypothesis:
        del final, expected
        assert len(sound) == 16_000
        return Hypothesis(())

    def spot(self, sound: Sound) -> Hypothesis:
        raise AssertionError(sound)


class Voice:
    rate = 16_000

    def speak(self, text: str) -> Pcm:
        assert text
        return np.zeros(10, np.int16)


async def median(samples: list[float], *, cold: bool = False) -> float:
    left = iter(samples)

    async def sample() -> float:
        return next(left)

    return await Samples().median(sample, cold=cold)


async def test_steps_of_some_rows_give_those_of_all() -> None:
    found = await measured(Clocked(), Ears(), Voice(), (2,), busy=False)
    assert found.threads == 2
    assert found.steps_s == pytest.approx([0.07 + 0.01 * rows for rows in range(1, 9)])
    assert found.token_s == pytest.approx(0.23 / 16)


async def test_a_first_step_that_loads_the_weights_does_not_count() -> None:
    assert await median([9.0, 0.2, 0.2, 0.2], cold=True) == 0.2


@pytest.mark.parametrize(
    "samples",
    [
        [0.2, 3599.0, 0.2, 0.2],
        [0.2, -3600.0, 0.2, 0.2],
        [0.2, 0.0, 0.2, 0.2],
        [40.0, 0.2, 0.2, 0.2],
        [0.2, 0.2, 40.0, 0.2],
    ],
)
async def test_a_machine_that_sleeps_meanwhile_or_a_clock_that_jumps_spoils_nothing(samples: list[float]) -> None:
    assert await median(samples) == 0.2


async def test_a_clock_that_never_makes_sense_is_told() -> None:
    with pytest.raises(NotMeasured):
        await median([float("nan"), 0.0, -1.0] * 3)


async def test_a_slow_machine_is_not_measured_for_long() -> None:
    engine = Clocked(base_s=2.0, row_s=0.5)
    found = await measured(engine, Ears(), Voice(), (2,), busy=False)
    assert engine.steps <= 4
    assert found.joint_s == 3.0
    assert found.steps_s[-1] == pytest.approx(12.0)


async def test_threads_that_gain_nothing_are_left_to_others() -> None:
    engine = Clocked()
    found = await measured(engine, Ears(), Voice(), (8, 15), busy=False)
    assert (found.threads, engine.threads) == (8, 8)


async def test_threads_that_somebody_set_are_kept() -> None:
    engine = Clocked()
    assert (await measured(engine, Ears(), Voice(), (7,), busy=False)).threads == 7
    assert engine.threads == 7


async def test_ears_and_voice_are_measured_too() -> None:
    found = await measured(Clocked(), Ears(), Voice(), (2,), busy=False)
    assert 0 < found.decode_s < 1
    assert 0 < found.clause_s < 1
