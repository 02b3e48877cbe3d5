"""Instant actions under way: asked for, sent, listed by the robot, ended. Sans-I/O; the gate sends them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from robots.events import Happening
from robots.facts.tasks import ActionFailed, NeverListed, NotSent
from robots.terms.report import DeedStatus

if TYPE_CHECKING:
    from robots.facts.fact import Fact
    from robots.safety.gate import Admitted
    from robots.terms.report import RobotReport

ACTION_TIMEOUT_S: Final = 10.0
"""An instant action that the robot never lists is unknown after this time, s."""


@dataclass(slots=True)
class InstantAction:
    """One of them."""

    admitted: Admitted
    since: float
    """When it was asked for, or sent."""
    sent: bool = False
    """Not before the robot has been heard again: on a connection that is stuck it would arrive long after."""


@dataclass(frozen=True, slots=True)
class InstantEnd:
    """What became of one."""

    admitted: Admitted
    happening: Happening
    reason: Fact | None = None


@dataclass(slots=True)
class InstantActionsUnderWay:
    """All of one robot, by their tickets, in the order in which they were asked for."""

    actions: dict[str, InstantAction] = field(default_factory=dict)

    @property
    def waiting(self) -> bool:
        """Whether one waits for the robot to be heard."""
        return any(not action.sent for action in self.actions.values())

    def add(self, admitted: Admitted, now: float) -> None:
        """Take one that was asked for."""
        self.actions[admitted.ticket] = InstantAction(admitted, now)

    def ready(self, report_at: float) -> list[Admitted]:
        """Return those that may be sent: the robot was heard, at `report_at`, after they were asked for."""
        return [one.admitted for one in self.actions.values() if not one.sent and report_at > one.since]

    def sent(self, admitted: Admitted, now: float) -> None:
        """Note that one has passed the gate."""
        self.actions[admitted.ticket] = InstantAction(admitted, now, sent=True)

    def refused(self, admitted: Admitted, why: Fact) -> InstantEnd:
        """End one that the gate does not let pass."""
        return self._end(admitted.ticket, Happening.FAILED, why)

    def outage(self, why: Fact) -> list[InstantEnd]:
        """End all: of those that were sent nobody knows."""
        return [
            self._end(ticket, Happening.UNKNOWN, why) if one.sent else self._end(ticket, Happening.FAILED, NotSent())
            for ticket, one in list(self.actions.items())
        ]

    def overdue(self, now: float) -> list[InstantEnd]:
        """End those of which nothing was heard for too long."""
        late = [(ticket, one) for ticket, one in self.actions.items() if now > one.since + ACTION_TIMEOUT_S]
        return [
            self._end(ticket, Happening.UNKNOWN, NeverListed())
            if one.sent
            else self._end(ticket, Happening.FAILED, NotSent())
            for ticket, one in late
        ]

    def follow(self, report: RobotReport) -> list[InstantEnd]:
        """End those that the robot says have ended."""
        ends = []
        for ticket in list(self.actions):
            status = report.deed(ticket)
            if status is DeedStatus.DONE:
                ends.append(self._end(ticket, Happening.DONE))
            elif status is DeedStatus.FAILED:
                ends.append(self._end(ticket, Happening.FAILED, ActionFailed()))
        return ends

    def _end(self, ticket: str, happening: Happening, why: Fact | None = None) -> InstantEnd:
        return InstantEnd(self.actions.pop(ticket).admitted, happening, why)
