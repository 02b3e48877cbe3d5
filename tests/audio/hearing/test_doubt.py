from __future__ import annotations

from audio.hearing.doubt import marked
from audio.messages import Words


def test_a_word_of_low_confidence_is_marked_before_its_punctuation() -> None:
    words = Words(1, 0, "I buy fifty tickets. How much?", "", (0.9, 0.9, 0.2, 0.9, 0.8, 0.1), final=True)
    assert marked(words, 0.35) == "I buy fifty(?) tickets. How much(?)?"
    assert marked(words, 0.0) == words.committed


def test_tentative_words_are_no_part_of_it() -> None:
    assert marked(Words(1, 0, "Stop", "now", (0.9, 0.1), final=False), 0.5) == "Stop"
