"""Why a message was refused, or what in it was read as something else. `topic` is the last level of its topic."""

from __future__ import annotations

from dataclasses import dataclass

from robots.facts.fact import Fact


@dataclass(frozen=True, slots=True)
class MessageTooLarge(Fact):
    """It has more bytes than are read."""

    topic: str
    size: int
    limit: int


@dataclass(frozen=True, slots=True)
class MessageNotJson(Fact):
    """It is no JSON object."""

    topic: str


@dataclass(frozen=True, slots=True)
class FieldMissing(Fact):
    """It lacks a field that the specification demands."""

    topic: str
    field: str


@dataclass(frozen=True, slots=True)
class FieldWrong(Fact):
    """A field is of the wrong type or out of range; `problem` is the name that pydantic gives to the mistake."""

    topic: str
    field: str
    problem: str


@dataclass(frozen=True, slots=True)
class OtherRobotNamed(Fact):
    """Its header names another robot than its topic."""

    topic: str
    named: str


@dataclass(frozen=True, slots=True)
class MessageOvertaken(Fact):
    """It was written before one that is known already, by its own header."""

    topic: str


@dataclass(frozen=True, slots=True)
class MessageUnlike(Fact):
    """A message that was about to be sent does not say what the gate judged."""

    topic: str


@dataclass(frozen=True, slots=True)
class ValueRead(Fact):
    """A value is unknown here and was read as the most careful one that is known."""

    field: str
    value: str
    read_as: str
