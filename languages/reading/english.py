"""Numbers, money, times, dates, units and simple mathematics as English words. Pure.

Knows how they are said; whoever reads a text aloud knows where they stand in it.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Final

from num2words import num2words

if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST: Final = 15
"""Digits up to which a number is said as one; longer ones are said digit by digit."""

_NUMBER: Final = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"
_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July",
    "August", "September", "October", "November", "December",
)  # fmt: skip
_MONEY: Final = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "€": ("euro", "euros", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "₹": ("rupee", "rupees", "paisa", "paise"),
    "¥": ("yen", "yen", "", ""),
}
"""One and many of a currency and of its hundredth part; none where it has no such part."""
_CODES: Final = {"USD": "$", "EUR": "€", "GBP": "£", "INR": "₹", "JPY": "¥"}
_SCALES: Final = {"k": "thousand", "m": "million", "mn": "million", "bn": "billion", "b": "billion", "t": "trillion"}
_COUNTED: Final = (
    "users|people|customers|views|downloads|subscribers|followers|visitors|readers|voters|workers|jobs|homes|"
    "households|copies|records|rows|tokens|parameters|dollars|euros|pounds|rupees|yen"
)
"""What is counted in millions, and measured in no meters."""
_SHORT: Final = {
    "no": "number", "nos": "numbers", "p": "page", "pp": "pages", "fig": "figure", "vol": "volume", "ch": "chapter",
    "sec": "section", "approx": "about", "ca": "about",
}  # fmt: skip
"""Abbreviations that stand before a number."""
_UNITS: Final = {
    "km/h": ("kilometer per hour", "kilometers per hour"),
    "m/s": ("meter per second", "meters per second"),
    "mph": ("mile per hour", "miles per hour"),
    "km": ("kilometer", "kilometers"),
    "cm": ("centimeter", "centimeters"),
    "mm": ("millimeter", "millimeters"),
    "m": ("meter", "meters"),
    "kg": ("kilogram", "kilograms"),
    "mg": ("milligram", "milligrams"),
    "g": ("gram", "grams"),
    "ml": ("milliliter", "milliliters"),
    "L": ("liter", "liters"),
    "l": ("liter", "liters"),
    "lb": ("pound", "pounds"),
    "lbs": ("pound", "pounds"),
    "oz": ("ounce", "ounces"),
    "ft": ("foot", "feet"),
    "mi": ("mile", "miles"),
    "ms": ("millisecond", "milliseconds"),
    "s": ("second", "seconds"),
    "min": ("minute", "minutes"),
    "h": ("hour", "hours"),
    "hrs": ("hour", "hours"),
    "kWh": ("kilowatt hour", "kilowatt hours"),
    "kW": ("kilowatt", "kilowatts"),
    "W": ("watt", "watts"),
    "V": ("volt", "volts"),
    "GB": ("gigabyte", "gigabytes"),
    "MB": ("megabyte", "megabytes"),
    "kB": ("kilobyte", "kilobytes"),
    "Hz": ("hertz", "hertz"),
    "kHz": ("kilohertz", "kilohertz"),
    "°C": ("degree Celsius", "degrees Celsius"),
    "°F": ("degree Fahrenheit", "degrees Fahrenheit"),
    "°": ("degree", "degrees"),
}
_LARGEST_PART: Final = 20
"""The greatest denominator that is said as a fraction; others are divisions."""

_FRACTIONS: Final = {(1, 2): "one half", (1, 4): "one quarter", (3, 4): "three quarters"}
_SIGNS: Final = {"½": "one half", "¼": "one quarter", "¾": "three quarters", "⅓": "one third", "⅔": "two thirds"}
_OPERATORS: Final = {
    "×": "times", "·": "times", "*": "times", "x": "times", "÷": "divided by", "/": "divided by", "+": "plus",
    "-": "minus", "−": "minus", "=": "equals", "≈": "is about", "≠": "is not equal to", "<": "is less than",
    ">": "is greater than", "≤": "is at most", "≥": "is at least",
}  # fmt: skip


def cardinal(number: str) -> str:
    """Say a number as it is written: "1,200.50" is "one thousand two hundred point five zero"."""
    whole, _, part = number.replace(",", "").partition(".")
    said = digits(whole) if len(whole) > _LONGEST or (len(whole) > 1 and whole.startswith("0")) else _words(int(whole))
    return f"{said} point {digits(part)}" if part else said


def digits(number: str) -> str:
    """Say a number digit by digit."""
    return " ".join(_words(int(digit)) for digit in number)


def ordinal(number: int) -> str:
    """Say the place in an order: 21 is "twenty first"."""
    return str(num2words(number, to="ordinal")).replace("-", " ").replace(",", "")


def year(number: int) -> str:
    """Say a year: 1984 is "nineteen eighty four"."""
    return str(num2words(number, to="year")).replace("-", " ").replace(",", "")


def _words(number: int) -> str:
    return str(num2words(number)).replace("-", " ").replace(",", "").replace(" and ", " ")


def _counted(number: str, one: str, many: str) -> str:
    return f"{cardinal(number)} {one if number == '1' else many}"


def _scaled(found: re.Match[str]) -> str:
    scale = found["scale"].lower()
    return f"{cardinal(found['number'])} {_SCALES.get(scale, scale)}"


def _money(found: re.Match[str]) -> str:
    sign, amount = found["sign"], found["number"]
    one, many, hundredth, hundredths = _MONEY[_CODES.get(sign, sign)]
    if found.groupdict().get("country"):
        one, many = f"{found['country']} {one}", f"{found['country']} {many}"
    if found.groupdict().get("scale"):
        return f"{_scaled(found)} {many}"
    whole, _, part = amount.partition(".")
    if not part:
        return _counted(whole, one, many)
    if len(part) > len("00") or not hundredth:
        return f"{cardinal(f'{whole or 0}.{part}')} {many}"
    whole, cents = whole or "0", int(part.ljust(2, "0"))
    small = _counted(str(cents), hundredth, hundredths)
    if not cents:
        return _counted(whole, one, many)
    return small if int(whole.replace(",", "")) == 0 else f"{_counted(whole, one, many)} and {small}"


def _time(found: re.Match[str]) -> str:
    hour, minute = int(found["hour"]), int(found["minute"] or 0)
    half = " ".join(found["half"].upper().replace(".", "")) if found["half"] else ""
    exact = "" if half else "o'clock"
    low = "oh " if minute < len("0123456789") else ""
    said = f"{_words(hour)} {low + _words(minute) if minute else exact} {half}"
    rest = found.string[found.end() :]
    ends = found.group().endswith(".") and (not rest.strip() or re.match(r"\s+[A-Z]", rest))
    return " ".join(said.split()) + ("." if ends else "")


def _iso_date(found: re.Match[str]) -> str:
    month, day = int(found["month"]), int(found["day"])
    return f"{_MONTHS[month - 1]} {ordinal(day)}, {year(int(found['year']))}"


def _slashed_date(found: re.Match[str]) -> str:
    first, second = int(found["first"]), int(found["second"])
    # Month first, as English is written where the dollar is; the day where no month can be meant.
    month, day = (second, first) if first > len(_MONTHS) else (first, second)
    if not (1 <= month <= len(_MONTHS) and 1 <= day <= 31):
        return " ".join(map(cardinal, (found["first"], found["second"], found["year"])))
    whole = found["year"] if len(found["year"]) == len("2023") else f"20{found['year']}"
    return f"{_MONTHS[month - 1]} {ordinal(day)}, {year(int(whole))}"


def _month_day(found: re.Match[str]) -> str:
    said = f"{found['name']} {ordinal(int(found['day']))}"
    return f"{said}, {year(int(found['year']))}" if found["year"] else said


def _fraction(found: re.Match[str]) -> str:
    over, under = int(found["over"]), int(found["under"])
    if (over, under) in _FRACTIONS:
        return _FRACTIONS[over, under]
    if not 0 < over < under <= _LARGEST_PART:
        return f"{found['over']} divided by {found['under']}"
    return f"{_words(over)} {ordinal(under)}{'' if over == 1 else 's'}"


def _power(found: re.Match[str]) -> str:
    power = found["power"].strip("{}").replace("-", "minus ").replace("−", "minus ")
    raised = {"2": "squared", "3": "cubed"}.get(power)
    return f"{found['base']} {raised or f'to the power of {power}'}"


def _mixed(found: re.Match[str]) -> str:
    part = _fraction(found)
    return f"{found['whole']} {part}" if "divided" in part else f"{cardinal(found['whole'])} and {part}"


def _decade(found: re.Match[str]) -> str:
    """Say "1990s", "20s" and "'60s": the last number in the plural."""
    number = found["number"]
    said = year(int(number)) if len(number) == len("1990") else cardinal(number)
    return _plural(said)


def _model(found: re.Match[str]) -> str:
    """Say the name of several: "747s" is "seven forty sevens"."""
    number = found["number"]
    parts = [number[:-2], number[-2:]] if len(number) > 2 and number[-2] != "0" else [number]
    return _plural(" ".join(map(cardinal, parts)))


def _plural(said: str) -> str:
    if said.endswith("y"):
        return f"{said[:-1]}ies"
    return f"{said}es" if said.endswith(("x", "s")) else f"{said}s"


def _number_groups(found: re.Match[str]) -> str:
    """Say a telephone number or the like digit by digit, with a pause between its groups."""
    groups = re.findall(r"\d+", found.group())
    return (" " if max(map(len, groups)) == 1 else ", ").join(map(digits, groups))


def _called(found: re.Match[str]) -> str:
    return f"{found['before']}{_number_groups(found)}"


def _operator(found: re.Match[str]) -> str:
    return f" {_OPERATORS[found['sign']]} "


_SIGNS_PATTERN: Final = f"[{re.escape(''.join(set(_OPERATORS) - {'x', '/', '-'}))}]"
_MONTH_NAMES: Final = "|".join(_MONTHS)
_UNIT_NAMES: Final = "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True))
_SCALE: Final = "(?P<scale>thousand|million|billion|trillion|[kK]|[mM]n|[bB]n|[mM]|[bB]|[tT])"
_MONEY_SIGNS: Final = f"[{''.join(_MONEY)}]|{'|'.join(_CODES)}"
_COUNTRIES: Final = "US|AU|CA|NZ|HK|A|C"
"""Before a dollar."""
_AMOUNT: Final = rf"(?:{_NUMBER}|\.\d\d?)"
_SEVERAL: Final = (
    r"\d+|two|three|four|five|six|seven|eight|nine|ten|some|several|many|few|these|those|all|both|old|new|of"
)
_HALF: Final = r"(?P<half>[AaPp]\.[Mm]\.|[AaPp]\.?[Mm]\b\.?)"

_RULES: Final[tuple[tuple[str, Callable[[re.Match[str]], str]], ...]] = (
    (
        rf"\b(?P<short>(?i:{'|'.join(_SHORT)}))\. ?(?=\d)",
        lambda found: f"{_SHORT[found['short'].lower()]} ",
    ),
    (r"\b(?:[Vv]ersion )?[vV](?=\d+(?:\.\d|\b))", lambda _: "version "),
    (r"(?<!\d)(?P<first>\d{1,2})/(?P<second>\d{1,2})/(?P<year>[12]\d{3}|\d\d)(?![\d/])", _slashed_date),
    (r"\b(?P<year>[1-9]\d{3})-(?P<month>0[1-9]|1[0-2])-(?P<day>0[1-9]|[12]\d|3[01])\b", _iso_date),
    (
        rf"\b(?P<name>{_MONTH_NAMES}) (?P<day>3[01]|[12]\d|[1-9])(?:st|nd|rd|th)?\b(?:,? (?P<year>[12]\d{{3}})\b)?",
        _month_day,
    ),
    (rf"\b(?P<hour>2[0-3]|[01]?\d):(?P<minute>[0-5]\d)(?!\d)(?: ?{_HALF})?", _time),
    (rf"\b(?P<hour>1[0-2]|[1-9])(?P<minute>) ?{_HALF}", _time),
    (r"(?P<base>\w+|\))\^(?P<power>\{[-−]?\d+\}|[-−]?\d+)", _power),
    (r"(?<![\w.,/])(?:\+?\d+[- ])?(?:\(\d{3}\)|\d{3})[- ]\d{3}-\d{4}(?![-\w])", _number_groups),
    (r"(?<![\w.,/-])\+?\d+(?:-\d+){2,}(?![-\w])(?! ?=)", _number_groups),
    (r"(?P<before>\b(?i:call|dial|phone) )\+?\d{3}(?:-\d{4})?(?![-\w])", _called),
    (
        r"(?<![\w.,/])(?:(?P<same>\d\d)/(?P=same)|24/7|9/11)(?![\w/]|\.\d)",
        lambda found: found.group().replace("/", " "),
    ),
    (r"(?<![\d./,])(?P<whole>\d{1,3}) (?P<over>\d{1,2})/(?P<under>\d{1,2})(?![\d/])(?!\.\d)", _mixed),
    (r"(?<![\d./,])(?P<over>\d{1,9})/(?P<under>\d{1,9})(?![\d/])(?!\.\d)", _fraction),
    (rf"(?P<low>{_NUMBER}) ?% ?[-–] ?(?={_NUMBER} ?%)", lambda found: f"{found['low']} to "),
    (r"(?<=\d)x(?=\d+(?![\d.]* ?=)\b)", lambda _: " by "),
    (r"(?<=\d) ?(?:-|–) ?(?=[\d.]+(?: ?[-–] ?[\d.]+)* ?=)", lambda _: " minus "),
    (r"(?<=\d)[-–](?=[$€£]?\d)", lambda _: " to "),
    (r"(?<=[\w)%]) (?P<sign>[-−/x]) (?=[\d(.$€£]|[a-z]\b)", _operator),
    (r"(?<=\d) ?(?P<sign>[/x]) ?(?=[\d(])", _operator),
    (r"(?<![\w.])[-−](?=[$€£]?\d)", lambda _: "minus "),
    (rf"\s*(?P<sign>{_SIGNS_PATTERN})\s*", _operator),
    (
        rf"(?:\b(?P<country>{_COUNTRIES}))?(?P<sign>{_MONEY_SIGNS}) ?(?P<number>{_AMOUNT})(?: ?{_SCALE}\b)?",
        _money,
    ),
    (rf"(?<![\w.,])(?P<number>{_NUMBER})(?: ?{_SCALE})? ?(?P<sign>{_MONEY_SIGNS})(?!\w)", _money),
    (rf"(?P<number>{_NUMBER})(?P<scale>[kK]|[mMbB]n|[mMbB](?= (?:{_COUNTED})\b))\b", _scaled),
    (r"\b(?P<number>[12]\d\d0)['’]?s\b", _decade),
    (r"['’](?P<number>[1-9]0)s\b", _decade),
    (
        r"(?P<before>\b(?i:the|her|his|our|my|your|their|early|mid|late)[ -])(?P<number>[2-9]0)s\b",
        lambda found: found["before"] + _decade(found),
    ),
    (rf"(?P<before>\b(?i:{_SEVERAL}) )(?P<number>[1-9]\d\d|[1-9]\d00)s\b", lambda f: f["before"] + _model(f)),
    (rf"(?P<number>{_NUMBER}) ?%", lambda found: f"{cardinal(found['number'])} percent"),
    (
        rf"(?P<number>{_NUMBER}) ?(?P<unit>{_UNIT_NAMES})(?![\w/°'’])",
        lambda found: _counted(found["number"], *_UNITS[found["unit"]]),
    ),
    (r"\b(?P<number>\d{1,9})(?:st|nd|rd|th)\b", lambda found: ordinal(int(found["number"]))),
    (
        r"\b(?P<before>(?i:in|since|until|year|of|from|by)) (?P<year>1[1-9]\d\d|20\d\d)(?![\d,.]\d)\b",
        lambda found: f"{found['before']} {year(int(found['year']))}",
    ),
    (r"(?<![\d.])\d+(?:\.\d+){2,}", lambda found: " point ".join(map(cardinal, found.group().split(".")))),
    (r"(?:#|№ ?)(?=\d)", lambda _: "number "),
    (r"~ ?(?=\d)", lambda _: "about "),
    (r"(?<=\d)(?=[^\W\d_])|(?<=[^\W\d_])(?=\d)", lambda _: " "),
    (_NUMBER, lambda found: cardinal(found.group())),
)
_COMPILED: Final = tuple((re.compile(pattern, re.ASCII), say) for pattern, say in _RULES)


def read_aloud(text: str) -> str:
    """Write every number and mathematical sign in `text` as English words. Text without them stays as it is."""
    for sign, words in _SIGNS.items():
        text = re.sub(rf"(?<=\d) ?{sign}", f" and {words}", text).replace(sign, words)
    text = text.replace("²", "^2").replace("³", "^3")
    for pattern, say in _COMPILED:
        text = pattern.sub(partial(_apart, say), text)
    return text


def _apart(say: Callable[[re.Match[str]], str], found: re.Match[str]) -> str:
    """Say what was found, with a space where it would be glued to a letter or a figure."""
    said, before, after = say(found), found.string[: found.start()][-1:], found.string[found.end() :][:1]
    left = " " if before.isalnum() and said[:1].isalnum() else ""
    return f"{left}{said}{' ' if after.isalnum() and said[-1:].isalnum() else ''}"
