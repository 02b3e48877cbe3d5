from __future__ import annotations

import hashlib
import json
import math
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from robots.errors import BadSetting, InvalidMessage
from robots.geometry import wrap_angle
from robots.protocols.vda5050.codec import (
    DIALECTS,
    MAX_PAYLOAD_BYTES,
    Address,
    Header,
    HeaderCounter,
    Topic,
    newer,
    overtaken,
    topic_of,
)
from robots.protocols.vda5050.messages import (
    Action,
    ActionParameter,
    ActionState,
    ActionStatus,
    AgvPosition,
    BatteryState,
    BlockingType,
    Connection,
    ConnectionState,
    Corridor,
    Edge,
    Error,
    ErrorLevel,
    EStop,
    InstantActions,
    MapStatus,
    MapVersion,
    Message,
    Node,
    NodePosition,
    NodeState,
    OperatingMode,
    Order,
    Reference,
    SafetyState,
    State,
    Velocity,
    Visualization,
)
from robots.protocols.vda5050.official import SHA256, schema, schema_text
from robots.protocols.vda5050.reading import UINT32
from robots.simulator.body import VehicleBody
from robots.simulator.factsheet import factsheet_of

if TYPE_CHECKING:
    from random import Random

M = TypeVar("M")
NOW = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
ADDRESS = Address("acme", "R1")
CODEC = DIALECTS["2.1"]


@cache
def official(name: str) -> Draft202012Validator:
    return Draft202012Validator(schema(name))


@pytest.mark.parametrize("name", SHA256)
def test_the_official_schemas_are_kept_as_they_were_published(name: str) -> None:
    assert hashlib.sha256(schema_text(name)).hexdigest() == SHA256[name]


def test_the_published_schema_refuses_a_paused_action_and_the_corrected_one_does_not() -> None:
    action = {"actionId": "a", "actionStatus": "PAUSED"}
    published = json.loads(schema_text("state"))["properties"]["actionStates"]
    assert not Draft202012Validator(published).is_valid([action])
    assert Draft202012Validator(schema("state")["properties"]["actionStates"]).is_valid([action])


