"""What a robot says that it can do, in no protocol's words; adapters make it, `robots.skills` makes skills of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

JsonType = Literal["boolean", "number", "integer", "string"]


class SkillScope(StrEnum):
    """When something is done that is no driving."""

    AT_PLACE = "at_place"
    """Behind a way, where the robot stands then."""
    AT_ONCE = "at_once"


@dataclass(frozen=True, slots=True)
class OfferedArgument:
    """One argument of an action."""

    name: str
    kind: JsonType | None
    """None: a value that no model can fill in."""
    told: str = ""
    """The robot's own words for it: untrusted."""
    optional: bool = False


@dataclass(frozen=True, slots=True)
class OfferedAction:
    """Something that the robot can do besides driving."""

    name: str
    scope: SkillScope | None
    """None: nothing that can be asked for from here."""
    told: str = ""
    """The robot's own words for it: untrusted."""
    arguments: tuple[OfferedArgument, ...] = ()


@dataclass(frozen=True, slots=True)
class Capabilities:
    """All of it."""

    actions: tuple[OfferedAction, ...]
    speed_max_m_s: float
    min_interval_s: float = 0.0
    """Shortest time between two releases that the robot takes, s."""
