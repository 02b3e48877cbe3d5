"""Was that a command to stop? Words in, the phrase out. Pure: knows neither sound nor whose turn it is.

A phrase counts where it heads a clause ("stop the robot", "no, stop"), or stands in one with next to nothing else
("robot stop", "could you please stop"). In the midst of a sentence it is a word like others ("where is the bus stop"),
and behind a subject it tells of a stop: "it stop working" is what is heard of "it stopped working".
Some phrases are common words ("para" is "for" in Spanish): they count where their clause says nothing more.
Whatever is being spoken, the commands of all languages count, with the words that each of them has around one.
A stop that is lost is worse than a false one, so what is left open by this is a stop.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from audio.hearing.agreement import key
from audio.messages import Command
from languages.known import known_languages

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_CLAUSES: Final = re.compile(r"[.!?,;:…—]+(?=\s|$)")
_OTHERS: Final = 2
"""Different words that a clause may hold beside the phrase: "the robot stop"."""
_SHORT: Final = 4
"""Words of a clause that says no more than to stop; "stop by the kitchen for a cup" says more."""


class StopPhrases:
    """A set of phrases, compared as whole words without case and punctuation."""

    def __init__(self, phrases: Iterable[str]) -> None:
        self._phrases = sorted(((_keys(phrase), phrase) for phrase in phrases), key=lambda pair: -len(pair[0]))
        words = [language.stops for language in known_languages().values()]
        self._alone = frozenset[str]().union(*(of.alone for of in words))
        self._polite = frozenset[str]().union(*(of.polite for of in words))
        self._negated = frozenset[str]().union(*(of.negated for of in words))
        self._naming = frozenset[str]().union(*(of.naming for of in words))
        self._telling = frozenset[str]().union(*(of.telling for of in words))

    def command(self, text: str) -> Command | None:
        """Give the last command to stop among the words."""
        return next(reversed(self.heard(text)), None)

    def heard(self, text: str) -> list[Command]:
        """Give the commands to stop that the words hold, one for each clause that is one."""
        found = (self._command(_keys(clause)) for clause in _CLAUSES.split(text))
        return [command for command in found if command]

    def nothing_else(self, text: str) -> bool:
        """Say whether the words are commands to stop and next to nothing more."""
        clauses = [words for clause in _CLAUSES.split(text) if (words := _keys(clause))]
        rest = [words for words in clauses if not self._command(words) or len(words) > _SHORT]
        return len(rest) < len(clauses) and all(self._polite.issuperset(words) for words in rest)

    def _command(self, words: Sequence[str]) -> Command | None:
        for phrase, written in self._phrases:
            for start in range(len(words) - len(phrase) + 1) if phrase else ():
                if list(words[start : start + len(phrase)]) != phrase:
                    continue
                before = [word for word in words[:start] if word not in self._polite]
                # A word that is said again, as short decodes like to, is no further one.
                others = {*before, *words[start + len(phrase) :]} - self._polite - {*phrase}
                told_of = bool(before) and (before[-1] in self._naming or words[start - 1] in self._telling)
                if written in self._alone:
                    if not others:
                        return Command(written, heads=False)
                elif not self._negated.intersection(before) and not told_of and (not before or len(others) <= _OTHERS):
                    return Command(written, heads=not before)
        return None


def _keys(text: str) -> list[str]:
    return [key(word) for word in text.split()]
