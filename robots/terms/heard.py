"""What an adapter tells the core: the connection comes and goes, the robot reports, others command it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from robots.facts.fact import Fact
    from robots.facts.messages import ValueRead
    from robots.terms.capabilities import Capabilities
    from robots.terms.report import Presence, RobotReport


@dataclass(frozen=True, slots=True)
class LinkUp:
    """The robot can be commanded and heard, as far as the network goes."""


@dataclass(frozen=True, slots=True)
class LinkDown:
    """The network, or who serves it, is gone or cannot be reached."""

    why: Fact


@dataclass(frozen=True, slots=True)
class Denied:
    """Commands to the robot are not let through."""

    why: Fact


class About(StrEnum):
    """What a message that cannot be used was to be."""

    REPORT = "report"
    COMMAND = "command"
    """Of another program, to the robot."""
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Something came that cannot be used."""

    why: Fact
    about: About


@dataclass(frozen=True, slots=True)
class Reported:
    """The robot reports."""

    report: RobotReport
    misread: tuple[ValueRead, ...] = ()
    """Values that are unknown here, and what they were taken for."""


@dataclass(frozen=True, slots=True)
class Presented:
    """The robot says that it is there or not, or somebody says so for it."""

    presence: Presence
    word: str
    """The robot's own word for it."""
    misread: tuple[ValueRead, ...] = ()


@dataclass(frozen=True, slots=True)
class Described:
    """The robot says what it can do."""

    capabilities: Capabilities
    misread: tuple[ValueRead, ...] = ()


class Intent(StrEnum):
    """What another program wants of the robot."""

    HARMLESS = "harmless"
    """Nothing that moves or stops it for long: a request, or the pause of a commander that is gone."""
    STOP = "stop"
    MOVE = "move"


@dataclass(frozen=True, slots=True)
class Overheard:
    """Another program commands the robot."""

    intent: Intent


RobotNews = LinkUp | LinkDown | Denied | Unreadable | Reported | Presented | Described | Overheard
