"""Money, measures, percentages and large round numbers in English. Pure."""

from __future__ import annotations

import re
from typing import Final

from languages.reading.english_numbers import AMOUNT, NUMBER, before_noun, cardinal, counted, plain
from languages.reading.grammar import Rule, after, any_of, before, rule

_MONEY: Final = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "€": ("euro", "euros", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "₹": ("rupee", "rupees", "paisa", "paise"),
    "¥": ("yen", "yen", "", ""),
    "₩": ("won", "won", "", ""),
    "₽": ("ruble", "rubles", "kopeck", "kopecks"),
    "₺": ("lira", "lira", "kurus", "kurus"),
    "₿": ("bitcoin", "bitcoin", "", ""),
    "R$": ("real", "reais", "centavo", "centavos"),
    "CHF": ("Swiss franc", "Swiss francs", "centime", "centimes"),
    "CNY": ("yuan", "yuan", "", ""),
    "PLN": ("zloty", "zloty", "", ""),
    "kr": ("krona", "kronor", "", ""),
    "Rs.": ("rupee", "rupees", "paisa", "paise"),
    "Rs": ("rupee", "rupees", "paisa", "paise"),
    "SEK": ("Swedish krona", "Swedish kronor", "", ""),
}
"""One and many of a currency and of its hundredth part; none where it has no such part, or none that is counted."""
_CODES: Final = {
    "USD": ("$", "US"), "EUR": ("€", ""), "GBP": ("£", ""), "INR": ("₹", ""), "JPY": ("¥", ""), "KRW": ("₩", ""),
    "RUB": ("₽", ""), "CAD": ("$", "Canadian"), "AUD": ("$", "Australian"), "BTC": ("₿", ""), "BRL": ("R$", ""),
}  # fmt: skip
_COUNTRIES: Final = {
    "US": "US", "C": "Canadian", "CA": "Canadian", "A": "Australian", "AU": "Australian", "NZ": "New Zealand",
    "HK": "Hong Kong", "S": "Singapore",
}  # fmt: skip
"""Before a dollar."""
_SCALES: Final = {"k": "thousand", "m": "million", "mn": "million", "mm": "million", "bn": "billion", "b": "billion",
                  "t": "trillion", "tn": "trillion"}  # fmt: skip
_COUNTED: Final = (
    "users|people|customers|views|downloads|subscribers|followers|visitors|readers|voters|workers|jobs|homes|"
    "households|copies|records|rows|tokens|parameters|dollars|euros|pounds|rupees|yen|years|barrels|tons|cars"
)
"""What is counted in millions, and measured in no meters."""
_SCREENS: Final = (
    "race|races|run|runner|gold|white gold|TV|tv|video|display|monitor|screen|camera|resolution|content|streaming"
)
"""What is 4K."""

_NAMED_PLACE: Final = re.compile(
    r"(?i:\b(?:room|apt\.?|apartment|suite|gate|unit|seat|flat|building|block|floor|platform|grade|class|row|exit) )$"
)
"""Before a number with a letter that is no scale."""

