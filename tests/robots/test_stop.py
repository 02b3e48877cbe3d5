from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from robots.core.robot import LEASE_S
from robots.core.role import CommandRole
from robots.events import Happening
from robots.facts.tasks import CommanderFroze
from robots.protocols.vda5050.messages import (
    ActionState,
    ActionStatus,
    Error,
    ErrorLevel,
    InstantActions,
    NodeState,
    Order,
    Reference,
)
from robots.protocols.vda5050.reports import report_of
from robots.safety.gate import Admitted, Latch, Refused
from robots.safety.stop import (
    CANCEL_STEPS,
    FRESH_ID_S,
    GIVE_WORD_S,
    HOLD_STEPS,
    IMPATIENT_S,
    REPEAT_S,
    STOP_STEPS,
    Outcome,
    StopSequence,
)
from robots.simulator.faults import Mishap, Network
from robots.skills import SkillCall
from robots.terms.commands import StopCommand, StopStep
from robots.terms.heard import Intent, Overheard
from tests.robots.stage.rig import Rig
from tests.robots.stage.words import reported
from tests.robots.test_gate import STATE

if TYPE_CHECKING:
    from robots.terms.report import RobotReport

NODES = (NodeState(node_id="n", sequence_id=2, released=True),)


def sequence(steps: tuple[StopStep, ...] = STOP_STEPS) -> StopSequence:
    names = itertools.count()
    return StopSequence(steps, 0.0, lambda: f"s{next(names)}")


def outcome(stop: StopSequence) -> Outcome:
    return stop.outcome


def told(action_id: str, status: ActionStatus = ActionStatus.FINISHED, **changes: object) -> RobotReport:
    states = (ActionState(action_id=action_id, action_status=status),)
    return report_of(STATE.model_copy(update={"action_states": states, **changes}))


def refused(action_id: str, **changes: object) -> RobotReport:
    about = (Reference(reference_key="actionId", reference_value=action_id),)
    error = Error(error_type="orderError", error_level=ErrorLevel.WARNING, error_references=about)
    return report_of(STATE.model_copy(update={"errors": (error,), **changes}))


def test_the_pause_goes_first_at_once_and_is_repeated_with_the_same_id() -> None:
    stop = sequence()
    sent = [send for k in range(8) for send in stop.due(k * REPEAT_S / 2)]
    assert [(s.step, s.command_id) for s in sent][:3] == [(StopStep.PAUSE, "s0")] * 3


def test_an_old_state_that_says_standing_confirms_nothing() -> None:
    stop = sequence()
    stop.due(0.0)
    stop.receive(report_of(STATE))
    stop.receive(told("other"))
    assert outcome(stop) is Outcome.PENDING


def test_heard_but_driving_is_not_stopped() -> None:
    stop = sequence(HOLD_STEPS)
    stop.due(0.0)
    stop.receive(told("s0", driving=True))
    stop.receive(told("s0", ActionStatus.RUNNING))
    assert outcome(stop) is Outcome.PENDING
    stop.receive(told("s0"))
    assert outcome(stop) is Outcome.STOPPED


def test_then_the_order_is_cancelled_and_only_its_end_is_a_stop() -> None:
    stop = sequence()
    stop.due(0.0)
    stop.receive(told("s0", node_states=NODES))
    (cancel,) = stop.due(0.1)
    assert cancel.step is StopStep.CANCEL
    stop.receive(told(cancel.command_id, node_states=NODES))
    assert outcome(stop) is Outcome.PENDING
    stop.receive(told(cancel.command_id))
    assert outcome(stop) is Outcome.STOPPED
    assert stop.due(9.0) == []


def test_a_pause_that_is_not_confirmed_does_not_hold_up_the_cancellation() -> None:
    stop = sequence()
    stop.due(0.0)
    stop.due(IMPATIENT_S)
    assert {send.step for send in stop.due(IMPATIENT_S + REPEAT_S)} == {StopStep.PAUSE, StopStep.CANCEL}


