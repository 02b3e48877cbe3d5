from __future__ import annotations

import pytest

from reasoning.policies.admission import judge


@pytest.mark.parametrize("text", ["", " ", "...", "“”"])
def test_what_has_no_word_is_not_said(text: str) -> None:
    assert not judge(text, "", "", "", grounding=True).speak


def test_a_sentence_needs_ground() -> None:
    verdict = judge("It is 7.", "Is it 6?", "So it is 8.", "", grounding=True)
    assert not verdict.speak
    assert "7" in verdict.reason
    assert judge("It is 7.", "Is it 6?", "So it is 8.", "", grounding=False).speak
    assert judge("It is six.", "Is it 6?", "", "", grounding=True).speak
    assert judge("It is eight.", "Is it 6?", "So it is 8.", "", grounding=True).speak


def test_what_was_said_is_no_ground() -> None:
    assert not judge("So 7 it will be, as told.", "", "", "It is 7.", grounding=True).speak


def test_a_sentence_is_said_once() -> None:
    said = "There are 6 rows. Each of them has 4 eggs."
    assert not judge("There are six rows.", "6 4 24", "", said, grounding=True).speak
    assert not judge("There are 6 rows.", "6 4 24", "", said, grounding=True).speak
    assert judge("There are 24 rows.", "6 4 24", "", said, grounding=True).speak
    assert judge("So the eggs fill everything.", "6 4 24", "", said, grounding=True).speak