_UNITS: Final = {
    "mph": ("mile per hour", "miles per hour"),
    "rpm": ("revolution per minute", "revolutions per minute"),
    "fps": ("frame per second", "frames per second"),
    **{f"{sign}m": (f"{name}meter", f"{name}meters") for sign, name in
       {"": "", "k": "kilo", "c": "centi", "m": "milli", "µ": "micro", "n": "nano"}.items()},
    **{f"{sign}g": (f"{name}gram", f"{name}grams") for sign, name in
       {"": "", "k": "kilo", "m": "milli", "µ": "micro"}.items()},
    **{f"{sign}{letter}": (f"{name}liter", f"{name}liters") for sign, name in
       {"": "", "m": "milli", "c": "centi", "d": "deci"}.items() for letter in "lL"},
    "t": ("ton", "tons"), "lb": ("pound", "pounds"), "lbs": ("pound", "pounds"), "oz": ("ounce", "ounces"),
    "ft": ("foot", "feet"), "yd": ("yard", "yards"), "mi": ("mile", "miles"), "gal": ("gallon", "gallons"),
    "tsp": ("teaspoon", "teaspoons"), "tbsp": ("tablespoon", "tablespoons"), "ha": ("hectare", "hectares"),
    "h": ("hour", "hours"), "hr": ("hour", "hours"), "hrs": ("hour", "hours"), "min": ("minute", "minutes"),
    "mins": ("minute", "minutes"), "s": ("second", "seconds"), "sec": ("second", "seconds"),
    "secs": ("second", "seconds"), "ms": ("millisecond", "milliseconds"), "µs": ("microsecond", "microseconds"),
    "ns": ("nanosecond", "nanoseconds"), "yrs": ("year", "years"),
    **{f"{sign}{unit}": (f"{name}{one}", f"{name}{many}") for unit, one, many in
       (("W", "watt", "watts"), ("Wh", "watt hour", "watt hours"), ("V", "volt", "volts"), ("Hz", "hertz", "hertz"),
        ("J", "joule", "joules"), ("Pa", "pascal", "pascals"))
       for sign, name in {"": "", "k": "kilo", "M": "mega", "G": "giga", "m": "milli", "h": "hecto"}.items()},
    **{f"{sign}{unit}": (f"{name}{one}", f"{name}{one}s") for unit, one in (("Ω", "ohm"), ("F", "farad"), ("A", "amp"))
       for sign, name in {"k": "kilo", "M": "mega", "m": "milli", "µ": "micro", "n": "nano"}.items()},
    "Ω": ("ohm", "ohms"), '"': ("inch", "inches"), "″": ("inch", "inches"),
    "mA": ("milliamp", "milliamps"), "mAh": ("milliamp hour", "milliamp hours"), "dB": ("decibel", "decibels"),
    "kcal": ("kilocalorie", "kilocalories"), "cal": ("calorie", "calories"), "Nm": ("newton meter", "newton meters"),
    "psi": ("P S I", "P S I"), "ppm": ("part per million", "parts per million"), "px": ("pixel", "pixels"),
    **{f"{sign}{unit}": (f"{name}{one}", f"{name}{many}") for unit, one, many in
       (("B", "byte", "bytes"), ("b", "bit", "bits"), ("iB", "byte", "bytes"),
        ("bps", "bit per second", "bits per second"),
        ("bit", "bit", "bits"))
       for sign, name in {"k": "kilo", "K": "kilo", "M": "mega", "G": "giga", "T": "tera", "P": "peta"}.items()},
    "°C": ("degree Celsius", "degrees Celsius"), "°F": ("degree Fahrenheit", "degrees Fahrenheit"),
    "℃": ("degree Celsius", "degrees Celsius"), "℉": ("degree Fahrenheit", "degrees Fahrenheit"),
    "°": ("degree", "degrees"), "%": ("percent", "percent"), "‰": ("per thousand", "per thousand"),
    "percent": ("percent", "percent"), "¢": ("cent", "cents"),
}  # fmt: skip
_EACH: Final = {
    **{name: name for name in ("month", "year", "day", "hour", "week", "night", "person", "user", "head", "unit",
                               "item",
                               "seat", "minute", "second", "player", "employee", "capita")},
    "mo": "month", "yr": "year", "wk": "week",
}  # fmt: skip
"""What stands behind "/", and for a unit nowhere else."""
_POWERS: Final = {"^2": "square ", "^3": "cubic "}

_SIGNS: Final = any_of([*_MONEY, *_CODES])
_COUNTRY: Final = any_of(_COUNTRIES)
_SCALE: Final = r"(?P<scale>[tT]housand|[mMbB]illion|[tT]rillion|[mM]n|[bB]n|[tT]n|(?<! )(?:mm|MM|[kKmMbBtT]))"
_UNIT: Final = any_of(unit for unit in _UNITS if unit not in {'"', "″"})
_MEASURE: Final = rf"(?:(?:{_UNIT})(?:\^[23])?)"
_FROM: Final = rf"(?:(?P<low>{AMOUNT})(?: ?[%°])?(?: ?[–—] ?|-))"
_BEFORE_MONEY: Final = rf"(?:(?P<country>{_COUNTRY}))?(?P<sign>{_SIGNS}) ?{_FROM}?(?P<number>{AMOUNT})"
_SCALED: Final = rf"(?: ?{_SCALE}(?!\w))?"


def _money(found: re.Match[str]) -> str:
    sign, country = _CODES.get(found["sign"], (found["sign"], found.groupdict().get("country") or ""))
    country = _COUNTRIES.get(country, country)
    one, many, hundredth, hundredths = _MONEY[sign]
    if before_noun(found) and not re.search(r"\.\d", found["number"]):
        many = one
    if country:
        one, many = f"{country} {one}", f"{country} {many}"
    scale = found["scale"]
    number = plain(found["number"])
    if sign == "€" and re.fullmatch(r"\d{1,3}(?:\.\d{3})+", number):
        number = number.replace(".", "")
    said = f"{_scaled(found)} {many}" if scale else _sum(number, one, many, hundredth, hundredths)
    low = found.groupdict().get("low")
    if low:
        low_said = (
            cardinal(low) if scale or "." not in plain(low) else _sum(plain(low), one, many, hundredth, hundredths)
        )
        said = f"{low_said} to {said}"
    return said


def _sum(amount: str, one: str, many: str, hundredth: str, hundredths: str) -> str:
    whole, _, part = amount.partition(".")
    whole = whole or "0"
    if not part:
        return counted(whole, one, many)
    if len(part) > len("00") or not hundredth:
        return f"{cardinal(f'{whole}.{part}')} {many}"
    cents = int(part.ljust(2, "0"))
    small = counted(str(cents), hundredth, hundredths)
    if not cents:
        return counted(whole, one, many)
    return small if int(whole) == 0 else f"{counted(whole, one, many)} and {small}"


