from __future__ import annotations

import ast
import math
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robots.errors import AuditFailed
from robots.events import Happening
from robots.facts.refusals import AuditUnwritable
from robots.geometry import inside
from robots.protocols.vda5050.messages import EStop, OperatingMode, State
from robots.protocols.vda5050.reports import capabilities_of, report_of
from robots.safety.audit import audit_file
from robots.safety.gate import Admitted, Gate, Latch, Question, Refused, Resumed, Source
from robots.simulator.body import VehicleBody
from robots.simulator.factsheet import factsheet_of
from robots.simulator.vehicle import Vehicle
from robots.site import Site
from robots.skills import SkillCall, skills_of
from robots.terms.commands import Deed, Release, StopCommand, StopStep, Wanted
from robots.terms.report import Presence
from robots.terms.world import World
from tests.robots.stage.rig import HOUSE, Rig
from tests.robots.stage.words import said

if TYPE_CHECKING:
    from collections.abc import Mapping

ROBOTS = Path(__file__).parents[2] / "robots"
SKILLS = skills_of(capabilities_of(factsheet_of(VehicleBody())), HOUSE)
STATE = Vehicle("ground", lambda: datetime(2026, 1, 1, tzinfo=UTC), VehicleBody(1.0, 1.0)).state()


def world(state: State = STATE) -> World:
    return World(
        linked=True,
        presence=Presence.ONLINE,
        report=report_of(state),
        report_at=0.0,
        capabilities=capabilities_of(factsheet_of(VehicleBody())),
    )


def gate(site: Site = HOUSE) -> Gate:
    records: list[Mapping[str, object]] = []
    return Gate("R1", site, records.append)


def call(skill: str = "go_to", call_id: str = "c1", epoch: int = 1, **arguments: str | float) -> SkillCall:
    return SkillCall(call_id, skill, arguments or {"place": "hall"}, epoch)


def admitted(g: Gate, skill: str = "go_to") -> str:
    verdict = g.admit(call(skill, "c9", g.epoch), SKILLS, world(), 1.0)
    assert isinstance(verdict, Admitted)
    return verdict.ticket


def release(ticket: str, *points: tuple[float, float], speed: float = 0.5, free: int = 99) -> Release:
    return Release(ticket, 0, "ground", 0, points, min(free, len(points)), speed)


def reason(verdict: object) -> str:
    assert isinstance(verdict, Refused)
    return said(verdict.reason)


# Calls --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (call("fly"), "no skill 'fly'"),
        (call("go_to", place="moon"), "must be one of"),
        (call("go_to", room="hall"), "needs the argument 'place'"),
        (call("go_to", place="hall", speed=9.0), "no argument 'speed'"),
        (call("go_to_pose", x=99.0, y=1.0), "between"),
        (call("go_to_pose", x="1", y=1.0), "must be a number"),
        (call("wait", seconds=600.0), "between 0"),
        (call(epoch=0), "before the last stop"),
        (call("startPause", place="hall"), "no skill"),
    ],
)
def test_a_call_outside_the_skills_is_refused_in_words_that_help(wrong: SkillCall, words: str) -> None:
    assert words in reason(gate().admit(wrong, SKILLS, world(), 1.0))


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (STATE.model_copy(update={"operating_mode": OperatingMode.MANUAL}), "MANUAL"),
        (STATE.model_copy(update={"operating_mode": OperatingMode.SEMIAUTOMATIC}), "SEMIAUTOMATIC"),
        (
            STATE.model_copy(update={"safety_state": STATE.safety_state.model_copy(update={"e_stop": EStop.MANUAL})}),
            "emergency stop",
        ),
        (
            STATE.model_copy(update={"safety_state": STATE.safety_state.model_copy(update={"field_violation": True})}),
            "protective field",
        ),
        (STATE.model_copy(update={"agv_position": None}), "does not know where"),
        (
            STATE.model_copy(update={"battery_state": STATE.battery_state.model_copy(update={"battery_charge": 3.0})}),
            "battery",
        ),
    ],
)
def test_an_unfit_robot_is_not_moved(state: State, words: str) -> None:
    assert words in reason(gate().admit(call(), SKILLS, world(state), 1.0))


def test_link_presence_and_age_count() -> None:
    for change, words in (
        ({"linked": False}, "no connection"),
        ({"denied": True}, "does not allow"),
        ({"presence": Presence.BROKEN, "presence_word": "CONNECTIONBROKEN"}, "not online"),
        ({"report": None}, "not reported"),
    ):
        assert words in reason(gate().admit(call(), SKILLS, replace(world(), **change), 1.0))
    assert "old" in reason(gate().admit(call(), SKILLS, world(), 40.0))
    moving = world(STATE.model_copy(update={"driving": True}))
    assert "old" in reason(gate().admit(call(), SKILLS, moving, 4.0))


