"""Why the gate says no: to a call, to an answer, or to a message that was about to be sent."""

from __future__ import annotations

from dataclasses import dataclass

from robots.facts.fact import Fact


@dataclass(frozen=True, slots=True)
class StillStopped(Fact):
    """The robot was stopped, and nobody has confirmed a resume."""

    robot: str


@dataclass(frozen=True, slots=True)
class StillHeld(Fact):
    """The robot is paused, and nobody has confirmed a resume."""

    robot: str


@dataclass(frozen=True, slots=True)
class NothingToResume(Fact):
    """The robot is neither stopped nor paused."""

    robot: str


@dataclass(frozen=True, slots=True)
class StopUnconfirmed(Fact):
    """The robot has not confirmed yet that it stopped."""

    robot: str


@dataclass(frozen=True, slots=True)
class CallStale(Fact):
    """The call is from before the last stop."""


@dataclass(frozen=True, slots=True)
class CallRepeated(Fact):
    """The call was made already."""


@dataclass(frozen=True, slots=True)
class CallUnreadable(Fact):
    """The call is no JSON object with exactly the keys `skill` and `arguments`."""


@dataclass(frozen=True, slots=True)
class SkillForbidden(Fact):
    """The site does not allow the skill."""

    skill: str
    allowed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SkillUnknown(Fact):
    """The robot has no such skill."""

    skill: str
    known: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ArgumentsNoObject(Fact):
    """The arguments are not an object."""

    skill: str


@dataclass(frozen=True, slots=True)
class ArgumentMissing(Fact):
    """An argument that the skill needs is missing."""

    skill: str
    argument: str


@dataclass(frozen=True, slots=True)
class ArgumentUnknown(Fact):
    """The skill has no such argument."""

    skill: str
    argument: str


@dataclass(frozen=True, slots=True)
class ArgumentOfOtherType(Fact):
    """An argument is of the wrong type; `wanted` is that of JSON schema."""

    skill: str
    argument: str
    value: str
    wanted: str


@dataclass(frozen=True, slots=True)
class ArgumentNotAmong(Fact):
    """An argument is none of the values that there are."""

    skill: str
    argument: str
    value: str
    choices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ArgumentTooLong(Fact):
    """A text has more characters than are passed on."""

    skill: str
    argument: str
    limit: int


@dataclass(frozen=True, slots=True)
class ArgumentOutOfRange(Fact):
    """A number is out of range."""

    skill: str
    argument: str
    value: float
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class BatteryLow(Fact):
    """The battery is too low for a new task."""

    percent: float


@dataclass(frozen=True, slots=True)
class CallsTooMany(Fact):
    """More calls came in a minute than the site allows."""

    limit: int


@dataclass(frozen=True, slots=True)
class TasksTooMany(Fact):
    """As many tasks wait as may wait."""

    limit: int


@dataclass(frozen=True, slots=True)
class ForeignOrder(Fact):
    """The robot carries out an order of another program."""

    robot: str


@dataclass(frozen=True, slots=True)
class QuestionNotOpen(Fact):
    """No such question waits for an answer."""


@dataclass(frozen=True, slots=True)
class OnlyUserConfirms(Fact):
    """An answer came from somebody else than the user."""


@dataclass(frozen=True, slots=True)
class AnswerLate(Fact):
    """The answer came too late, or before its question."""


@dataclass(frozen=True, slots=True)
class UserDeclined(Fact):
    """The user said no."""


@dataclass(frozen=True, slots=True)
class OrderNotAdmitted(Fact):
    """No call was admitted that this task carries out."""


@dataclass(frozen=True, slots=True)
class ActionNotAdmitted(Fact):
    """No call was admitted that this action carries out."""

    action: str


@dataclass(frozen=True, slots=True)
class WayLeavesFence(Fact):
    """A leg of the way comes too near to the fence or a keep-out area, m."""

    from_x: float
    from_y: float
    to_x: float
    to_y: float


@dataclass(frozen=True, slots=True)
class BaseTooLong(Fact):
    """More of the way would be released at once than the dead-man distance, m."""

    metres: float
    most: float


@dataclass(frozen=True, slots=True)
class RobotUnheard(Fact):
    """The robot has been silent too long for a way to be released, s."""

    age_s: float


@dataclass(frozen=True, slots=True)
class OffMap(Fact):
    """A way is on another map than the site's, or a point of it nowhere."""

    map: str
    wanted: str


@dataclass(frozen=True, slots=True)
class TooFast(Fact):
    """More speed would be allowed than the site allows, m/s."""

    most: float


@dataclass(frozen=True, slots=True)
class CommandsWait(Fact):
    """As many commands wait for the broker as may wait."""


@dataclass(frozen=True, slots=True)
class AuditUnwritable(Fact):
    """The audit log cannot be written; `cause` is the system's own word."""

    file: str
    cause: str
