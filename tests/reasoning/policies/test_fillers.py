from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from languages.english import ENGLISH
from languages.known import known_languages
from languages.language import Language
from reasoning.options import LoopOptions
from reasoning.policies.admission import judge
from reasoning.policies.fillers import FillerClock, told_later
from reasoning.policies.grounding import numbers

OPTIONS = LoopOptions()
SAYINGS = ENGLISH.replies


def say(fillers: FillerClock, now: float, **more: bool | float) -> str | None:
    """Say what is due, at once and in no time."""
    due = fillers.due(now, begun=bool(more.pop("begun", False)), **more)  # type: ignore[arg-type]
    if due is None:
        return None
    fillers.said(now)
    fillers.sounding_until(now)
    return due.text


def test_a_filler_comes_when_the_listener_has_waited() -> None:
    fillers = FillerClock(OPTIONS, waiting_since=10.0)
    wait = OPTIONS.filler_after_s
    assert say(fillers, 10.0 + wait - 0.01) is None
    assert say(fillers, 10.0 + wait + 0.01) == SAYINGS.fillers[0]
    fillers.sounding_until(13.0)
    assert say(fillers, 13.0 + OPTIONS.filler_again_s - 0.01) is None
    assert say(fillers, 13.0 + OPTIONS.filler_again_s + 0.01) == SAYINGS.fillers[1]


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
        if say(fillers, now, begun=bool(said)) is not None:
            said.append(now)
            fillers.content_sounds()
    assert all(b - a >= OPTIONS.filler_again_s - 1e-9 for a, b in pairwise(said))
    if now >= OPTIONS.filler_after_s:
        assert said


@given(st.lists(st.one_of(st.just("content"), st.floats(0.01, 9)), max_size=80), st.integers(0, 2))
def test_after_two_fillers_in_a_row_it_is_told_how_things_stand(course: list[float | str], wanted: int) -> None:
    fillers, now = FillerClock(replace(OPTIONS, fillers=wanted), waiting_since=0.0), 0.0
    in_a_row, newest = 0, ""
    for event in course:
        if isinstance(event, str):
            fillers.content_sounds()
            in_a_row = 0
            continue
        now += event
        due = fillers.due(now, begun=False)
        if due is None:
            assert not wanted or event < OPTIONS.filler_after_s
            continue
        assert due.text != newest
        newest = say(fillers, now) or ""
        in_a_row += due.kind == "filler"
        assert in_a_row <= wanted
        assert (due.kind == "status") == (due.text not in SAYINGS.fillers)


def test_in_a_long_wait_everything_that_is_told_is_new_or_true() -> None:
    fillers, told, now = FillerClock(OPTIONS, waiting_since=0.0), list[str](), 0.0
    while now < 90.0:
        if (text := say(fillers, now, begun=True)) is not None:
            told.append(text)
            now += 1.5
            fillers.sounding_until(now)
            if text not in (*SAYINGS.fillers, *SAYINGS.statuses):
                (lasted,) = numbers(text)
                assert abs(lasted - now) <= 5.0
        now += 0.05
    lengths = [text for text in told if text not in (*SAYINGS.fillers, *SAYINGS.statuses)]
    assert len(lengths) == len({*lengths}) >= 5
    assert told[:3] == [*SAYINGS.fillers[:2], SAYINGS.statuses[0]]


def test_another_wait_is_filled_by_other_phrases() -> None:
    fillers = FillerClock(OPTIONS, waiting_since=0.0)
    heard = [say(fillers, 10.0 * n) for n in (1, 2, 3)]
    assert heard == [*SAYINGS.fillers[:2], SAYINGS.statuses[0]]
    fillers.content_sounds()
    assert say(fillers, 40.0) == SAYINGS.fillers[3]


def test_on_a_busy_machine_the_first_filler_comes_later_but_no_silence_inside_a_reply_lasts_longer() -> None:
    fillers = FillerClock(OPTIONS, waiting_since=0.0)
    assert say(fillers, OPTIONS.filler_after_s * 1.2, slowdown=1.3) is None
    assert say(fillers, OPTIONS.filler_after_s * 1.6, slowdown=4.0) == SAYINGS.fillers[0]
    fillers.sounding_until(3.0)
    assert say(fillers, 3.0 + OPTIONS.filler_again_s, begun=True, slowdown=4.0) == SAYINGS.fillers[1]


def test_a_phrase_that_would_hold_the_reply_up_is_put_off_before_it_and_not_inside_it() -> None:
    fillers = FillerClock(OPTIONS, waiting_since=0.0)
    assert say(fillers, 1.5, held_up=True) is None
    assert say(fillers, 1.6, held_up=True) == SAYINGS.fillers[0]
    fillers.sounding_until(3.0)
    assert say(fillers, 3.01 + OPTIONS.filler_again_s, begun=True, held_up=True) == SAYINGS.fillers[1]


@pytest.mark.parametrize("language", known_languages().values(), ids=lambda language: language.code)
def test_what_fills_a_wait_promises_nothing(language: Language) -> None:
    sayings = language.replies
    for phrase in (*sayings.fillers, *sayings.statuses):
        assert judge(phrase, "", "", "", grounding=True, language=language).speak
        assert len(phrase.split()) <= 8
    assert sayings.elapsed.format(10) != sayings.elapsed.format(15)


@pytest.mark.parametrize("language", known_languages().values(), ids=lambda language: language.code)
def test_all_that_is_said_in_a_long_wait_can_be_spoken_once_for_all(language: Language) -> None:
    fillers = FillerClock(OPTIONS, waiting_since=0.0, language=language)
    said = {say(fillers, at / 10) for at in range(1500)} - {None}
    assert said - {*language.replies.fillers} <= {*told_later(language)}
    assert len(told_later(language)) < 30
