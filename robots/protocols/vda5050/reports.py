"""From what a robot publishes to what the core knows of it: state, presence, factsheet. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from robots.protocols.vda5050.messages import (
    ActionScope,
    ActionStatus,
    ConnectionState,
    ErrorLevel,
    EStop,
    OperatingMode,
    ValueType,
)
from robots.terms.capabilities import Capabilities, OfferedAction, OfferedArgument, SkillScope
from robots.terms.report import DeedReport, DeedStatus, Fault, PointAhead, Pose, Presence, RobotReport

if TYPE_CHECKING:
    from collections.abc import Iterable

    from robots.facts.messages import ValueRead
    from robots.protocols.vda5050.messages import AgvAction, Error, Factsheet, NodeState, State
    from robots.terms.capabilities import JsonType

_NODE: Final = re.compile(r"n(0|[1-9][0-9]{0,8})")
"""How orders from here name a node: by the index of its point."""
_STATUSES: Final = {ActionStatus.FINISHED: DeedStatus.DONE, ActionStatus.FAILED: DeedStatus.FAILED}
_PRESENCES: Final = {
    ConnectionState.ONLINE: Presence.ONLINE,
    ConnectionState.OFFLINE: Presence.OFFLINE,
    ConnectionState.CONNECTIONBROKEN: Presence.BROKEN,
}
_TYPES: Final[dict[ValueType, JsonType]] = {
    ValueType.BOOL: "boolean",
    ValueType.NUMBER: "number",
    ValueType.FLOAT: "number",
    ValueType.INTEGER: "integer",
    ValueType.STRING: "string",
}
_SCOPES: Final = {ActionScope.NODE: SkillScope.AT_PLACE, ActionScope.INSTANT: SkillScope.AT_ONCE}
_NAMELESS: Final = frozenset({"validationError", "orderError"})
"""Kinds of errors with which a malformed order may be refused without a reference (6.6.4)."""


def report_of(state: State, misread: Iterable[ValueRead] = ()) -> RobotReport:
    """Return what a state says; a mode that was misread keeps the robot's own word."""
    pose = state.agv_position
    return RobotReport(
        task=state.order_id,
        release=state.order_update_id,
        passed=state.last_node_sequence_id // 2,
        ahead=tuple(_ahead(node) for node in state.node_states),
        unfinished=bool(state.node_states or state.edge_states),
        drives=state.driving,
        paused=bool(state.paused),
        deeds={
            one.action_id: DeedReport(
                _STATUSES.get(one.action_status, DeedStatus.UNDER_WAY), one.result_description or ""
            )
            for one in reversed(state.action_states)
        },
        battery_percent=state.battery_state.battery_charge,
        mode=own_word("operatingMode", state.operating_mode, misread),
        automatic=state.operating_mode is OperatingMode.AUTOMATIC,
        emergency_stop=state.safety_state.e_stop is not EStop.NONE,
        field_violated=state.safety_state.field_violation,
        pose=None if pose is None or not pose.position_initialized else Pose(pose.x, pose.y, pose.theta, pose.map_id),
        faults=tuple(_fault(error) for error in state.errors),
    )


def presence_of(state: ConnectionState) -> Presence:
    """Return what a presence means."""
    return _PRESENCES[state]


def capabilities_of(factsheet: Factsheet) -> Capabilities:
    """Return what a factsheet says that the robot can do."""
    return Capabilities(
        actions=tuple(_offered(action) for action in factsheet.protocol_features.agv_actions),
        speed_max_m_s=factsheet.physical_parameters.speed_max,
        min_interval_s=factsheet.protocol_limits.timing.min_order_interval,
    )


def own_word(name: str, value: str, misread: Iterable[ValueRead]) -> str:
    """Return the robot's own word for the value of a field, where it was read as another."""
    return next((one.value for one in misread if one.field == name), str(value))


def _ahead(node: NodeState) -> PointAhead:
    named = _NODE.fullmatch(node.node_id)
    index = int(named[1]) if named and 2 * int(named[1]) == node.sequence_id else None
    return PointAhead(index, node.released)


def _fault(error: Error) -> Fault:
    references = error.error_references or ()
    about = {one.reference_key: one.reference_value for one in references}
    update = about.get("orderUpdateId")
    return Fault(
        kind=error.error_type,
        words=error.error_description or "",
        grave=error.error_level is ErrorLevel.FATAL,
        task=about.get("orderId"),
        # What is no number is no release of ours.
        release=None if update is None else int(update) if update.isdecimal() else -1,
        nameless_refusal="orderId" not in about and error.error_type in _NAMELESS,
        commands=tuple(one.reference_value for one in references if one.reference_key == "actionId"),
        about=tuple((one.reference_key, one.reference_value) for one in references),
    )


def _offered(action: AgvAction) -> OfferedAction:
    return OfferedAction(
        name=action.action_type,
        scope=next((mine for theirs, mine in _SCOPES.items() if theirs in action.action_scopes), None),
        told=action.action_description or "",
        arguments=tuple(
            OfferedArgument(one.key, _TYPES.get(one.value_data_type), one.description or "", bool(one.is_optional))
            for one in action.action_parameters or ()
        ),
    )
