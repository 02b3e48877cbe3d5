"""What happens to a robot, in words for a model or a user."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


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


@dataclass(frozen=True, slots=True)
class Event:
    """Something that the model and the user should know."""

    happening: Happening
    text: str
    call_id: str | None = None