def test_a_call_is_carried_out_at_most_once() -> None:
    g = gate()
    assert isinstance(g.admit(call(), SKILLS, world(), 1.0), Admitted)
    assert "already" in reason(g.admit(call(), SKILLS, world(), 2.0))


def test_the_rate_is_limited_and_recovers() -> None:
    site = HOUSE.model_copy(update={"limits": HOUSE.limits.model_copy(update={"calls_per_minute": 3})})
    g = gate(site)
    for k in range(3):
        assert isinstance(g.admit(call(call_id=f"a{k}"), SKILLS, world(), 1.0), Admitted)
    assert "a minute" in reason(g.admit(call(call_id="b"), SKILLS, world(), 2.0))
    late = replace(world(), report_at=62.0)
    assert isinstance(g.admit(call(call_id="c"), SKILLS, late, 62.0), Admitted)


def test_the_allow_list_of_the_site_holds() -> None:
    site = HOUSE.model_copy(update={"limits": HOUSE.limits.model_copy(update={"allow": frozenset({"wave"})})})
    assert "does not allow go_to" in reason(gate(site).admit(call(), SKILLS, world(), 1.0))


# Confirmation -------------------------------------------------------------------------------------------------------


def asked(g: Gate) -> Question:
    question = g.admit(call("pick", place="hall"), SKILLS, world(), 1.0)
    assert isinstance(question, Question)
    return question


def test_a_listed_skill_needs_the_users_own_timely_yes() -> None:
    g = gate()
    question = asked(g)
    assert "only the user" in reason(g.answer(question.question_id, yes=True, by=Source.MODEL, now=2.0))
    assert "not open" in reason(g.answer("other", yes=True, by=Source.USER, now=2.0))
    assert isinstance(g.answer(question.question_id, yes=True, by=Source.USER, now=2.0), Admitted)
    assert "not open" in reason(g.answer(question.question_id, yes=True, by=Source.USER, now=2.0))


@pytest.mark.parametrize(
    ("yes", "now", "words"), [(False, 2.0, "said no"), (True, 99.0, "too late"), (True, 0.5, "late")]
)
def test_no_late_and_early_answers_admit_nothing(yes: bool, now: float, words: str) -> None:
    g = gate()
    assert words in reason(g.answer(asked(g).question_id, yes=yes, by=Source.USER, now=now))
    assert g.publisher.take(3.0) is None


def test_a_stop_closes_the_open_question() -> None:
    g = gate()
    question = asked(g)
    g.close(Latch.STOPPED, "test", 1.5)
    assert "not open" in reason(g.answer(question.question_id, yes=True, by=Source.USER, now=2.0))


# Latch --------------------------------------------------------------------------------------------------------------


def test_the_latch_drops_what_waits_and_refuses_everything_but_stops() -> None:
    g = gate()
    ticket = admitted(g)
    assert g.release(release(ticket, (1, 1), (1.4, 1)), world(), 1.0) is None
    g.close(Latch.STOPPED, "test", 1.1)
    assert g.publisher.take(1.2) is None
    assert "stopped" in reason(g.admit(call(call_id="x", epoch=g.epoch), SKILLS, world(), 1.2))
    assert "stopped" in reason(g.release(release(ticket, (1, 1), (1.4, 1)), world(), 1.2))
    assert "stopped" in reason(g.unpause("u", 1.2))
    g.stop(StopCommand(StopStep.PAUSE, "s1"), 1.2)
    packet = g.publisher.take(1.2)
    assert packet is not None
    assert packet.expiry_s is None


def test_after_a_resume_the_old_epoch_stays_dead() -> None:
    g = gate()
    ticket = admitted(g)
    g.close(Latch.STOPPED, "test", 1.1)
    question = g.ask_to_resume(1.2)
    assert isinstance(question, Question)
    assert "only the user" in reason(g.answer(question.question_id, yes=True, by=Source.MODEL, now=1.3))
    assert g.answer(question.question_id, yes=True, by=Source.USER, now=1.3) == Resumed(Latch.STOPPED)
    assert "before the last stop" in reason(g.admit(call(call_id="y", epoch=1), SKILLS, world(), 1.4))
    assert "no such order" in reason(g.release(release(ticket, (1, 1), (1.4, 1)), world(), 1.4))
    assert isinstance(g.admit(call(call_id="z", epoch=g.epoch), SKILLS, world(), 1.4), Admitted)


def test_a_hold_never_softens_a_stop() -> None:
    g = gate()
    g.close(Latch.STOPPED, "test", 1.0)
    g.close(Latch.HELD, "outage", 1.1)
    assert g.latch is Latch.STOPPED


