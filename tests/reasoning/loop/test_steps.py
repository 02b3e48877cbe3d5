from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasoning.loop.steps import Steps, sentence_end, spoken_part

TEXTS = st.lists(
    st.sampled_from(["The ", "box ", "3", "5", ". ", ".", "! ", "?", "\n", "e.g. ", "Dr. ", "2. ", "- ", "Yes", ', "']),
    max_size=30,
).map("".join)


def cuts(text: str, places: list[int]) -> list[str]:
    bounds = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[a:b] for a, b in pairwise(bounds)]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("It is done. And", "It is done."),
        ("Is it? Yes", "Is it?"),
        ('He said "yes." And', 'He said "yes."'),
        ("It costs 3.50 now. And", "It costs 3.50 now."),
        ("It is 24. The", "It is 24."),
        ("Take milk, e.g. two litres. And", "Take milk, e.g. two litres."),
        ("Ask Dr. Who. And", "Ask Dr. Who."),
        ("1. Take it. 2. Go", "1. Take it."),
        ("- one\n- two", "- one\n"),
        ("\n\n6 rows\n4", "\n\n6 rows\n"),
    ],
)
def test_the_first_sentence(text: str, first: str) -> None:
    end = sentence_end(text)
    assert end is not None
    assert text[:end] == first


@pytest.mark.parametrize(
    "text", ["", "It is", "It is done.", "It is 3.", "It is 3. ", "1. ", "- ", "...", ". . ", "\n"]
)
def test_what_is_not_complete_yet(text: str) -> None:
    assert sentence_end(text) is None


def test_the_end_of_the_text_completes_a_sentence() -> None:
    assert sentence_end("It is 3.", finished=True) == 8
    assert sentence_end("It is", finished=True) == 5
    assert sentence_end(" .", finished=True) is None


@given(TEXTS, st.lists(st.integers(0, 400), max_size=6))
def test_steps_lose_and_invent_nothing(text: str, places: list[int]) -> None:
    steps = Steps()
    told: list[str] = []
    for piece in cuts(text, places):
        told += steps.receive(piece)
    told += steps.finish()
    assert steps.finished == told
    assert steps.rest == ""
    assert steps.text == "\n".join(told)
    place = 0
    for step in told:
        assert step == step.strip()
        assert any(sign.isalnum() for sign in step)
        found = text.index(step, place)
        # What lies between steps are list marks and signs.
        assert sum(map(str.isalpha, text[place:found])) == 0
        place = found + len(step)
    assert sum(map(str.isalpha, text[place:])) == 0


@given(TEXTS.map(lambda text: text.replace("\n", " ")), st.lists(st.integers(0, 400), max_size=6))
def test_letter_by_letter_gives_the_same_steps(text: str, places: list[int]) -> None:
    one, other = Steps(), Steps()
    for piece in cuts(text, places):
        one.receive(piece)
    for sign in text:
        other.receive(sign)
    assert [*one.finished, *one.finish()] == [*other.finished, *other.finish()]


def test_what_is_begun_is_no_step() -> None:
    steps = Steps()
    assert steps.receive("There are 6 rows. Each") == ["There are 6 rows."]
    assert steps.receive(" has 4.") == []
    assert steps.text == "There are 6 rows."
    assert steps.finish() == ["Each has 4."]


@pytest.mark.parametrize(
    ("pieces", "finished", "spoken", "kept"),
    [
        (["It", " is", " 24", ".", ""], True, "It is 24.", 5),
        (["It", " is", " 24", ""], True, "It is 24", 4),
        (["It", " is", " so", ".", " And"], False, "It is so.", 4),
        (["It", " is", " so", ".\n"], False, "It is so.", 4),
        (["It", " is,", " as", " told,", " when", " it"], False, "It is, as told.", 4),
        (["It", " is", " and"], False, "", 0),
        ([""], True, "", 0),
        ([" ", ""], True, "", 0),
        ([], False, "", 0),
    ],
)
def test_the_part_that_can_be_spoken(pieces: list[str], *, finished: bool, spoken: str, kept: int) -> None:
    assert spoken_part(pieces, finished=finished) == (spoken, kept)


@given(TEXTS, st.lists(st.integers(0, 400), max_size=12), st.booleans())
def test_what_is_spoken_is_what_is_kept(text: str, places: list[int], finished: bool) -> None:
    pieces = cuts(text, places)
    spoken, kept = spoken_part(pieces, finished=finished)
    assert 0 <= kept <= len(pieces)
    assert "".join(pieces[:kept]).strip().startswith(spoken.removesuffix("."))
    assert bool(kept) == bool(spoken)
