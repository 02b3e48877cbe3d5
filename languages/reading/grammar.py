"""A grammar of written forms: rules that are tried in order, from left to right, each place read once. Pure.

Well-kept normalisers were weighed first. NeMo text processing (Apache-2.0) and WeTextProcessing read more forms, but
stand on pynini: 166 MB to fetch and 741 MB of files, beside pandas and transformers. num2words (LGPL) is small and says
whole numbers; what stands around them is said here.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_WORD: Final = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_NEAR: Final = 40
"""Letters before a form that may tell what it is."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of written form, and how it is said."""

    pattern: re.Pattern[str]
    say: Callable[[re.Match[str]], str | None]
    """Gives the words, or none where the form turns out to be another one."""


def rule(pattern: str, say: Callable[[re.Match[str]], str | None] | str) -> Rule:
    """Make a rule from a pattern, whose classes are those of ASCII, and from what to say."""
    return Rule(re.compile(pattern, re.ASCII), (lambda _: say) if isinstance(say, str) else say)


class ReadingGrammar:
    """The rules of one language. Rules that begin with letters are tried at the beginning of words only."""

    def __init__(self, words: Iterable[Rule], signs: Iterable[Rule]) -> None:
        self._words = tuple(words)
        self._signs = tuple(signs)

    def read(self, text: str) -> str:
        """Say every form in a text. Words come out as they went in, and none is glued to what is said."""
        pieces: list[str] = []
        at, last, glue = 0, "", False
        while at < len(text):
            word = _WORD.match(text, at)
            found, said = self._first(self._words if word else self._signs, text, at)
            end = found.end() if found else word.end() if word else at + 1
            said = said if found else text[at:end]
            if said:
                if (found or glue) and last.isalnum() and said[0].isalnum():
                    pieces.append(" ")
                pieces.append(said)
                last = said[-1]
                # Figures stand between this word and the next one: what is said of them is apart from both.
                glue = found is not None
            at = end
        return "".join(pieces)

    @staticmethod
    def _first(rules: Sequence[Rule], text: str, at: int) -> tuple[re.Match[str] | None, str]:
        for one in rules:
            found = one.pattern.match(text, at)
            if found and found.end() > at:
                said = one.say(found)
                if said is not None:
                    return found, said
        return None, ""


def before(found: re.Match[str]) -> str:
    """Give what stands right before a form."""
    return found.string[max(0, found.start() - _NEAR) : found.start()]


def after(found: re.Match[str]) -> str:
    """Give what stands right behind a form."""
    return found.string[found.end() : found.end() + _NEAR]


def with_stop(found: re.Match[str], said: str) -> str:
    """Keep the full stop of a short form that ends a text."""
    return f"{said}." if found.group().endswith(".") and not after(found).strip() else said


def any_of(names: Iterable[str]) -> str:
    """Give a pattern of any of these names, the longest first."""
    return "|".join(sorted(map(re.escape, names), key=lambda name: (-len(name), name)))


_RAISED: Final = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_LOWERED: Final = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")


_GROUPED: Final = re.compile(
    r"(?<![\w.,+(/-])(?<!\d )(?:[1-9]\d?(?: [0-9]{3}){2,}|[1-9]\d{0,2}(?: 000)+)(?![\d/-]| \d)", re.ASCII
)
"""Thousands with spaces between them; other figures in threes may be a telephone's."""


def in_ascii(text: str) -> str:
    """Write raised figures behind "^", signs of fractions and figures of other scripts with those of ASCII."""
    text = re.sub("[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda found: "^" + found.group().translate(_RAISED), text.translate(_LOWERED))
    text = re.sub("(?<=[0-9])[\u00a0\u202f\u2009](?=[0-9]{3}(?![0-9]))", "", text)
    text = re.sub("[\u00a0\u202f\u2009]", " ", text)
    text = _GROUPED.sub(lambda found: found.group().replace(" ", ""), text)
    text = re.sub("(?<=[0-9])( ?)μ(?=[A-Za-z])", r"\1µ", text)
    text = re.sub("(?<=[0-9]) ?(?=[¼-¾⅐-⅞])", " ", text)
    return text if text.isascii() else "".join(map(_in_ascii, text))


def _in_ascii(sign: str) -> str:
    if sign.isdecimal():
        return str(unicodedata.decimal(sign))
    return unicodedata.normalize("NFKC", sign) if sign.isnumeric() else sign
