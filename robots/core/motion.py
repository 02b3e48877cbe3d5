"""Whether a robot with a task moves: notices one that stands although it may drive, and one that has gone silent."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from robots.terms.report import RobotReport

SILENT_S: Final = 5.0
"""A robot with a task that is silent this long, although asked, is lost, s."""
BLOCKED_S: Final = 5.0
"""A robot with a free way that stands this long is reported as blocked, s."""


@dataclass(slots=True)
class MotionWatch:
    """The motion of one robot."""

    moved_at: float = -math.inf
    """When it drove last, or was given something to drive, monotonic s."""
    told: bool = False
    """Whether its standing was told."""

    def begins(self, now: float) -> None:
        """Take note that it was given a task, or drives."""
        self.moved_at, self.told = now, False

    def released(self, now: float) -> None:
        """Take note that it was given more of its way."""
        self.moved_at = now

    def silent(self, report_at: float, now: float) -> bool:
        """Whether a robot with a task is lost; `report_at`: when it reported last, s."""
        return now > max(report_at, self.moved_at) + SILENT_S

    def blocked(self, report: RobotReport | None, now: float) -> bool:
        """Whether it is to be told now that the robot stands although it may drive and does nothing else."""
        if report is None or self.told or now <= self.moved_at + BLOCKED_S:
            return False
        waits = not report.drives and any(point.free for point in report.ahead)
        self.told = waits and all(deed.status.ended for deed in report.deeds.values())
        return self.told
