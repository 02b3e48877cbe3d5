"""The vehicle side of VDA 5050 as a state machine: no sockets, no clock, no threads.

Payloads come in, messages go out, `tick` lets time pass. Orders are accepted as figure 8 of the specification says.
Beyond it, as a careful robot would: retained and overtaken commands are ignored, and old ones are refused, unless
they stop.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from robots.errors import InvalidMessage
from robots.protocols.vda5050.codec import Address, Codec, Header, Received, Topic, Vda5050, overtaken, sent_at
from robots.protocols.vda5050.messages import (
    Action,
    ActionScope,
    ActionStatus,
    AgvPosition,
    BatteryState,
    Connection,
    ConnectionState,
    Edge,
    EdgeState,
    Error,
    ErrorLevel,
    EStop,
    InstantActions,
    Load,
    Message,
    Node,
    NodeState,
    OperatingMode,
    Order,
    Reference,
    SafetyState,
    State,
    Velocity,
    Visualization,
)
from robots.simulator.acceptance import Refusal, check_route
from robots.simulator.actions import ActionRun, SimulatedActions
from robots.simulator.body import VehicleBody
from robots.simulator.factsheet import ABILITIES, factsheet_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

STOPS: Final = frozenset({"startPause", "cancelOrder"})
"""Instant actions that are obeyed however old they are."""
MAX_AGE_S: Final = 5.0
"""Other commands that were written longer ago are refused, s."""
IDLE_STATE_S: Final = 30.0
"""Longest silence of a standing robot (6.10), s."""
DRIVING_STATE_S: Final = 1.0
"""Longest silence of a driving robot, s."""
VISUALIZATION_S: Final = 0.5
"""Time between two messages for displays while driving, s."""
ARRIVED_M: Final = 0.02
"""How near the end of the base is reached, m."""
START_RANGE_M: Final = 0.3
"""A new order must begin this near, unless its first node allows more, m."""
STEP_S: Final = 0.05
"""Longest step of the simulated body, s."""
DRAIN_PERCENT_PER_M: Final = 0.02


@dataclass(slots=True)
class Vehicle:
    """One simulated robot."""

    map_id: str
    time_of_day: Callable[[], datetime]
    """The robot's clock for timestamps and for the age of commands."""
    body: VehicleBody = field(default_factory=VehicleBody)
    codec: Codec = field(default_factory=Vda5050)
    outbox: deque[Message] = field(default_factory=deque)
    """Messages to be published, oldest first."""
    mode: OperatingMode = OperatingMode.AUTOMATIC
    e_stop: EStop = EStop.NONE
    obstacle: bool = False
    battery_percent: float = 90.0
    charging: bool = False
    load: str | None = None
    actions: SimulatedActions = field(default_factory=SimulatedActions)
    order_id: str = ""
    order_update_id: int = 0
    nodes: list[Node] = field(default_factory=list)
    """Still to be traversed, base and horizon."""
    edges: list[Edge] = field(default_factory=list)
    last_node: tuple[str, int] = ("", 0)
    pausing: bool = False
    """Whether motion is forbidden by `startPause`; `paused` is reported once the body stands."""
    address: Address | None = None
    """Its own name: a command whose header names another robot is refused, unless it stops. None: any is taken."""
    _decision_point: Node | None = None
    """End of the base: where an update must begin."""
    _cancelling: ActionRun | None = None
    _waiting_pauses: list[ActionRun] = field(default_factory=list)
    _errors: list[Error] = field(default_factory=list)
    _newest: dict[Topic, Header] = field(default_factory=dict)
    _now: float = 0.0
    _state_at: float = -math.inf
    _shown_at: float = -math.inf
    _drove: bool = False
    _dirty: bool = True
    _condition: tuple[object, ...] = ()
    """What was reported last of all that others can change."""

    # Commands ------------------------------------------------------------------------------------------------------

    def receive(self, topic: Topic, payload: bytes, now: float, *, retained: bool = False) -> None:
        """Take in what was published on a command topic; nothing that comes in can raise."""
        if retained:
            return
        self._pass(now)
        try:
            received = self.codec.decode(topic, payload)
        except InvalidMessage as error:
            self._report("validationError", str(error), {"topic": topic})
            self._flush()
            return
        known = self._newest.get(topic)
        late = known is not None and overtaken(received.header, known)
        foreign = self.address is not None and not self.address.named_in(received.header)
        if not late and not foreign:
            self._newest[topic] = received.header
        match received.message:
            case Order() as order:
                self._take_order(order, received, late=late or foreign)
            case InstantActions() as instant:
                for action in instant.actions:
                    self._take_instant(action, stale=late or foreign or self._old(received.header))
            case _:
                pass
        self._flush()

    def _old(self, header: Header) -> bool:
        written = sent_at(header)
        return written is None or self.time_of_day() - written > timedelta(seconds=MAX_AGE_S)

    def _take_order(self, order: Order, received: Received, *, late: bool) -> None:
        same = order.order_id == self.order_id
        if same and order.order_update_id == self.order_update_id:
            self._dirty = True
            return
        try:
            self._check_order(order, stale=late or self._old(received.header))
        except Refusal as refusal:
            about = {
                "orderId": order.order_id,
                "orderUpdateId": str(order.order_update_id),
                "headerId": str(received.header.header_id),
            }
            self._report(refusal.error_type, str(refusal), about)
            return
        self._accept(order, stitch=same)

    @property
    def busy(self) -> bool:
        """Whether an order is being carried out."""
        return bool(self.nodes) or self.actions.unfinished or self._cancelling is not None

    def _check_order(self, order: Order, *, stale: bool) -> None:
        """Answer the questions of figure 8."""
        if stale:
            raise Refusal("orderError", "the order is too old, or for another robot")
        if self.mode is not OperatingMode.AUTOMATIC or self.e_stop is not EStop.NONE:
            raise Refusal("orderError", f"mode {self.mode}, emergency stop {self.e_stop}")
        if self._cancelling is not None:
            raise Refusal("orderError", "an order is being cancelled")
        check_route(order, self.map_id)
        same = order.order_id == self.order_id
        if same and order.order_update_id < self.order_update_id:
            raise Refusal("orderUpdateError", "a later update is known")
        if not same and self.busy:
            raise Refusal("orderError", "another order is active")
        if same:
            self._check_stitch(order)
        else:
            self._check_start(order.nodes[0])

    def _check_stitch(self, order: Order) -> None:
        first = (order.nodes[0].node_id, order.nodes[0].sequence_id)
        end = self._decision_point
        expected = (end.node_id, end.sequence_id) if self.busy and end is not None else self.last_node
        if first != expected:
            raise Refusal("orderUpdateError", f"the update begins at {first[0]}, not at {expected[0]}")

    def _check_start(self, node: Node) -> None:
        position = node.node_position
        away = math.inf if position is None else math.dist(self.body.position, (position.x, position.y))
        allowed = max(START_RANGE_M, (position.allowed_deviation_xy if position else None) or 0.0)
        if away > allowed:
            raise Refusal("noRouteError", f"the first node is {away:.2f} m away")

    def _accept(self, order: Order, *, stitch: bool) -> None:
        self._errors.clear()
        self.charging = False
        if stitch:
            for node in self.nodes:
                if not node.released:
                    for action in node.actions:
                        self.actions.withdraw(action)
            self.nodes = [node for node in self.nodes if node.released] + list(order.nodes[1:])
            self.edges = [edge for edge in self.edges if edge.released] + list(order.edges)
        else:
            self.actions.new_order()
            self.nodes, self.edges = list(order.nodes), list(order.edges)
        self.order_id, self.order_update_id = order.order_id, order.order_update_id
        self._decision_point = [node for node in order.nodes if node.released][-1]
        for node in self.nodes:
            for action in node.actions:
                self.actions.announce(action)
        if not stitch and not self._turns_at(self.nodes[0]):
            self._traverse()
        self._dirty = True

    def _take_instant(self, action: Action, *, stale: bool) -> None:
        run = self.actions.begin_instant(action)
        self._dirty = True
        if run is None:
            return
        if stale and action.action_type not in STOPS:
            run.end(ActionStatus.FAILED, "the action is too old")
            return
        match action.action_type:
            case "startPause":
                self.pausing = True
                run.status = ActionStatus.RUNNING
                self._waiting_pauses.append(run)
            case "stopPause":
                self.pausing = False
                for waiting in self._waiting_pauses:
                    waiting.end(ActionStatus.FAILED, "stopPause came first")
                self._waiting_pauses.clear()
                run.end(ActionStatus.FINISHED)
            case "cancelOrder":
                self._cancel(run)
            case "stateRequest":
                run.end(ActionStatus.FINISHED)
            case "factsheetRequest":
                self.outbox.append(factsheet_of(self.body))
                run.end(ActionStatus.FINISHED)
            case kind if kind in ABILITIES and ActionScope.INSTANT in ABILITIES[kind].scopes:
                self.actions.run_instant(run)
            case kind:
                run.end(ActionStatus.FAILED, f"cannot do {kind}")

    def _cancel(self, run: ActionRun) -> None:
        if self._cancelling is not None:
            self._cancelling.end(ActionStatus.FAILED, "cancelled again")
        elif not self.busy:
            run.end(ActionStatus.FAILED, "no order")
            self._report("noOrderToCancel", "there is no order to cancel", {"actionId": run.action.action_id})
            return
        run.status = ActionStatus.RUNNING
        self._cancelling = run
        self.actions.cancel()

    # Faults --------------------------------------------------------------------------------------------------------

    def switch(self, mode: OperatingMode) -> None:
        """Somebody turns the key: outside AUTOMATIC the order is gone (6.10.6)."""
        self.mode = mode
        if mode is not OperatingMode.AUTOMATIC:
            self._clear_order()
        self._dirty = True

    def restart(self) -> None:
        """Lose everything but the body, as after a crash."""
        body, now = self.body, self._now
        body.speed = body.turn = 0.0
        fresh = Vehicle(
            self.map_id,
            self.time_of_day,
            body,
            self.codec,
            self.outbox,
            battery_percent=self.battery_percent,
            address=self.address,
        )
        for name in Vehicle.__slots__:
            setattr(self, name, getattr(fresh, name))
        self._now = now

    # Time ----------------------------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Let time pass up to `now`."""
        self._pass(now)
        self._flush()

    def sleep(self, now: float) -> None:
        """Let time pass without living: the computer hangs or is off."""
        self._now = max(self._now, now)

    def _pass(self, now: float) -> None:
        while self._now < now:
            dt = min(STEP_S, now - self._now)
            self._now += dt
            self._step(dt)

    def _step(self, dt: float) -> None:
        travelled = self.body.travelled
        free = not (self.pausing or self.obstacle or self.actions.blocks_driving or self._cancelling)
        if free and self.e_stop is EStop.NONE and self.nodes and self.nodes[0].released:
            self._drive(self.nodes[0], dt)
        else:
            self.body.brake(dt)
        self.battery_percent = max(0.0, self.battery_percent - DRAIN_PERCENT_PER_M * (self.body.travelled - travelled))
        self._dirty |= self.actions.step(dt, paused=self._holds_actions)
        self._use(self.actions.finished)
        if self.body.moving != self._drove:
            self._drove = self.body.moving
            self._dirty = True
        if not self.body.moving:
            self._settle()

    @property
    def _holds_actions(self) -> bool:
        """Whether the pause stops actions, too. One that a cancellation must wait for goes on (6.6.3)."""
        return self.pausing and not self.body.moving and self._cancelling is None

    def _drive(self, node: Node, dt: float) -> None:
        position = node.node_position
        if position is None:
            return
        target = (position.x, position.y)
        away = math.dist(self.body.position, target)
        way, previous = away, node
        for following in self.nodes[1:]:
            if self._stop_at(previous) or not following.released or following.node_position is None:
                break
            way += math.dist(
                *((n.node_position.x, n.node_position.y) for n in (previous, following) if n.node_position)
            )
            previous = following
        if away > ARRIVED_M and not (way > away and away <= (position.allowed_deviation_xy or ARRIVED_M)):
            limit = self.edges[0].max_speed if self.edges and self.edges[0].max_speed is not None else math.inf
            self.body.towards(target, limit, way, dt)
        elif way > away or position.theta is None or self.body.face(position.theta, dt):
            self._traverse()

    @staticmethod
    def _turns_at(node: Node) -> bool:
        return node.node_position is not None and node.node_position.theta is not None

    def _stop_at(self, node: Node) -> bool:
        """Whether the body must stand at a node before it goes on."""
        return bool(node.actions) or self._turns_at(node)

    def _traverse(self) -> None:
        """Pass the next node: leave its edge, begin its actions."""
        node = self.nodes.pop(0)
        if self.edges and self.edges[0].sequence_id < node.sequence_id:
            self.edges.pop(0)
        self.last_node = (node.node_id, node.sequence_id)
        self.actions.trigger(node.actions)
        self._dirty = True

    def _settle(self) -> None:
        """Confirm what had to wait for the body to stand."""
        for run in self._waiting_pauses:
            run.end(ActionStatus.FINISHED)
            self._dirty = True
        self._waiting_pauses.clear()
        if self._cancelling is not None and not self.actions.active:
            self._cancelling.end(ActionStatus.FINISHED)
            self._cancelling = None
            self.nodes, self.edges = [], []
            self._dirty = True

    def _use(self, finished: list[str]) -> None:
        for kind in finished:
            if kind == "pick":
                self.load = "load"
            elif kind == "drop":
                self.load = None
            elif kind == "dock":
                self.charging = True
        finished.clear()

    def _clear_order(self) -> None:
        self.actions.cancel()
        self.nodes, self.edges = [], []
        if self._cancelling is not None:
            self._cancelling.end(ActionStatus.FINISHED)
            self._cancelling = None

    # What goes out -------------------------------------------------------------------------------------------------

    def announce(self) -> None:
        """Say that the robot is there: presence, factsheet, state."""
        self.outbox.append(Connection(connection_state=ConnectionState.ONLINE))
        self.outbox.append(factsheet_of(self.body))
        self._dirty = True
        self._flush()

    def state(self) -> State:
        """Return the state as it is now."""
        errors = list(self._errors)
        if self.obstacle:
            errors.append(Error(error_type="pathBlocked", error_level=ErrorLevel.WARNING))
        if self.battery_percent <= 0:
            errors.append(Error(error_type="batteryEmpty", error_level=ErrorLevel.FATAL))
        return State(
            order_id=self.order_id,
            order_update_id=self.order_update_id,
            last_node_id=self.last_node[0],
            last_node_sequence_id=self.last_node[1],
            node_states=tuple(
                NodeState(node_id=n.node_id, sequence_id=n.sequence_id, released=n.released) for n in self.nodes
            ),
            edge_states=tuple(
                EdgeState(edge_id=e.edge_id, sequence_id=e.sequence_id, released=e.released) for e in self.edges
            ),
            driving=self.body.moving,
            paused=self.pausing and not self.body.moving,
            action_states=self.actions.states(),
            battery_state=BatteryState(battery_charge=self.battery_percent, charging=self.charging),
            operating_mode=self.mode,
            errors=tuple(errors),
            safety_state=SafetyState(e_stop=self.e_stop, field_violation=False),
            agv_position=self._position(),
            velocity=Velocity(vx=self.body.speed, omega=self.body.turn),
            loads=(Load(load_id=self.load),) if self.load else (),
        )

    def _position(self) -> AgvPosition:
        body = self.body
        return AgvPosition(x=body.x, y=body.y, theta=body.theta, map_id=self.map_id, position_initialized=True)

    def _report(self, error_type: str, why: str, about: dict[str, str]) -> None:
        """Add an error; it stays until an order is accepted (6.6.4)."""
        references = tuple(Reference(reference_key=k, reference_value=v[:256]) for k, v in about.items())
        error = Error(
            error_type=error_type,
            error_level=ErrorLevel.WARNING,
            error_references=references,
            error_description=why[:256],
        )
        if error not in self._errors:
            self._errors = [*self._errors[-15:], error]
        self._dirty = True

    def _flush(self) -> None:
        """Publish the state where something happened or it is time."""
        silence = DRIVING_STATE_S if self.body.moving else IDLE_STATE_S
        condition = (self.mode, self.e_stop, self.obstacle, self.charging, self.load)
        if self._dirty or condition != self._condition or self._now >= self._state_at + silence:
            self._dirty, self._state_at, self._condition = False, self._now, condition
            self.outbox.append(self.state())
        if self.body.moving and self._now >= self._shown_at + VISUALIZATION_S:
            self._shown_at = self._now
            velocity = Velocity(vx=self.body.speed, omega=self.body.turn)
            self.outbox.append(Visualization(agv_position=self._position(), velocity=velocity))
