"""What real robots send: values of later versions, nulls, floats, other clocks; read carefully, named and counted."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from agent.robot.access import _refused
from robots.errors import InvalidMessage
from robots.events import Happening
from robots.facts.fitness import NotAutomatic, NotOnline, OnOtherMap, StateRefused
from robots.facts.messages import FieldMissing, FieldWrong, MessageNotJson, MessageOvertaken, OtherRobotNamed, ValueRead
from robots.protocols.vda5050.codec import Address, Header, Received, Topic, Vda5050, sent_at
from robots.protocols.vda5050.messages import (
    Action,
    ActionStatus,
    BlockingType,
    Connection,
    ConnectionState,
    EStop,
    Factsheet,
    InstantActions,
    OperatingMode,
    Order,
    State,
)
from robots.protocols.vda5050.ordering import ADOPT_S
from robots.protocols.vda5050.reports import capabilities_of
from robots.protocols.vda5050.translator import Translator
from robots.safety.gate import Latch
from robots.simulator.body import VehicleBody
from robots.simulator.factsheet import factsheet_of
from robots.skills import skills_of
from robots.terms.heard import About, Intent, Overheard, Presented, Reported, Unreadable
from robots.terms.world import World
from tests.robots.stage.rig import ADDRESS, BEGUN, HOUSE, Rig
from tests.robots.stage.words import reported, said

if TYPE_CHECKING:
    from collections.abc import Callable

CODEC = Vda5050()
Change = dict[str, Any]


def state(change: Change | None = None, *, header: int = 1, at: datetime = BEGUN) -> Received:
    """A state as the simulated robot sends it, with fields of our own, through JSON."""
    body = json.loads(CODEC.encode(Rig().vehicle.state(), ADDRESS, header, at))
    return CODEC.decode(Topic.STATE, json.dumps(body | (change or {})).encode())


def error(**fields: object) -> Change:
    return {"errors": [{"errorType": "motor", "errorLevel": "WARNING", **fields}]}


def action(status: str) -> Change:
    return {"actionStates": [{"actionId": "a", "actionStatus": status, "actionType": "wait"}]}


def safety(stop: str) -> Change:
    return {"safetyState": {"eStop": stop, "fieldViolation": False}}


@pytest.mark.parametrize(
    ("change", "name", "value", "careful"),
    [
        (error(errorLevel="URGENT"), "errorLevel", "URGENT", "FATAL"),
        (error(errorLevel="CRITICAL"), "errorLevel", "CRITICAL", "FATAL"),
        (error(errorLevel="warning"), "errorLevel", "warning", "FATAL"),
        ({"operatingMode": "STARTUP"}, "operatingMode", "STARTUP", "SERVICE"),
        ({"operatingMode": "INTERVENED"}, "operatingMode", "INTERVENED", "SERVICE"),
        (action("RETRIABLE"), "actionStatus", "RETRIABLE", "RUNNING"),
        (safety("PROTECTIVE"), "eStop", "PROTECTIVE", "MANUAL"),
        ({"maps": [{"mapId": "m", "mapVersion": "1", "mapStatus": "LOADING"}]}, "mapStatus", "LOADING", "DISABLED"),
    ],
)
def test_an_unknown_value_is_read_as_the_most_careful_one_and_named(
    change: Change, name: str, value: str, careful: str
) -> None:
    received = state(change)
    assert received.misread == (ValueRead(name, value, careful),)
    assert isinstance(received.message, State)
    assert received.message.agv_position is not None


def test_the_careful_values_let_nothing_pass() -> None:
    unknown = {"operatingMode": "X", **safety("X"), **action("X"), **error(errorLevel="X")}
    received = state(unknown)
    assert isinstance(received.message, State)
    assert received.message.operating_mode is not OperatingMode.AUTOMATIC
    assert received.message.safety_state.e_stop is not EStop.NONE
    assert received.message.action("a") not in {ActionStatus.FINISHED, ActionStatus.FAILED}
    assert len(state({"errors": [error(errorLevel=f"X{n}")["errors"][0] for n in range(100)]}).misread) == 16


@pytest.mark.parametrize("word", ["HIBERNATING", "CONNECTION_BROKEN", "connectionBroken", "online"])
def test_an_unknown_presence_is_none(word: str) -> None:
    body = json.loads(CODEC.encode(Connection(connection_state=ConnectionState.ONLINE), ADDRESS, 0, BEGUN))
    received = CODEC.decode(Topic.CONNECTION, json.dumps(body | {"connectionState": word}).encode())
    assert received.message == Connection(connection_state=ConnectionState.CONNECTIONBROKEN)
    assert received.misread == (ValueRead("connectionState", word, "CONNECTIONBROKEN"),)


def test_what_is_unknown_in_a_factsheet_is_not_offered() -> None:
    sheet = json.loads(CODEC.encode(factsheet_of(VehicleBody()), ADDRESS, 0, BEGUN))
    sheet["protocolFeatures"]["agvActions"] = [
        {"actionType": "zone", "actionScopes": ["ZONE"], "blockingTypes": ["SINGLE"]},
        {
            "actionType": "paint",
            "actionScopes": ["NODE"],
            "actionParameters": [{"key": "shade", "valueDataType": "COLOUR"}],
        },
        {"actionType": "wave", "actionScopes": ["INSTANT", "ZONE"], "actionParameters": None},
    ]
    received = CODEC.decode(Topic.FACTSHEET, json.dumps(sheet).encode())
    assert isinstance(received.message, Factsheet)
    assert set(skills_of(capabilities_of(received.message), HOUSE)) == {"go_to", "go_to_pose", "stop", "wave"}
    assert {one.value for one in received.misread} == {"ZONE", "SINGLE", "COLOUR"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"errors": None}, lambda s: s.errors == ()),
        ({"actionStates": None, "nodeStates": None, "edgeStates": None}, lambda s: not s.busy),
        ({"orderId": None, "lastNodeId": None}, lambda s: (s.order_id, s.last_node_id) == ("", "")),
        ({"orderUpdateId": None, "lastNodeSequenceId": None}, lambda s: s.order_update_id == 0),
        (
            {"orderUpdateId": 7.0, "lastNodeSequenceId": 4.0},
            lambda s: (s.order_update_id, s.last_node_sequence_id) == (7, 4),
        ),
        ({"headerId": 7.0}, lambda s: s.errors == ()),
        ({"timestamp": None, "version": None}, lambda s: s.errors == ()),
        ({"agvPosition": None, "velocity": None, "loads": None, "paused": None}, lambda s: s.agv_position is None),
        (error(errorDescription="x" * 5000), lambda s: len(s.errors[0].error_description) == 4096),
        (error(errorType="y" * 900), lambda s: len(s.errors[0].error_type) == 256),
        (error(errorReferences=None, errorHint=None), lambda s: s.errors[0].error_references is None),
        ({"orderId": "z" * 900}, lambda s: len(s.order_id) == 256),
        (
            {
                "agvPosition": {
                    "x": 1,
                    "y": 2,
                    "theta": 0,
                    "mapId": "m",
                    "positionInitialized": True,
                    "localizationScore": 87,
                }
            },
            lambda s: s.agv_position.localization_score == 87,
        ),
    ],
)
def test_the_rest_of_a_sloppy_state_is_used(change: Change, told: Callable[[State], bool]) -> None:
    received = state(change)
    assert isinstance(received.message, State)
    assert told(received.message)
    assert received.misread == ()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"driving": None}, FieldWrong("state", "driving", "bool_type")),
        ({"driving": "no"}, FieldWrong("state", "driving", "bool_type")),
        ({"headerId": 7.5}, FieldWrong("state", "headerId", "int_type")),
        ({"orderUpdateId": -1}, FieldWrong("state", "orderUpdateId", "greater_than_equal")),
        ({"operatingMode": 3}, FieldWrong("state", "operatingMode", "enum")),
        ({"batteryState": {"charging": False}}, FieldMissing("state", "batteryState.batteryCharge")),
        ({"errors": {}}, FieldWrong("state", "errors", "tuple_type")),
    ],
)
def test_what_cannot_be_guessed_is_refused_with_its_field(change: Change, why: FieldWrong | FieldMissing) -> None:
    with pytest.raises(InvalidMessage) as caught:
        state(change)
    assert caught.value.fact == why


def test_payloads_that_are_no_object_are_refused() -> None:
    for payload in (b"", b"nonsense", b"[1]", b"7", b"\xff\xfe"):
        with pytest.raises(InvalidMessage) as caught:
            CODEC.decode(Topic.STATE, payload)
        assert caught.value.fact == MessageNotJson("state"), payload


# Who a message is of ---------------------------------------------------------------------------------------------


def translator() -> Translator:
    return Translator(ADDRESS, CODEC)


def named(manufacturer: str, serial: str, topic: Topic = Topic.STATE) -> object:
    body = json.loads(CODEC.encode(Rig().vehicle.state(), ADDRESS, 1, BEGUN))
    body |= {"manufacturer": manufacturer, "serialNumber": serial}
    return translator().read(topic, json.dumps(body).encode(), 0.0)


def test_a_state_that_names_another_robot_is_refused() -> None:
    for other in (("evil", "R9"), ("acme", "R11"), ("acme2", "R1")):
        assert named(*other) == Unreadable(OtherRobotNamed("state", "/".join(other)), About.REPORT)
    # What a topic cannot hold, and case, make no other robot; a header without a name names none.
    for same in (("acme", "R1"), ("ACME", "r1"), ("Ac me!", "R-1"), ("", "")):
        assert isinstance(named(*same), Reported), same


def test_a_command_on_its_topic_is_noticed_whomever_it_names() -> None:
    body = {"headerId": 1, "timestamp": "", "version": "2.1.0", "manufacturer": "evil", "serialNumber": "R9"}
    payload = json.dumps(body | {"actions": []}).encode()
    assert translator().read(Topic.INSTANT_ACTIONS, payload, 0.0) == Overheard(Intent.HARMLESS)


def test_the_simulated_robot_moves_on_no_order_for_another_one_and_obeys_any_stop() -> None:
    rig = Rig()
    rig.run(1)
    order = rig.call("go_to", place="hall")
    assert rig.until(lambda: any(isinstance(message, Order) for _, message in rig.sent))
    orders = [message for _, message in rig.sent if isinstance(message, Order)]
    pause = Action(action_type="startPause", action_id="p", blocking_type=BlockingType.HARD)
    other = Address("other", "R9")
    for robot, taken in ((ADDRESS, True), (other, False)):
        vehicle = Rig().vehicle
        vehicle.receive(Topic.ORDER, CODEC.encode(orders[0], robot, 1, BEGUN), 0.0)
        assert (vehicle.order_id != "") is taken, order
        vehicle.receive(Topic.INSTANT_ACTIONS, CODEC.encode(InstantActions(actions=(pause,)), robot, 1, BEGUN), 0.0)
        assert vehicle.pausing


# What is told and counted ----------------------------------------------------------------------------------------


def test_a_robot_whose_states_cannot_be_used_is_no_robot_that_has_not_reported() -> None:
    rig = Rig()
    rig.run(1)
    rig.robot.world.forget_report()
    why = FieldWrong("state", "driving", "bool_type")
    for _ in range(9):
        rig.robot.refused(Unreadable(why, About.REPORT), rig.now)
    unfit = rig.robot.world.unfit(rig.now, HOUSE.limits)
    assert unfit == StateRefused(9, why)
    assert said(unfit) == (
        "the robot's states cannot be used, 9 so far: in a message on state the field driving is wrong (bool_type)"
    )
    rig.run(1)
    assert [event.reason for event in rig.heard(Happening.REFUSED)] == [why]
    assert [record["times"] for record in rig.records if record["event"] == "unusable"] == [1, 2, 4, 8]
    assert list(_refused(rig.robot.world.refused)) == [
        "9 times field_wrong, the last: in a message on state the field driving is wrong (bool_type)"
    ]
    assert rig.robot.world.unfit(rig.now, HOUSE.limits) is None, "the first good state ends it"


def test_another_program_whose_commands_cannot_be_read_is_noticed_all_the_same() -> None:
    rig = Rig()
    rig.run(1)
    rig.call("go_to", place="hall")
    assert rig.until(lambda: rig.vehicle.body.moving)
    rig.robot.refused(Unreadable(FieldMissing("state", "driving"), About.REPORT), rig.now)
    assert rig.gate.latch is None
    rig.robot.refused(Unreadable(FieldWrong("order", "nodes.0.sequenceId", "int_type"), About.COMMAND), rig.now)
    assert rig.gate.latch is Latch.HELD
    rig.step()
    assert rig.heard(Happening.OTHER)
    rig.robot.stop("test", rig.now)
    rig.robot.refused(Unreadable(FieldWrong("order", "nodes.0.sequenceId", "int_type"), About.COMMAND), rig.now)
    assert rig.gate.latch is Latch.STOPPED
    assert rig.until(lambda: bool(rig.heard(Happening.STOPPED)), 5)


def test_an_unknown_word_is_told_once_and_is_in_the_reason() -> None:
    rig = Rig()
    rig.run(1)
    for header in range(1000, 1005):
        at = BEGUN + timedelta(seconds=rig.now)
        rig.take(state({"operatingMode": "STARTUP"}, header=header, at=at))
    assert rig.robot.world.unfit(rig.now, HOUSE.limits) == NotAutomatic("STARTUP")
    rig.step()
    (event,) = rig.heard(Happening.MISREAD)
    assert reported(event) == "R1: operatingMode 'STARTUP' is unknown here and taken for SERVICE."
    assert [record["event"] for record in rig.records] == ["misread"]


def test_an_unknown_presence_is_named_in_the_reason_and_stops_commands() -> None:
    world = World(linked=True)
    body = json.loads(CODEC.encode(Connection(connection_state=ConnectionState.ONLINE), ADDRESS, 0, BEGUN))
    payload = json.dumps(body | {"connectionState": "HIBERNATING"}).encode()
    news = translator().read(Topic.CONNECTION, payload, 0.0)
    assert isinstance(news, Presented)
    world.take(news, 0.0)
    assert world.unfit(0.0, HOUSE.limits) == NotOnline("HIBERNATING")


def test_a_position_on_another_map_is_none() -> None:
    rig = Rig()
    rig.run(1)
    at = BEGUN + timedelta(seconds=rig.now)
    pose = {"x": 1.0, "y": 1.0, "theta": 0.0, "mapId": "cellar", "positionInitialized": True}
    rig.take(state({"agvPosition": pose}, header=1000, at=at))
    assert rig.robot.world.position is None
    assert rig.robot.world.unfit(rig.now, HOUSE.limits) == OnOtherMap("cellar", "ground")


# Clocks and headers ----------------------------------------------------------------------------------------------


def takes(robot: Translator, received: Received, now: float) -> bool:
    return isinstance(robot.news_of(received, now), Reported)


def follow(robot: Translator, headers: list[tuple[int, datetime]], start: float, each_s: float) -> list[float]:
    """Feed states in; return when one was taken, s."""
    taken = []
    for n, (header, at) in enumerate(headers):
        now = start + n * each_s
        if takes(robot, state(header=header, at=at), now):
            taken.append(now)
    return taken


def seconds(n: float, since: datetime = BEGUN) -> datetime:
    return since + timedelta(seconds=n)


def test_a_state_from_the_future_does_not_block_the_true_ones_that_follow() -> None:
    robot = translator()
    follow(robot, [(n, seconds(n * 0.1)) for n in range(5)], 0.0, 0.1)
    assert takes(robot, state(header=2**31 - 5, at=datetime(2099, 1, 1, tzinfo=UTC)), 0.5)
    taken = follow(robot, [(n, seconds(n * 0.1)) for n in range(6, 30)], 0.6, 0.1)
    assert taken[0] <= 0.6 + ADOPT_S + 0.11
    assert len(taken) >= 17
    assert robot.order.newest is not None
    assert robot.order.newest.header_id == 29


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([(n, seconds(n * 0.1, datetime(1970, 1, 1, tzinfo=UTC))) for n in range(20)], id="starts at 1970"),
        pytest.param(
            [(n, seconds(n * 0.1, datetime(1970, 1, 1, tzinfo=UTC))) for n in range(10)]
            + [(n, seconds(100 + n * 0.1)) for n in range(10, 20)],
            id="and corrects it",
        ),
        pytest.param([(50 + n, seconds(n * 0.1 - 3600)) for n in range(20)], id="goes back an hour"),
    ],
)
def test_a_robot_that_starts_anew_with_another_clock_is_followed(headers: list[tuple[int, datetime]]) -> None:
    robot = translator()
    follow(robot, [(n, seconds(n * 0.1)) for n in range(100)], 0.0, 0.1)
    taken = follow(robot, headers, 10.0, 0.1)
    assert taken[0] <= 10.0 + ADOPT_S + 0.11
    assert taken[-1] == pytest.approx(10.0 + (len(headers) - 1) * 0.1)


def test_who_connects_anew_may_count_anew_at_once() -> None:
    robot = translator()
    follow(robot, [(n, seconds(n * 0.1)) for n in range(100)], 0.0, 0.1)
    old = datetime(1970, 1, 1, tzinfo=UTC)
    header = Header(header_id=0, timestamp=old.isoformat(), version="", manufacturer="", serial_number="")
    online = Received(Topic.CONNECTION, header, Connection(connection_state=ConnectionState.ONLINE))
    robot.news_of(online, 10.0)
    assert follow(robot, [(0, old)], 10.1, 0.1) == [10.1]
    robot.news_of(online, 10.2)
    assert follow(robot, [(0, seconds(-1, old))], 10.3, 0.1) == [], "the same announcement again is no new one"


def test_what_a_network_delivers_late_is_still_dropped() -> None:
    robot = translator()
    follow(robot, [(n, seconds(n * 0.1)) for n in range(100)], 0.0, 0.1)
    # A burst of the past at once, and old ones between newer ones.
    assert follow(robot, [(n, seconds(n * 0.1)) for n in range(50, 90)], 10.0, 0.001) == []
    mixed = [pair for n in range(20) for pair in ((100 + n, seconds(10 + n * 0.1)), (50 + n, seconds(5 + n * 0.1)))]
    taken = follow(robot, mixed, 10.1, 0.1)
    assert len(taken) == 20
    # Twice the same tells nothing of an order.
    assert follow(robot, [(60, seconds(6))] * 20, 20.0, 0.1) == []


def test_a_wrapping_counter_is_followed_with_and_without_a_clock() -> None:
    robot = translator()
    wrapping = [((2**32 - 5 + n) % 2**32, seconds(n * 0.1)) for n in range(10)]
    assert len(follow(robot, wrapping, 0.0, 0.1)) == 10


def test_a_stop_is_confirmed_though_a_state_from_the_future_came_between() -> None:
    rig = Rig()
    rig.run(1)
    rig.call("go_to", place="hall")
    assert rig.until(lambda: rig.vehicle.body.moving)
    rig.take(state(header=2**31 - 5, at=datetime(2099, 1, 1, tzinfo=UTC)))
    rig.robot.stop("test", rig.now)
    begun = rig.now
    assert rig.until(lambda: bool(rig.heard(Happening.STOPPED)), 4)
    print(f"confirmed after {rig.now - begun:.1f} s")
    assert rig.robot.world.refused.counts[MessageOvertaken("state").code] > 0
    assert not rig.heard(Happening.UNCONFIRMED)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "", "now", "2026-13-01"])
def test_times_that_are_none_are_read_as_none(text: str) -> None:
    header = Header(header_id=0, timestamp=text, version="", manufacturer="", serial_number="")
    assert sent_at(header) is None
