"""What is sent to a robot, in no protocol's words. Made here, judged by the gate, written by an adapter."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from robots.geometry import Point

Argument = str | float | int | bool


@dataclass(frozen=True, slots=True)
class Deed:
    """Something to do that is no driving."""

    ticket: str
    """Of the admitted call that asks for it; the robot lists it under this name."""
    skill: str
    arguments: Mapping[str, Argument] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Release:
    """How far a task may be carried out now: a robot without its commander stops at the end of what is free."""

    ticket: str
    """Of the admitted call that the task carries out."""
    number: int
    """0, 1, ...: each replaces what was free before."""
    map: str
    first: int
    """Index of the first point in the task's way: the end of what was free before, or where the robot stands."""
    points: tuple[Point, ...]
    free: int
    """So many of the points, from the first on, may be driven to; the others are shown."""
    max_speed_m_s: float
    theta: float | None = None
    """Heading at the last point, which is the goal then, rad."""
    deed: Deed | None = None
    """What is to be done at the last point, which is the goal then."""

    @property
    def reach(self) -> int:
        """Index of the last free point in the task's way."""
        return self.first + self.free - 1


class StopStep(StrEnum):
    """What ends motion."""

    PAUSE = "pause"
    """Stand, and keep the task."""
    CANCEL = "cancel"
    """Forget the task."""


@dataclass(frozen=True, slots=True)
class StopCommand:
    """A step of a stop."""

    step: StopStep
    command_id: str


@dataclass(frozen=True, slots=True)
class Unpause:
    """End a pause."""

    command_id: str


class Wanted(StrEnum):
    """What a robot may be asked for; nothing moves by it."""

    REPORT = "report"
    CAPABILITIES = "capabilities"


@dataclass(frozen=True, slots=True)
class Inquiry:
    """Ask the robot for something."""

    wanted: Wanted
    command_id: str


RobotCommand = Release | Deed | StopCommand | Unpause | Inquiry
