"""Written forms of languages that put a comma before decimals and a point between thousands. Pure.

German and Spanish are written alike: amounts before their signs, the day before the month, hours up to 24. What differs
is wording, and rules of their own, which come before these.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from languages.reading.addresses import AddressWords, address_rules
from languages.reading.grammar import ReadingGrammar, Rule, after, any_of, before, rule, with_stop

NUMBER: Final = (
    r"(?:\d{1,3}(?:\.\d{3})+(?!\d|\.\d)(?:,\d+)?|\d{1,3}(?: \d{3})+(?! ?\d)(?:,\d+)?"
    r"|\d{1,3}(?:,\d{3})+\.\d+|\d+\.\d+(?!\d|\.\d)|\d+(?:,\d+)?)"
)
"""A number as it is written here, or with the point and the comma of English where that is plain."""
_LONGEST: Final = 12
"""Digits up to which a number is said as one; longer ones are said digit by digit."""


@dataclass(frozen=True, slots=True)
class CountedNoun:
    """A unit, or money."""

    one: str
    many: str
    feminine: bool = False
    part: CountedNoun | None = None
    """Its hundredth."""


@dataclass(frozen=True, slots=True)
class ContinentalWords:
    """The words of one language."""

    cardinal: Callable[[int, str], str]
    """Says a whole number: by itself (""), or of something masculine ("m") or feminine ("f")."""
    fraction: Callable[[int, int], str]
    """Says a part of a whole, or a division."""
    date: Callable[[re.Match[str], int, int, str], str]
    """Says day, month and year, if there is one, behind what stands before them."""
    time: Callable[[int, int], str]
    """Says hour and minute."""
    noun_of: Callable[[int, str], str]
    """Tells from what follows a number of which gender it is, "" where it counts nothing."""
    point: str
    minus: str
    to: str
    ratio: str
    """Between the two of a score."""
    per: str
    and_cents: str
    """Between money and its hundredths."""
    of_millions: str
    """Between millions and what they are of."""
    power: str
    raised: Mapping[str, str]
    """Powers with a name of their own."""
    scientific: str
    port: str
    number_sign: str
    scales: Mapping[str, tuple[str, str]]
    """One and many of thousands and millions, by how they are shortened."""
    money: Mapping[str, CountedNoun]
    units: Mapping[str, CountedNoun]
    square: Callable[[CountedNoun, str], CountedNoun]
    """Makes the square or the cube of a length, by "2" or "3"."""
    short: Mapping[str, str]
    """Short forms and what they stand for."""
    before_numbers: Mapping[str, str]
    """Those that stand before a number only."""
    operators: Mapping[str, str]
    """Signs that are operators wherever they stand; "-" and "/" between numbers."""
    named_by_figures: re.Pattern[str]
    """Behind it a number is said digit by digit."""
    called: str
    """Pattern of words before a short telephone number."""
    mixed: Callable[[int, int, int], str]
    """Says a whole and a part."""
    addresses: tuple[str, str, str, str, str, str]
    """At, dot, dash, underscore, plus, hashtag."""
    phones: tuple[str, ...]
    letters: str
    """Letters of this language beyond those of ASCII."""


def parts(number: str) -> tuple[str, str]:
    """Give the whole of a number, and its digits behind the comma."""
    if re.fullmatch(r"\d{1,3}(?:,\d{3})+\.\d+|\d+\.\d{1,2}|\d+\.\d{4,}|\d{4,}\.\d+|0\.\d+", number):
        whole, _, part = number.replace(",", "").partition(".")
    else:
        whole, _, part = number.replace(".", "").replace(" ", "").partition(",")
    return whole, part


class ContinentalForms:
    """Says the forms of one language."""

    def __init__(self, words: ContinentalWords) -> None:
        self._words = words

    def grammar(self, words: Iterable[Rule], signs: Iterable[Rule]) -> ReadingGrammar:
        """Give the grammar of a language with rules of its own."""
        is_word, is_sign = address_rules(AddressWords(*self._words.addresses, self.digits))
        return ReadingGrammar((*is_word, *words, *self._in_words()), (*is_sign, *signs, *self._in_signs()))

    def number(self, written: str, gender: str = "") -> str:
        """Say a number as it is written."""
        whole, part = parts(written)
        if part:
            return f"{self._whole(whole, '')} {self._words.point} {self.digits(part)}"
        return self._whole(whole, gender)

    def _whole(self, whole: str, gender: str) -> str:
        one_by_one = len(whole) > _LONGEST or (len(whole) > 1 and whole.startswith("0"))
        return self.digits(whole) if one_by_one else self._words.cardinal(int(whole), gender)

    def digits(self, number: str) -> str:
        """Say a number digit by digit."""
        return " ".join(self._words.cardinal(int(digit), "") for digit in number)

    def groups(self, found: re.Match[str]) -> str:
        """Say a telephone number or the like digit by digit, with a pause between its groups."""
        numbers = re.findall(r"\d+|[xX]\b", found.group())
        said = (self.digits(number) if number.isdigit() else "X" for number in numbers)
        return (" " if max(map(len, numbers)) == 1 else ", ").join(said)

    def counted(self, written: str, noun: CountedNoun) -> str:
        """Say how much there is of something."""
        said = self.number(written, "f" if noun.feminine else "m")
        return f"{said} {noun.one if parts(written) == ('1', '') else noun.many}"

    def _money(self, found: re.Match[str]) -> str:
        noun = self._words.money[found["sign"]]
        low = f"{self.number(found['low'], 'f' if noun.feminine else 'm')} {self._words.to} " if found["low"] else ""
        if found["scale"]:
            of = self._words.of_millions if "ill" in self._words.scales[found["scale"]][1] else " "
            return f"{low}{self._scaled(found['number'], found['scale'])}{of}{noun.many}"
        whole, part = parts(found["number"])
        if not part or noun.part is None or len(part) > len("00"):
            return f"{low}{self.counted(found['number'], noun)}"
        cents = str(int(part.ljust(2, "0")))
        small = self.counted(cents, noun.part)
        if cents == "0":
            return f"{low}{self.counted(whole, noun)}"
        large = self.counted(whole, noun)
        return f"{low}{small if int(whole) == 0 else large + self._words.and_cents + small}"

    def _scaled(self, number: str, scale: str) -> str:
        one, many = self._words.scales[scale]
        alone = parts(number) == ("1", "")
        if not many.strip():
            return self.number(number)
        return one if alone else f"{self.number(number, 'm')} {many}"

    def _of_a_scale(self, found: re.Match[str]) -> str:
        of = self._words.of_millions if re.match(r" [^\W\d_]{3}", after(found)) and "ill" in found["scale"] else ""
        return self._scaled(found["number"], found["scale"]) + of.rstrip()

    def _measure(self, found: re.Match[str]) -> str:
        noun = self._unit(found["unit"])
        low = f"{self.number(found['low'], 'f' if noun.feminine else 'm')} {self._words.to} " if found["low"] else ""
        return f"{low}{self.counted(found['number'], noun)}{self._per(found['per'])}"

    def _unit(self, unit: str) -> CountedNoun:
        if unit[-2:] in {"^2", "^3"}:
            return self._words.square(self._words.units[unit[:-2]], unit[-1])
        return self._words.units[unit]

    def _per(self, unit: str | None) -> str:
        found = re.fullmatch(r"/ ?(\d*) ?(.+?)(\^2)?", unit or "")
        if not found:
            return ""
        noun = self._words.units[found[2]]
        raised = f" {self._words.raised['2']}" if found[3] else ""
        said = self.counted(found[1], noun) if found[1] else noun.one
        return f" {self._words.per} {said}{raised}"

    def _date(self, found: re.Match[str]) -> str | None:
        day, month, year = int(found["day"]), int(found["month"]), found["year"]
        if len(year) == len("24"):
            year = f"{'19' if int(year) > 50 else '20'}{year}"
        return self._words.date(found, day, month, year) if 1 <= month <= 12 and 1 <= day <= 31 else None

    def _time(self, found: re.Match[str]) -> str:
        said = self._words.time(int(found["hour"]), int(found["minute"]))
        if not found["second"]:
            return said
        return said + self._words.and_cents + self.counted(str(int(found["second"])), self._words.units["s"])

    def _slashless(self, found: re.Match[str]) -> str:
        return " ".join(self.number(number.lstrip("0")) for number in found.group().split("/"))

    def _fraction(self, found: re.Match[str]) -> str:
        return self._words.fraction(int(found["over"]), int(found["under"]))

    def _mixed(self, found: re.Match[str]) -> str | None:
        whole, over, under = int(found["whole"]), int(found["over"]), int(found["under"])
        return self._words.mixed(whole, over, under) if 0 < over < under <= 20 else None

    def _power(self, found: re.Match[str]) -> str:
        power = found["power"].strip("{}()").replace("−", "-")
        return f" {self._words.raised.get(power) or f'{self._words.power} {self._signed(power)}'}"

    def _signed(self, number: str) -> str:
        named = number.lstrip("-+−")
        said = self.number(named) if named.isdigit() else named
        return f"{self._words.minus} {said}" if number[0] in "-−" else said

    def _scientific(self, found: re.Match[str]) -> str:
        return f"{self.number(found['number'])} {self._words.scientific} {self._signed(found['power'])}"

    def _machine(self, found: re.Match[str]) -> str | None:
        numbers = found["parts"].split(".")
        if any(int(number) > 255 for number in numbers):
            return None
        port = f" {self._words.port} {self.digits(found['port'])}" if found["port"] else ""
        return f" {self._words.addresses[1]} ".join(map(self.digits, numbers)) + port

    def _point_groups(self, found: re.Match[str]) -> str | None:
        if re.fullmatch(NUMBER, found.group()):
            return None
        return f" {self._words.addresses[1]} ".join(map(self.number, found.group().split(".")))

    def _version(self, found: re.Match[str]) -> str | None:
        """Say "2.0" behind what has versions."""
        told = re.search(r"(?i:\b(?:versi[oó]n|release|windows|android|ios|python|macos|[vV]\.)) $", before(found))
        return f" {self._words.addresses[1]} ".join(map(self.number, found.group().split("."))) if told else None

    def _dash(self, found: re.Match[str]) -> str:
        left, right = before(found), after(found)
        sum_of = re.match(r"[\d.,()]+(?: ?[-–−+*×/] ?[\d.,()]+){0,6} ?=", right) or re.search(
            r"[-+*/×=] ?[\d.,]+$", left
        )
        spaced = " " in found.group() and "–" not in found.group()
        numbers = re.search(rf"({NUMBER})\W*$", left), re.match(rf"({NUMBER})", right)
        rises = (
            numbers[0] and numbers[1] and float(".".join(parts(numbers[0][1]))) < float(".".join(parts(numbers[1][1])))
        )
        return f" {self._words.minus if sum_of or (spaced and not rises) else self._words.to} "

    def _code(self, found: re.Match[str]) -> str:
        """Say a name of letters and figures."""
        said = []
        for part in re.findall(r"[A-ZÄÖÜ]+(?![a-zäöü])|[A-ZÄÖÜ]?[a-zäöüß]+|\d+", found.group()):
            if part.isdigit():
                said.append(self.digits(part) if len(part) > 2 or part[0] == "0" else self.number(part))
            else:
                said.append(" ".join(part) if part.isupper() and len(part) <= 3 else part)
        return " ".join(said)

    def _by_figures(self, found: re.Match[str]) -> str | None:
        named = self._words.named_by_figures.search(before(found)) or len(found.group()) > _LONGEST
        return self.digits(found.group()) if named else None

    def _called(self, found: re.Match[str]) -> str | None:
        return self.groups(found) if re.search(rf"(?i:\b(?:{self._words.called}):? )$", before(found)) else None

    def _alone(self, found: re.Match[str]) -> str:
        whole, part = parts(found.group())
        gender = "" if part else self._words.noun_of(int(whole), after(found))
        return self.number(found.group(), gender)

    def _operator(self, found: re.Match[str]) -> str:
        return f" {self._words.operators[found['sign']]} "

    def _in_words(self) -> tuple[Rule, ...]:
        words = self._words
        money, scale = any_of(words.money), any_of(words.scales)
        return (
            rule(rf"(?:{any_of(words.short)})(?!\w)", lambda found: with_stop(found, words.short[found.group()])),
            rule(
                rf"(?:{any_of(words.before_numbers)}) ?(?=\d)",
                lambda found: f"{words.before_numbers[found.group().rstrip()]} ",
            ),
            rule(
                rf"(?P<sign>{money}) ?(?P<low>)(?P<number>{NUMBER})(?: ?(?P<scale>{scale})(?!\w))?(?!\w)", self._money
            ),
            rule(r"(?P<base>[A-Za-z])(?=\^)", lambda found: found["base"]),
            rule(r"x(?<=\dx)(?=\d)|x(?<=\d x)(?= \d)", f" {words.operators['×']} "),
            rule(rf"(?=[A-Za-z{words.letters}]{{1,8}}\d)[A-Za-z\d]{{2,40}}(?![^\W\d_])", self._code),
            rule(r"(?P<name>[A-Za-z]+)-(?=\d)", lambda found: f"{found['name']} "),
        )

    def _in_signs(self) -> tuple[Rule, ...]:
        words = self._words
        money, scale, unit = any_of(words.money), any_of(words.scales), any_of(words.units)
        operators = any_of(sign for sign in words.operators if sign not in "-/")
        low = rf"(?:(?P<low>{NUMBER})(?: ?[%°€$])?(?: ?[–—] ?| ?- ?|\s(?:bis|a)\s))?"
        per = rf"(?P<per>/ ?\d{{0,4}} ?(?:{unit})(?:\^2)?(?![\w/^]))?"
        ratio = r"(?P<over>\d{1,6})[/⁄](?P<under>\d{1,6})(?![\d/])(?![.,]\d)"
        return (
            rule(r"(?P<parts>\d{1,3}(?:\.\d{1,3}){3})(?::(?P<port>\d{1,5}))?(?![.\d])", self._machine),
            rule(r"(?P<year>[1-9]\d{3})-(?P<month>0[1-9]|1[0-2])-(?P<day>0[1-9]|[12]\d|3[01])(?![\d-])", self._date),
            rule(r"(?P<day>\d{1,2})(?P<s>[./-])(?P<month>\d{1,2})(?P=s)(?P<year>[12]\d{3})(?![\d/])", self._date),
            rule(r"(?P<day>\d{1,2})(?P<s>/)(?P<month>\d{1,2})/(?P<year>\d\d)(?![\d/])", self._date),
            *(rule(rf"(?<![\w.,/]){pattern}", self.groups) for pattern in words.phones),
            rule(r"\d+(?:-\d+){2,8}(?:-[xX]\b)?(?![-\w])(?! ?=)", self.groups),
            rule(r"\d{3,}(?:[ -]\d{2,}){0,4}(?![\w-])", self._called),
            rule(r"(?P<hour>2[0-3]|[01]?\d):(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d))?(?![\d:])", self._time),
            rule(r"(?<![\d.])\d+(?:\.\d+){2,}(?!\d|[.,]\d)", self._point_groups),
            rule(r"\d+\.\d+(?!\d|[.,]\d)", self._version),
            rule(rf"(?P<whole>\d{{1,3}})[ -]{ratio}", self._mixed),
            rule(r"(?:0?[1-9]|1[0-2])/20\d\d(?![\d/])", self._slashless),
            rule(r"24/7|(?P<same>\d\d)/(?P=same)(?![\d/])", self._slashless),
            rule(ratio, self._fraction),
            rule(r"(?P<number>\d+(?:[.,]\d+)?)[eE](?P<power>[-+−]?\d+)(?!\w)", self._scientific),
            rule(r"(?:\^|\*\*)(?P<power>\{[-−]?\w+\}|\([-−]?\w+\)|[-−]?\d+|\w)", self._power),
            rule(
                rf"(?P<sign>{money}) ?(?P<low>)(?P<number>{NUMBER})(?: ?(?P<scale>{scale})(?!\w))?(?!\w)", self._money
            ),
            rule(rf"{low}(?P<number>{NUMBER})(?: ?(?P<scale>{scale}))? ?(?P<sign>{money})(?!\w)", self._money),
            rule(rf"{low}(?P<number>{NUMBER})[ -]?(?P<unit>(?:{unit})(?:\^[23])?){per}(?![\w^°])", self._measure),
            rule(rf"(?P<number>{NUMBER}) ?(?P<scale>{scale})(?!\w)", self._of_a_scale),
            rule(r"\d{3,}(?![\d.,]\d)", self._by_figures),
            rule(r"(?:#|№ ?)(?=\d)", f"{words.number_sign} "),
            rule(r"(?<=[\d%°€$])(?: ?[-–—] ?)(?=[$€£]?\d)", self._dash),
            rule(r":(?<=\d:)(?=\d)", f" {words.ratio} "),
            rule(r" ?/ ?(?<=[\d)]/)(?=[\d(])|(?<=\d) / (?=\d)", f" {words.operators['/']} "),
            rule(r"(?<=[\w)]) [-−] (?=[\d(]|[a-z]\b)", f" {words.minus} "),
            rule(r"[-−](?=[$€£]?\d)(?<![\w.)-][-−])", f"{words.minus} "),
            rule(rf"\s*(?!\+\d[\d ().-]{{7}})(?P<sign>{operators})\s*", self._operator),
            rule(r"\d[A-Za-z\d]{1,40}(?<=[A-Za-z\d][A-Z])(?![A-Za-z])", self._code),
            rule(NUMBER, self._alone),
            rule(r"\d+", lambda found: self.digits(found.group())),
        )