def made(kind: type[M], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[M]:
    """Like `st.builds`, which would fill in the JSON names of the fields, too."""
    return st.fixed_dictionaries(fields).map(lambda values: kind(**values))


numbers = st.floats(-1e6, 1e6, allow_nan=False)
small = st.integers(0, UINT32 - 1)
names = st.sampled_from(("a", "n1", "startPause", "x_y-z.1:2", "N" * 40))
scalars = st.booleans() | numbers | st.text(max_size=8)
json_values = (
    scalars | st.lists(scalars, max_size=2) | st.dictionaries(names, st.lists(scalars, max_size=2), max_size=2)
)
actions = made(
    Action,
    action_type=names,
    action_id=names,
    blocking_type=st.sampled_from(BlockingType),
    action_description=st.none() | st.text(max_size=20),
    action_parameters=st.none() | st.lists(made(ActionParameter, key=names, value=json_values), max_size=2).map(tuple),
)
positions = made(
    NodePosition,
    x=numbers,
    y=numbers,
    map_id=names,
    theta=st.none() | st.floats(-3.14, 3.14),
    allowed_deviation_xy=st.none() | st.floats(0, 5),
)
nodes = made(
    Node,
    node_id=names,
    sequence_id=small,
    released=st.booleans(),
    node_position=st.none() | positions,
    actions=st.lists(actions, max_size=2).map(tuple),
)
edges = made(
    Edge,
    edge_id=names,
    sequence_id=small,
    released=st.booleans(),
    start_node_id=names,
    end_node_id=names,
    max_speed=st.none() | st.floats(0, 3),
    corridor=st.none() | st.just(Corridor(left_width=1.0, right_width=0.5)),
)
orders = made(
    Order,
    order_id=names,
    order_update_id=small,
    nodes=st.lists(nodes, min_size=1, max_size=3).map(tuple),
    edges=st.lists(edges, max_size=2).map(tuple),
)
states = made(
    State,
    order_id=names,
    order_update_id=small,
    last_node_id=names,
    last_node_sequence_id=small,
    node_states=st.lists(made(NodeState, node_id=names, sequence_id=small, released=st.booleans()), max_size=2).map(
        tuple
    ),
    edge_states=st.just(()),
    driving=st.booleans(),
    paused=st.none() | st.booleans(),
    action_states=st.lists(
        made(ActionState, action_id=names, action_status=st.sampled_from(ActionStatus)), max_size=2
    ).map(tuple),
    battery_state=made(BatteryState, battery_charge=st.floats(0, 100), charging=st.booleans()),
    operating_mode=st.sampled_from(OperatingMode),
    errors=st.lists(
        made(
            Error,
            error_type=names,
            error_level=st.sampled_from(ErrorLevel),
            error_references=st.none() | st.just((Reference(reference_key="orderId", reference_value="1"),)),
            error_hint=st.none() | st.text(max_size=5),
        ),
        max_size=2,
    ).map(tuple),
    safety_state=made(SafetyState, e_stop=st.sampled_from(EStop), field_violation=st.booleans()),
    maps=st.none() | st.just((MapVersion(map_id="a", map_version="1", map_status=MapStatus.ENABLED),)),
    agv_position=st.none()
    | made(AgvPosition, x=numbers, y=numbers, theta=numbers, map_id=names, position_initialized=st.booleans()),
    velocity=st.none() | made(Velocity, vx=numbers),
)
messages: st.SearchStrategy[Message] = st.one_of(
    orders,
    states,
    made(InstantActions, actions=st.lists(actions, max_size=3).map(tuple)),
    made(Connection, connection_state=st.sampled_from(ConnectionState)),
    made(Visualization, velocity=st.none() | made(Velocity, vx=numbers)),
    st.just(factsheet_of(VehicleBody())),
)


@settings(max_examples=150, deadline=None)
@given(messages, st.integers(0, UINT32 - 1))
def test_what_is_written_is_valid_by_the_official_schema_and_reads_back_equal(message: Message, header_id: int) -> None:
    payload = CODEC.encode(message, ADDRESS, header_id, NOW)
    topic = topic_of(message)
    official(topic).validate(json.loads(payload))
    received = CODEC.decode(topic, payload)
    assert received.message == message
    assert received.header.header_id == header_id
    assert received.header.timestamp == "2026-01-02T03:04:05.678Z"


@settings(max_examples=100, deadline=None)
@given(messages)
def test_older_dialects_leave_out_what_they_do_not_know_and_keep_the_rest(message: Message) -> None:
    for name in ("2.0", "2.0-instantActions", "1.1"):
        codec = DIALECTS[name]
        payload = codec.encode(message, ADDRESS, 1, NOW)
        data: dict[str, Any] = json.loads(payload)
        assert data["version"] == codec.version
        assert "maps" not in data
        assert not any("corridor" in edge for edge in data.get("edges", []))
        assert not any("errorHint" in error for error in data.get("errors", []))
        if isinstance(message, InstantActions):
            assert codec.actions_array in data
            assert CODEC.decode(Topic.INSTANT_ACTIONS, payload).message == message


def test_parameters_named_like_new_fields_stay() -> None:
    parameter = ActionParameter(key="k", value={"corridor": 1, "maps": [2]})
    action = Action(action_type="a", action_id="1", blocking_type=BlockingType.NONE, action_parameters=(parameter,))
    payload = DIALECTS["1.1"].encode(InstantActions(actions=(action,)), ADDRESS, 0, NOW)
    assert json.loads(payload)["instantActions"][0]["actionParameters"][0]["value"] == {"corridor": 1, "maps": [2]}


def test_topic_names_carry_the_major_version() -> None:
    assert CODEC.topic_name(ADDRESS, Topic.ORDER) == "uagv/v2/acme/R1/order"
    assert DIALECTS["1.1"].topic_name(Address("a", "b", "x"), Topic.STATE) == "x/v1/a/b/state"


@pytest.mark.parametrize("text", ["", "acme", "acme/", "a/b/c/d", "acme/R1+", "acme/#", "ac me/R1"])
def test_addresses_that_would_break_out_of_a_topic_are_refused(text: str) -> None:
    with pytest.raises(BadSetting):
        Address.parse(text)


def test_reader_accepts_what_other_programs_write() -> None:
    header = '"headerId":1,"timestamp":"2026-01-02T03:04:05","version":"9","manufacturer":"m","serialNumber":"s"'
    action = '{"actionType":"a","actionId":"1","blockingType":"HARD","extra":1}'
    old = f'{{{header},"instantActions":[{action}],"new":{{}}}}'
    received = CODEC.decode(Topic.INSTANT_ACTIONS, old.encode())
    assert isinstance(received.message, InstantActions)
    assert received.message.actions[0].action_id == "1"
    position = '{"x":1,"y":2,"mapId":"m","allowedDeviationXy":0.5}'
    node = f'{{"nodeId":"n","sequenceId":0,"released":true,"actions":[],"nodePosition":{position}}}'
    order = f'{{{header},"orderId":"o","orderUpdateId":0,"nodes":[{node}],"edges":[]}}'
    message = CODEC.decode(Topic.ORDER, order.encode()).message
    assert isinstance(message, Order)
    assert message.nodes[0].node_position is not None
    assert message.nodes[0].node_position.allowed_deviation_xy == 0.5


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"orderUpdateId": -1}, "orderUpdateId"),
        ({"orderUpdateId": 2**32}, "orderUpdateId"),
        ({"orderUpdateId": "0"}, "orderUpdateId"),
        ({"nodes": []}, "nodes"),
        ({"nodes": None}, "nodes"),
        ({"orderId": 7}, "orderId"),
        ({"headerId": True}, "headerId"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, object], where: str) -> None:
    order = Order(order_id="o", order_update_id=0, nodes=(Node(node_id="n", sequence_id=0, released=True),))
    data = json.loads(CODEC.encode(order, ADDRESS, 0, NOW)) | change
    with pytest.raises(InvalidMessage, match=where):
        CODEC.decode(Topic.ORDER, json.dumps(data).encode())


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999", '[1, {"a": NaN}]'])
def test_numbers_that_are_none_are_refused(value: str) -> None:
    head = '"headerId":1,"timestamp":"","version":"","manufacturer":"m","serialNumber":"s"'
    action = f'"actionId":"a","actionType":"b","blockingType":"HARD","actionParameters":[{{"key":"k","value":{value}}}]'
    with pytest.raises(InvalidMessage):
        CODEC.decode(Topic.INSTANT_ACTIONS, f'{{{head},"actions":[{{{action}}}]}}'.encode())
    with pytest.raises(ValidationError):
        ActionParameter(key="k", value=math.nan)


