"""Making a robot stand still, and knowing that it does.

Sans-I/O. A sequence repeats its commands until the robot's own report confirms them: it lists the command's id
(so the report was written after the stop was heard) and does not drive. Nothing else counts, neither a delivery
receipt nor an old report that happens to say "not driving".
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from robots.terms.commands import StopCommand, StopStep
from robots.terms.report import DeedStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from robots.terms.report import RobotReport

REPEAT_S: Final = 0.3
"""Time between two transmissions of a stop, s."""
FRESH_ID_S: Final = 3.0
"""A robot may stop listing a command that ended; a new id after this time makes it answer again, s."""
GIVE_WORD_S: Final = 5.0
"""After this time the user is told that the stop is not confirmed, s. The repetition goes on."""
IMPATIENT_S: Final = 1.0
"""A pause that is not confirmed by then does not hold up the cancellation, s."""


class Outcome(StrEnum):
    """What is known of the stop."""

    PENDING = "pending"
    STOPPED = "stopped"
    UNCONFIRMED = "unconfirmed"


STOP_STEPS: Final = (StopStep.PAUSE, StopStep.CANCEL)
HOLD_STEPS: Final = (StopStep.PAUSE,)
CANCEL_STEPS: Final = (StopStep.CANCEL,)


@dataclass(slots=True)
class _Attempt:
    """One step of the sequence."""

    step: StopStep
    started_at: float = math.inf
    sent_at: float = -math.inf
    renewed_at: float = -math.inf
    ids: list[str] = field(default_factory=list)
    """Newest last; the robot may answer to any of them."""
    confirmed: bool = False


@dataclass(slots=True)
class StopSequence:
    """One stop: pause, then cancel; or only one of them."""

    steps: tuple[StopStep, ...]
    started_at: float
    """Monotonic s."""
    new_id: Callable[[], str]
    outcome: Outcome = Outcome.PENDING
    _attempts: list[_Attempt] = field(init=False)

    def __post_init__(self) -> None:
        """Begin with the first step."""
        self._attempts = [_Attempt(step) for step in self.steps]

    @property
    def active(self) -> bool:
        """Whether something is still to be confirmed."""
        return self.outcome is not Outcome.STOPPED

    def due(self, now: float) -> list[StopCommand]:
        """Return what is to be sent now; an unconfirmed stop is repeated for ever."""
        sends = []
        for attempt in self._attempts:
            if attempt.confirmed:
                continue
            attempt.started_at = min(attempt.started_at, now)
            if now >= attempt.sent_at + REPEAT_S:
                if now >= attempt.renewed_at + FRESH_ID_S:
                    attempt.ids = [*attempt.ids[-2:], self.new_id()]
                    attempt.renewed_at = now
                attempt.sent_at = now
                sends.append(StopCommand(attempt.step, attempt.ids[-1]))
            if now < attempt.started_at + IMPATIENT_S:
                break
        if self.outcome is Outcome.PENDING and now >= self.started_at + GIVE_WORD_S:
            self.outcome = Outcome.UNCONFIRMED
        return sends

    def receive(self, report: RobotReport) -> None:
        """Look for the confirmation."""
        for attempt in self._attempts:
            attempt.confirmed |= not report.drives and self._heard(attempt, report)
        if all(attempt.confirmed for attempt in self._attempts) and not report.drives:
            self.outcome = Outcome.STOPPED

    def _heard(self, attempt: _Attempt, report: RobotReport) -> bool:
        """Whether the report answers one of the attempt's ids in a way that lets the robot stand."""
        statuses = {report.deed(command_id) for command_id in attempt.ids}
        failed = DeedStatus.FAILED in statuses or report.refuses(attempt.ids)
        if attempt.step is StopStep.PAUSE:
            # A robot that cannot pause but stands still: the cancellation must do.
            return DeedStatus.DONE in statuses or (failed and (report.paused or len(self.steps) > 1))
        return (DeedStatus.DONE in statuses or failed) and not report.ahead
