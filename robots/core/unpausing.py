"""The end of a pause, from the user's yes to the robot's word that it may move. Sans-I/O; the gate sends it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from robots.terms.report import DeedStatus

if TYPE_CHECKING:
    from robots.terms.report import RobotReport

REPEAT_S: Final = 0.5
"""Time between two transmissions, s."""
TRIES: Final = 6
"""Transmissions before the user is told that the robot stays paused."""
SETTLE_S: Final = 4.0
"""A pause is not ended sooner after something was released, s: what is still on its way must arrive at a standing
robot."""


@dataclass(slots=True)
class Unpausing:
    """One of them."""

    command_id: str
    sent_at: float = -math.inf
    times: int = 0

    def due(self, now: float, released_at: float) -> bool:
        """Whether it is to be sent, or given up, now; `released_at`: when something was released last, s."""
        return now >= max(released_at + SETTLE_S, self.sent_at + REPEAT_S)

    @property
    def given_up(self) -> bool:
        """Whether it was sent often enough."""
        return self.times >= TRIES

    def sent(self, now: float) -> None:
        """Note that it was sent."""
        self.sent_at, self.times = now, self.times + 1

    def ended(self, report: RobotReport) -> bool:
        """Whether the pause has ended, or there was none to end."""
        done = report.deed(self.command_id) is DeedStatus.DONE
        return done or (report.refuses([self.command_id]) and not report.paused)
