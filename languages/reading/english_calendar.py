"""Times, dates, years and decades in English. Pure."""

from __future__ import annotations

import re
from typing import Final

from languages.reading.english_numbers import cardinal, counted, ordinal, plural, year
from languages.reading.grammar import Rule, after, before, rule

_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July",
    "August", "September", "October", "November", "December",
)  # fmt: skip
_SHORT_MONTHS: Final = {
    **{name[:3]: name for name in _MONTHS if name != "May"},
    **{f"{name[:3]}.": name for name in _MONTHS if name != "May"},
    **{name: name for name in _MONTHS},
    "Sept": "September",
    "Sept.": "September",
}
_NAME: Final = rf"(?P<name>{'|'.join(sorted(map(re.escape, _SHORT_MONTHS), key=len, reverse=True))})"
_DAY: Final = r"(?P<day>3[01]|[12]\d|0?[1-9])"
_YEAR: Final = r"(?P<year>[12]\d{3})"
_HALF: Final = r"(?P<half>[AaPp]\.[Mm]\.|[AaPp]\.?[Mm]\b\.?)"
_TO: Final = r" ?[-–—] ?"

_TELLS_YEAR: Final = re.compile(
    r"(?i:\b(?:in|since|until|till|year|years|of|from|by|before|after|around|circa|during|summer|spring|winter|fall"
    r"|autumn|early|late|mid|between|than|class|season|copyright|born|died|ad"
    rf"|{'|'.join(_MONTHS)}),?:? ?[-(]?|\((?:born |died |c\. ?)?|\b(?:q[1-4]|fy|h[12]) ?|[-–]|© ?)$"
)
"""What stands before a year."""
_OF_A_YEAR: Final = re.compile(
    r"(?: (?:AD|BC|BCE|CE|crisis|election|elections|season|edition|Olympics|World Cup|census|film|movie|album|novel"
    r"|report|budget|model|graduate|vintage|championship|war|treaty|constitution)\b|['’]s\b|\)|[-–][12]\d{3}\b)"
)
"""What stands behind a year."""
_COUNTED: Final = re.compile(
    r" ?(?:[a-z]{2,}s\b(?<!as)(?<!is)(?<!was)(?<!has)|people|percent|%|°|[kcm]?[mgl]\b|ft\b|lbs?\b)"
)
_AFTER_TO: Final = re.compile(r"(?i:\b(?:in|of|from|between|since)\b) ([12]\d{3}) (?:to|and|or|until) $")


def _time(found: re.Match[str]) -> str:
    hour, minute = int(found["hour"]), found["minute"] or "00"
    # Voices take a lone "A" for the article.
    half = "-".join(found["half"].upper().replace(".", "")) if found["half"] else ""
    whole = "" if half else "o'clock" if hour < 13 else "hundred"
    if not hour and not int(minute) and not half and not found.groupdict().get("second"):
        return "midnight"
    said = f"{cardinal(str(hour))} {_minute(minute) if int(minute) else whole} {half}"
    if found.groupdict().get("second"):
        said = f"{cardinal(str(hour))} {_minute(minute)} and {cardinal(str(int(found['second'])))} seconds {half}"
    rest = found.string[found.end() :]
    ends = found.group().endswith(".") and (not rest.strip() or re.match(r"\s+[A-Z]", rest))
    return " ".join(said.split()) + ("." if ends else "")


def _minute(minute: str) -> str:
    return (
        cardinal(str(int(minute))) if int(minute) > 9 else f"oh {cardinal(str(int(minute)))}" if int(minute) else "zero"
    )


def _from_hour(found: re.Match[str]) -> str:
    """Say "9-11 am"."""
    return f"{cardinal(found['hour'])} to "


def _said_date(month: int, day: int, of_year: str) -> str | None:
    if not (1 <= month <= len(_MONTHS) and 1 <= day <= 31):
        return None
    whole = of_year if len(of_year) == len("2023") else f"{'19' if int(of_year) > 50 else '20'}{of_year}"
    return f"{_MONTHS[month - 1]} {ordinal(day)}, {year(int(whole))}"


def _date(found: re.Match[str]) -> str | None:
    """Say a date in figures: the month first where a slash stands, as where the dollar is; the day before points."""
    first, second = int(found["first"]), int(found["second"])
    day_first = first > len(_MONTHS) or (found["sign"] == "." and second <= len(_MONTHS))
    month, day = (second, first) if day_first else (first, second)
    return _said_date(month, day, found["year"])


def _day_of_year(found: re.Match[str]) -> str | None:
    """Say "3/15" where it cannot be a part of something, or where something happens then."""
    month, day = int(found["month"]), int(found["day"])
    told = re.search(r"(?i:\b(?:on|until|till|since|due|dated)) $", before(found))
    sums = re.match(r" ?[=*+]", after(found)) or re.search(r"[=*+] ?$", before(found))
    return f"{_MONTHS[month - 1]} {ordinal(day)}" if told or (day > 20 and not sums) else None


def _span(found: re.Match[str]) -> str:
    """Say "2h 15m" and "1m 30s"."""
    large, small = ("hour", "minute") if found["large"] == "h" else ("minute", "second")
    return f"{counted(found['first'], large, f'{large}s')} {counted(found['second'], small, f'{small}s')}"


def _iso_date(found: re.Match[str]) -> str | None:
    said = _said_date(int(found["month"]), int(found["day"]), found["year"])
    if said and found.group().endswith("T"):
        return f"{said}, "
    return f"{said}," if said and re.match(r" \d", after(found)) else said


def _month_day(found: re.Match[str]) -> str:
    last = f" to {ordinal(int(found['last']))}" if found["last"] else ""
    said = f"{_SHORT_MONTHS[found['name']]} {ordinal(int(found['day']))}{last}"
    return f"{said}, {year(int(found['year']))}" if found["year"] else said


