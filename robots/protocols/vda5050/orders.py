"""From commands to the messages that say them, and back: what was written is read before it is sent. Pure.

A release becomes an order, whose nodes are the points of the task's way; everything else an instant action. The way
back gives the command that a message says, so that a message and a command can be held against each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from robots.protocols.vda5050.messages import (
    Action,
    ActionParameter,
    BlockingType,
    Edge,
    InstantActions,
    Node,
    NodePosition,
    Order,
)
from robots.safety.packet import WILL
from robots.terms.commands import (
    Deed,
    Inquiry,
    Release,
    RobotCommand,
    StopCommand,
    StopStep,
    Unpause,
    Wanted,
)
from robots.terms.heard import Intent

if TYPE_CHECKING:
    from robots.geometry import Point

START_DEVIATION_M: Final = 0.5
"""The first node stands where the robot is; this makes it trivially reachable (6.6.1), m."""
PASS_DEVIATION_M: Final = 0.2
"""How near an intermediate node must be passed, m."""
STOPS: Final = {StopStep.PAUSE: "startPause", StopStep.CANCEL: "cancelOrder"}
"""The instant actions that end motion (6.8.1)."""
REQUESTS: Final = {Wanted.REPORT: "stateRequest", Wanted.CAPABILITIES: "factsheetRequest"}
"""Those that move nothing."""
UNPAUSE: Final = "stopPause"

_STEPS: Final = {name: step for step, name in STOPS.items()}
_WANTED: Final = {name: wanted for wanted, name in REQUESTS.items()}


def message_of(command: RobotCommand, blocking: BlockingType = BlockingType.HARD) -> Order | InstantActions:
    """Return the message that says a command; `blocking`: what may go on beside its deed."""
    match command:
        case Release():
            return _order(command, blocking)
        case Deed():
            return InstantActions(actions=(_action(command, blocking),))
        case StopCommand(step, command_id):
            return _instant(STOPS[step], command_id, BlockingType.HARD)
        case Unpause(command_id):
            return _instant(UNPAUSE, command_id, BlockingType.HARD)
        case Inquiry(wanted, command_id):
            return _instant(REQUESTS[wanted], command_id, BlockingType.NONE)


def command_of(message: Order | InstantActions) -> RobotCommand | None:
    """Return the command that a message says; None: it says more than one, or something that no command says."""
    if isinstance(message, Order):
        return _release(message)
    if len(message.actions) != 1:
        return None
    action = message.actions[0]
    kind, command_id = action.action_type, action.action_id
    deed = _deed(action)
    if kind not in {*_STEPS, *_WANTED, UNPAUSE}:
        return deed
    if deed.arguments:
        return None
    if kind in _STEPS:
        return StopCommand(_STEPS[kind], command_id)
    return Inquiry(_WANTED[kind], command_id) if kind in _WANTED else Unpause(command_id)


def intent_of(message: Order | InstantActions) -> Intent:
    """Return what another program wants with a message: its last will is for a commander that is gone."""
    if isinstance(message, Order):
        return Intent.MOVE
    kinds = {action.action_type for action in message.actions}
    if kinds <= set(_WANTED) or all(action.action_id.startswith(WILL) for action in message.actions):
        return Intent.HARMLESS
    return Intent.STOP if kinds <= set(_STEPS) else Intent.MOVE


def _order(release: Release, blocking: BlockingType) -> Order:
    count = len(release.points)
    return Order(
        order_id=release.ticket,
        order_update_id=release.number,
        nodes=tuple(_node(release, k, point, blocking) for k, point in enumerate(release.points)),
        edges=tuple(_edge(release, k) for k in range(1, count)),
    )


def _node(release: Release, k: int, point: Point, blocking: BlockingType) -> Node:
    index, last = release.first + k, k == len(release.points) - 1
    return Node(
        node_id=f"n{index}",
        sequence_id=2 * index,
        released=k < release.free,
        node_position=NodePosition(
            x=point[0],
            y=point[1],
            map_id=release.map,
            theta=release.theta if last else None,
            allowed_deviation_xy=START_DEVIATION_M if index == 0 else PASS_DEVIATION_M,
        ),
        actions=(_action(release.deed, blocking),) if last and release.deed is not None else (),
    )


def _edge(release: Release, k: int) -> Edge:
    index = release.first + k
    return Edge(
        edge_id=f"e{index}",
        sequence_id=2 * index - 1,
        released=k < release.free,
        start_node_id=f"n{index - 1}",
        end_node_id=f"n{index}",
        max_speed=release.max_speed_m_s,
    )


def _action(deed: Deed, blocking: BlockingType) -> Action:
    return Action(
        action_type=deed.skill,
        action_id=deed.ticket,
        blocking_type=blocking,
        action_parameters=tuple(ActionParameter(key=key, value=value) for key, value in deed.arguments.items()),
    )


def _instant(action_type: str, action_id: str, blocking: BlockingType) -> InstantActions:
    # vda-5050-lib refuses actions without a parameter array, which the specification makes optional.
    action = Action(action_type=action_type, action_id=action_id, blocking_type=blocking, action_parameters=())
    return InstantActions(actions=(action,))


def _deed(action: Action) -> Deed:
    arguments = {one.key: one.value for one in action.action_parameters or ()}
    return Deed(action.action_id, action.action_type, arguments)  # type: ignore[arg-type]  # compared, never carried out


def _release(order: Order) -> Release | None:
    """Return the release that an order says; None where it says anything that a release cannot."""
    first, positions = order.nodes[0].sequence_id // 2, [node.node_position for node in order.nodes]
    last = order.nodes[-1]
    speeds = {edge.max_speed for edge in order.edges}
    if None in positions or len(speeds) != 1 or None in speeds or len(last.actions) > 1:
        return None
    points = tuple((position.x, position.y) for position in positions if position is not None)
    release = Release(
        ticket=order.order_id,
        number=order.order_update_id,
        map=positions[0].map_id if positions[0] is not None else "",
        first=first,
        points=points,
        free=sum(node.released for node in order.nodes),
        max_speed_m_s=max(speed for speed in speeds if speed is not None),
        theta=last.node_position.theta if last.node_position is not None else None,
        deed=_deed(last.actions[0]) if last.actions else None,
    )
    # What a release cannot say (other ids, actions on the way, corridors, ...) would be missing here.
    blocking = last.actions[0].blocking_type if last.actions else BlockingType.HARD
    return release if _order(release, blocking) == order else None