def _scaled(found: re.Match[str]) -> str:
    scale = found["scale"].lower()
    return f"{cardinal(found['number'])} {_SCALES.get(scale, scale)}"


def _of_a_scale(found: re.Match[str]) -> str | None:
    """Say "10k" and "7B"; "10m" only of what is no length."""
    if found["scale"] == "m" and not re.match(rf" (?:{_COUNTED})\b", after(found)):
        return None
    four_k = found["scale"] == "K" and found["number"] in {"4", "8"}
    if four_k or re.match(rf" (?:{_SCREENS})\b", after(found)) or _NAMED_PLACE.search(before(found)):
        return f"{cardinal(found['number'])} {found['scale']}"
    return _scaled(found)


def _measure(found: re.Match[str]) -> str | None:
    if found["unit"] == "m" and re.match(rf" (?:{_COUNTED})\b", after(found)):
        return None
    if found["unit"] == "s" and re.search(
        r"(?i:\b(?:the|her|his|our|my|your|their|early|mid|late)[ -])$", before(found)
    ):
        return None  # "her 20s" are no seconds
    low = f"{cardinal(found['low'])} to " if found["low"] else ""
    one, many = _named(found["unit"])
    if found["joined"] == "-" or before_noun(found):
        return f"{low}{cardinal(found['number'])} {one}{_per(found['per'])}"
    return f"{low}{counted(found['number'], one, many)}{_per(found['per'])}"


def _named(unit: str) -> tuple[str, str]:
    """Give one and many of a unit, or of its square or cube."""
    name, power = (unit[:-2], _POWERS[unit[-2:]]) if unit[-2:] in _POWERS else (unit, "")
    one, many = _UNITS[name]
    return f"{power}{one}", f"{power}{many}"


def _per(unit: str | None) -> str:
    """Say "/h" behind a unit: "per hour"."""
    if not unit:
        return ""
    number, name = re.fullmatch(r"/ ?(\d*) ?(.+)", unit).groups()  # type: ignore[union-attr]
    power = {"^2": " squared", "^3": " cubed"}.get(name[-2:], "") if name[:-2] in {"s", "h", "min"} else ""
    name = name.removesuffix("^2").removesuffix("^3") if power else name
    one, many = (_EACH[name], f"{_EACH[name]}s") if name in _EACH else _named(name)
    return f" per {cardinal(number)} {many}" if number else f" per {one}{power}"


def _each(found: re.Match[str]) -> str | None:
    """Say "/lb" behind a price."""
    return _per(found.group()) if re.search(r"[\d%€$£¥]$", before(found)) else None


def _rate(found: re.Match[str]) -> str:
    """Say a unit that stands alone: "in km/h"."""
    return f"{_named(found['unit'])[1]}{_per(found['per'])}"


_PER: Final = rf"(?P<per>/ ?\d{{0,4}} ?(?:{_MEASURE}|{any_of(_EACH)})(?![\w/^]))"
_IN_WORDS: Final = (
    rule(rf"\b{_BEFORE_MONEY}{_SCALED}(?!\w)", _money),
    rule(rf"(?<![\w/])(?P<unit>km|m|MB|GB|kB|g|mg|ft|mi|L|l){_PER}", _rate),
)
_IN_SIGNS: Final = (
    rule(rf"{_BEFORE_MONEY}{_SCALED}(?!\w)", _money),
    rule(rf"(?<![\w.,]){_FROM}?(?P<number>{AMOUNT}){_SCALED} ?(?P<sign>{_SIGNS})(?!\w)", _money),
    rule(rf"/(?P<unit>{_MEASURE}|{any_of(_EACH)})(?!\w)", _each),
    rule(
        rf"{_FROM}?(?P<number>{AMOUNT})(?P<joined>[ -]?)(?P<unit>{_MEASURE})(?:{_PER})?(?![\w/°'’^])"
        r"(?:(?<=ft|lb|oz|hr|in|yd|mi)\.(?= [a-z])|(?<=hrs|lbs|min|sec|gal)\.(?= [a-z]))?",
        _measure,
    ),
    rule(rf"(?P<number>{NUMBER})(?P<scale>[kK]|[mM]n|[bB]n|[mMB]|[tT]n|T)(?![\w/])", _of_a_scale),
)


def measure_of_part(unit: str) -> str:
    """Say the unit of a part: "1/2 tsp"."""
    return f" {_named(unit)[0]}" if unit else ""


def measures_of_parts(unit: str) -> str:
    """Say the unit of more than one: "1 1/2 tsp"."""
    return f" {_named(unit)[1]}" if unit else ""


def quantity_rules() -> tuple[tuple[Rule, ...], tuple[Rule, ...]]:
    """Give the rules that begin with letters, and those that begin with signs."""
    return _IN_WORDS, _IN_SIGNS
