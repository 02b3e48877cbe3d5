"""Cuts a growing text into finished steps and sentences. Sans-I/O; knows nothing about who writes the text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from languages.english import ENGLISH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from languages.language import Language

# "The cost of the tickets:" announces a step; what it found comes on the next line.
_LINE: Final = re.compile(r"(?<=\S)(?<!:)[ \t]*\n")
_CLAUSE: Final = re.compile(r"[,;:](?=\s)")
_WORD: Final = re.compile(r"\w")
_LONGER: Final = 5
"""Words of a sentence that does not come again by chance."""
_LIST_MARK: Final = re.compile(r"^\s*(?:[-*•]|\(?\d{1,2}[.)])?\s*$")


def sentence_end(text: str, language: Language = ENGLISH, *, finished: bool = False) -> int | None:
    """Give the length of the first whole sentence or line, None while it is not complete.

    The mark must be followed by white space, or the text be `finished`: "3." may become "3.5".
    """
    stops = []
    line = _LINE.search(text)
    if line:
        stops.append(line.end())
    for pattern in (language.sentences.end, language.sentences.numbered_end):
        for match in pattern.finditer(text):
            if _WORD.search(text[: match.start()]) and not _LIST_MARK.match(text[: match.end()]):
                stops.append(match.end())
                break
    if stops:
        return min(stops)
    return len(text) if finished and _WORD.search(text) else None


def spoken_part(pieces: Sequence[str], language: Language = ENGLISH, *, finished: bool) -> tuple[str, int]:
    """Give the first sentence of a text in pieces, and how many pieces it takes; without an end, up to a clause's."""
    text = "".join(pieces)
    end = sentence_end(text, language, finished=finished)
    close = ""
    if end is None:
        clauses = [match.start() for match in _CLAUSE.finditer(text) if _WORD.search(text[: match.start()])]
        end, close = (clauses[-1], ".") if clauses else (0, "")
    spoken = text[:end].strip()
    if not spoken:
        return "", 0
    if finished and not text[end:].strip():
        return spoken + close, len(pieces)
    kept = length = 0
    while length < end:
        length += len(pieces[kept])
        kept += 1
    return spoken + close, kept


class Steps:
    """Collects finished steps of the thoughts: a sentence, or a line."""

    def __init__(self, finished: Sequence[str] = ()) -> None:
        """Take the steps that stand there already."""
        self.finished = list(finished)
        """Only grows: what reads it may remember how far it has come."""
        self.rest = ""
        """Text behind the last finished step; white space counts."""

    def receive(self, text: str, language: Language = ENGLISH) -> list[str]:
        """Take the next text and return the steps that it finishes."""
        self.rest += text
        new: list[str] = []
        while (end := sentence_end(self.rest, language)) is not None:
            new += self._taken(end)
        return new

    def finish(self) -> list[str]:
        """End the text: what is left is a step."""
        return self._taken(len(self.rest))

    @property
    def circling(self) -> bool:
        """Whether the text repeats itself: its newest step stands there for the third time."""
        return bool(self.finished) and self.finished.count(self.finished[-1]) > 2

    @property
    def circling_in_prose(self) -> bool:
        """The same of prose, where short sentences ("Wait.") may come again: a longer one is there a fourth time."""
        newest = self.finished[-1] if self.finished else ""
        return len(newest.split()) >= _LONGER and self.finished.count(newest) > 3

    @property
    def text(self) -> str:
        """The finished steps, a line each."""
        return "\n".join(self.finished)

    def _taken(self, end: int) -> list[str]:
        step, self.rest = self.rest[:end].strip(), self.rest[end:]
        if not _WORD.search(step) or _LIST_MARK.match(step):
            return []
        self.finished.append(step)
        return [step]
