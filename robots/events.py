"""What happens to a robot: a code and its facts. The words stand in `languages/`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from robots.facts.fact import Fact
    from robots.skills import SkillCall


class Happening(StrEnum):
    """Kinds of events."""

    ONLINE = "online"
    OFFLINE = "offline"
    STARTED = "started"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    BLOCKED = "blocked"
    HELD = "held"
    STOPPED = "stopped"
    UNCONFIRMED = "unconfirmed"
    RESUMED = "resumed"
    DENIED = "denied"
    OTHER = "other"
    """Another program commands the robot."""
    MISREAD = "misread"
    """The robot uses a word that is unknown here."""
    LIMITED = "limited"
    """The robot can be asked for less than it might, for this reason."""
    REFUSED = "refused"
    """A message of the robot was refused, for this reason for the first time."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that the model and the user should know."""

    happening: Happening
    reason: Fact | None = None
    call: SkillCall | None = None
    """What it is about: always there where something began, is done, failed or blocked, or a task is unknown."""
    dropped: int = 0
    """How many tasks that waited are dropped with it."""
