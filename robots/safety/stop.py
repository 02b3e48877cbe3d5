"""Making a robot stand still, and knowing that it does.

Sans-I/O. A sequence repeats its instant actions until the robot's own state confirms them: it lists the action's id
(so the state was written after the stop was heard) and does not drive. Nothing else counts, neither a delivery
receipt nor an old state that happens to say "not driving".
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from robots.protocols.vda5050.messages import ActionStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from robots.protocols.vda5050.messages import State

REPEAT_S: Final = 0.3
"""Time between two transmissions of a stop, s."""
FRESH_ID_S: Final = 3.0
"""A robot may stop listing an action that ended (6.10); a new id after this time makes it answer again, s."""
GIVE_WORD_S: Final = 5.0
"""After this time the user is told that the stop is not confirmed, s. The repetition goes on."""
IMPATIENT_S: Final = 1.0
"""A pause that is not confirmed by then does not hold up the cancellation, s."""


class Outcome(StrEnum):
    """What is known of the stop."""

    PENDING = "pending"
    STOPPED = "stopped"
    UNCONFIRMED = "unconfirmed"


class StopStep(StrEnum):
    """The instant actions that end motion (6.8.1)."""

    START_PAUSE = "startPause"
    CANCEL_ORDER = "cancelOrder"


STOP_STEPS: Final = (StopStep.START_PAUSE, StopStep.CANCEL_ORDER)
HOLD_STEPS: Final = (StopStep.START_PAUSE,)
CANCEL_STEPS: Final = (StopStep.CANCEL_ORDER,)


@dataclass(frozen=True, slots=True)
class SendCommand:
    """An instant action to be sent now."""

    step: StopStep
    action_id: str


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

    def due(self, now: float) -> list[SendCommand]:
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
                sends.append(SendCommand(attempt.step, attempt.ids[-1]))
            if now < attempt.started_at + IMPATIENT_S:
                break
        if self.outcome is Outcome.PENDING and now >= self.started_at + GIVE_WORD_S:
            self.outcome = Outcome.UNCONFIRMED
        return sends

    def receive(self, state: State) -> None:
        """Look for the confirmation."""
        for attempt in self._attempts:
            attempt.confirmed |= not state.driving and self._heard(attempt, state)
        if all(attempt.confirmed for attempt in self._attempts) and not state.driving:
            self.outcome = Outcome.STOPPED

    def _heard(self, attempt: _Attempt, state: State) -> bool:
        """Whether the state answers one of the attempt's ids in a way that lets the robot stand."""
        statuses = {state.action(action_id) for action_id in attempt.ids}
        failed = ActionStatus.FAILED in statuses or refuses(state, attempt.ids)
        if attempt.step is StopStep.START_PAUSE:
            # A robot that cannot pause but stands still: the cancellation must do.
            return ActionStatus.FINISHED in statuses or (failed and (bool(state.paused) or len(self.steps) > 1))
        return (ActionStatus.FINISHED in statuses or failed) and not state.node_states


def refuses(state: State, action_ids: Sequence[str]) -> bool:
    """Whether the robot reports an error about an instant action.

    Some do so instead of listing it as failed: for a pause while paused, or a cancellation without an order.
    """
    return any(
        reference.reference_key == "actionId" and reference.reference_value in action_ids
        for error in state.errors
        for reference in error.error_references or ()
    )
