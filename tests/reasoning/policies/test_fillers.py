from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasoning.options import LoopOptions
from reasoning.policies.admission import judge
from reasoning.policies.fillers import FILLERS, FillerClock

OPTIONS = LoopOptions()


def test_a_filler_comes_when_the_listener_has_waited() -> None:
    fillers = FillerClock(OPTIONS, waiting_since=10.0)
    wait = OPTIONS.filler_after_s
    assert fillers.due(10.0 + wait - 0.01, begun=False) is None
    assert fillers.due(10.0 + wait + 0.01, begun=False) == FILLERS[0]
    fillers.sounding_until(13.0)
    assert fillers.due(13.0 + OPTIONS.filler_again_s - 0.01, begun=True) is None
    assert fillers.due(13.0 + OPTIONS.filler_again_s + 0.01, begun=True) == FILLERS[1]


def test_sound_that_is_over_does_not_bring_the_wait_back() -> None:
    fillers = FillerClock(OPTIONS, waiting_since=10.0)
    fillers.sounding_until(5.0)
    assert fillers.waiting_since == 10.0


@given(st.lists(st.floats(0.01, 5), max_size=60))
def test_between_two_fillers_is_time(gaps: list[float]) -> None:
    fillers, now = FillerClock(OPTIONS, waiting_since=0.0), 0.0
    said: list[float] = []
    for gap in gaps:
        now += gap
        if fillers.due(now, begun=bool(said)) is not None:
            said.append(now)
            fillers.sounding_until(now)
    assert all(b - a >= OPTIONS.filler_again_s - 1e-9 for a, b in pairwise(said))
    if now >= OPTIONS.filler_after_s:
        assert said


@pytest.mark.parametrize("phrase", FILLERS)
def test_fillers_promise_nothing(phrase: str) -> None:
    assert judge(phrase, "", "", "", grounding=True).speak
    assert len(phrase.split()) <= 8
