"""One task of a robot, seen from its commander: what is released when, acknowledgement, the end.

Sans-I/O: reports come in, at most one release at a time comes out. Only the robot's report counts as acknowledgement;
a release that it does not echo is sent again, identical. The first release frees only the point on which the robot
stands; the way, and what is to be done at its end, follow once the robot has echoed that: what the network held back
moves nothing when it arrives. Then a short base is extended while the robot drives, so that the free length is the
dead-man distance: a robot without its commander stops at the end of the base. After an outage the task is *unknown*,
never failed, until the robot says what became of it. A robot that reports another task, or other points, than it was
sent is to stand.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from robots.facts.tasks import (
    ActionFailed,
    ActionFailedAs,
    ArrivedElsewhere,
    FaultReported,
    ModeSwitched,
    OrderChanged,
    OrderEndedEarly,
    OrderExtended,
    OrderForgotten,
    OrderNeverArrived,
    OrderRefused,
    OrderUnconfirmed,
    OtherOrderFollowed,
)
from robots.geometry import Point, divide
from robots.terms.commands import Release
from robots.terms.report import DeedStatus
from robots.untrusted import plain

if TYPE_CHECKING:
    from robots.facts.fact import Fact
    from robots.terms.commands import Deed
    from robots.terms.report import Fault, RobotReport

ACK_S: Final = 1.5
"""Time in which the robot should echo a release, s; a sooner repetition would be noise."""
TRIES: Final = 5
"""Transmissions of one release before it is given up as unknown."""
IN_FLIGHT_S: Final = 6.0
"""After this time a release cannot arrive any more: its message has expired, s."""
WORDS: Final = 60
"""Most characters of the robot's own words in a reason."""
HORIZON: Final = 4
"""Points shown to the robot behind those that are free."""
ARRIVAL_M: Final = 0.5
"""A robot that says it has arrived must be this near, m."""


class TaskPhase(StrEnum):
    """Where a task stands."""

    SENT = "sent"
    RUNNING = "running"
    UNKNOWN = "unknown"
    DONE = "done"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        """Whether the task will not change any more."""
        return self in {TaskPhase.DONE, TaskPhase.FAILED}


@dataclass(frozen=True, slots=True)
class TaskPlan:
    """What a task is to do: drive along points, then act."""

    ticket: str
    """Of the call that it carries out."""
    map: str
    points: tuple[Point, ...]
    """From where the robot stands to the goal; one point: it stays."""
    theta: float | None
    """Heading at the goal, rad; None: any."""
    deed: Deed | None
    """At the goal."""
    max_speed_m_s: float
    base_m: float
    """Longest way that is free at once, m."""
    min_interval_s: float = 0.0
    """Shortest time between two releases that the robot takes, s."""