def test_a_robot_without_an_order_or_paused_already_confirms_by_refusing() -> None:
    stop = sequence()
    stop.due(0.0)
    stop.receive(refused("s0", paused=True))
    (cancel,) = stop.due(0.1)
    stop.receive(told(cancel.command_id, ActionStatus.FAILED))
    assert outcome(stop) is Outcome.STOPPED
    hold = sequence(HOLD_STEPS)
    hold.due(0.0)
    hold.receive(refused("s0", paused=False))
    assert outcome(hold) is Outcome.PENDING, "a hold has nothing else to rely on"


def test_without_confirmation_the_user_is_told_and_the_repetition_goes_on_with_fresh_ids() -> None:
    stop = sequence(CANCEL_STEPS)
    ids = {send.command_id for k in range(40) for send in stop.due(k * REPEAT_S)}
    assert outcome(stop) is Outcome.UNCONFIRMED
    assert len(ids) == int(39 * REPEAT_S / FRESH_ID_S) + 1
    assert stop.due(GIVE_WORD_S + 100)
    stop.receive(told(max(ids, key=lambda name: int(name[1:]))))
    assert outcome(stop) is Outcome.STOPPED


# The whole robot ----------------------------------------------------------------------------------------------------


def driving(rig: Rig) -> None:
    rig.run(1)
    assert isinstance(rig.call("go_to", place="kitchen"), Admitted)
    rig.run(5)
    assert rig.vehicle.body.moving


def test_stop_latches_until_a_confirmed_resume() -> None:
    rig = Rig()
    driving(rig)
    rig.robot.stop("test", rig.now)
    rig.run(3)
    assert [reported(event) for event in rig.heard(Happening.STOPPED)] == ["R1 has stopped."]
    assert isinstance(rig.call("go_to", place="home"), Refused)
    stood = rig.vehicle.body.travelled
    rig.run(20)
    assert rig.vehicle.body.travelled == stood
    rig.resume()
    rig.until(lambda: bool(rig.heard(Happening.RESUMED)))
    assert isinstance(rig.call("go_to", place="home"), Admitted)
    assert rig.until(lambda: bool(rig.heard(Happening.DONE)))


def test_the_model_can_stop_but_has_no_way_to_resume() -> None:
    rig = Rig()
    driving(rig)
    rig.call("stop")
    assert rig.gate.latch is Latch.STOPPED
    assert not any("resume" in name.lower() or "pause" in name.lower() for name in rig.robot.skills)
    for name in ("resume", "stopPause", "startPause", "cancelOrder"):
        assert isinstance(rig.call(name), Refused)


def test_a_second_stop_is_a_new_stop() -> None:
    rig = Rig()
    driving(rig)
    for _ in range(2):
        rig.robot.stop("test", rig.now)
        rig.run(3)
    pauses = {
        action.action_id
        for _, message in rig.sent
        if isinstance(message, InstantActions)
        for action in message.actions
        if action.action_type == "startPause"
    }
    assert len(pauses) == 2
    assert len(rig.heard(Happening.STOPPED)) == 2


def test_a_stop_drops_waiting_tasks() -> None:
    rig = Rig()
    driving(rig)
    rig.call("go_to", place="home")
    rig.robot.stop("test", rig.now)
    rig.run(3)
    rig.resume()
    rig.run(20)
    assert rig.robot.idle
    assert not rig.vehicle.body.moving


def test_a_stop_during_an_outage_is_given_when_the_link_is_back() -> None:
    rig = Rig()
    driving(rig)
    rig.cut()
    rig.robot.stop("test", rig.now)
    rig.run(8)
    assert rig.heard(Happening.UNCONFIRMED)
    rig.mend()
    rig.run(4)
    assert rig.heard(Happening.STOPPED)


@pytest.mark.parametrize("seed", range(5))
def test_no_stop_is_lost_on_a_bad_network(seed: int) -> None:
    rig = Rig(network=Network(drop=0.5, delay=0.5, duplicate=0.3, reorder=0.3), seed=seed)
    rig.until(lambda: bool(rig.robot.world.capabilities) and bool(rig.robot.world.report))
    rig.call("go_to", place="kitchen")
    rig.run(4)
    rig.robot.stop("test", rig.now)
    assert rig.until(lambda: bool(rig.heard(Happening.STOPPED)), 60)
    assert not rig.vehicle.body.moving


