"""Which numbers and names of a reply at once a model was not sure of."""

from __future__ import annotations

import pytest

from languages.known import language_of
from reasoning.policies.doubt import UNSURE, least_sure

EN = language_of("en")


def pieces(text: str) -> list[tuple[str, float]]:
    """Give the tokens of "Russia has 1 2~-0.9 zones", parted by blanks, with the log-probability behind "~"."""
    found = []
    for word in text.split("|"):
        piece, _, log_prob = word.partition("~")
        found.append((piece, float(log_prob or 0.0)))
    return found


@pytest.mark.parametrize(
    ("sentence", "known", "least"),
    [
        ("Russia| has| |1|2~-0.9| time| zones.", "How many time zones does Russia have?", -0.9),
        ("Russia| has| |1|2~-0.9| time| zones.", "Are there 12 time zones in Russia?", 0.0),
        ("The| capital| is| Can~-0.7|berra~-0.1|.", "What is the capital?", -0.7),
        ("Can~-2.0|berra| is| the| capital.", "What is the capital?", 0.0),
        ("It~-3.0| is~-3.0| warm~-3.0| there.", "Is it warm?", 0.0),
        ("It| has| eight~-0.6| legs,| and| |7~-0.2| of| them...", "Legs?", -0.6),
        ("It has one~-4.0| leg.", "Legs?", 0.0),
        ("", "Legs?", 0.0),
    ],
)
def test_what_nobody_told_is_as_sure_as_its_least_likely_token(sentence: str, known: str, least: float) -> None:
    assert least_sure(pieces(sentence), known, EN) == least
    assert (least < UNSURE) == (least_sure(pieces(sentence), known, EN) < UNSURE)
