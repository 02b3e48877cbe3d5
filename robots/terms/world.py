"""What is known of one robot, and since when: its newest report, its presence, what it can do, the link.

Time comes in as monotonic seconds. Which of two reports is the newer one, the adapter knows.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from robots.facts.fitness import (
    CommandsDenied,
    EmergencyStop,
    FieldViolated,
    NeverSeen,
    NoLink,
    NoState,
    NotAutomatic,
    NotOnline,
    OnOtherMap,
    PositionUnknown,
    StateOld,
    StateRefused,
)
from robots.facts.link import NotTried
from robots.facts.messages import MessageOvertaken
from robots.terms.heard import About, Described, Presented, Reported
from robots.terms.report import Presence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from robots.facts.fact import Fact
    from robots.facts.messages import ValueRead
    from robots.geometry import Point
    from robots.site import SiteLimits
    from robots.terms.capabilities import Capabilities
    from robots.terms.heard import Unreadable
    from robots.terms.report import RobotReport


@dataclass(slots=True)
class RefusedMessages:
    """What the robot published and nobody could use, counted by the code of the reason."""

    counts: Counter[str] = field(default_factory=Counter)
    last: dict[str, Fact] = field(default_factory=dict)
    """The newest by code."""
    reports: int = 0
    """Reports that were refused since one was taken."""
    last_report: Fact | None = None

    def add(self, message: Unreadable) -> int:
        """Count one; return how many there were for this reason."""
        fact = message.why
        self.counts[fact.code] += 1
        self.last[fact.code] = fact
        if message.about is About.REPORT:
            self.reports, self.last_report = self.reports + 1, fact
        return self.counts[fact.code]


@dataclass(slots=True)
class World:
    """One robot as seen from here."""

    map_id: str | None = None
    """The site's map: a position on another one is none. None: any."""
    linked: bool = False
    """Whether the robot can be reached, as far as the network goes."""
    unlinked: Fact = field(default_factory=NotTried)
    """Why it cannot."""
    denied: bool = False
    """Whether a command was denied since the link was made."""
    presence: Presence | None = None
    presence_word: str = ""
    """The robot's own."""
    report: RobotReport | None = None
    report_at: float = -math.inf
    """When the report arrived, s."""
    doubtful: bool = False
    """Whether reports come that look older than the one known."""
    capabilities: Capabilities | None = None
    refused: RefusedMessages = field(default_factory=RefusedMessages)
    misread: dict[str, tuple[ValueRead, ...]] = field(default_factory=dict)
    """What was unknown in the newest message of a kind, and what it was taken for."""

    def take(self, news: Reported | Presented | Described, now: float) -> None:
        """Take in what the robot says."""
        match news:
            case Reported(report):
                self.report, self.report_at, self.doubtful = report, now, False
                self.refused.reports = 0
            case Presented(presence, word):
                self.presence, self.presence_word = presence, word
            case Described(capabilities):
                self.capabilities = capabilities
        self.misread[type(news).__name__] = news.misread

    def forget_report(self) -> None:
        """Trust no report from before an outage."""
        self.report, self.report_at, self.doubtful = None, -math.inf, False

    def refuse(self, message: Unreadable) -> int:
        """Count a message that cannot be used; return how many there were for this reason."""
        self.doubtful |= message.about is About.REPORT and isinstance(message.why, MessageOvertaken)
        return self.refused.add(message)

    @property
    def online(self) -> bool:
        """Whether the robot is there."""
        return self.linked and self.presence is Presence.ONLINE

    @property
    def position(self) -> Point | None:
        """Where the robot is on the site's map, or None while it does not know."""
        pose = self.report.pose if self.report else None
        if pose is None or self.map_id not in {None, pose.map}:
            return None
        return pose.x, pose.y

    def unfit(self, now: float, limits: SiteLimits) -> Fact | None:
        """Return why the robot cannot be commanded to move now, or None."""
        return self.unheard(now, limits) or next(self._obstacles(), None)

    def unheard(self, now: float, limits: SiteLimits) -> Fact | None:
        """Return why it is not known what the robot does now, or None."""
        return next(self._silences(now, limits), None)

    def _silences(self, now: float, limits: SiteLimits) -> Iterator[Fact]:
        if not self.linked:
            yield NoLink(self.unlinked)
        if self.denied:
            yield CommandsDenied()
        if self.presence is None:
            yield NeverSeen()
        elif self.presence is not Presence.ONLINE:
            yield NotOnline(self.presence_word)
        if self.report is None:
            yield self._unread(NoState())
            return
        age = now - self.report_at
        if age > (limits.state_age_s if self.report.drives else limits.idle_state_age_s):
            yield self._unread(StateOld(round(age)))

    def _unread(self, otherwise: Fact) -> Fact:
        """Return why there is no new report: those that came were refused, or none came."""
        refused = self.refused
        if refused.last_report is None or refused.reports == 0:
            return otherwise
        return StateRefused(refused.reports, refused.last_report)

    def _obstacles(self) -> Iterator[Fact]:
        if self.report is None:
            return
        if not self.report.automatic:
            yield NotAutomatic(self.report.mode)
        if self.report.emergency_stop:
            yield EmergencyStop()
        if self.report.field_violated:
            yield FieldViolated()
        if self.position is None:
            yield self._nowhere(self.report)

    def _nowhere(self, report: RobotReport) -> Fact:
        if report.pose is not None and self.map_id is not None:
            return OnOtherMap(report.pose.map, self.map_id)
        return PositionUnknown()