def test_an_order_that_was_on_its_way_when_the_stop_was_confirmed_never_moves_the_robot() -> None:
    rig = Rig()
    driving(rig)
    ticket = rig.vehicle.order_id
    rig.robot.stop("test", rig.now)
    rig.run(2)
    assert rig.heard(Happening.STOPPED)
    way = next(message for _, message in rig.sent if isinstance(message, Order) and message.edges[0].released)
    late = way.model_copy(update={"order_id": ticket + "-late", "order_update_id": 0})
    moved = late.nodes[0].node_position
    assert moved is not None
    here = moved.model_copy(update={"x": rig.vehicle.body.x, "y": rig.vehicle.body.y})
    nodes = (late.nodes[0].model_copy(update={"node_position": here}), *late.nodes[1:])
    rig._to_robot(late.model_copy(update={"nodes": nodes}))
    stood = rig.vehicle.body.travelled
    rig.run(0.3)
    rig.resume()
    rig.run(12)
    assert rig.vehicle.body.travelled == stood
    assert not rig.vehicle.nodes


def test_an_outage_holds_the_task_and_a_resume_finishes_it_without_a_replay() -> None:
    rig = Rig()
    driving(rig)
    rig.cut()
    rig.run(6)
    rig.mend()
    before = len([m for _, m in rig.sent if isinstance(m, Order)])
    rig.run(5)
    assert rig.heard(Happening.HELD)
    assert len([m for _, m in rig.sent if isinstance(m, Order)]) == before
    rig.resume()
    assert rig.until(lambda: bool(rig.heard(Happening.DONE)))
    updates = [(m.order_id, m.order_update_id) for _, m in rig.sent if isinstance(m, Order)]
    assert len(updates) == len(set(updates))


def test_without_a_lease_the_robot_stands_at_the_end_of_its_base() -> None:
    rig = Rig()
    driving(rig)
    driven = rig.vehicle.body.travelled
    rig.run(20, lease=False)
    assert not rig.vehicle.body.moving
    assert rig.vehicle.body.travelled - driven <= rig.site.limits.base_m + LEASE_S * rig.site.limits.max_speed_m_s
    assert rig.until(lambda: bool(rig.heard(Happening.DONE)))


@pytest.mark.parametrize(
    ("mishap", "happening", "words"),
    [
        (Mishap("obstacle", 8, 20), Happening.BLOCKED, "does not move"),
        (Mishap("manual", 8, 2), Happening.FAILED, "MANUAL"),
        (Mishap("kill", 8, 2), Happening.FAILED, "forgotten"),
        (Mishap("freeze", 8, 12), Happening.UNKNOWN, "does not answer"),
    ],
)
def test_mishaps_are_told(mishap: Mishap, happening: Happening, words: str) -> None:
    rig = Rig(mishaps=[mishap])
    driving(rig)
    rig.run(20)
    assert any(words in reported(event) for event in rig.heard(happening)), rig.log


def test_after_an_emergency_stop_nothing_moves_by_itself() -> None:
    rig = Rig(mishaps=[Mishap("estop", 8, 3)])
    driving(rig)
    rig.run(3)
    stood = rig.vehicle.body.travelled
    rig.run(10)
    assert rig.vehicle.body.travelled == pytest.approx(stood, abs=0.2)
    assert rig.heard(Happening.HELD)
    rig.resume()
    assert rig.until(lambda: bool(rig.heard(Happening.DONE)))


def test_a_robot_paused_by_somebody_else_needs_a_confirmed_resume() -> None:
    rig = Rig()
    rig.run(1)
    rig.cut()
    rig.run(6)
    rig.mend()
    rig.run(3)
    assert rig.vehicle.pausing, "the last will paused the idle robot"
    assert rig.heard(Happening.HELD)
    assert isinstance(rig.call("go_to", place="hall"), Refused)
    rig.resume()
    assert isinstance(rig.call("go_to", place="hall"), Admitted)
    assert rig.until(lambda: bool(rig.heard(Happening.DONE)))


