from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio.clock import RATE
from audio.hearing.turn_end import (
    NAMES,
    WEIGHTS,
    Ending,
    TurnPauses,
    TurnSoFar,
    ending,
    features,
    openness,
    wait_ms,
)
from audio.hearing.vad import RESUME
from audio.messages import Words
from audio.options import EarsOptions
from languages.english import ENGLISH
from languages.german import LANGUAGE as GERMAN

OPTIONS = EarsOptions()
OVER = TurnSoFar(0.98)


def words(text: str, complete: float | None = 0.5, confidence: tuple[float, ...] = ()) -> Words:
    return Words(1, 0, text, "", confidence, final=False, complete=complete)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("what is it?", "question"),
        ('did he say "no?"', "question"),
        ("it is so.", "statement"),
        ("do it!", "statement"),
        ('he said "no."', "statement"),
        ("what is", "unfinished"),
        ("what is it...", "unfinished"),
        ("what is it,", "unfinished"),
        ("", "unfinished"),
    ],
)
def test_a_transcript_ends_as_its_last_sign_says(text: str, kind: Ending) -> None:
    assert ending(text) == kind


def test_each_thing_that_speaks_for_more_lengthens_the_wait() -> None:
    wait = wait_ms("statement", OVER, OPTIONS)
    more = (
        replace(OVER, complete=0.1),
        replace(OVER, leads=True),
        replace(OVER, dangles=True),
        replace(OVER, reckons=True),
        replace(OVER, doubt=0.8),
        replace(OVER, paused_s=0.7),
    )
    assert all(wait_ms("statement", one, OPTIONS) > wait + 20 for one in more)
    assert wait_ms("question", OVER, OPTIONS) < wait < wait_ms("unfinished", OVER, OPTIONS)


def test_a_statement_that_sounds_finished_is_answered_soon_and_half_a_sentence_is_waited_for() -> None:
    assert wait_ms("statement", OVER, OPTIONS) <= 750
    assert wait_ms("unfinished", replace(OVER, complete=0.3), OPTIONS) >= 1200
    # Whoever paused for most of a second a while ago does so again.
    assert wait_ms("statement", replace(OVER, paused_s=0.86), OPTIONS) >= 1000


def test_an_open_melody_says_less_of_a_question_than_of_a_statement() -> None:
    open_ = replace(OVER, complete=0.05)
    assert wait_ms("question", open_, OPTIONS) <= 620
    assert wait_ms("statement", open_, OPTIONS) >= 800


def test_a_breath_is_no_pause_and_open_words_in_a_question_are_none() -> None:
    assert wait_ms("statement", replace(OVER, paused_s=0.3), OPTIONS) == wait_ms("statement", OVER, OPTIONS)
    open_words = replace(OVER, leads=True, dangles=True, reckons=True)
    assert wait_ms("question", open_words, OPTIONS) == wait_ms("question", OVER, OPTIONS)


@given(
    st.sampled_from(get_args(Ending)),
    st.builds(
        TurnSoFar,
        st.floats(0, 1),
        leads=st.booleans(),
        dangles=st.booleans(),
        reckons=st.booleans(),
        doubt=st.floats(0, 100),
        paused_s=st.floats(0, 100),
    ),
    st.sampled_from(("low", "medium", "high")),
)
def test_every_wait_lies_between_the_shortest_and_the_longest(
    kind: Ending, heard: TurnSoFar, eagerness: Literal["low", "medium", "high"]
) -> None:
    options = replace(OPTIONS, eagerness=eagerness)
    assert options.end_ms("question") <= wait_ms(kind, heard, options) <= options.end_ms("unfinished")
    assert 0 < openness(kind, heard) < 1
    assert len(features(kind, heard)) == len(WEIGHTS) == len(NAMES)


def test_eagerness_scales_the_wait() -> None:
    middle = wait_ms("statement", OVER, OPTIONS)
    assert wait_ms("statement", OVER, replace(OPTIONS, eagerness="low")) == pytest.approx(1.5 * middle, abs=2)
    assert wait_ms("statement", OVER, replace(OPTIONS, eagerness="high")) == pytest.approx(0.75 * middle, abs=2)


def test_where_all_waits_are_one_it_holds_whatever_was_heard() -> None:
    fixed = replace(OPTIONS, hard_end_ms=300, statement_end_ms=300, unfinished_end_ms=300)
    assert {wait_ms(kind, heard, fixed) for kind in get_args(Ending) for heard in (None, OVER, TurnSoFar(0.0))} == {300}


def test_without_a_judge_the_words_alone_decide() -> None:
    assert [wait_ms(kind, None, OPTIONS) for kind in get_args(Ending)] == [550, 1050, 1400]
    assert [wait_ms(kind, None, replace(OPTIONS, eagerness="low")) for kind in get_args(Ending)] == [825, 1575, 2100]


def test_what_a_turn_tells_is_read_from_its_words_and_its_longest_pause() -> None:
    pauses = TurnPauses(ENGLISH)
    pauses.turn_began()
    assert pauses.heard(words("Go on.", None), "Go on.") is None
    pauses.paused(1 * RATE)
    pauses.went_on(int(1.7 * RATE) + RESUME)
    pauses.paused(3 * RATE)
    pauses.went_on(int(3.4 * RATE) + RESUME)
    heard = pauses.heard(words("", 0.4, (1.0, math.exp(-1), 0.0)), "It is red. And two of the 3 are the")
    assert heard is not None
    assert heard.doubt == pytest.approx((1 - math.log(1e-3)) / 3)
    assert replace(heard, doubt=0.0) == TurnSoFar(0.4, leads=True, dangles=True, reckons=True, paused_s=0.7)
    pauses.turn_began()
    assert pauses.heard(words(""), "And two of 3 are red. It is two.") == TurnSoFar(0.5)
    assert pauses.heard(words(""), "") == TurnSoFar(0.5)


def test_which_words_promise_more_the_language_says() -> None:
    pauses = TurnPauses(ENGLISH)
    text = "Wenn ich zwei und drei nehme und das."
    assert pauses.heard(words(""), text) == TurnSoFar(0.5)
    pauses.language = GERMAN
    assert pauses.heard(words(""), text) == TurnSoFar(0.5, leads=True, dangles=True, reckons=True)
