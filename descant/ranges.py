"""What a number may be, declared beside its type: `Annotated[float, Range(0.5, 2.0, "slower is no speech")]`.

Rooms declare, `agent.config.settings` checks whatever comes in, and `descant config show` tells. Knows no setting.
"""

from __future__ import annotations

import types
import typing
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Range:
    """From `least` to `most`, both allowed; never infinite, and not a number lies in no range."""

    least: float
    most: float
    why: str
    """What is wrong outside, in the words of a clause."""

    def __contains__(self, value: float) -> bool:
        return self.least <= value <= self.most

    def __str__(self) -> str:
        return " to ".join(str(end) if isinstance(end, int) else f"{end:.15g}" for end in (self.least, self.most))


@dataclass(frozen=True, slots=True)
class AtMost:
    """No more than another number of the same group."""

    other: str
    """Its name."""
    why: str
    """What is wrong above it."""


class OutOfRange(ValueError):
    """A number that is not in its range, or does not go with another one."""

    def __init__(self, name: str, value: object, wrong: str) -> None:
        super().__init__(f"{name} = {value} {wrong}")
        self.name = name
        """Of the field."""
        self.value = value
        self.wrong = wrong
        """What holds instead and why, to follow the value."""


@cache
def ranges(cls: type) -> Mapping[str, Range]:
    """Give the ranges of a dataclass's fields."""
    return {name: mark for name, marks in _marks(cls).items() for mark in marks if isinstance(mark, Range)}


@cache
def limits(cls: type) -> Mapping[str, tuple[AtMost, ...]]:
    """Give, for the fields that may not be more than others, what they may not be more than."""
    found = {name: tuple(mark for mark in marks if isinstance(mark, AtMost)) for name, marks in _marks(cls).items()}
    return {name: marks for name, marks in found.items() if marks}


def numbers(cls: type) -> frozenset[str]:
    """Give the names of a dataclass's fields that hold a number."""
    return frozenset(name for name, hint in get_type_hints(cls).items() if {int, float} & set(_kinds(hint)))


def refuse_outside(options: Any) -> None:  # noqa: ANN401 - any dataclass
    """Raise OutOfRange for the first number of a dataclass that is outside its range, or above what bounds it."""
    cls: Any = type(options)
    for name, allowed in ranges(cls).items():
        value = getattr(options, name)
        if value is not None and value not in allowed:
            raise OutOfRange(name, value, f"is not allowed: from {allowed}, since {allowed.why}")
    for name, marks in limits(cls).items():
        for mark in marks:
            value, bound = getattr(options, name), getattr(options, mark.other)
            if value > bound:
                raise OutOfRange(
                    name, value, f"is not allowed: at most {mark.other}, which is {bound}, since {mark.why}"
                )


@cache
def _marks(cls: type) -> Mapping[str, tuple[Any, ...]]:
    hints = get_type_hints(cls, include_extras=True)
    return {name: get_args(hint)[1:] for name, hint in hints.items() if get_origin(hint) is Annotated}


def _kinds(hint: object) -> tuple[object, ...]:
    return get_args(hint) if get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
