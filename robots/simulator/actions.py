"""How the simulated robot carries out actions: their life, and what may run beside what (6.10.3, 6.11)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from robots.protocols.vda5050.messages import Action, ActionState, ActionStatus, BlockingType
from robots.simulator.factsheet import ABILITIES

INITIALIZE_S: Final = 0.2
"""How long an action prepares, s."""
REMEMBERED: Final = 256
"""Instant action ids kept, so that a repeated message is not carried out again."""
LISTED: Final = 16
"""Ended instant actions that the state still lists."""


@dataclass(slots=True)
class ActionRun:
    """One action."""

    action: Action
    status: ActionStatus = ActionStatus.WAITING
    elapsed_s: float = 0.0
    result: str | None = None

    @property
    def duration_s(self) -> float:
        """How long it takes."""
        ability = ABILITIES.get(self.action.action_type)
        if ability is None:
            return 0.0
        wanted = next((p.value for p in self.action.action_parameters or () if p.key == "seconds"), None)
        return float(wanted) if isinstance(wanted, int | float) else ability.duration_s

    @property
    def interruptible(self) -> bool:
        """Whether a cancellation ends it."""
        ability = ABILITIES.get(self.action.action_type)
        return ability is None or ability.interruptible

    def end(self, status: ActionStatus, result: str | None = None) -> None:
        """End it."""
        self.status, self.result = status, result


@dataclass(slots=True)
class SimulatedActions:
    """All actions of a vehicle."""

    of_order: dict[str, ActionRun] = field(default_factory=dict)
    instant: dict[str, ActionRun] = field(default_factory=dict)
    finished: list[str] = field(default_factory=list)
    """Types of the actions that have just finished; the vehicle takes them."""
    _queue: list[ActionRun] = field(default_factory=list)
    """Triggered and not yet begun, in order."""
    _running: list[ActionRun] = field(default_factory=list)

    @property
    def blocks_driving(self) -> bool:
        """Whether an action forbids to drive on."""
        return any(run.action.blocking_type is not BlockingType.NONE for run in [*self._queue, *self._running])

    @property
    def active(self) -> bool:
        """Whether an action of the order runs or is about to."""
        return any(run.action.action_id in self.of_order for run in [*self._queue, *self._running])

    @property
    def unfinished(self) -> bool:
        """Whether an action of the order has not ended."""
        return any(not run.status.ended for run in self.of_order.values())

    def new_order(self) -> None:
        """Forget the actions of the order before."""
        self.of_order.clear()

    def announce(self, action: Action) -> None:
        """List an action of the order as waiting; one that is known already stays as it is."""
        self.of_order.setdefault(action.action_id, ActionRun(action))

    def withdraw(self, action: Action) -> None:
        """Forget an action of a horizon that was replaced."""
        run = self.of_order.get(action.action_id)
        if run is not None and run.status is ActionStatus.WAITING and run not in self._queue:
            del self.of_order[action.action_id]

    def trigger(self, actions: tuple[Action, ...]) -> None:
        """Begin the actions of a node that is reached."""
        self._queue += [self.of_order[action.action_id] for action in actions]

    def begin_instant(self, action: Action) -> ActionRun | None:
        """List an instant action; None for an id that is known already."""
        if action.action_id in self.instant:
            return None
        while len(self.instant) >= REMEMBERED:
            oldest = next((key for key, run in self.instant.items() if run.status.ended), None)
            if oldest is None:
                return None
            del self.instant[oldest]
        run = self.instant[action.action_id] = ActionRun(action)
        return run

    def run_instant(self, run: ActionRun) -> None:
        """Let an instant action take its time."""
        self._running.append(run)
        run.status = ActionStatus.INITIALIZING

    def step(self, dt: float, *, paused: bool) -> bool:
        """Let time pass; return whether a status changed."""
        before = [run.status for run in [*self._queue, *self._running]]
        for run in self._running:
            if paused:
                run.status = ActionStatus.PAUSED
                continue
            run.elapsed_s += dt
            run.status = ActionStatus.RUNNING if run.elapsed_s >= INITIALIZE_S else ActionStatus.INITIALIZING
            if run.elapsed_s >= INITIALIZE_S + run.duration_s:
                run.end(ActionStatus.FINISHED)
                self.finished.append(run.action.action_type)
        known = [*self._queue, *self._running]
        self._running = [run for run in self._running if not run.status.ended]
        while not paused and self._queue and self._may_begin(self._queue[0]):
            run = self._queue.pop(0)
            run.status = ActionStatus.INITIALIZING
            self._running.append(run)
        return before != [run.status for run in known]

    def cancel(self) -> None:
        """End what can be ended (6.6.3)."""
        for run in self.of_order.values():
            if not run.status.ended and (run.status is ActionStatus.WAITING or run.interruptible):
                run.end(ActionStatus.FAILED, "cancelled")
        self._queue = [run for run in self._queue if not run.status.ended]
        self._running = [run for run in self._running if not run.status.ended]

    def states(self) -> tuple[ActionState, ...]:
        """Return what the state lists: the order's actions and the latest instant ones."""
        ended = [key for key, run in self.instant.items() if run.status.ended]
        hidden = set(ended[:-LISTED])
        runs = [*self.of_order.values(), *(run for key, run in self.instant.items() if key not in hidden)]
        return tuple(
            ActionState(
                action_id=run.action.action_id,
                action_type=run.action.action_type,
                action_status=run.status,
                result_description=run.result,
            )
            for run in runs
        )

    def _may_begin(self, run: ActionRun) -> bool:
        """HARD runs alone; anything else runs beside anything but HARD (6.6.6)."""
        if run.action.blocking_type is BlockingType.HARD:
            return not self._running
        return all(other.action.blocking_type is not BlockingType.HARD for other in self._running)
