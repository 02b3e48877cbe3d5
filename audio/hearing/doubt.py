"""Which words of a transcript are doubtful, said in a way that the thinker can read. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from audio.messages import Words

MARK: Final = "(?)"
"""Stands behind a doubtful word."""


def marked(words: Words, below: float) -> str:
    """Return the committed text with a mark behind each word whose confidence is less than `below`.

    The mark stands outside the word and before its punctuation, so that the ending of a sentence stays what it is.
    """
    committed = words.committed.split()
    doubtful = [confidence < below for confidence in words.confidence[: len(committed)]]
    # Words that came without a confidence are believed.
    doubtful += [False] * (len(committed) - len(doubtful))
    return " ".join(_mark(word) if doubt else word for word, doubt in zip(committed, doubtful, strict=True))


def _mark(word: str) -> str:
    bare = word.rstrip(".,;:!?\"')")
    return f"{bare}{MARK}{word[len(bare) :]}"
