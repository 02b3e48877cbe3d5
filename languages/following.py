"""Which language a speaker is answered in, as evidence comes turn by turn. Sans-I/O: knows neither sound nor words.

A detection of one short turn may be wrong ("no" is Spanish and English, and a name is anything), and a switch that was
wrong costs a whole reply in a language that nobody speaks. So a switch needs one turn that is long and clear, or two in
a row. The first turn has no history to go against, and is believed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

SURE: Final = 0.8
"""Probability from which one turn switches."""
LONG_S: Final = 1.2
"""Seconds of sound that such a turn has; what is shorter is a word or two."""
LIKELY: Final = 0.5
"""Probability from which two turns in a row switch, and the first turn is believed."""


class LanguageFollower:
    """What one speaker speaks; their own turns alone change it."""

    def __init__(self, languages: Sequence[str]) -> None:
        """`languages`: codes of those that may be spoken; the first is spoken until there is evidence."""
        self._languages = tuple(languages)
        self.spoken = self._languages[0]
        """Code of what is spoken."""
        self._settled = False
        """Whether any turn has been heard."""
        self._suspect = ""
        """What the turn before was in, if that was another one."""

    def leaning(self, code: str, probability: float, seconds: float) -> str:
        """Give what is spoken in a turn that was detected so, without taking note."""
        if code == self.spoken or code not in self._languages or probability < LIKELY:
            return self.spoken
        clear = probability >= SURE and seconds >= LONG_S
        return code if clear or code == self._suspect or not self._settled else self.spoken

    def heard(self, code: str, probability: float, seconds: float) -> str:
        """Take note of a whole turn, and give what is spoken in it.

        code: what it sounds like. probability: 0..1 among the languages. seconds: how long it is.
        """
        spoken = self.leaning(code, probability, seconds)
        self._suspect = code if spoken != code and probability >= LIKELY else ""
        self._settled, self.spoken = True, spoken
        return spoken
