"""One task of a robot as VDA 5050 orders, seen from the master: released bases, stitching, acknowledgement, the end.

Sans-I/O: states come in, at most one message at a time comes out. Only the robot's state counts as acknowledgement
(6.6); an order that it does not echo is sent again, identical. The first message releases only the node on which the
robot stands; the way, and what is to be done at its end, follow once the robot has echoed that: an order that the
network held back moves nothing when it arrives. Then a short base is extended while the robot drives, so that the
released length is the dead-man distance: a robot without its commander stops at the end of the base. After an outage
the task is *unknown*, never failed, until the robot says what became of it.
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
    OrderEndedEarly,
    OrderExtended,
    OrderForgotten,
    OrderNeverArrived,
    OrderRefused,
    OrderUnconfirmed,
    OtherOrderFollowed,
)
from robots.geometry import Point, divide
from robots.protocols.vda5050.messages import (
    Action,
    ActionStatus,
    Edge,
    Error,
    ErrorLevel,
    Node,
    NodePosition,
    OperatingMode,
    Order,
    State,
    wrap_angle,
)
from robots.untrusted import plain

if TYPE_CHECKING:
    from robots.facts.fact import Fact

ACK_S: Final = 1.5
"""Time in which the robot should echo an order, s; a sooner repetition would be noise."""
TRIES: Final = 5
"""Transmissions of one order before it is given up as unknown."""
IN_FLIGHT_S: Final = 6.0
"""After this time an order cannot arrive any more: its message has expired, s."""
WORDS: Final = 60
"""Most characters of the robot's own words in a reason."""
HORIZON_NODES: Final = 4
"""Unreleased nodes shown to the robot after its base."""
START_DEVIATION_M: Final = 0.5
"""The first node stands where the robot is; this makes it trivially reachable (6.6.1), m."""
PASS_DEVIATION_M: Final = 0.2
"""How near an intermediate node must be passed, m."""
ARRIVAL_M: Final = 0.5
"""A robot that says it has arrived must be this near, m."""


class OrderPhase(StrEnum):
    """Where a task stands."""

    SENT = "sent"
    RUNNING = "running"
    UNKNOWN = "unknown"
    DONE = "done"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        """Whether the task will not change any more."""
        return self in {OrderPhase.DONE, OrderPhase.FAILED}


@dataclass(frozen=True, slots=True)
class OrderPlan:
    """What a task is to do: drive along points, then act."""

    order_id: str
    map_id: str
    points: tuple[Point, ...]
    """From where the robot stands to the goal; one point: it stays."""
    theta: float | None
    """Heading at the goal, rad; None: any."""
    actions: tuple[Action, ...]
    """At the goal."""
    max_speed_m_s: float
    base_m: float
    """Longest released base, m."""
    min_interval_s: float = 0.0
    """Shortest time between two orders that the robot's factsheet allows, s."""


