"""The messages of VDA 5050 2.1.0, typed; a message that exists is valid.

Field names are the specification's in snake case; section numbers are those of its document, `VDA5050_EN.md`.
This module knows neither topics nor headers nor how older versions are written: see `codec` beside it.

What a robot says of itself is read as far as it can be (`reading`, beside it); what is commanded, by us or by others,
is held to the specification.

Where an official schema and the document differ, the document wins (its own rule, section 6). It does so twice here:
`state.schema` forgets the action status `PAUSED` (6.11), and `factsheet.schema` compares the array `blockingTypes` as a
whole with its single values (6.15).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import AliasChoices, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from robots.protocols.vda5050.reading import (
    Angle,
    Count,
    Identifier,
    Json,
    Listed,
    Name,
    Text,
    Uint32,
    Words,
    carefully,
)


class Part(BaseModel):
    """A JSON object of the protocol: immutable, unknown fields ignored, numbers finite, nothing coerced."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        strict=True,
        allow_inf_nan=False,
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
    )


class BlockingType(StrEnum):
    """What else may happen while an action runs: drive and act, only act, or nothing (6.6.6)."""

    NONE = "NONE"
    SOFT = "SOFT"
    HARD = "HARD"


class ActionStatus(StrEnum):
    """The life of an action (6.11)."""

    WAITING = "WAITING"
    INITIALIZING = "INITIALIZING"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    FINISHED = "FINISHED"
    FAILED = "FAILED"

    @property
    def ended(self) -> bool:
        """Whether the action will not change any more."""
        return self in {ActionStatus.FINISHED, ActionStatus.FAILED}


class OperatingMode(StrEnum):
    """Who drives (6.10.6)."""

    AUTOMATIC = "AUTOMATIC"
    SEMIAUTOMATIC = "SEMIAUTOMATIC"
    MANUAL = "MANUAL"
    SERVICE = "SERVICE"
    TEACHIN = "TEACHIN"


class EStop(StrEnum):
    """How an active emergency stop is acknowledged; NONE means that none is active."""

    AUTOACK = "AUTOACK"
    MANUAL = "MANUAL"
    REMOTE = "REMOTE"
    NONE = "NONE"


class ErrorLevel(StrEnum):
    """WARNING: the robot goes on. FATAL: somebody has to come."""

    WARNING = "WARNING"
    FATAL = "FATAL"


class ConnectionState(StrEnum):
    """Presence of a robot (6.14)."""

    ONLINE = "ONLINE"
    OFFLINE = "OFFLINE"
    CONNECTIONBROKEN = "CONNECTIONBROKEN"


class ActionScope(StrEnum):
    """Where an action may stand (6.15)."""

    INSTANT = "INSTANT"
    NODE = "NODE"
    EDGE = "EDGE"


class ValueType(StrEnum):
    """Type of an action parameter (6.15)."""

    BOOL = "BOOL"
    NUMBER = "NUMBER"
    INTEGER = "INTEGER"
    FLOAT = "FLOAT"
    STRING = "STRING"
    OBJECT = "OBJECT"
    ARRAY = "ARRAY"


class ActionParameter(Part):
    """One argument of an action."""

    key: Identifier
    value: Json


class Action(Part):
    """Something a robot does (6.6.6)."""

    action_type: Identifier
    action_id: Identifier
    blocking_type: BlockingType
    action_description: Text | None = None
    action_parameters: tuple[ActionParameter, ...] | None = None


class NodePosition(Part):
    """A place to reach: metres and radians in the map's frame (6.6.6)."""

    x: float
    y: float
    map_id: Identifier
    theta: Angle | None = None
    allowed_deviation_xy: Annotated[float, Field(ge=0)] | None = Field(
        default=None,
        # The 2.0.0 schema spells it with a small y.
        validation_alias=AliasChoices("allowedDeviationXY", "allowedDeviationXy"),
        serialization_alias="allowedDeviationXY",
    )
    allowed_deviation_theta: Annotated[float, Field(ge=0, le=3.141592654)] | None = None