@dataclass(slots=True)
class TaskRun:
    """The life of one plan on one robot."""

    plan: TaskPlan
    phase: TaskPhase = TaskPhase.SENT
    reason: Fact | None = None
    """Why it failed or is unknown."""
    needs_cancel: bool = False
    """The robot may still hold a task that shall not go on."""
    needs_stop: bool = False
    """The robot carries out something that was not sent from here: it is to stand."""
    passed: int = 0
    """Index of the last point that the robot has passed."""
    _points: list[Point] = field(init=False)
    _free: int = field(init=False, default=0)
    """Index of the last point that was released."""
    _number: int = field(init=False, default=0)
    _accepted: int = field(init=False, default=-1)
    """Last release that the robot echoed; -1: none."""
    _sent: Release | None = field(init=False, default=None)
    _sent_at: float = field(init=False, default=-math.inf)
    _tries: int = field(init=False, default=0)
    _known_faults: tuple[Fault, ...] = field(init=False, default=())
    _before: str = field(init=False, default="")
    """The task that the robot named before this one was sent."""

    def __post_init__(self) -> None:
        """Place a point at least every half base, so that the base can grow before the robot reaches its end.

        There are always two, if need be in one place: what is done at the first would begin with the first message.
        """
        start, *way = self.plan.points
        self._points = [start]
        for a, b in pairwise([start, *(way or [start])]):
            self._points += divide(a, b, self.plan.base_m / 2)

    @property
    def begun(self) -> bool:
        """Whether the robot may have heard of it."""
        return self._sent is not None

    @property
    def acknowledged(self) -> bool:
        """Whether the robot has echoed all that was sent."""
        return self._sent is not None and self._accepted == self._number

    def due(self, position: Point | None, now: float, *, extend: bool) -> Release | None:
        """Return what is to be sent now: the first, the same again, or an extended base; `extend` is the lease.

        Nothing is taken as sent before `sent` says so.
        """
        if self.phase.ended or self.phase is TaskPhase.UNKNOWN:
            return None
        if self._sent is None:
            return self._make(0, 0, 0)
        if self.acknowledged:
            return self._extension(position, now) if extend else None
        if now < self._sent_at + ACK_S:
            return None
        if self._tries >= TRIES:
            self.lost(OrderUnconfirmed())
            return None
        return self._sent

    def sent(self, release: Release, report: RobotReport | None, now: float) -> None:
        """Note that what `due` gave has passed the gate."""
        self._tries = self._tries + 1 if release is self._sent else 1
        if release is not self._sent:
            self._known_faults = report.faults if report else ()
        if self._sent is None and report is not None:
            self._before = report.task
        self._free, self._number = release.reach, release.number
        self._sent, self._sent_at = release, now

    def receive(self, report: RobotReport, now: float) -> None:
        """Follow the robot's report."""
        if self.phase.ended or self._sent is None:
            return
        if report.task == self.plan.ticket:
            self._follow(report)
        elif report.task not in {"", self._before} and (self._accepted >= 0 or report.ahead):
            self.fail(OtherOrderFollowed(), stop=True)
        elif self._accepted >= 0:
            self.fail(OtherOrderFollowed() if report.task else OrderForgotten())
        elif self.phase is TaskPhase.UNKNOWN and now > self._sent_at + IN_FLIGHT_S:
            self.fail(OrderNeverArrived())
        if not self.phase.ended:
            self._look_for_refusal(report)

    def lost(self, reason: Fact) -> None:
        """Trust nothing until the robot is heard again: an outage is not a failure."""
        if not self.phase.ended:
            self.phase, self.reason = TaskPhase.UNKNOWN, reason

    def resend_allowed(self) -> None:
        """After a confirmed resume: what was sent before an outage and never echoed may be sent again, identical."""
        self._tries = 0

    def fail(self, reason: Fact, *, cancel: bool = False, stop: bool = False) -> None:
        """End the task without success."""
        if not self.phase.ended:
            self.phase, self.reason = TaskPhase.FAILED, reason
            self.needs_cancel, self.needs_stop = cancel, stop

    def _follow(self, report: RobotReport) -> None:
        if report.release > self._number:
            self.fail(OrderExtended(), cancel=True)
            return
        if not self._knows(report):
            self.fail(OrderChanged(), stop=True)
            return
        self._accepted = max(self._accepted, report.release)
        if self.phase is not TaskPhase.RUNNING and report.release >= self._accepted:
            self.phase, self.reason = TaskPhase.RUNNING, None
        self.passed = max(self.passed, report.passed)
        if not report.automatic:
            self.fail(ModeSwitched(report.mode), cancel=True)
            return
        grave = next((fault for fault in report.faults if fault.grave), None)
        if grave is not None:
            self.fail(FaultReported(plain(grave.kind, WORDS)), cancel=True)
            return
        if report.unfinished or report.drives or not self.acknowledged:
            return
        # While there is a horizon its points are listed, too: nothing left means that somebody has ended the task.
        if self._free < len(self._points) - 1 or report.passed < self._free:
            self.fail(OrderEndedEarly())
        else:
            self._finish(report)

    def _knows(self, report: RobotReport) -> bool:
        """Whether all points that the robot has before it were sent, and none is free that is not."""
        return all(
            point.index is not None
            and point.index < len(self._points)
            and (point.index <= self._free or not point.free)
            for point in report.ahead
        )

    def _finish(self, report: RobotReport) -> None:
        """Judge the end: all points are passed, so the deed decides, and the place must be right."""
        deed = None if self.plan.deed is None else report.deeds.get(self.plan.deed.ticket)
        if deed is not None and deed.status is DeedStatus.FAILED:
            said = plain(deed.result, WORDS)
            self.fail(ActionFailedAs(said) if said else ActionFailed())
            return
        if self.plan.deed is not None and (deed is None or deed.status is not DeedStatus.DONE):
            return
        pose = report.pose
        if pose and math.dist((pose.x, pose.y), self._points[-1]) > ARRIVAL_M:
            self.fail(ArrivedElsewhere())
            return
        self.phase, self.reason = TaskPhase.DONE, None

    def _look_for_refusal(self, report: RobotReport) -> None:
        """Find the fault with which the robot refuses what was sent last."""
        if self.acknowledged or self._sent is None:
            return
        for fault in report.faults:
            ours = fault.task == self.plan.ticket and fault.release in {None, self._number}
            # A malformed message may be refused without a word which.
            if ours or (fault.nameless_refusal and fault not in self._known_faults):
                self.fail(OrderRefused(plain(fault.kind, WORDS)), cancel=self._accepted >= 0)
                return

    def _extension(self, position: Point | None, now: float) -> Release | None:
        if position is None or now < self._sent_at + self.plan.min_interval_s:
            return None
        reach = self._reach(self._free, position)
        return self._make(self._free, reach, self._number + 1) if reach > self._free else None

    def _reach(self, index: int, position: Point) -> int:
        """Return the last point that may be free: the way to it is no longer than the base."""
        way = math.dist(position, self._points[index])
        while index + 1 < len(self._points):
            way += math.dist(self._points[index], self._points[index + 1])
            if way > self.plan.base_m:
                break
            index += 1
        return index

    def _make(self, first: int, reach: int, number: int) -> Release:
        """Release the points from the end of what was free up to `reach`, and show some behind them."""
        points = self._points[first : reach + HORIZON + 1]
        whole = first + len(points) == len(self._points)
        return Release(
            ticket=self.plan.ticket,
            number=number,
            map=self.plan.map,
            first=first,
            points=tuple(points),
            free=reach - first + 1,
            max_speed_m_s=self.plan.max_speed_m_s,
            theta=self.plan.theta if whole else None,
            deed=self.plan.deed if whole else None,
        )
