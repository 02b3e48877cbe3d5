"""Why a robot cannot be commanded to move now, by what is known of it."""

from __future__ import annotations

from dataclasses import dataclass

from robots.facts.fact import Fact


@dataclass(frozen=True, slots=True)
class NoLink(Fact):
    """There is no connection to the broker."""

    reason: Fact


@dataclass(frozen=True, slots=True)
class CommandsDenied(Fact):
    """The broker does not allow commands to the robot."""


@dataclass(frozen=True, slots=True)
class NeverSeen(Fact):
    """Nothing has ever told whether the robot is there."""


@dataclass(frozen=True, slots=True)
class NotOnline(Fact):
    """The robot says that it is not there, or the broker says so for it."""

    presence: str


@dataclass(frozen=True, slots=True)
class NoActions(Fact):
    """The robot declares nothing that it can do besides driving, or nothing that can be asked for."""


@dataclass(frozen=True, slots=True)
class ActionsTooMany(Fact):
    """The robot declares more actions than a model is shown, and the site does not say which are wanted."""

    count: int
    most: int


@dataclass(frozen=True, slots=True)
class NoState(Fact):
    """The robot has not reported its state."""


@dataclass(frozen=True, slots=True)
class StateRefused(Fact):
    """The robot reports, but nothing of it can be used."""

    times: int
    reason: Fact
    """Of the last time."""


@dataclass(frozen=True, slots=True)
class StateOld(Fact):
    """The last state is too old."""

    age_s: float


@dataclass(frozen=True, slots=True)
class NotAutomatic(Fact):
    """Somebody else drives; `mode` is the word that the robot has for it."""

    mode: str


@dataclass(frozen=True, slots=True)
class EmergencyStop(Fact):
    """The robot's emergency stop is active."""


@dataclass(frozen=True, slots=True)
class FieldViolated(Fact):
    """Something is in the robot's protective field."""


@dataclass(frozen=True, slots=True)
class PositionUnknown(Fact):
    """The robot does not know where it is."""


@dataclass(frozen=True, slots=True)
class OnOtherMap(Fact):
    """The robot gives its position on a map that is not the site's."""

    map: str
    wanted: str