def _day_month(found: re.Match[str]) -> str:
    the = "" if re.search(r"(?i:\bthe )$", before(found)) else "the "
    first = f"{ordinal(int(found['low']))} to {the}" if found["low"] else ""
    said = f"{the}{first}{ordinal(int(found['day']))} of {_SHORT_MONTHS[found['name']]}"
    return f"{said}, {year(int(found['year']))}" if found["year"] else said


def _short_month_year(found: re.Match[str]) -> str:
    return f"{_SHORT_MONTHS[found['name']]} {year(int(found['year']))}"


def _year(found: re.Match[str]) -> str | None:
    """Say four figures as a year, where what stands around them tells that they are one."""
    around = before(found)
    if _COUNTED.match(after(found)) or re.match(r"[\d,.:/]\d|\w", after(found)):
        return None
    if _AFTER_TO.search(around) or _TELLS_YEAR.search(around) or _OF_A_YEAR.match(after(found)):
        return year(int(found.group()))
    return None


def _years(found: re.Match[str]) -> str | None:
    first, last = found["first"], found["last"]
    if len(last) == 2 and int(last) != (int(first) + 1) % 100 and not _TELLS_YEAR.search(before(found)):
        return None
    return f"{year(int(first))} to {year(int(first[: 4 - len(last)] + last))}"


def _decade(found: re.Match[str]) -> str | None:
    """Say "1990s" and "'60s"."""
    number = found["number"]
    return plural(year(int(number)) if len(number) == len("1990") else cardinal(number))


def _age(found: re.Match[str]) -> str | None:
    """Say the twenties of somebody or of a century, where they are no seconds."""
    told = re.search(r"(?i:\b(?:the|her|his|our|my|your|their|early|mid|late)[ -])$", before(found))
    told = told or re.match(r" (?:music|fashion|style|movies?|kids?|band|rock|pop|hits?|songs?)\b", after(found))
    return plural(cardinal(found["number"])) if told else None


_DATE_SIGN: Final = r"(?P<sign>[/.-])"
_IN_WORDS: Final = (
    rule(
        rf"{_NAME} {_DAY}(?:st|nd|rd|th)?(?:[-–](?P<last>3[01]|[12]\d|[1-9]))?(?![\w:]|\.\d|-\d| ?%)(?:,? {_YEAR}\b)?",
        _month_day,
    ),
    rule(rf"{_NAME} {_YEAR}\b(?![,.]\d)", _short_month_year),
)
_IN_SIGNS: Final = (
    rule(
        rf"(?<![\d.])(?P<first>\d{{1,2}}){_DATE_SIGN}(?P<second>\d{{1,2}})(?P=sign)(?P<year>[12]\d{{3}})(?![\d/])",
        _date,
    ),
    rule(r"(?<!\d)(?P<first>\d{1,2})(?P<sign>/)(?P<second>\d{1,2})/(?P<year>\d\d)(?![\d/])", _date),
    rule(r"(?P<month>1[0-2]|0?[1-9])/(?P<day>3[01]|[12]\d|0?[1-9])(?![\d/]|\.\d)", _day_of_year),
    rule(r"(?P<first>\d{1,3}) ?(?P<large>h) ?(?P<second>[0-5]?\d) ?m(?:in)?(?!\w)", _span),
    rule(r"(?P<first>\d{1,3}) ?(?P<large>m)(?:in)? ?(?P<second>[0-5]?\d) ?s(?:ec)?(?!\w)", _span),
    rule(
        r"(?P<year>[1-9]\d{3})(?P<s>[-/.])(?P<month>0[1-9]|1[0-2])(?P=s)(?P<day>0[1-9]|[12]\d|3[01])(?![\d-])(?:T(?=\d))?",
        _iso_date,
    ),
    rule(
        rf"(?:(?P<low>3[01]|[12]\d|[1-9])(?:st|nd|rd|th)?{_TO})?{_DAY}(?:st|nd|rd|th)?(?: of)? {_NAME}(?!\w)"
        rf"(?:,? {_YEAR}\b)?",
        _day_month,
    ),
    rule(rf"(?P<hour>1[0-2]|[1-9]){_TO}(?=(?:1[0-2]|[1-9])(?::[0-5]\d)? ?{_HALF})", _from_hour),
    rule(rf"(?P<hour>2[0-3]|[01]?\d):(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d))?(?![\d:])(?: ?{_HALF})?", _time),
    rule(rf"(?P<hour>1[0-2]|[1-9])[.](?P<minute>[0-5]\d) ?{_HALF}", _time),
    rule(rf"(?P<hour>1[0-2]|[1-9])(?P<minute>) ?{_HALF}", _time),
    rule(r"(?P<number>[12]\d\d0)['’]?s\b", _decade),
    rule(r"['’](?P<number>[1-9]0)['’]?s\b", _decade),
    rule(r"['’](?P<number>\d\d)(?!\w)", lambda found: year_digits(found["number"])),
    rule(r"(?P<number>[2-9]0)s\b", _age),
    rule(r"(?P<first>1[1-9]\d\d|20\d\d)[-–](?P<last>1[1-9]\d\d|20\d\d|\d\d)(?![\w-]|[.,]\d| ?=)", _years),
    rule(r"(?:1\d\d\d|20\d\d)", _year),
)


def year_digits(number: str) -> str:
    """Say the last two figures of a year: "'07" is "oh seven"."""
    return cardinal(number) if number[0] != "0" else f"oh {cardinal(number[1])}"


def calendar_rules() -> tuple[tuple[Rule, ...], tuple[Rule, ...]]:
    """Give the rules that begin with letters, and those that begin with signs."""
    return _IN_WORDS, _IN_SIGNS