class Node(Part):
    """A stop of a route; released means that the robot may drive there (6.6.1)."""

    node_id: Identifier
    sequence_id: Uint32
    released: bool
    node_description: Text | None = None
    node_position: NodePosition | None = None
    actions: tuple[Action, ...] = ()


class Corridor(Part):
    """How far the robot may leave the edge, metres (2.1.0 only, 6.6.5)."""

    left_width: Annotated[float, Field(ge=0)]
    right_width: Annotated[float, Field(ge=0)]


class Edge(Part):
    """The way between two nodes (6.6.6)."""

    edge_id: Identifier
    sequence_id: Uint32
    released: bool
    start_node_id: Identifier
    end_node_id: Identifier
    max_speed: Annotated[float, Field(ge=0)] | None = None
    corridor: Corridor | None = None
    actions: tuple[Action, ...] = ()


class Order(Part):
    """A transport order or its update: base (released) and horizon (6.6)."""

    order_id: Identifier
    order_update_id: Uint32
    nodes: Annotated[tuple[Node, ...], Field(min_length=1)]
    edges: tuple[Edge, ...] = ()


class InstantActions(Part):
    """Actions to be executed at once (6.9)."""

    # Version 1.1 and some later programs name the array like the topic.
    actions: tuple[Action, ...] = Field(validation_alias=AliasChoices("actions", "instantActions"))


class NodeState(Part):
    """A node still to be traversed."""

    node_id: Name
    sequence_id: Count
    released: bool


class EdgeState(Part):
    """An edge still to be traversed."""

    edge_id: Name
    sequence_id: Count
    released: bool


class AgvPosition(Part):
    """Where the robot believes it is: metres, radians."""

    x: float
    y: float
    theta: float
    map_id: Name
    position_initialized: bool
    localization_score: float | None = None
    """0 to 1 by the specification; some robots give percent. Nothing depends on it."""


class Velocity(Part):
    """Speed in the robot's own frame: m/s and rad/s."""

    vx: float | None = None
    vy: float | None = None
    omega: float | None = None


class Load(Part):
    """Something the robot carries."""

    load_id: Name | None = None
    load_type: Name | None = None


class ActionState(Part):
    """How far an action is."""

    action_id: Name
    action_status: Annotated[ActionStatus, carefully(ActionStatus, ActionStatus.RUNNING, "actionStatus")]
    """Unknown: it has not ended."""
    action_type: Name | None = None
    result_description: Words | None = None


class BatteryState(Part):
    """Charge in percent."""

    battery_charge: float
    charging: bool


class Reference(Part):
    """What an error is about, for example `orderId` and its value."""

    reference_key: Name
    reference_value: Words


class Error(Part):
    """Something the robot reports as wrong; its texts are untrusted data."""

    error_type: Name = ""
    """Some fleets leave it out, and a robot with its first error is not to become one that cannot be read."""
    error_level: Annotated[ErrorLevel, carefully(ErrorLevel, ErrorLevel.FATAL, "errorLevel")] = ErrorLevel.FATAL
    error_references: tuple[Reference, ...] | None = None
    error_description: Words | None = None
    error_hint: Words | None = None


class SafetyState(Part):
    """What the robot's own safety layer says."""

    e_stop: Annotated[EStop, carefully(EStop, EStop.MANUAL, "eStop")]
    field_violation: bool


class MapStatus(StrEnum):
    """Whether a map is in use."""

    ENABLED = "ENABLED"
    DISABLED = "DISABLED"


class MapVersion(Part):
    """A map stored on the robot (2.1.0 only, 6.7)."""

    map_id: Name
    map_version: Name
    map_status: Annotated[MapStatus, carefully(MapStatus, MapStatus.DISABLED, "mapStatus")]


