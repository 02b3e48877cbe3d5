"""Numbers among words, in figures and spelled, by the tables of a language. Pure.

"twenty-four", "24", "24.0" and "$24" are the same value; so are "vierundzwanzig" and "24,0" in German.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

_WORD: Final = r"[^\W\d_]+(?:['’][^\W\d_]+)?"
_TIED: Final = re.compile(r"[^\W\d_]-")
_HUNDRED: Final = 100


def _whole(word: str) -> Sequence[str]:
    return (word,)


@dataclass(frozen=True, slots=True)
class NumberWords:
    """How numbers are written and spelled."""

    group: str
    """Stands between thousands, "," in "1,200"."""
    point: str
    """Stands before the parts of one, "." in "1.5"."""
    values: Mapping[str, int]
    """Words that add up: "seven", "seventy", and ordinals."""
    scales: Mapping[str, int]
    """Words that multiply what stands before them: "hundred", "thousand"."""
    joins: frozenset[str]
    """Words inside a spelled number that say nothing: "and"."""
    inner: Mapping[str, int] = field(default_factory=dict)
    """Words that are numbers only behind another one: "un" of "treinta y un", which is an article elsewhere."""
    multiples: Mapping[str, float] = field(default_factory=dict)
    """Words that are a number by themselves, and no part of another: "dozen"."""
    points: frozenset[str] = frozenset()
    """Words before the decimals of a number, which are said one by one: "point"."""
    minus: frozenset[str] = frozenset()
    """Words before a number below nought."""
    article: Mapping[str, int] = field(default_factory=dict)
    """Words that are a number where nothing else is said, and articles elsewhere: "ein"."""
    loose: bool = False
    """Whether the sign between thousands is taken for a point where it groups none: models write "3.50 Euro"."""
    split: Callable[[str], Sequence[str]] = _whole
    """Takes a word that is several apart, such as "zweihundertdrei"; gives others as they are."""
    token: re.Pattern[str] = field(init=False)
    """A number in figures, a word, or a sign."""
    grouped: re.Pattern[str] = field(init=False)
    """A number in figures with signs between its thousands."""
    spelled: frozenset[str] = field(init=False)
    """All words that numbers are spelled with."""

    def __post_init__(self) -> None:
        """Make the pattern of figures."""
        object.__setattr__(self, "spelled", frozenset(self.values.keys() | self.scales.keys()))
        group, point = re.escape(self.group), re.escape(self.point)
        grouped = rf"\d{{1,3}}(?:{group}\d{{3}})+(?!\d)(?:{point}\d+)?"
        points = rf"(?:{point}|{group})" if self.loose else point
        object.__setattr__(self, "token", re.compile(rf"{grouped}|\d+(?:{points}\d+)?|{_WORD}|\S"))
        object.__setattr__(self, "grouped", re.compile(grouped))

    def tokens(self, text: str) -> list[str]:
        """Give figures, words and signs in reading order, as they are written."""
        return self.token.findall(text)

    def pieces(self, text: str) -> list[float | str]:
        """Give a text in reading order, each number as its value and every other word in lower case; no signs."""
        found: list[float | str] = []
        run: list[str] = []
        for match in self.token.finditer(text):
            piece, word = match[0], match[0].lower()
            parts = self.split(word)
            # "trente-six" is not 6: a hyphen ties it to a word that is no number.
            tied = not run and _TIED.fullmatch(text[max(0, match.start() - 2) : match.start()]) is not None
            if not tied and (all(part in self.spelled for part in parts) or (run and word in self.inner)):
                run += parts
            elif not (run and (word in self.joins or piece == "-" or (piece == "," and self._scales(run[-1])))):
                found += self._spelled_values(run)
                run = []
                if piece[0].isdecimal():
                    found.append(self.figure(piece))
                elif word in self.multiples:
                    found.append(self.multiples[word])
                elif piece[0].isalpha():
                    found.append(word)
        return found + self._spelled_values(run)

    def _scales(self, word: str) -> bool:
        """Say whether a comma may follow a word inside a number: "two thousand, five hundred"."""
        return self.scales.get(word, 0) > _HUNDRED

    def values_in(self, text: str) -> list[float]:
        """Give the values of all numbers in reading order."""
        return [piece for piece in self.pieces(text) if isinstance(piece, float)]

    def read(self, words: str) -> float | None:
        """Give the value of words that are one number: "minus two point five" is -2.5; None for all else."""
        tokens = [token.lower() for token in self.tokens(words)]
        below = tokens[:1] != [] and tokens[0] in self.minus
        tokens = tokens[below:]
        point = next((at for at, token in enumerate(tokens) if token in self.points), len(tokens))
        whole, decimals = self._one(tokens[:point]), self._decimals(tokens[point + 1 :])
        if whole is None or (point < len(tokens) and not decimals):
            return None
        value = float(f"{whole:.0f}.{decimals}") if decimals else whole
        return -value if below else value

    def _one(self, tokens: Sequence[str]) -> float | None:
        """Give the value of words that are one number without sign and decimals."""
        if len(tokens) == 1 and tokens[0] in self.article:
            return float(self.article[tokens[0]])
        if tokens and tokens[0] in self.article and tokens[1] in self.scales:
            tokens = tokens[1:]
        found = self.pieces(" ".join(tokens))
        return found[0] if len(found) == 1 and isinstance(found[0], float) else None

    def _decimals(self, tokens: Sequence[str]) -> str:
        """Give the digits that are said behind a point, or one number: "fourteen"; none for all else."""
        digits = [self.values.get(token, 10) for token in tokens]
        if all(digit < 10 for digit in digits):
            return "".join(map(str, digits))
        value = self._one(tokens)
        return "" if value is None else f"{value:.0f}"

    def figure(self, written: str) -> float:
        """Give the value of a number in figures."""
        bare = written.replace(self.group, "" if self.grouped.fullmatch(written) else ".")
        return float(bare.replace(self.point, "."))

    def _spelled_values(self, words: Sequence[str]) -> list[float]:
        """Give the value of a run of number words: none, one, or several for "five six"."""
        values: list[float] = []
        total = current = 0
        open_number = False
        for word in words:
            scale = self.scales.get(word)
            if scale == _HUNDRED:
                current = max(current, 1) * scale
            elif scale is not None:
                # "Dos mil millones": what is greater takes all that is smaller before it.
                total, current = (
                    ((total + current) or 1) * scale if total < scale else total + max(current, 1) * scale,
                    0,
                )
            else:
                value = self.values[word] if word in self.values else self.inner[word]
                tens = current % 10 == 0 and current % 100 >= 20 and 0 < value < 10
                fits = tens or current == 0 or (current % _HUNDRED == 0 and value < _HUNDRED)
                if open_number and not fits:
                    values.append(float(total + current))
                    total, current = 0, 0
                current += value
            open_number = True
        if open_number:
            values.append(float(total + current))
        return values