def test_huge_and_deep_payloads_are_refused() -> None:
    with pytest.raises(InvalidMessage, match="message_too_large"):
        CODEC.decode(Topic.STATE, b" " * (MAX_PAYLOAD_BYTES + 1))
    with pytest.raises(InvalidMessage):
        CODEC.decode(Topic.STATE, b"[" * 100_000)


def test_header_counters_are_per_topic_and_wrap() -> None:
    counter = HeaderCounter()
    assert [counter.take(Topic.ORDER), counter.take(Topic.ORDER), counter.take(Topic.STATE)] == [0, 1, 0]
    counter.upcoming[Topic.ORDER] = UINT32 - 1
    assert [counter.take(Topic.ORDER), counter.take(Topic.ORDER)] == [UINT32 - 1, 0]


@given(st.integers(0, UINT32 - 1), st.integers(1, UINT32 // 2 - 1))
def test_newer_holds_across_the_wrap(header_id: int, later: int) -> None:
    assert newer((header_id + later) % UINT32, header_id)
    assert not newer(header_id, (header_id + later) % UINT32)


def header(header_id: int, time: datetime) -> Header:
    return Header(header_id=header_id, timestamp=time.isoformat(), version="2.1.0", manufacturer="m", serial_number="s")


def test_a_restarted_sender_is_not_taken_for_old() -> None:
    known = header(500, NOW)
    assert overtaken(header(499, NOW - timedelta(seconds=1)), known)
    assert overtaken(known, known)
    assert not overtaken(header(501, NOW - timedelta(seconds=9)), known)
    assert not overtaken(header(0, NOW + timedelta(seconds=1)), known)
    east = (NOW - timedelta(seconds=1)).astimezone(timezone(timedelta(hours=2)))
    assert overtaken(header(499, east), known)


@given(numbers)
def test_angles_fit_the_schema(angle: float) -> None:
    assert -3.14159265359 <= wrap_angle(angle) <= 3.14159265359


def mutate(payload: bytes, random: Random) -> bytes:
    """Damage a payload: flip, cut, repeat, or exchange a JSON value."""
    kind = random.randrange(5)
    data = bytearray(payload)
    if kind == 0:
        for _ in range(random.randint(1, 8)):
            data[random.randrange(len(data))] = random.randrange(256)
    elif kind == 1:
        del data[random.randrange(len(data)) :]
    elif kind == 2:
        start = random.randrange(len(data))
        data[start:start] = data[start : start + random.randint(1, 64)]
    else:
        tree = json.loads(payload)
        spoil(tree, random)
        return json.dumps(tree).encode()
    return bytes(data)


def spoil(tree: Any, random: Random) -> None:  # noqa: ANN401, JSON
    junk: object = random.choice(
        (
            None,
            True,
            -1,
            2**32,
            2**70,
            1e308,
            math.nan,
            math.inf,
            "",
            "x" * 5000,
            [],
            {},
            [[]],
            {"a": 1},
            "\ud800",
            -0.0,
        )
    )
    while True:
        keys: list[Any] = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
        if not keys:
            return
        key = random.choice(keys)
        if isinstance(tree[key], dict | list) and tree[key] and random.random() < 0.7:
            tree = tree[key]
            continue
        if random.random() < 0.2 and isinstance(tree, dict):
            del tree[key]
        else:
            tree[key] = junk
        return