class State(Part):
    """All that the robot says about itself (6.10)."""

    order_id: Name
    order_update_id: Count
    last_node_id: Name
    last_node_sequence_id: Count
    node_states: Listed[NodeState]
    edge_states: Listed[EdgeState]
    driving: bool
    action_states: Listed[ActionState]
    battery_state: BatteryState
    operating_mode: Annotated[OperatingMode, carefully(OperatingMode, OperatingMode.SERVICE, "operatingMode")]
    errors: Listed[Error]
    safety_state: SafetyState
    maps: tuple[MapVersion, ...] | None = None
    paused: bool | None = None
    new_base_request: bool | None = None
    distance_since_last_node: float | None = None
    agv_position: AgvPosition | None = None
    velocity: Velocity | None = None
    loads: tuple[Load, ...] | None = None

    def action(self, action_id: str) -> ActionStatus | None:
        """Return the status of an action, or None where the robot does not list it."""
        return next((a.action_status for a in self.action_states if a.action_id == action_id), None)

    @property
    def busy(self) -> bool:
        """Whether an order is being carried out: nodes are left or an action has not ended (6.6.2)."""
        return bool(self.node_states) or any(not a.action_status.ended for a in self.action_states)


class Connection(Part):
    """Presence; also the robot's last will (6.14)."""

    connection_state: Annotated[
        ConnectionState, carefully(ConnectionState, ConnectionState.CONNECTIONBROKEN, "connectionState")
    ]


class Visualization(Part):
    """Position and speed for displays, never for logic (6.12)."""

    agv_position: AgvPosition | None = None
    velocity: Velocity | None = None


class TypeSpecification(Part):
    """What kind of vehicle it is."""

    series_name: Words
    agv_kinematic: Name
    agv_class: Name
    max_load_mass: Annotated[float, Field(ge=0)]
    localization_types: Listed[Name]
    navigation_types: Listed[Name]


class PhysicalParameters(Part):
    """Limits of the body: m/s, m/s², m."""

    speed_min: float
    speed_max: float
    acceleration_max: float
    deceleration_max: float
    height_max: float
    width: float
    length: float


class Timing(Part):
    """How often messages may be sent, seconds."""

    min_order_interval: float
    min_state_interval: float
    default_state_interval: float | None = None


class ProtocolLimits(Part):
    """Longest strings and arrays that the robot's memory takes (open objects in the schema)."""

    max_string_lens: dict[str, Json] = Field(default_factory=dict)
    max_array_lens: dict[str, Json] = Field(default_factory=dict)
    timing: Timing


class ParameterDefinition(Part):
    """One parameter of a supported action."""

    key: Name
    value_data_type: Annotated[ValueType, carefully(ValueType, ValueType.OBJECT, "valueDataType")]
    """Unknown: one that no model can fill in."""
    description: Words | None = None
    is_optional: bool | None = None


class AgvAction(Part):
    """An action that the robot supports."""

    action_type: Name
    action_scopes: Listed[Annotated[ActionScope, carefully(ActionScope, ActionScope.EDGE, "actionScopes")]]
    """Unknown: where nothing is asked for from here."""
    action_description: Words | None = None
    action_parameters: tuple[ParameterDefinition, ...] | None = None
    blocking_types: (
        tuple[Annotated[BlockingType, carefully(BlockingType, BlockingType.HARD, "blockingTypes")], ...] | None
    ) = None


class OptionalParameter(Part):
    """An optional field of the protocol that the robot supports or requires."""

    parameter: Name
    support: Name


class ProtocolFeatures(Part):
    """What the robot can do."""

    optional_parameters: Listed[OptionalParameter] = ()
    agv_actions: Listed[AgvAction] = ()


class Factsheet(Part):
    """The robot's description of itself (6.15): the source of its skills."""

    type_specification: TypeSpecification
    physical_parameters: PhysicalParameters
    protocol_limits: ProtocolLimits
    protocol_features: ProtocolFeatures
    agv_geometry: dict[str, Json] = Field(default_factory=dict)
    load_specification: dict[str, Json] = Field(default_factory=dict)


Message = Order | InstantActions | State | Connection | Visualization | Factsheet