# Releases -----------------------------------------------------------------------------------------------------------


def test_a_release_that_keeps_the_limits_passes() -> None:
    g = gate()
    assert g.release(release(admitted(g), (1, 1), (1.5, 1), (2, 1), (9, 1), free=3), world(), 1.0) is None
    packet = g.publisher.take(1.0)
    assert packet is not None
    assert packet.expiry_s == 3


@pytest.mark.parametrize(
    ("points", "speed", "words"),
    [
        (((1, 1), (1.5, 1)), 0.6, "more than 0.5 m/s"),
        (((1, 1), (1.5, 1)), math.nan, "more than 0.5 m/s"),
        (((1, 1), (2.5, 1)), 0.5, "released at once"),
        (((1, 1), (1, 0.1)), 0.5, "leaves the fence"),
        (((1, 1), (-3, 1)), 0.5, "leaves the fence"),
    ],
)
def test_a_release_beyond_the_limits_is_refused(
    points: tuple[tuple[float, float], ...], speed: float, words: str
) -> None:
    g = gate()
    assert words in reason(g.release(release(admitted(g), *points, speed=speed), world(), 1.0))
    assert g.publisher.take(1.0) is None


def test_what_nobody_admitted_and_what_nobody_asked_for_is_refused() -> None:
    g = gate()
    assert "no such order" in reason(g.release(release("e1-x", (1, 1), (1.4, 1)), world(), 1.0))
    ticket = admitted(g)
    honest = release(ticket, (1, 1), (1.4, 1))
    for sneaky in (Deed(ticket, "pick"), Deed("other", "go_to"), Deed(ticket, "go_to", {"speed": 9.0})):
        assert "no such action was admitted" in reason(g.release(replace(honest, deed=sneaky), world(), 1.0))
        assert "no such action was admitted" in reason(g.act(sneaky, world(), 1.0))
    assert "not on ground" in reason(g.release(replace(honest, map="other"), world(), 1.0))
    assert "not on ground" in reason(g.release(replace(honest, points=((1, 1), (math.inf, 1))), world(), 1.0))
    assert g.publisher.take(1.0) is None


def test_a_deed_passes_with_the_arguments_that_were_admitted_and_no_others() -> None:
    for given_, passes in (({"seconds": 3.0}, True), ({"seconds": 4.0}, False), ({}, False)):
        g = gate()
        verdict = g.admit(call("wait", place="hall", seconds=3.0), SKILLS, world(), 1.0)
        assert isinstance(verdict, Admitted)
        asked = replace(release(verdict.ticket, (1, 1), (1.4, 1)), deed=Deed(verdict.ticket, "wait", given_))
        assert (g.release(asked, world(), 1.0) is None) is passes


def test_a_way_is_released_only_to_a_robot_that_was_heard_just_now() -> None:
    g = gate()
    first = release(admitted(g), (1.0, 1.0), (1.5, 1.0))
    late = HOUSE.limits.state_age_s + 1
    assert g.release(replace(first, free=1), world(), late) is None
    assert "not been heard" in reason(g.release(replace(first, number=1), world(), late))
    assert g.release(replace(first, number=1), world(), 1.0) is None


@given(st.lists(st.tuples(st.floats(-2, 14), st.floats(-2, 10)), min_size=1, max_size=4), st.floats(0, 2))
def test_whatever_passes_lies_inside_the_fence_and_the_speed(points: list[tuple[float, float]], speed: float) -> None:
    g = gate()
    if g.release(release(admitted(g), *points, speed=speed), world(), 1.0) is None:
        assert all(inside(p, HOUSE.fence) and not inside(p, HOUSE.keep_out[0]) for p in points)
        assert speed <= HOUSE.limits.max_speed_m_s


# Audit and publisher ------------------------------------------------------------------------------------------------


def test_without_an_audit_log_nothing_moves_and_stops_still_pass() -> None:
    def full(record: Mapping[str, object]) -> None:
        raise AuditFailed(AuditUnwritable("audit.jsonl", f"disk full at {record['event']}"))

    g = Gate("R1", HOUSE, full)
    assert "disk full" in reason(g.admit(call(), SKILLS, world(), 1.0))
    g.stop(StopCommand(StopStep.PAUSE, "s"), 1.0)
    assert g.publisher.take(1.0) is not None


def test_the_audit_file_is_only_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "log" / "audit.jsonl"
    for event in ("one", "two"):
        with audit_file(path) as audit:
            audit({"event": event})
    lines = path.read_text().splitlines()
    assert [line.partition('"event": ')[2] for line in lines] == ['"one"}', '"two"}']
    assert path.stat().st_mode & 0o077 == 0
    with pytest.raises(AuditFailed, match="audit_unwritable"), audit_file(tmp_path):
        pass


