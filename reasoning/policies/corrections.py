"""What new words leave standing of thoughts that they interrupted.

"Sorry, I meant six tickets" replaces one number of the question. Steps of the thoughts that used the old number fall,
and with them all that rests on their results; the others stand, and are not thought again. Words with numbers that fit
none of the question's are a question of their own, and nothing stands. Sans-I/O.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from languages.english import ENGLISH
from reasoning.policies.grounding import numbers, pieces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from languages.language import Language

_BEFORE: Final = 3
_BEHIND: Final = 5
"""Words around a number that tell which quantity it is."""
_SAME_THING: Final = 3
"""What a quantity of the same thing counts for, in other words that are the same."""
_CLAUSE_END: Final = re.compile(r"(?<=[.?!,;])\s+|\n")


def standing(steps: Sequence[str], told: str, words: str, language: Language = ENGLISH) -> list[str]:
    """Give the steps that stand once `words` were said to what had been `told`, in their order.

    Where something falls, only calculations are kept of the rest, without their list marks: they alone save work.
    """
    if _adds_only(words, language):
        return list(steps)
    fallen = {exchange.old for exchange in exchanges(told, words, language)}
    kept: list[str] = []
    for step in (language.working.numbered.sub("", step) for step in steps if fallen):
        given, found = _parts(step, language)
        if given & fallen:
            fallen |= found
        elif given and found and not found & fallen:
            kept.append(step)
    return kept


def restated(told: str, words: str, language: Language = ENGLISH) -> str:
    """Give what was told with the numbers that `words` replace; nothing where they replace none for certain."""
    found = [] if _adds_only(words, language) else exchanges(told, words, language)
    spans = _spans(told, language)
    pairs = {(exchange.place, exchange.by) for exchange in found}
    certain = len(pairs) == len({place for place, _ in pairs}) == len({by for _, by in pairs})
    if not found or not certain or len(spans) != len(_quantities(told, language)):
        return ""
    for exchange in sorted(found, key=lambda exchange: -exchange.place):
        start, end = spans[exchange.place]
        told = f"{told[:start]}{exchange.new}{told[end:]}"
    return told


@dataclass(frozen=True, slots=True)
class CorrectedExchange:
    """One number replaces another one."""

    place: int
    """Which number of the text it replaces, counted from 0."""
    old: float
    new: str
    """As it was said."""
    by: int
    """Which of the new numbers it is."""


def exchanges(told: str, words: str, language: Language = ENGLISH) -> list[CorrectedExchange]:
    """Give the numbers of `told` that `words` replace: those named as wrong, or said of the same thing.

    Several for one number, where more than one of the text may be meant.
    """
    there, here, spans = _quantities(told, language), _quantities(words, language), _spans(words, language)
    if len(here) != len(spans):
        return []
    named = _named_as_wrong(words, language)
    said = [(one, words[start:end]) for one, (start, end) in zip(here, spans, strict=True) if one.value not in named]
    wrong = [place for place, other in enumerate(there) if other.value in named]
    if wrong and len(said) == 1:
        return [CorrectedExchange(place, there[place].value, said[0][1], 0) for place in wrong]
    found: list[CorrectedExchange] = []
    for by, (one, text) in enumerate(said):
        alike = [(one.likeness(other), place) for place, other in enumerate(there) if other.value != one.value]
        most = max((likeness for likeness, _ in alike), default=0)
        found += [
            CorrectedExchange(place, there[place].value, text, by) for likeness, place in alike if likeness == most > 0
        ]
    return found


def _adds_only(words: str, language: Language) -> bool:
    """Say whether words replace nothing: they hold no number, or add to what was told."""
    return bool(language.corrections.adds.search(words)) or not numbers(words, language) - {1.0}


def _named_as_wrong(words: str, language: Language) -> set[float]:
    ends = [match.end() for match in language.corrections.negated.finditer(words)]
    heads = [next(iter(pieces(words[end:], language)), "") for end in ends]
    return {head for head in heads if isinstance(head, float)}


def _spans(text: str, language: Language) -> list[tuple[int, int]]:
    """Give where the numbers of a text stand, in figures or spelled."""
    found: list[tuple[int, int]] = []
    joins = {" ", "-", *(f" {word} " for word in language.numbers.joins)}
    for match in language.numbers.token.finditer(text):
        if not numbers(match[0], language):
            continue
        start, end = found[-1] if found else (0, 0)
        between = text[end : match.start()]
        # "twenty seven", "twenty-seven" and "a hundred and five" are one number, "five, six" are two.
        joined = found and between in joins and len(numbers(text[start : match.end()], language)) == 1
        spelled = found and not any(sign.isdigit() for sign in text[start : match.end()])
        if joined and spelled:
            found[-1] = start, match.end()
        else:
            found.append(match.span())
    return found


@dataclass(frozen=True, slots=True)
class _Quantity:
    value: float
    thing: str
    """The word that says what is counted, without its ending."""
    around: frozenset[str]
    """All words that tell which quantity it is."""

    def likeness(self, other: _Quantity) -> int:
        return _SAME_THING * (self.thing == other.thing != "") + len(self.around & other.around)


def _quantities(text: str, language: Language) -> list[_Quantity]:
    for amount, said in language.corrections.money:
        text = amount.sub(said, text)
    return [one for clause in _CLAUSE_END.split(text) for one in _quantities_in(pieces(clause, language), language)]


def _quantities_in(read: Sequence[float | str], language: Language) -> list[_Quantity]:
    found: list[_Quantity] = []
    for at, piece in enumerate(read):
        if isinstance(piece, float):
            behind = _telling(read[at + 1 : at + 1 + _BEHIND], language)
            before = _telling(read[max(0, at - _BEFORE) : at][::-1], language)
            found.append(_Quantity(piece, behind[0] if behind else "", frozenset([*before, *behind])))
    return found


def _telling(side: Sequence[float | str], language: Language) -> list[str]:
    """Give the words next to a number, as far as the next one or another clause."""
    words: list[str] = []
    known = language.corrections
    for piece in side:
        if isinstance(piece, float) or piece in known.joins:
            break
        if piece not in known.says_nothing:
            words.append(known.endings.sub("", piece) or piece)
    return words


def _parts(step: str, language: Language) -> tuple[set[float], set[float]]:
    """Give the numbers that a step uses, and those that it finds."""
    cut = language.corrections.result.search(step)
    if cut is None:
        return numbers(step, language), set()
    return numbers(step[: cut.start()], language), numbers(step[cut.end() :], language)
