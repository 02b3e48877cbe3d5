"""What became of a task and why, and why the robot is paused."""

from __future__ import annotations

from dataclasses import dataclass

from robots.facts.fact import Fact


@dataclass(frozen=True, slots=True)
class OrderUnconfirmed(Fact):
    """The robot does not echo the order."""


@dataclass(frozen=True, slots=True)
class OtherOrderFollowed(Fact):
    """The robot follows another order."""


@dataclass(frozen=True, slots=True)
class OrderForgotten(Fact):
    """The robot has forgotten its order."""


@dataclass(frozen=True, slots=True)
class OrderNeverArrived(Fact):
    """The order never reached the robot."""


@dataclass(frozen=True, slots=True)
class OrderExtended(Fact):
    """Another program extends this order."""


@dataclass(frozen=True, slots=True)
class OrderChanged(Fact):
    """The robot reports other points, or further ones as free, than it was sent."""


@dataclass(frozen=True, slots=True)
class CommandsUnanswered(Fact):
    """The robot reports, but answers nothing that is sent to it, and nobody refuses to pass it on."""

    robot: str


@dataclass(frozen=True, slots=True)
class OrderRefused(Fact):
    """The robot refuses the order; `error` is the robot's word."""

    error: str


@dataclass(frozen=True, slots=True)
class OrderEndedEarly(Fact):
    """The robot ended the order before its end."""


@dataclass(frozen=True, slots=True)
class ModeSwitched(Fact):
    """Somebody has switched the robot to another mode."""

    mode: str


@dataclass(frozen=True, slots=True)
class FaultReported(Fact):
    """The robot reports a fault with which it cannot go on; `error` is its word."""

    error: str


@dataclass(frozen=True, slots=True)
class ActionFailed(Fact):
    """The action at the goal failed."""


@dataclass(frozen=True, slots=True)
class ActionFailedAs(Fact):
    """The action at the goal failed; `result` is the robot's word."""

    result: str


@dataclass(frozen=True, slots=True)
class ArrivedElsewhere(Fact):
    """The robot says that it has arrived, and is somewhere else."""


@dataclass(frozen=True, slots=True)
class NoWay(Fact):
    """No way leads there inside the fence."""


@dataclass(frozen=True, slots=True)
class ToldToStop(Fact):
    """The robot was told to stop."""


@dataclass(frozen=True, slots=True)
class LinkLostTo(Fact):
    """The connection to the robot is lost."""

    robot: str
    reason: Fact


@dataclass(frozen=True, slots=True)
class NoLinkTo(Fact):
    """There is no connection to the robot, and there was none."""

    robot: str
    reason: Fact


@dataclass(frozen=True, slots=True)
class RobotSilent(Fact):
    """The robot does not answer."""

    robot: str


@dataclass(frozen=True, slots=True)
class RobotOffline(Fact):
    """The robot went offline."""

    robot: str


@dataclass(frozen=True, slots=True)
class NotSent(Fact):
    """The action was not sent."""


@dataclass(frozen=True, slots=True)
class NeverListed(Fact):
    """The robot never confirmed the action."""


@dataclass(frozen=True, slots=True)
class OthersCommand(Fact):
    """Another program commands the robot."""


@dataclass(frozen=True, slots=True)
class PausedThere(Fact):
    """Somebody else paused the robot: a last will, a button, another program."""


@dataclass(frozen=True, slots=True)
class ResumeUnconfirmed(Fact):
    """The robot does not confirm that it may move."""


@dataclass(frozen=True, slots=True)
class CommanderLeaves(Fact):
    """The program that commands the robot ends."""


@dataclass(frozen=True, slots=True)
class CommanderFroze(Fact):
    """The program that commands the robot stood still for too long."""


@dataclass(frozen=True, slots=True)
class WardenGone(Fact):
    """The process that pauses the robot when its commander is frozen has ended."""


@dataclass(frozen=True, slots=True)
class ClientGone(Fact):
    """The client that had the robot is gone."""
