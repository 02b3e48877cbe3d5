from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio.options import VoiceOptions
from audio.speaking.clauses import Clauses

OPTIONS = VoiceOptions()


def split(text: str, step: int = 1) -> list[str]:
    clauses = Clauses(OPTIONS)
    found = [clause for start in range(0, len(text), step) for clause in clauses.receive(text[start : start + step])]
    return found + clauses.finish()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Yes. It is twelve.", ["Yes. ", "It is twelve."]),
        ("He lays 3.5 eggs, and $1,200 is fine. Next", ["He lays 3.5 eggs, ", "and $1,200 is fine. ", "Next"]),
        ("Dr. Smith met Mr. Jones vs. Mrs. Hill. Good.", ["Dr. Smith met Mr. Jones vs. Mrs. Hill. ", "Good."]),
        ("Come at 5 p.m. on Monday. Bye.", ["Come at 5 p.m. on Monday. ", "Bye."]),
        ("Come at 5 p.m. Then leave.", ["Come at 5 p.m. ", "Then leave."]),
        ("It is J. Doe, e.g. here. So am I. Yes.", ["It is J. Doe, ", "e.g. here. ", "So am I. ", "Yes."]),
        ('He said "Stop!" Then he left.', ['He said "Stop!" ', "Then he left."]),
        ("Well, no. Really?! Yes", ["Well, no. ", "Really?! ", "Yes"]),
        ("1. Take two eggs. 2. Boil them.", ["1. Take two eggs. ", "2. Boil them."]),
        ("First line\nSecond line", ["First line\n", "Second line"]),
        ("The result is twelve: six and six, which is", ["The result is twelve: ", "six and six, which is"]),
        ("... well then. Ok", ["... well then. ", "Ok"]),
    ],
)
def test_cuts_where_a_reader_would_breathe(text: str, expected: list[str]) -> None:
    assert split(text) == expected


def test_the_first_clause_may_be_short_and_later_ones_are_longer() -> None:
    text = "So the farmer has twelve, and each one lays two, so that makes twenty four a day, and more."
    first, second, *_ = split(text)
    assert first == "So the farmer has twelve, "
    assert second == "and each one lays two, so that makes twenty four a day, "


def test_a_clause_is_given_as_soon_as_it_is_complete() -> None:
    clauses = Clauses(OPTIONS)
    assert clauses.receive("It is twelve.") == []
    assert clauses.receive(" So") == ["It is twelve. "]
    assert clauses.receive(" there") == []
    assert clauses.finish() == ["So there"]
    assert clauses.finish() == []


def test_text_without_punctuation_is_cut_all_the_same() -> None:
    text = "word " * 100
    assert all(len(clause.split()) <= 30 for clause in split(text))
    assert all(len(clause) <= 400 for clause in split("x" * 3000))


PIECES = st.lists(
    st.sampled_from(
        [
            "word",
            "Dr.",
            "p.m.",
            "3.5",
            "1,200",
            "I",
            "a",
            ".",
            "?!",
            ",",
            ";",
            ":",
            " ",
            "\n",
            '"',
            "—",
            "Yes",
            "1.",
            "é",
        ]
    ),
    max_size=60,
).map("".join)


@settings(max_examples=300, deadline=None)
@given(PIECES | st.text(max_size=80) | st.integers(20, 60).map("go on ".__mul__), st.integers(1, 40))
def test_clauses_are_the_text_however_it_comes(text: str, step: int) -> None:
    clauses = split(text, step)
    assert "".join(clauses) == text
    assert clauses == split(text, len(text) or 1)
    assert "" not in clauses