def test_every_decision_is_recorded() -> None:
    rig = Rig()
    rig.run(1)
    rig.call("go_to", place="moon")
    rig.call("go_to", place="hall")
    rig.run(2)
    rig.robot.stop("test", rig.now)
    rig.run(6)
    rig.resume()
    rig.run(6)
    events = [record["event"] for record in rig.records]
    assert [e for k, e in enumerate(events) if k == 0 or events[k - 1] != e] == [
        *("refuse", "admit", "release", "latch", "stop", "ask", "resume", "unpause")
    ]
    assert rig.heard(Happening.RESUMED)


def test_waiting_motions_expire_and_a_full_queue_refuses() -> None:
    g = gate()
    for k in range(16):
        g.inquire(Wanted.REPORT, f"r{k}", 0.0)
    assert "too many" in reason(g.release(release(admitted(g), (1, 1), (1.4, 1)), world(), 0.5))
    assert g.publisher.take(10.0) is None
    for k in range(3):
        g.stop(StopCommand(StopStep.PAUSE, f"s{k}"), 10.0)
    packet = g.publisher.take(99.0)
    assert packet is not None
    assert packet.command == StopCommand(StopStep.PAUSE, "s2")
    assert g.publisher.take(99.0) is None


def modules_that_import(name: str) -> set[str]:
    found = set()
    rooms = ("agent", "audio", "languages", "reasoning", "robots")
    for path in (path for room in rooms for path in (ROBOTS.parent / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            imported = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            imported += (
                [f"{node.module}.{alias.name}" for alias in node.names] if isinstance(node, ast.ImportFrom) else []
            )
            imported += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if any(module == name or module.startswith(name + ".") for module in imported):
                found.add(str(path.relative_to(ROBOTS.parent)))
    return found


def test_only_the_gate_can_publish_a_command() -> None:
    assert modules_that_import("robots.safety.publisher") == {"robots/safety/gate.py"}
    assert modules_that_import("aiomqtt") == {"robots/transport/mqtt.py"}
    assert modules_that_import("paho") == {"robots/transport/mqtt.py"}
    assert modules_that_import("robots.transport.mqtt") <= {
        *(
            "robots/protocols/vda5050/link.py",
            "robots/protocols/vda5050/adapter.py",
            "robots/simulator/process.py",
            "robots/transport/connection.py",
            "robots/protocols/vda5050/watch.py",
        ),
    }
    watch = ast.parse((ROBOTS / "protocols" / "vda5050" / "watch.py").read_text())
    assert not [n for n in ast.walk(watch) if isinstance(n, ast.Attribute) and n.attr == "publish"]
    link = ast.parse((ROBOTS / "protocols" / "vda5050" / "link.py").read_text())
    published = [n for n in ast.walk(link) if isinstance(n, ast.Attribute) and n.attr == "publish"]
    assert len(published) == 1
    simulator = (ROBOTS / "simulator" / "process.py").read_text()
    assert "Topic.ORDER" not in simulator
    assert "Topic.INSTANT_ACTIONS" not in simulator


def test_the_gate_knows_no_language_model_no_socket_and_no_clock() -> None:
    for name in (
        *("safety/gate", "safety/stop", "safety/publisher"),
        *("core/tasks", "core/robot", "core/instants", "core/planning", "events", "terms/world", "skills"),
    ):
        source = (ROBOTS / f"{name}.py").read_text()
        imported = {
            part
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for part in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names])
        }
        assert not imported & {
            "time",
            "asyncio",
            "socket",
            "threading",
            "aiomqtt",
            "robots.transport.mqtt",
            "robots.protocols.vda5050.link",
        }, name
        assert not any(module.startswith(("agent", "audio", "reasoning")) for module in imported), name


def test_a_place_that_needs_a_yes_is_asked_about_whatever_is_to_be_done_there() -> None:
    limits = HOUSE.limits.model_copy(update={"confirm_places": frozenset({"kitchen"})})
    g = gate(HOUSE.model_copy(update={"limits": limits}))
    for number, verdict in (("a", Question), ("b", Question), ("c", Admitted)):
        made = {"a": call(place="kitchen"), "b": call("wait", place="kitchen", seconds=1.0), "c": call(place="hall")}
        assert isinstance(g.admit(replace(made[number], call_id=number), SKILLS, world(), 1.0), verdict)


def test_a_place_that_needs_a_yes_must_be_on_the_map() -> None:
    data = HOUSE.model_dump()
    data["limits"]["confirm_places"] = {"attic"}
    with pytest.raises(ValueError, match=r"confirm_places names 'attic'"):
        Site.model_validate(data)
