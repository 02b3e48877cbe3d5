"""What a spoken reply states as its result, and whether that is right. Never looks at thoughts.

The last stated result counts. In the last sentence that holds a value of the asked kind, what is called the answer
comes first, then a value that the question does not hold, then what something "is" or "makes", then the last value.
Spelled numbers, units, commas, clock times and sums of hours and minutes are brought into one form. Sans-I/O; English.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from reasoning.policies.grounding import numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.think.tasks import Kind, TaskQuestion

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
_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+|\n+")


def stated(text: str, kind: Kind, question: str = "") -> str | None:
    """Give the last result that a text states, in the form of its kind; None when it states none."""
    find = _FINDERS[kind]
    known = {value for value, _, _ in find(question)}
    for sentence in reversed(_SENTENCE.split(text)):
        found = find(sentence)
        if found:
            return _chosen(sentence, found, known)
    return None


def right(text: str, item: TaskQuestion) -> bool:
    """Say whether the last stated result is the item's answer."""
    return stated(text, item.kind, item.question) == item.answer


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


def _numbers(text: str) -> list[tuple[str, int, int]]:
    found = []
    for match in _NUMBER.finditer(text):
        values = numbers(match[0])
        if values:
            sign = -1 if _NEGATIVE.search(text[: match.start()]) else 1
            found.append((f"{sign * max(values):g}" if max(values) < 1e6 else f"{sign * max(values):.0f}",
                          match.start(), match.end()))  # fmt: skip
    return found


def _weekdays(text: str) -> list[tuple[str, int, int]]:
    return [(match[1].capitalize(), match.start(), match.end()) for match in _WEEKDAYS.finditer(text)]


def _relations(text: str) -> list[tuple[str, int, int]]:
    return [(_relation(match[0]), match.start(), match.end()) for match in _RELATIONS.finditer(text)]


def _relation(text: str) -> str:
    joined = re.sub(r"[\s-]+in[\s-]+law", "-in-law", text.lower())
    joined = re.sub(r"^grand[\s-]", "grand", joined)
    for word, name in _SYNONYMS.items():
        if joined in (word, f"grand{word}"):
            return joined.removesuffix(word) + name
    return joined


def _durations(text: str) -> list[tuple[str, int, int]]:
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


_FINDERS: Final[dict[Kind, Callable[[str], list[tuple[str, int, int]]]]] = {
    "number": _numbers,
    "weekday": _weekdays,
    "duration": _durations,
    "relation": _relations,
}
