"""A calculation of the thoughts whose result is surely wrong, with the right one in its place.

A small model reckons badly what it has set up well: "3:45 pm + 90 minutes = 4:35 pm". Only what can be read in one way
counts: numbers with one sign, or several where every order of working gives another result than the one that stands
there, in one unit; clock times with durations. Whatever else a step holds, it is left as it is. Sans-I/O.
"""

from __future__ import annotations

import operator
import re
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from languages.language import Language

_HOUR: Final = 60
_HALF: Final = 12 * _HOUR
_DAY: Final = 24 * _HOUR
"""In minutes."""
_LONGEST: Final = 160
"""Characters of a line that is read: a plain calculation has no more."""
_WORD: Final = r"(?!x\b)[^\W\d_][^\W\d_'’-]*"
_UNIT: Final = rf"(?: ?{_WORD}(?: {_WORD}){{0,3}})?"
_NUMBER: Final = r"(?:[-−–](?=[$€£]?\d))?[$€£]?\d[\d.,]*(?<![.,])"
_SIGN: Final = r"[+*×·/÷−–-]|x(?= )"
_OPERAND: Final = re.compile(rf"(?P<number>{_NUMBER})(?P<unit>{_UNIT})")
_CALCULATION: Final = re.compile(
    rf"^(?P<head>[^=]*?)(?P<left>{_NUMBER}{_UNIT}(?: ?(?:{_SIGN}) ?{_NUMBER}{_UNIT})+)"
    rf" ?= ?(?P<told>{_NUMBER})(?P<unit>{_UNIT})(?P<end>[.!]?)$"
)
_HEAD: Final = re.compile(r"\W*(?:\d{1,2}[.)]\s+)?(?:[^\W\d][^:=+*/]*:\s+)?")
"""What may stand before a calculation: a list's mark, and what will be reckoned."""
_DECIMALS: Final = 2
_SIGNS: Final[dict[str, Callable[[float, float], float]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}


def put_right(step: str, language: Language) -> str | None:
    """Give a step with the right result; None where it has that, or where that cannot be told."""
    return None if len(step) > _LONGEST else _clock(step, language) or _numbers(step, language)


def _numbers(step: str, language: Language) -> str | None:
    read = _CALCULATION.match(step)
    if read is None or not _HEAD.fullmatch(read["head"]) or "%" in step:
        return None
    values, units, signs, at = list[float](), list[str](), list[str](), 0
    left = read["left"]
    while (operand := _OPERAND.match(left, at)) is not None:
        values.append(_value(operand["number"], language))
        units.append(_unit(operand["unit"], language))
        rest = left[operand.end() :].lstrip()
        signs += [_plain(rest[0])] if rest else []
        at = len(left) - len(rest[1:].lstrip()) if rest else len(left)
    if len(values) != len(signs) + 1 or not _comparable(units, signs, _unit(read["unit"], language), language):
        return None
    told, decimals = _value(read["told"], language), _decimals(read["told"], language)
    right = _worked_out(values, signs)
    # In turn as they are written, and as a difference that has no sign, it may be meant as well.
    meant = (right, _in_turn(values, signs), *([-right] if signs == ["-"] and right is not None else []))
    near = max(1e-6, 10**-decimals if decimals else 0.0)
    if right is None or any(value is not None and abs(told - value) < near for value in meant):
        return None
    if "/" in signs and abs(right - told) < 1:
        # Seven halves may be three, or four: people and boxes come whole.
        return None
    plain = f"{right:.{_DECIMALS}f}".rstrip("0").rstrip(".")
    written = plain if len(plain.partition(".")[2]) > decimals else f"{right:.{decimals}f}"
    sign = next((sign for sign in "$€£" if sign in read["told"]), "")
    return (
        f"{step[: read.start('told')]}{sign}{written.replace('.', language.numbers.point)}{read['unit']}{read['end']}"
    )


def _worked_out(values: Sequence[float], signs: Sequence[str]) -> float | None:
    """Give the result, products first; None where it divides by nought."""
    terms, between = [values[0]], list[str]()
    for sign, value in zip(signs, values[1:], strict=True):
        if sign in "*/":
            if sign == "/" and not value:
                return None
            terms[-1] = _SIGNS[sign](terms[-1], value)
        else:
            between.append(sign)
            terms.append(value)
    return _in_turn(terms, between)


def _in_turn(values: Sequence[float], signs: Sequence[str]) -> float:
    """Give the result of one sign after the other, as they are written."""
    result = values[0]
    for sign, value in zip(signs, values[1:], strict=True):
        result = _SIGNS[sign](result, value) if sign != "/" or value else float("nan")
    return result


def _decimals(written: str, language: Language) -> int:
    """Count the decimals that a result is written with."""
    grouped = language.numbers.grouped.fullmatch(written.lstrip("$€£-−–"))
    return 0 if grouped and language.numbers.point not in written else len(written.partition(language.numbers.point)[2])


def _comparable(units: Sequence[str], signs: Sequence[str], told: str, language: Language) -> bool:
    """Say whether the numbers are of one unit where they are added, and the result of one that stands there."""
    of_numbers = language.numbers.spelled | language.numbers.multiples.keys()
    words = {word for unit in (*units, told) for word in unit.split()}
    if words & (of_numbers | language.working.operations):
        return False
    named = {unit for unit in units if unit}
    added = any(sign in "+-" for sign in signs)
    return not (added and len(named) > 1) and not (told and named and told not in named)


def _unit(words: str, language: Language) -> str:
    return " ".join(language.working.plural.sub("", word) for word in words.lower().split())


def _value(written: str, language: Language) -> float:
    value = language.numbers.figure(written.lstrip("-−–").lstrip("$€£"))
    return -value if written[0] in "-−–" else value


def _plain(sign: str) -> str:
    return {"×": "*", "·": "*", "x": "*", "÷": "/", "−": "-", "–": "-"}.get(sign, sign)


# --- clock times ---


@cache
def _clock_patterns(language: Language) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Give the pattern of "3:45 pm + 1 hour and 30 minutes = 5:15 pm", and that of a duration's parts."""
    words = language.calendar
    halves = "|".join(r"\.?".join(half) + r"\b\.?" for half in words.halves if half)
    half = rf"(?: ?(?P<half{{0}}>{halves}))?" if halves else "(?P<half{0}>)"
    hours, minutes = ("|".join(sorted(names, key=len, reverse=True)) for names in (words.hours, words.minutes))
    part = rf"(?:\d+ ?(?:{hours}|{minutes})\b\.?)"
    clock = r"(?P<hour{0}>\d{{1,2}}):(?P<minute{0}>\d{{2}})"
    pattern = (
        rf"^(?P<head>[^=]*?){clock.format(1)}{half.format(1)} ?(?P<sign>[+−–-]) ?"
        rf"(?P<lasts>{part}(?:,? ?(?:\w{{1,3}} )?{part})*) ?= ?"
        rf"(?P<told>{clock.format(2)}{half.format(2)})(?P<end>[.!]?)$"
    )
    split = rf"(\d+) ?(?:(?P<hours>{hours})|(?P<minutes>{minutes}))\b"
    return re.compile(pattern, re.IGNORECASE), re.compile(split, re.IGNORECASE)


def _clock(step: str, language: Language) -> str | None:
    pattern, parts = _clock_patterns(language)
    read = pattern.match(step)
    if read is None or not _HEAD.fullmatch(read["head"]):
        return None
    lasts = sum(int(part[1]) * (_HOUR if part["hours"] else 1) for part in parts.finditer(read["lasts"]))
    begins, told = (_minutes(read, place, language) for place in "12")
    right = (begins + (lasts if read["sign"] == "+" else -lasts)) % _DAY
    exact = bool(read["half1"] and read["half2"])
    if (right - told) % (_DAY if exact else _HALF) == 0 and int(read["minute2"]) < _HOUR:
        return None
    hour, minute = divmod(right, _HOUR)
    if not read["half1"]:
        return f"{step[: read.start('told')]}{hour}:{minute:02}{read['end']}"
    half = language.calendar.halves[hour // 12]
    return f"{step[: read.start('told')]}{hour % 12 or 12}:{minute:02} {half}{read['end']}"


def _minutes(read: re.Match[str], place: str, language: Language) -> int:
    """Give the minutes since midnight of the first or second clock time."""
    hour, half = int(read[f"hour{place}"]), (read[f"half{place}"] or "").lower().replace(".", "")
    if half:
        hour = hour % 12 + 12 * (half == language.calendar.halves[1])
    return _HOUR * hour + int(read[f"minute{place}"])
