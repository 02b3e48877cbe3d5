"""Word problems of which the user corrects one number in mid-reply. Made by seed; two splits that share no template.

Numbers up to nine are spelled and larger ones written in figures, as the ears write them.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from num2words import num2words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Split = Literal["dev", "test"]


@dataclass(frozen=True, slots=True)
class Problem:
    """A question, one correction of it, and the right answers before and after."""

    name: str
    question: str
    correction: str
    meant: str
    """The question with the number that the correction tells."""
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class _Template:
    name: str
    question: str
    ranges: Mapping[str, tuple[int, int]]
    """Least and largest value of each number."""
    corrections: Mapping[str, str]
    """How a user corrects each number; in the order in which the steps need them."""
    answer: Callable[..., int]


_DEV: Final = (
    _Template(
        "tickets",
        "I buy {a} tickets for {b} dollars each and pay with {c} dollars. How much change do I get?",
        {"a": (2, 6), "b": (5, 9), "c": (60, 99)},
        {
            "a": "Sorry, I meant {a} tickets.",
            "b": "No, they cost {b} dollars each.",
            "c": "Wait, I pay with {c} dollars.",
        },
        lambda a, b, c: c - a * b,
    ),
    _Template(
        "eggs",
        "A farmer has {a} chickens. Each chicken lays {b} eggs a day. He eats {c} eggs and sells the others. "
        "How many eggs does he sell in a day?",
        {"a": (11, 19), "b": (2, 4), "c": (3, 9)},
        {
            "a": "Sorry, he has {a} chickens.",
            "b": "I meant {b} eggs a day.",
            "c": "No, he eats {c} eggs.",
        },
        lambda a, b, c: a * b - c,
    ),
    _Template(
        "shop",
        "I buy {a} pens for {b} dollars each and {c} books for {d} dollars each. How much do I pay in total?",
        {"a": (2, 9), "b": (2, 4), "c": (2, 6), "d": (5, 9)},
        {
            "a": "Not {old}, I buy {a} pens.",
            "b": "Sorry, the pens cost {b} dollars.",
            "c": "Actually I buy {c} books.",
            "d": "No, the books cost {d} dollars.",
        },
        lambda a, b, c, d: a * b + c * d,
    ),
    _Template(
        "rows",
        "A hall has {a} rows with {b} chairs each. {c} chairs are broken, and {d} chairs are kept for guests. "
        "How many chairs are left?",
        {"a": (5, 9), "b": (7, 12), "c": (2, 6), "d": (7, 15)},
        {
            "a": "Sorry, there are {a} rows.",
            "b": "I meant {b} chairs in each row.",
            "c": "Wait, {c} chairs are broken.",
            "d": "No, {d} are kept for guests.",
        },
        lambda a, b, c, d: a * b - c - d,
    ),
)
_TEST: Final = (
    _Template(
        "bakery",
        "A baker makes {a} trays of rolls, with {b} rolls on each tray. He sells {c} rolls in the morning. "
        "How many rolls are left?",
        {"a": (4, 9), "b": (8, 12), "c": (11, 29)},
        {
            "a": "Sorry, it's {a} trays.",
            "b": "No wait, {b} rolls on each tray.",
            "c": "I meant that he sells {c} rolls.",
        },
        lambda a, b, c: a * b - c,
    ),
    _Template(
        "wages",
        "Tom works {a} hours a day for {b} days. He earns {c} dollars an hour. How much does he earn?",
        {"a": (3, 8), "b": (2, 6), "c": (5, 9)},
        {
            "a": "Actually he works {a} hours a day.",
            "b": "Sorry, for {b} days.",
            "c": "No, he earns {c} dollars an hour, not {old}.",
        },
        lambda a, b, c: a * b * c,
    ),
    _Template(
        "garden",
        "Lena plants {a} rows of tulips with {b} tulips in each row, and {c} rows of roses with {d} roses in each row. "
        "How many flowers does she plant?",
        {"a": (3, 8), "b": (6, 9), "c": (2, 5), "d": (4, 7)},
        {
            "a": "Wait, {a} rows of tulips.",
            "b": "Sorry, there are {b} tulips in each row.",
            "c": "No, {c} rows of roses.",
            "d": "I meant {d} roses in each row.",
        },
        lambda a, b, c, d: a * b + c * d,
    ),
    _Template(
        "savings",
        "Ben saves {a} dollars a week for {b} weeks. Then he buys a game for {c} dollars and a ball for {d} dollars. "
        "How much money is left?",
        {"a": (11, 19), "b": (5, 9), "c": (20, 29), "d": (4, 9)},
        {
            "a": "Sorry, he saves {a} dollars a week.",
            "b": "No, for {b} weeks.",
            "c": "The game costs {c} dollars, not {old}.",
            "d": "Actually the ball costs {d} dollars.",
        },
        lambda a, b, c, d: a * b - c - d,
    ),
)
TEMPLATES: Final[Mapping[Split, tuple[_Template, ...]]] = {"dev": _DEV, "test": _TEST}


def problems(split: Split, each: int) -> list[Problem]:
    """Give every correction of every template, `each` times with other numbers."""
    return [
        _problem(template, slot, f"{split} {template.name} {slot} {number}")
        for template in TEMPLATES[split]
        for slot in template.corrections
        for number in range(each)
    ]


def _problem(template: _Template, slot: str, seed: str) -> Problem:
    chance = random.Random(seed)
    values = {name: chance.randint(*bounds) for name, bounds in template.ranges.items()}
    least, largest = template.ranges[slot]
    other = chance.choice([value for value in range(least, largest + 1) if value != values[slot]])
    changed = {**values, slot: other}
    told, meant = (
        _capitals(template.question.format(**{name: _spelled(value) for name, value in given.items()}))
        for given in (values, changed)
    )
    correction = template.corrections[slot].format(**{slot: _spelled(other), "old": _spelled(values[slot])})
    return Problem(
        f"{template.name}: {slot}",
        told,
        _capitals(correction),
        meant,
        template.answer(**values),
        template.answer(**changed),
    )


def _capitals(text: str) -> str:
    return re.sub(r"(?:^|(?<=[.?!] ))[a-z]", lambda match: match[0].upper(), text)


def _spelled(value: int) -> str:
    return str(num2words(value)) if value < 10 else str(value)
