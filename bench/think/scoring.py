"""What a spoken reply states as its result, and whether that is right. Never looks at thoughts.

The last stated result counts. In the last sentence that holds a value of the asked kind, what is called the answer
comes first, then a value that the question does not hold, then what something "is" or "makes", then the last value.
Spelled numbers, units, commas, clock times and sums of hours and minutes are brought into one form. A manner is stated
by a reply that keeps all its rules. Sans-I/O; English.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from reasoning.policies.grounding import numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.think.items.question import Kind, TaskQuestion

    Found = list[tuple[str, int, int]]
    """Values in the form of their kind, each with where it begins and ends."""

_WORD: Final = (
    "(?:zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|"
    "seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|thousand|million)"
)
_SPELLED: Final = rf"\b{_WORD}(?:(?:[\s-]+(?:and\s+)?){_WORD})*\b"
_FIGURES: Final = r"\d[\d,]*\d(?:\.\d+)?|\d+(?:\.\d+)?"
_NUMBER: Final = re.compile(rf"{_FIGURES}|{_SPELLED}", re.IGNORECASE)
_NEGATIVE: Final = re.compile(
    r"(?:(?:^|[^\w\s)]|\b(?:is|are|was|equals?|answer|of|gives?|get|gets|be|makes?|a|to|than))\s*[$€£]?)"
    r"(?:minus\s+|negative\s+|[-−–])\s*[$€£]?$",
    re.IGNORECASE,
)
_WEEKDAYS: Final = re.compile(r"\b(monday|tuesday|wednesday|thursday|friday|saturday|sunday)s?\b", re.IGNORECASE)
_RELATIONS: Final = re.compile(
    r"\b(?:(?:step|half)-?)?(?:grand[\s-]?)?(?:mother|father|son|daughter|child|mom|mum|dad|ma|pa)(?:[\s-]in[\s-]law)?\b"
    r"|\b(?:husband|wife|spouse|brother|sister|uncle|aunt|nephew|niece|cousin)(?:[\s-]in[\s-]law)?\b",
    re.IGNORECASE,
)
_SYNONYMS: Final = {"mom": "mother", "mum": "mother", "ma": "mother", "dad": "father", "pa": "father"}
_HOURS: Final = re.compile(
    rf"(?:(?P<hours>{_FIGURES}|{_SPELLED}|an?)(?P<half>\s+and\s+a\s+half)?[\s-]+(?:hours?|hrs?|h)\b"
    rf"(?:,?\s*(?:and\s+)?(?P<rest>(?P<m>{_FIGURES}|{_SPELLED})(?:[\s-]+(?:minutes?|mins?|m)\b)?|(?P<and_half>a\s+half\b)))?)"
    rf"|(?P<minutes>{_FIGURES}|{_SPELLED})[\s-]+(?:minutes?|mins?)\b"
    r"|(?P<half_hour>\bhalf\s+an\s+hour\b)"
    r"|\b(?P<clock_h>\d{1,2}):(?P<clock_m>\d{2})(?::00)?\b",
    re.IGNORECASE,
)
_CALLED: Final = re.compile(
    r"\b(?:answer|result|total|sum|difference|product|remainder|duration|multiple|divisor)\b[^.;]*?"
    r"(?:\bis|\bare|\bwas|\bequals?|\bcomes to|\bof|=|:(?!\d))\s*(?:\w+\s+){0,3}?$",
    re.IGNORECASE,
)
_IS: Final = re.compile(
    r"(?:=|\b(?:is|are|was|were|be|equals?|makes?|gives?|gets?|leaves?|leaving|has|have|costs?|comes to|results? in|"
    r"took|takes|lasted|falls? on|fell on))\s*:?\s*(?:(?:a|an|the|total|of|about|exactly|now|only|also|still|equal|to|"
    r"his|her|their|[A-Z]\w+['’]s)\s+|[$€£*]|-|minus\s+|negative\s+)*$"
)
_REASON: Final = re.compile(
    r"\b(?:after|because|since|when|if|given that|out of|instead of|rather than)\b", re.IGNORECASE
)
"""What follows these words tells how, not what."""
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH: Final = "(?:jan|febr?|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec)[a-z]*\\.?"
_DATE: Final = re.compile(
    r"\b(?P<number>\d{1,2})/(?P<day>\d{1,2})/(?P<year>\d{4})\b"
    rf"|\b(?P<month>{_MONTH})\s+(?P<day_>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?:of\s+)?(?P<year_>\d{{4}})\b"
    rf"|\b(?P<day__>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?(?P<month_>{_MONTH}),?\s+(?P<year__>\d{{4}})\b",
    re.IGNORECASE,
)
_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+|\n+")


def stated(text: str, item: TaskQuestion) -> str | None:
    """Give the last result that a text states, in the form of the item's kind; None when it states none."""
    if item.rules is not None:
        return None if item.rules.broken(text) else item.answer
    find = _FINDERS[item.kind]
    known = {value for value, _, _ in find(item.question, item)}
    for sentence in reversed(_SENTENCE.split(text)):
        found = find(sentence, item)
        if found:
            return _chosen(sentence, found, known)
    return None