def test_nothing_is_sent_between_a_resume_and_its_confirmation() -> None:
    rig = Rig()
    driving(rig)
    rig.robot.stop("test", rig.now)
    rig.run(2)
    rig.resume()
    before = len(rig.sent)
    assert isinstance(rig.call("go_to", place="home"), Admitted)
    rig.step()
    assert not [m for _, m in rig.sent[before:] if isinstance(m, Order)]
    assert rig.until(lambda: bool(rig.heard(Happening.DONE)))


def test_calls_wait_their_turn_and_a_failure_drops_the_rest() -> None:
    rig = Rig()
    rig.run(1)
    rig.call("go_to", place="hall")
    rig.call("wait", place="home", seconds=1.0)
    rig.call("look", angle=0.5)
    assert rig.until(lambda: len(rig.heard(Happening.DONE)) == 3)
    assert [reported(event) for event in rig.heard(Happening.DONE)] == [
        "R1: look (angle 0.5): done.",
        "R1: go to hall: done.",
        "R1: wait at home (seconds 1): done.",
    ]
    rig.call("go_to", place="hall")
    rig.call("go_to", place="home")
    rig.run(2)
    rig.simulation.mishaps.append(Mishap("manual", rig.now, 1))
    rig.run(8)
    assert "dropped: 1." in reported(rig.heard(Happening.FAILED)[-1])
    assert rig.robot.idle


def test_nothing_begins_before_the_robot_has_been_heard_after_the_call() -> None:
    rig = Rig(mishaps=[Mishap("freeze", 3, 30)])
    rig.run(4)
    for call in (("look", {"angle": 0.5}), ("wait", {"place": "here", "seconds": 1.0})):
        assert isinstance(rig.call(call[0], **call[1]), Admitted)
    before = len(rig.sent)
    rig.run(15)
    sent = [message for _, message in rig.sent[before:]]
    assert {a.action_type for m in sent if isinstance(m, InstantActions) for a in m.actions} == {
        "stateRequest",
        "startPause",
    }
    orders = [message for message in sent if isinstance(message, Order)]
    assert orders
    assert not any(node.actions and node.released for order in orders for node in order.nodes)
    assert "was not sent" in reported(rig.heard(Happening.FAILED)[0])


def test_more_than_a_few_calls_do_not_wait() -> None:
    rig = Rig()
    rig.run(1)
    verdicts = [rig.robot.call(SkillCall(f"q{k}", "go_to", {"place": "hall"}, 1), rig.now) for k in range(12)]
    assert sum(isinstance(verdict, Admitted) for verdict in verdicts) == 9
    assert isinstance(verdicts[-1], Refused)


@pytest.mark.parametrize(("role", "latch"), [(CommandRole.COMMANDER, Latch.STOPPED), (CommandRole.BYSTANDER, None)])
def test_a_stop_of_another_program_is_carried_on_by_the_commander_alone(role: CommandRole, latch: Latch | None) -> None:
    rig = Rig()
    rig.robot.role = role
    rig.run(1.0)
    sent = len(rig.commands)
    rig.robot.receive(Overheard(Intent.STOP), rig.now)
    assert rig.gate.latch is latch
    rig.run(0.5)
    stops = [command for command in rig.commands[sent:] if isinstance(command, StopCommand)]
    assert bool(stops) == (role is CommandRole.COMMANDER)


def test_a_bystander_holds_a_robot_that_others_move_and_gives_up_nothing() -> None:
    rig = Rig()
    rig.robot.role = CommandRole.BYSTANDER
    rig.run(1.0)
    rig.robot.receive(Overheard(Intent.MOVE), rig.now)
    assert rig.gate.latch is None
    rig.robot.hold(CommanderFroze(), rig.now)
    rig.run(1.0)
    assert rig.gate.latch is Latch.HELD
    assert rig.heard(Happening.HELD)
