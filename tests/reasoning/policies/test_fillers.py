from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from languages.english import ENGLISH
from reasoning.options import LoopOptions
from reasoning.policies.admission import judge
from reasoning.policies.fillers import FillerClock

OPTIONS = LoopOptions()


def test_a_filler_comes_when_the_listener_has_waited() -> None:
    fillers = FillerClock(OPTIONS, waiting_since=10.0)
    wait = OPTIONS.filler_after_s
    assert fillers.due(10.0 + wait - 0.01, begun=False) is None
    assert fillers.due(10.0 + wait + 0.01, begun=False) == ENGLISH.replies.fillers[0]
    fillers.sounding_until(13.0)
    assert fillers.due(13.0 + OPTIONS.filler_again_s - 0.01, begun=True) is None
    assert fillers.due(13.0 + OPTIONS.filler_again_s + 0.01, begun=True) == ENGLISH.replies.fillers[1]


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
            fillers.content_sounds()
    assert all(b - a >= OPTIONS.filler_again_s - 1e-9 for a, b in pairwise(said))
    if now >= OPTIONS.filler_after_s:
        assert said


@given(st.lists(st.one_of(st.just("content"), st.floats(0.01, 9)), max_size=80), st.integers(0, 9))
def test_after_two_fillers_in_a_row_the_wait_is_silent(course: list[float | str], wanted: int) -> None:
    fillers, now, in_a_row = FillerClock(replace(OPTIONS, fillers=wanted), waiting_since=0.0), 0.0, 0
    for event in course:
        if isinstance(event, str):
            fillers.content_sounds()
            in_a_row = 0
        else:
            now += event
            if fillers.due(now, begun=False) is not None:
                fillers.sounding_until(now)
                in_a_row += 1
        assert in_a_row <= min(wanted, 2)


def test_another_wait_is_filled_by_other_phrases() -> None:
    fillers = FillerClock(OPTIONS, waiting_since=0.0)
    heard = [fillers.due(10.0 * n, begun=True) for n in (1, 2, 3)]
    assert heard == [ENGLISH.replies.fillers[0], ENGLISH.replies.fillers[1], None]
    fillers.content_sounds()
    assert fillers.due(40.0, begun=True) == ENGLISH.replies.fillers[2]


def test_on_a_busy_machine_a_filler_comes_later_but_it_comes() -> None:
    fillers = FillerClock(OPTIONS, waiting_since=0.0)
    assert fillers.due(OPTIONS.filler_after_s * 1.2, begun=False, slowdown=1.3) is None
    assert fillers.due(OPTIONS.filler_after_s * 1.6, begun=False, slowdown=4.0) == ENGLISH.replies.fillers[0]


@pytest.mark.parametrize("phrase", ENGLISH.replies.fillers)
def test_fillers_promise_nothing(phrase: str) -> None:
    assert judge(phrase, "", "", "", grounding=True).speak
    assert len(phrase.split()) <= 8
