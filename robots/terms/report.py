"""What a robot says of itself, in no protocol's words. Adapters make it; nothing is in it that nobody needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Presence(StrEnum):
    """Whether the robot is there."""

    ONLINE = "online"
    OFFLINE = "offline"
    """It has left."""
    BROKEN = "broken"
    """Its connection broke, or its word for it is unknown."""


class DeedStatus(StrEnum):
    """How far a deed or another command is."""

    UNDER_WAY = "under_way"
    DONE = "done"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        """Whether it will not change any more."""
        return self is not DeedStatus.UNDER_WAY


@dataclass(frozen=True, slots=True)
class DeedReport:
    """What the robot says of one deed or command."""

    status: DeedStatus
    result: str = ""
    """The robot's own words: untrusted."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that the robot reports as wrong; its texts are untrusted."""

    kind: str
    words: str = ""
    grave: bool = False
    """Whether it cannot go on."""
    task: str | None = None
    """The task that it is about."""
    release: int | None = None
    """The release of that task; None: not said."""
    nameless_refusal: bool = False
    """Whether a task is refused, without a word which."""
    commands: tuple[str, ...] = ()
    """Ids of the commands that are refused."""
    about: tuple[tuple[str, str], ...] = ()
    """All that it is about, in the robot's own words: two faults of one kind are told apart by it."""


@dataclass(frozen=True, slots=True)
class Pose:
    """Where the robot knows itself to be: metres and radians in the frame of a map."""

    x: float
    y: float
    theta: float
    map: str


@dataclass(frozen=True, slots=True)
class PointAhead:
    """A point of the way that the robot still has before it."""

    index: int | None
    """Its place in the task's way; None: it is none of those that are sent from here."""
    free: bool
    """Whether it may drive there."""


@dataclass(frozen=True, slots=True)
class RobotReport:
    """All that a robot says of itself at one time."""

    task: str
    """The task that it carries out, or carried out last; empty: none."""
    release: int
    """The newest release of that task that it has taken."""
    passed: int
    """Index of the last point that it has passed."""
    ahead: tuple[PointAhead, ...]
    unfinished: bool
    """Whether anything of the way is left."""
    drives: bool
    paused: bool
    deeds: Mapping[str, DeedReport]
    """By the id under which each was sent."""
    battery_percent: float
    mode: str
    """Who drives, in the robot's own word."""
    automatic: bool
    """Whether it takes tasks in that mode."""
    emergency_stop: bool
    field_violated: bool
    """Whether something is in its protective field."""
    pose: Pose | None
    faults: tuple[Fault, ...] = field(default=())

    def deed(self, command_id: str) -> DeedStatus | None:
        """Return the status of what was sent under an id, or None where the robot does not list it."""
        found = self.deeds.get(command_id)
        return None if found is None else found.status

    def refuses(self, command_ids: Sequence[str]) -> bool:
        """Whether the robot reports that it refuses one of some commands.

        Some do so instead of listing it as failed: for a pause while paused, or a cancellation without a task.
        """
        return any(one in command_ids for fault in self.faults for one in fault.commands)