def right(text: str, item: TaskQuestion) -> bool:
    """Say whether the last stated result is the item's answer."""
    return stated(text, item) == item.answer


def _chosen(sentence: str, found: Sequence[tuple[str, int, int]], known: set[str]) -> str:
    reason = next((m.start() for m in _REASON.finditer(sentence) if m.start() > found[0][2]), len(sentence))
    found = [item for item in found if item[1] < reason]
    called = [value for value, start, _ in found if _CALLED.search(sentence[:start])]
    new = [value for value, _, _ in found if value not in known]
    claimed = [value for value, start, _ in found if _IS.search(sentence[:start])]
    if called:
        # "The total is 35 plus 93, which is 128": what follows in the same breath goes on with the sum.
        later = [value for value in called if value not in known]
        return (later or called)[-1]
    return (new or claimed or [value for value, _, _ in found])[-1]


def _numbers(text: str, _: TaskQuestion) -> Found:
    found = []
    for match in _NUMBER.finditer(text):
        values = numbers(match[0])
        if values:
            sign = -1 if _NEGATIVE.search(text[: match.start()]) else 1
            found.append((f"{sign * max(values):g}" if max(values) < 1e6 else f"{sign * max(values):.0f}",
                          match.start(), match.end()))  # fmt: skip
    return found


def _weekdays(text: str, _: TaskQuestion) -> Found:
    return [(match[1].capitalize(), match.start(), match.end()) for match in _WEEKDAYS.finditer(text)]


def _relations(text: str, _: TaskQuestion) -> Found:
    return [(_relation(match[0]), match.start(), match.end()) for match in _RELATIONS.finditer(text)]


def _relation(text: str) -> str:
    joined = re.sub(r"[\s-]+in[\s-]+law", "-in-law", text.lower())
    joined = re.sub(r"^grand[\s-]", "grand", joined)
    for word, name in _SYNONYMS.items():
        if joined in (word, f"grand{word}"):
            return joined.removesuffix(word) + name
    return joined


def _durations(text: str, _: TaskQuestion) -> Found:
    return [(f"{_minutes(match):g}", match.start(), match.end()) for match in _HOURS.finditer(text)]


def _minutes(match: re.Match[str]) -> float:
    if match["minutes"]:
        return max(numbers(match["minutes"]), default=0.0)
    if match["half_hour"]:
        return 30.0
    if match["clock_h"]:
        return 60.0 * int(match["clock_h"]) + int(match["clock_m"])
    hours = 1.0 if match["hours"].lower() in ("a", "an") else max(numbers(match["hours"]), default=0.0)
    rest = max(numbers(match["m"]), default=0.0) if match["m"] else 0.0
    return 60.0 * hours + rest + (30.0 if match["half"] or match["and_half"] else 0.0)


def _dates(text: str, _: TaskQuestion) -> Found:
    found = []
    for match in _DATE.finditer(text):
        month = match["number"] or 1 + _MONTHS.index((match["month"] or match["month_"])[:3].lower())
        day, year = match["day"] or match["day_"] or match["day__"], match["year"] or match["year_"] or match["year__"]
        found.append((f"{int(year):04}-{int(month):02}-{int(day):02}", match.start(), match.end()))
    return found


def _options(text: str, item: TaskQuestion) -> Found:
    # The longest option first: "the red book" is not "the book".
    longest = sorted(item.options, key=len, reverse=True)
    pattern = "|".join(rf"(?:{re.escape(_bare(option))})" for option in longest)
    bare = {_bare(option).lower(): option for option in item.options}
    one = rf"(?:\b(?:an?|the)\s+)?\b(?:{pattern})\b"
    # Who says "the quail or the falcon" has named neither.
    left_open = [match.span() for match in re.finditer(rf"(?:{one},\s+)*{one},?\s+or\s+{one}", text, re.IGNORECASE)]
    matches = re.finditer(rf"\b(?:{pattern})\b", text, re.IGNORECASE)
    return [
        (bare[match[0].lower()], match.start(), match.end())
        for match in matches
        if not any(start <= match.start() < end for start, end in left_open)
    ]


def _bare(option: str) -> str:
    """Leave out the article: "a blue jay" is "the blue jay"."""
    return re.sub(r"^(?:an?|the)\s+", "", option, flags=re.IGNORECASE)


def _claims(text: str, item: TaskQuestion) -> Found:
    found: Found = []
    for name, pattern in item.claims:
        for match in re.finditer(pattern, text, re.IGNORECASE):
            # "You do not return" holds "you ... return", which it denies.
            if not any(start < match.end() and match.start() < end for _, start, end in found):
                found.append((name, match.start(), match.end()))
    return sorted(found, key=lambda one: one[1])


_FINDERS: Final[dict[Kind, Callable[[str, TaskQuestion], Found]]] = {
    "number": _numbers,
    "weekday": _weekdays,
    "duration": _durations,
    "relation": _relations,
    "date": _dates,
    "option": _options,
    "claim": _claims,
}
