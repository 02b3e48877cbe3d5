from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasoning.engine.decoder import Decoder
from reasoning.engine.pace import Rests, StepPace, step_seconds
from reasoning.formats.gguf import open_gguf
from tests.reasoning.tiny_models import Tiny, write_tiny

if TYPE_CHECKING:
    from pathlib import Path

USUAL = (0.1, 0.11, 0.15)


def test_steps_that_take_what_they_should_are_not_slow() -> None:
    pace = StepPace(USUAL)
    for rows, seconds in ((1, 0.1), (2, 0.1), (3, 0.15)):
        pace.took(rows, seconds)
    assert pace.slowdown == 1.0


def test_a_busy_machine_is_noticed_within_some_steps_and_forgotten_as_soon() -> None:
    pace = StepPace(USUAL)
    for _ in range(20):
        pace.took(2, 0.33)
    assert pace.slowdown == pytest.approx(2.0, rel=0.05)
    for _ in range(20):
        pace.took(2, 0.11)
    assert pace.slowdown == pytest.approx(1.0, abs=0.05)


def test_ears_and_voice_of_ones_own_are_no_busy_machine() -> None:
    pace = StepPace(USUAL)
    for _ in range(20):
        pace.took(2, 0.11 * 1.5)
    assert pace.slowdown == 1.0


def test_one_step_during_which_the_machine_slept_is_soon_forgotten() -> None:
    pace = StepPace(USUAL)
    pace.took(1, 3600.0)
    assert pace.slowdown < 1.2


def test_steps_of_more_rows_than_were_measured_say_nothing() -> None:
    pace = StepPace(USUAL)
    pace.took(128, 5.0)
    assert pace.slowdown == 1.0


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(-1e9, 1e9))))
def test_slowness_is_bounded_whatever_clocks_say(steps: list[tuple[int, float]]) -> None:
    pace = StepPace(USUAL)
    for rows, seconds in steps:
        pace.took(rows, seconds)
        assert 1.0 <= pace.slowdown <= 4.0


def test_a_step_is_timed_on_blocks_of_its_own(tmp_path: Path) -> None:
    decoder = Decoder(open_gguf(write_tiny(tmp_path / "tiny.gguf", Tiny())), native="off")
    assert step_seconds(decoder, streams=2, reading=3, context=70) > 0


def test_the_longest_counts_and_each_ends_for_itself() -> None:
    rests, ended = Rests(), list[str]()
    assert rests.left(5.0) <= 0
    voice = rests.give(0.8, 10.0, lambda: ended.append("voice"))
    ears = rests.give(0.3, 10.0, lambda: ended.append("ears"))
    assert 0.6 < rests.left(10.1) < 0.8
    voice()
    voice()
    assert ended == ["voice"], "once"
    assert 0 < rests.left(10.1) < 0.3
    ears()
    assert rests.left(10.1) <= 0


def test_one_that_is_over_is_forgotten() -> None:
    rests = Rests()
    for now in range(1000):
        over = rests.give(0.5, float(now), lambda: None)
    assert len(rests._until) == 1
    over()
    assert not rests._until
