"""What goes over the wire is what was judged: decoded by whoever reads it, and held against what the gate let pass."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robots.errors import UnlikeCommand
from robots.events import Happening
from robots.facts.tasks import CommandsUnanswered, OrderChanged, OtherOrderFollowed
from robots.protocols.vda5050.codec import DIALECTS, Topic, Vda5050
from robots.protocols.vda5050.messages import InstantActions, Order
from robots.protocols.vda5050.orders import command_of, intent_of, message_of
from robots.protocols.vda5050.translator import Translator
from robots.safety.gate import Latch
from robots.terms.commands import Deed, Inquiry, Release, RobotCommand, StopCommand, StopStep, Unpause, Wanted
from robots.terms.heard import Intent
from tests.robots.stage.rig import ADDRESS, Rig
from tests.robots.stage.words import reported

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WAIT = Deed("e1-a", "wait", {"s": 1.5})
WAY = Release("e1-a", 3, "ground", 2, ((1.0, 1.0), (1.5, 1.25), (2.0, 1.5)), 2, 0.5, 0.7, WAIT)

coordinates = st.floats(-1e6, 1e6)
names = st.text(min_size=1, max_size=40)
arguments = st.one_of(st.booleans(), st.integers(-(10**9), 10**9), st.floats(-1e9, 1e9), st.text(max_size=64))
deeds = st.builds(
    Deed,
    ticket=names,
    skill=st.from_regex(r"do[A-Za-z]{1,20}", fullmatch=True),
    arguments=st.dictionaries(names, arguments),
)


@st.composite
def releases(draw: st.DrawFn) -> Release:
    points = draw(st.lists(st.tuples(coordinates, coordinates), min_size=2, max_size=8))
    return Release(
        ticket=draw(names),
        number=draw(st.integers(0, 2**32 - 1)),
        map=draw(names),
        first=draw(st.integers(0, 10**6)),
        points=tuple(points),
        free=draw(st.integers(1, len(points))),
        max_speed_m_s=draw(st.floats(0, 2)),
        theta=draw(st.none() | st.floats(-3.14159, 3.14159)),
        deed=draw(st.none() | deeds),
    )


commands = st.one_of(
    releases(),
    deeds,
    st.builds(StopCommand, st.sampled_from(StopStep), names),
    st.builds(Unpause, names),
    st.builds(Inquiry, st.sampled_from(Wanted), names),
)


@given(commands, st.sampled_from(sorted(DIALECTS)))
def test_whatever_is_commanded_is_read_from_the_wire_as_it_was_commanded(command: RobotCommand, dialect: str) -> None:
    topic, payload = Translator(ADDRESS, DIALECTS[dialect]).write(command, NOW)
    message = Vda5050().decode(topic, payload).message
    assert isinstance(message, Order | InstantActions)
    assert command_of(message) == command


def test_all_that_a_robot_got_in_a_drive_is_what_the_gate_let_pass() -> None:
    rig = Rig()
    rig.run(1)
    rig.call("wait", place="kitchen", seconds=1.0)
    rig.call("look", angle=0.5)
    assert rig.until(lambda: len(rig.heard(Happening.DONE)) == 2)
    rig.robot.stop("test", rig.now)
    rig.run(3)
    rig.resume()
    rig.run(6)
    read = [command_of(message) for _, message in rig.sent if isinstance(message, Order | InstantActions)]
    assert read == rig.commands
    kinds = {type(command) for command in read}
    assert kinds == {Release, Deed, StopCommand, Unpause, Inquiry}
    released = [c for c in rig.commands if isinstance(c, Release)]
    judged = [record for record in rig.records if record["event"] == "release"]
    assert [(r["ticket"], r["number"], r["points"]) for r in judged] == [
        (c.ticket, c.number, len(c.points)) for c in released
    ]


@pytest.mark.parametrize(
    "left_out",
    [
        {"edges": {"__all__": {"max_speed"}}},
        {"nodes": {"__all__": {"released"}}},
        {"nodes": {2: {"actions"}}},
        {"nodes": {"__all__": {"node_position": {"theta"}}}},
        {"actions": {"__all__": {"action_parameters"}}},
    ],
    ids=str,
)
def test_what_would_say_something_else_than_was_judged_is_not_written(left_out: dict[str, object]) -> None:
    broken = Translator(ADDRESS, replace(DIALECTS["2.1"], unknown=left_out))
    with pytest.raises(UnlikeCommand, match="message_unlike"):
        broken.write(WAIT if "actions" in left_out else WAY, NOW)
    # A stop is sent however it is written.
    topic, payload = broken.write(StopCommand(StopStep.PAUSE, "s"), NOW)
    assert topic is Topic.INSTANT_ACTIONS
    assert json.loads(payload)["actions"][0]["actionType"] == "startPause"


def test_a_message_that_says_more_than_one_command_is_none() -> None:
    order = message_of(WAY)
    assert isinstance(order, Order)
    assert command_of(order) == WAY
    first, acting = order.nodes[0], order.nodes[2].actions[0]
    for other in (
        order.model_copy(update={"nodes": (first.model_copy(update={"actions": (acting,)}), *order.nodes[1:])}),
        order.model_copy(update={"edges": (order.edges[0].model_copy(update={"max_speed": 2.0}), order.edges[1])}),
        order.model_copy(update={"edges": (order.edges[0].model_copy(update={"released": False}), order.edges[1])}),
        order.model_copy(update={"nodes": order.nodes[:1], "edges": ()}),
        InstantActions(actions=(acting, acting)),
    ):
        assert command_of(other) is None
    # Whose orders name their nodes otherwise moves the robot all the same.
    named = order.model_copy(update={"nodes": (first.model_copy(update={"node_id": "dock"}), *order.nodes[1:])})
    assert (command_of(named), intent_of(named)) == (None, Intent.MOVE)


def test_a_robot_that_reports_another_way_than_it_was_sent_is_told_of_once_and_stands() -> None:
    rig = Rig()
    rig.run(1)
    rig.call("go_to", place="kitchen")
    assert rig.until(lambda: rig.vehicle.body.moving)
    rig.run(1)
    # Somewhere between the gate and the wheels a point was moved, and its name with it.
    rig.vehicle.nodes[-1] = rig.vehicle.nodes[-1].model_copy(update={"node_id": "n7b", "released": True})
    rig.vehicle._dirty = True
    assert rig.until(lambda: bool(rig.heard(Happening.STOPPED)), 6)
    (failed,) = rig.heard(Happening.FAILED)
    assert failed.reason == OrderChanged()
    assert reported(failed) == "R1: go to kitchen: the robot reports another way than the one it was sent."
    assert rig.gate.latch is Latch.STOPPED
    stood = rig.vehicle.body.travelled
    rig.run(20)
    assert rig.vehicle.body.travelled == stood


def test_a_robot_that_follows_another_task_than_it_was_sent_is_stopped() -> None:
    rig = Rig()
    rig.run(1)
    rig.call("go_to", place="kitchen")
    assert rig.until(lambda: rig.vehicle.body.moving)
    rig.vehicle.order_id, rig.vehicle._dirty = "somebody-elses", True
    assert rig.until(lambda: bool(rig.heard(Happening.STOPPED)), 6)
    assert [event.reason for event in rig.heard(Happening.FAILED)] == [OtherOrderFollowed()]
    assert not rig.vehicle.body.moving


def test_a_broker_that_takes_everything_and_passes_nothing_on_is_told_and_nothing_moves() -> None:
    rig = Rig()
    rig.run(1)
    rig.forgets = True
    rig.call("go_to", place="kitchen")
    rig.run(12)
    (unknown,) = rig.heard(Happening.UNKNOWN)
    assert unknown.reason == CommandsUnanswered("R1")
    assert "R1 reports, but answers nothing that is sent to it" in reported(unknown)
    assert rig.gate.latch is Latch.HELD
    assert not rig.vehicle.body.travelled
    rig.robot.stop("test", rig.now)
    rig.run(6)
    assert rig.heard(Happening.UNCONFIRMED)