@dataclass(slots=True)
class OrderTask:
    """The life of one plan on one robot."""

    plan: OrderPlan
    phase: OrderPhase = OrderPhase.SENT
    reason: Fact | None = None
    """Why it failed or is unknown."""
    needs_cancel: bool = False
    """The robot may still hold an order that shall not go on."""
    passed: int = 0
    """Index of the last node that the robot has traversed."""
    _nodes: list[Point] = field(init=False)
    _released: int = field(init=False, default=0)
    _update: int = field(init=False, default=0)
    _accepted: int = field(init=False, default=-1)
    """Last update that the robot echoed; -1: none."""
    _sent: Order | None = field(init=False, default=None)
    _sent_at: float = field(init=False, default=-math.inf)
    _tries: int = field(init=False, default=0)
    _known_errors: frozenset[Error] = field(init=False, default=frozenset())

    def __post_init__(self) -> None:
        """Place a node at least every half base, so that the base can grow before the robot reaches its end.

        There are always two, if need be in one place: what is done at the first would begin with the first message.
        """
        start, *way = self.plan.points
        self._nodes = [start]
        for a, b in pairwise([start, *(way or [start])]):
            self._nodes += divide(a, b, self.plan.base_m / 2)

    @property
    def begun(self) -> bool:
        """Whether the robot may have heard of it."""
        return self._sent is not None

    @property
    def acknowledged(self) -> bool:
        """Whether the robot has echoed all that was sent."""
        return self._sent is not None and self._accepted == self._update

    def due(self, position: Point | None, now: float, *, extend: bool) -> Order | None:
        """Return the order to be sent now: the first, the same again, or an extended base; `extend` is the lease.

        Nothing is taken as sent before `sent` says so.
        """
        if self.phase.ended or self.phase is OrderPhase.UNKNOWN:
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

    def sent(self, order: Order, state: State | None, now: float) -> None:
        """Note that an order from `due` has passed the gate."""
        self._tries = self._tries + 1 if order is self._sent else 1
        if order is not self._sent:
            self._known_errors = frozenset(state.errors) if state else frozenset()
        self._released = max(node.sequence_id for node in order.nodes if node.released) // 2
        self._update = order.order_update_id
        self._sent, self._sent_at = order, now

    def receive(self, state: State, now: float) -> None:
        """Follow the robot's state."""
        if self.phase.ended or self._sent is None:
            return
        if state.order_id == self.plan.order_id:
            self._follow(state)
        elif self._accepted >= 0:
            self.fail(OtherOrderFollowed() if state.order_id else OrderForgotten())
        elif self.phase is OrderPhase.UNKNOWN and now > self._sent_at + IN_FLIGHT_S:
            self.fail(OrderNeverArrived())
        if not self.phase.ended:
            self._look_for_refusal(state)

    def lost(self, reason: Fact) -> None:
        """Trust nothing until the robot is heard again: an outage is not a failure."""
        if not self.phase.ended:
            self.phase, self.reason = OrderPhase.UNKNOWN, reason

    def resend_allowed(self) -> None:
        """After a confirmed resume: what was sent before an outage and never echoed may be sent again, identical."""
        self._tries = 0

    def fail(self, reason: Fact, *, cancel: bool = False) -> None:
        """End the task without success."""
        if not self.phase.ended:
            self.phase, self.reason, self.needs_cancel = OrderPhase.FAILED, reason, cancel

    def _follow(self, state: State) -> None:
        if state.order_update_id > self._update:
            self.fail(OrderExtended(), cancel=True)
            return
        self._accepted = max(self._accepted, state.order_update_id)
        if self.phase is not OrderPhase.RUNNING and state.order_update_id >= self._accepted:
            self.phase, self.reason = OrderPhase.RUNNING, None
        self.passed = max(self.passed, state.last_node_sequence_id // 2)
        if state.operating_mode is not OperatingMode.AUTOMATIC:
            self.fail(ModeSwitched(str(state.operating_mode)), cancel=True)
            return
        fatal = next((e for e in state.errors if e.error_level is ErrorLevel.FATAL), None)
        if fatal is not None:
            self.fail(FaultReported(plain(fatal.error_type, WORDS)), cancel=True)
            return
        if state.node_states or state.edge_states or state.driving:
            return
        if not self.acknowledged:
            return
        # While there is a horizon its nodes are listed, too: nothing left means that somebody has ended the order.
        if self._released < len(self._nodes) - 1 or state.last_node_sequence_id < 2 * self._released:
            self.fail(OrderEndedEarly())
        else:
            self._finish(state)

    def _finish(self, state: State) -> None:
        """Judge the end: all nodes are traversed, so the actions decide, and the place must be right."""
        statuses = [state.action(action.action_id) for action in self.plan.actions]
        if any(status is ActionStatus.FAILED for status in statuses):
            results = [a.result_description for a in state.action_states if a.action_status is ActionStatus.FAILED]
            said = plain(results[-1], WORDS) if results else ""
            self.fail(ActionFailedAs(said) if said else ActionFailed())
            return
        if any(status is not ActionStatus.FINISHED for status in statuses):
            return
        pose = state.agv_position
        if pose and math.dist((pose.x, pose.y), self._nodes[-1]) > ARRIVAL_M:
            self.fail(ArrivedElsewhere())
            return
        self.phase, self.reason = OrderPhase.DONE, None

    def _look_for_refusal(self, state: State) -> None:
        """Find the error with which the robot refuses what was sent last (6.6.4)."""
        if self.acknowledged or self._sent is None:
            return
        for error in state.errors:
            about = {r.reference_key: r.reference_value for r in error.error_references or ()}
            ours = about.get("orderId") == self.plan.order_id and about.get("orderUpdateId", str(self._update)) == str(
                self._update
            )
            # A malformed order may be refused without any reference.
            nameless = "orderId" not in about and error.error_type in {"validationError", "orderError"}
            if ours or (nameless and error not in self._known_errors):
                self.fail(OrderRefused(plain(error.error_type, WORDS)), cancel=self._accepted >= 0)
                return

    def _extension(self, position: Point | None, now: float) -> Order | None:
        if position is None or now < self._sent_at + self.plan.min_interval_s:
            return None
        reach = self._reach(self._released, position)
        return self._make(self._released, reach, self._update + 1) if reach > self._released else None

    def _reach(self, index: int, position: Point) -> int:
        """Return the last node that may be released: the way to it is no longer than the base."""
        way = math.dist(position, self._nodes[index])
        while index + 1 < len(self._nodes):
            way += math.dist(self._nodes[index], self._nodes[index + 1])
            if way > self.plan.base_m:
                break
            index += 1
        return index

    def _make(self, first: int, released: int, update: int) -> Order:
        """Write an order from the stitching node on: base up to `released`, then some horizon."""
        last = min(len(self._nodes), released + HORIZON_NODES + 1)
        return Order(
            order_id=self.plan.order_id,
            order_update_id=update,
            nodes=tuple(self._node(index, released) for index in range(first, last)),
            edges=tuple(self._edge(index, released) for index in range(first + 1, last)),
        )

    def _node(self, index: int, released: int) -> Node:
        x, y = self._nodes[index]
        final = index == len(self._nodes) - 1
        theta = self.plan.theta if final else None
        return Node(
            node_id=f"n{index}",
            sequence_id=2 * index,
            released=index <= released,
            node_position=NodePosition(
                x=x,
                y=y,
                map_id=self.plan.map_id,
                theta=None if theta is None else wrap_angle(theta),
                allowed_deviation_xy=START_DEVIATION_M if index == 0 else PASS_DEVIATION_M,
            ),
            actions=self.plan.actions if final else (),
        )

    def _edge(self, index: int, released: int) -> Edge:
        return Edge(
            edge_id=f"e{index}",
            sequence_id=2 * index - 1,
            released=index <= released,
            start_node_id=f"n{index - 1}",
            end_node_id=f"n{index}",
            max_speed=self.plan.max_speed_m_s,
        )
