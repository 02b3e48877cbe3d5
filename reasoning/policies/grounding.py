"""Which numbers and names a sentence states, and whether others have stated them before.

Speech may state only what the user or the thoughts contain (the disclosure rule). Spelled numbers count as their
value: "twenty-four", "24", "24.0" and "$24" are the same. Sans-I/O; English.
"""

from __future__ import annotations

import re
from typing import Final

_UNITS: Final = {
    "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16,
    "seventeen": 17, "eighteen": 18, "nineteen": 19,
}  # fmt: skip
_TENS: Final = {
    "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
}  # fmt: skip
_SCALES: Final = {"hundred": 100, "thousand": 1_000, "million": 1_000_000, "billion": 1_000_000_000}
_ORDINALS: Final = {
    "first": 1, "second": 2, "third": 3, "fifth": 5, "eighth": 8, "ninth": 9, "twelfth": 12,
    **{f"{word}th": value for word, value in _UNITS.items()},
    **{f"{word[:-1]}ieth": value for word, value in _TENS.items()},
}  # fmt: skip
_SPELLED: Final = _UNITS.keys() | _TENS.keys() | _SCALES.keys() | _ORDINALS.keys()
_MULTIPLES: Final = {"dozen": 12.0}
_CALENDAR: Final = frozenset((
    "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "january", "february", "march",
    "april", "june", "july", "august", "september", "october", "november", "december",
))  # fmt: skip

_TOKEN: Final = re.compile(r"\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?|[^\W\d_]+(?:['’][^\W\d_]+)?|\S")
_SENTENCE_START: Final = frozenset('.!?:;\n"“(-*')
# Said of nothing in particular: "one of them", "for a second", "I", and words that are written large for other reasons.
_FREE_NUMBERS: Final = frozenset({0.0, 1.0})
_FREE_WORDS: Final = frozenset({"i", "i'm", "i'll", "i've", "i'd", "ok", "okay", "am", "pm"})


def numbers(text: str) -> set[float]:
    """Give the values of all numbers in the text, in figures or spelled."""
    return set(_values(text))


def _values(text: str) -> list[float]:
    """Give those values in reading order."""
    return [piece for piece in pieces(text) if isinstance(piece, float)]


def pieces(text: str) -> list[float | str]:
    """Give the text in reading order, each number as its value and every other word in lower case; no signs."""
    found: list[float | str] = []
    spelled: list[str] = []
    for piece in _TOKEN.findall(text):
        word = piece.lower()
        if word in _SPELLED or (word == "and" and spelled):
            spelled.append(word)
            continue
        if spelled and (piece == "-" or (piece == "," and _SCALES.get(spelled[-1], 0) > 100)):
            continue
        found += _spelled_values(spelled)
        spelled = []
        if piece[0].isdecimal():
            found.append(float(piece.replace(",", "")))
        elif word in _MULTIPLES:
            found.append(_MULTIPLES[word])
        elif piece[0].isalpha():
            found.append(word)
    return found + _spelled_values(spelled)


def names(text: str) -> set[str]:
    """Give the names in the text: words written large where a sentence does not begin, days and months anywhere."""
    found: set[str] = set()
    begins = True
    for token in _TOKEN.findall(text.replace("\n", " . ")):
        word = _plain(token)
        if word in _CALENDAR or (token[0].isupper() and not begins and word not in _FREE_WORDS | _SPELLED):
            found.add(word)
        begins = token in _SENTENCE_START
    return found


def ungrounded(sentence: str, *sources: str) -> list[str]:
    """Give the numbers and names of the sentence that no source contains, in reading order of kind."""
    known = "\n".join(sources)
    known_numbers, known_words = numbers(known) | _FREE_NUMBERS, set(map(_plain, _TOKEN.findall(known)))
    strange: list[str] = [f"{value:g}" for value in sorted(numbers(sentence) - known_numbers)]
    return strange + sorted(names(sentence) - known_words)


def last_number(text: str) -> float | None:
    """Give the last number that the text states, the usual place of a result."""
    return next(reversed(_values(text)), None)


def _plain(word: str) -> str:
    return word.lower().replace("’", "'").removesuffix("'s")


def _spelled_values(words: list[str]) -> list[float]:
    """Give the value of a run of number words: none, one, or several for "five six"."""
    values: list[float] = []
    total = current = 0
    open_number = False
    for word in words:
        if word == "and":
            continue
        if word in _SCALES:
            scale = _SCALES[word]
            if scale == 100:
                current = max(current, 1) * scale
            else:
                total, current = total + max(current, 1) * scale, 0
        else:
            value = _UNITS.get(word) or _TENS.get(word) or _ORDINALS.get(word, 0)
            fits = current % 100 == 0 or (current % 10 == 0 and current % 100 >= 20 and 0 < value < 10)
            if open_number and not fits:
                values.append(float(total + current))
                total, current = 0, 0
            current += value
        open_number = True
    if open_number:
        values.append(float(total + current))
    return values
