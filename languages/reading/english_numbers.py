"""Numbers as English words: cardinal, ordinal, digit by digit, years, parts. Pure.

A number is given as it is written, with "." before its parts and commas between its thousands.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from num2words import num2words

from languages.reading.grammar import after, before

if TYPE_CHECKING:
    from collections.abc import Sequence

NUMBER: Final = r"(?:\d{1,3}(?:,\d{3})+(?![\d,]\d)|\d{1,2}(?:,\d{2})+,\d{3}(?!\d)|\d+)(?:\.\d+)?"
"""Thousands in threes, or as in India: "12,34,567"."""
AMOUNT: Final = rf"(?:\d{{1,3}}(?:\.\d{{3}})+,\d\d?(?!\d)|\d+,\d\d?(?![\d,])|{NUMBER}|\.\d+)"
"""A number, also one that is written as on the continent, or without its nought."""
_LONGEST: Final = 15
"""Digits up to which a number is said as one; longer ones are said digit by digit."""
_LARGEST_PART: Final = 20
"""The greatest denominator that is said as a fraction; others are divisions."""
_FRACTIONS: Final = {(1, 2): "one half", (1, 4): "one quarter", (3, 4): "three quarters", (1, 100): "one hundredth"}
_NOUN: Final = re.compile(r" (?!(?:of|in|on|at|for|to|per|and|or|each|every|from|more|less|an?|is|if)\b)[a-z]")


def cardinal(number: str) -> str:
    """Say a number as it is written: "1,200.50" is "one thousand two hundred point five zero"."""
    whole, _, part = plain(number).partition(".")
    one_by_one = not whole or len(whole) > _LONGEST or (len(whole) > 1 and whole.startswith("0"))
    said = digits(whole) if one_by_one else _words(whole)
    return f"{said} point {digits(part)}".lstrip() if part else said


def plain(number: str) -> str:
    """Write a number without thousands, its parts behind a point: "1.234,56" is "1234.56", and "3,5" is "3.5"."""
    if re.fullmatch(r"\d{1,3}(?:\.\d{3})+,\d\d?|\d+,\d\d?", number):
        return number.replace(".", "").replace(",", ".")
    return number.replace(",", "")


def digits(number: str) -> str:
    """Say a number digit by digit."""
    return " ".join(_words(digit) for digit in number)


def groups(number: str) -> str:
    """Say a telephone number or the like digit by digit, with a pause between its groups."""
    found: Sequence[str] = re.findall(r"\d+|[xX]\b", number.replace("(0)", ""))
    said = (digits(group) if group.isdigit() else "X" for group in found)
    return (" " if max(map(len, found)) == 1 else ", ").join(said)


def ordinal(number: int) -> str:
    """Say the place in an order: 21 is "twenty first"."""
    return _evened(str(num2words(number, to="ordinal")))


def year(number: int) -> str:
    """Say a year: 1984 is "nineteen eighty four"."""
    return _evened(str(num2words(number, to="year")))


def counted(number: str, one: str, many: str) -> str:
    """Say how many there are of something."""
    return f"{cardinal(number)} {one if plain(number) == '1' else many}"


def before_noun(found: re.Match[str]) -> bool:
    """Say whether a measure tells what something is like: "a 5 km run" is of five kilometer."""
    return bool(re.search(r"\b(?i:an?) $", before(found)) and _NOUN.match(after(found)))


def fraction(over: int, under: int) -> str:
    """Say a part of a whole, or a division where it is none."""
    if (over, under) in _FRACTIONS:
        return _FRACTIONS[over, under]
    if not 0 < over < under <= _LARGEST_PART:
        return f"{cardinal(str(over))} divided by {cardinal(str(under))}"
    return f"{cardinal(str(over))} {ordinal(under)}{'' if over == 1 else 's'}"


def plural(said: str) -> str:
    """Say several of what ends in a number: "nineteen nineties", "sixes"."""
    if said.endswith("y"):
        return f"{said[:-1]}ies"
    return f"{said}es" if said.endswith("x") else f"{said}s"


def _words(number: str) -> str:
    return _evened(str(num2words(int(number)))).replace(" and ", " ")


def _evened(said: str) -> str:
    return said.replace("-", " ").replace(",", "").replace(" and ", " ")
