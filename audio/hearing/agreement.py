"""Which words of a growing utterance can be trusted: LocalAgreement-2. Pure.

After Macháček, Dabre, Bojar, "Turning Whisper into Real-Time Transcription System" (2023), section 2: commit the
longest common prefix of two successive hypotheses. The newest word is held back besides, since it may be cut off.
Words are compared without case and punctuation. When two successive hypotheses agree against what was committed,
that is taken back. Does not know sound or time.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from audio.messages import Words


@dataclass(frozen=True, slots=True)
class Word:
    """One word as heard, without surrounding space."""

    text: str

    confidence: float
    """Probability, 0..1."""


def edits(one: Sequence[str], other: Sequence[str]) -> int:
    """Count the words to put in, leave out or change that make one sequence the other (Levenshtein)."""
    row = list(range(len(other) + 1))
    for number, word in enumerate(one, 1):
        before, row[0] = row[0], number
        for index, against in enumerate(other, 1):
            before, row[index] = row[index], min(row[index] + 1, row[index - 1] + 1, before + (word != against))
    return row[-1]


def key(word: str) -> str:
    """Return what makes two spellings the same word: letters, digits and inner signs, without case."""
    kept = "".join(sign for sign in word.casefold() if not unicodedata.category(sign).startswith("P") or sign in "%&")
    return kept or word


class Agreement:
    """Successive hypotheses over the same sound in; committed and tentative words out."""

    def __init__(self) -> None:
        self._previous: Sequence[Word] = ()
        self.committed: list[Word] = []
        """Words that are trusted."""
        self.tentative: list[Word] = []
        """Words of the newest hypothesis after those."""

    def receive(self, hypothesis: Sequence[Word]) -> bool:
        """Take the next hypothesis. Return True if words that were committed had to be taken back."""
        agreed = min(_common(self._previous, hypothesis), max(0, len(hypothesis) - 1))
        self._previous = hypothesis
        same = _common(self.committed, hypothesis)
        revised = same < min(len(self.committed), agreed)
        if revised:
            self.committed = self.committed[:same]
        if same == len(self.committed):
            self.committed = [*self.committed, *hypothesis[same:agreed]]
        self.tentative = list(hypothesis[len(self.committed) :])
        return revised

    def settle(self, hypothesis: Sequence[Word]) -> bool:
        """Take a hypothesis that is believed as it stands. Return True if committed words were taken back."""
        same = _common(self.committed, hypothesis)
        revised = same < len(self.committed)
        self.committed = [*self.committed[:same], *hypothesis[same:]]
        self.tentative = []
        self._previous = hypothesis
        return revised

    def reopen(self) -> None:
        """Take back the last word of a settled hypothesis: what follows decides how it is spelt, and its full stop."""
        self.tentative = self.committed[-1:]
        self.committed = self.committed[:-1]


class Stretches:
    """What was heard of a turn: stretches that are settled, and the one that is being heard."""

    def __init__(self, turn: int) -> None:
        self._turn = turn
        self.revision = 0
        self._settled: list[Word] = []
        self._stretch = Agreement()

    def receive(self, hypothesis: Sequence[Word]) -> None:
        """Take the next hypothesis about the stretch."""
        self.revision += self._stretch.receive(hypothesis)

    def settle(self, hypothesis: Sequence[Word]) -> None:
        """Take a hypothesis about the stretch that is believed as it stands."""
        self.revision += self._stretch.settle(hypothesis)

    def next_stretch(self) -> None:
        """Keep the words of the stretch as they are: another one begins."""
        self._settled += self._stretch.committed
        self._stretch = Agreement()

    def reopen(self) -> None:
        """Speech went on after all: whatever comes now is a new revision."""
        self.revision += 1
        self._stretch.reopen()

    def words(self, *, final: bool) -> Words:
        """Return it as it stands."""
        committed, tentative = [*self._settled, *self._stretch.committed], self._stretch.tentative
        return Words(
            turn=self._turn,
            revision=self.revision,
            committed=_text(committed),
            tentative=_text(tentative),
            confidence=tuple(word.confidence for word in (*committed, *tentative)),
            final=final,
        )

    def other(self, hypothesis: Sequence[Word]) -> str:
        """Return the text of the turn if this were what was heard in the stretch; empty without a hypothesis."""
        return _text([*self._settled, *hypothesis]) if hypothesis else ""


def _text(words: Sequence[Word]) -> str:
    return " ".join(word.text for word in words)


def _common(first: Sequence[Word], second: Sequence[Word]) -> int:
    """Length of the longest common prefix."""
    length = 0
    for one, other in zip(first, second, strict=False):
        if key(one.text) != key(other.text):
            break
        length += 1
    return length
