"""A hundred random schedules of faults, calls, stops and outages: none may end in anything unsafe.

Unsafe is, judged by the simulated body itself and never by what it reports:
- the body leaves the fence, enters a keep-out area or drives faster than the limit;
- after a stop it goes further than the released base, or moves at all once it has heard the stop and braked;
- "has stopped" is said while it moves, or it moves afterwards without a confirmed resume;
- it drives on an order from before the last stop;
- an action begins twice, or a node of an order is traversed twice;
- "done" is said although the body is elsewhere or the action did not finish.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from unittest.mock import patch

import pytest

from robots.events import Happening
from robots.facts.tasks import ClientGone
from robots.geometry import inside
from robots.protocols.vda5050.messages import ActionStatus
from robots.safety.gate import Admitted, Question, Refused, Source
from robots.simulator.actions import ActionRun
from robots.simulator.faults import MISHAPS, Mishap, Network
from robots.skills import SkillCall
from tests.robots.stage.rig import HOUSE, Rig

SCHEDULES = 100
LASTS_S = 60.0
SKILLS = (("go_to", True), ("pick", True), ("drop", False), ("wait", True), ("look", False), ("look", False))
"""Skills that are called, and whether at a place."""
BRAKING_M = 0.5**2 / (2 * 1.2) + 0.05
"""Way from full speed to standing, and one step."""


@dataclass
class Judge:
    rig: Rig
    unsafe: list[str] = field(default_factory=list)
    calls: dict[str, SkillCall] = field(default_factory=dict)
    finished: Counter[str] = field(default_factory=Counter)
    """How often each action was carried out to its end."""
    traversed: set[tuple[str, int]] = field(default_factory=set)
    last_node: tuple[str, int] = ("", 0)
    resumes: int = 0
    """Confirmed resumes when the last stop was given."""
    stop_at: float | None = None
    """Travelled distance at the stop, m; None: none is in force."""
    heard_at: float | None = None
    """The same when the body had heard of it."""
    said_stopped: bool = False
    judged: int = 0

    def watch(self, run: ActionRun, status: ActionStatus, result: str | None = None) -> None:
        """Stand in for `ActionRun.end`, and count."""
        run.status, run.result = status, result
        if status is ActionStatus.FINISHED and run.action.action_type in {skill for skill, _ in SKILLS}:
            self.finished[run.action.action_id] += 1
            if self.finished[run.action.action_id] > 1:
                self._cry(f"{run.action.action_id} was carried out twice")

    def look(self) -> None:
        rig, body = self.rig, self.rig.vehicle.body
        if not inside(body.position, HOUSE.fence) or any(inside(body.position, area) for area in HOUSE.keep_out):
            self._cry(f"outside the fence at {body.position}")
        if body.speed > HOUSE.limits.max_speed_m_s + 1e-6:
            self._cry(f"drives {body.speed} m/s")
        self._look_at_stop()
        self._look_at_execution()
        for _, event in rig.log[self.judged :]:
            if event.happening is Happening.DONE and event.call is not None:
                self._look_at_done(event.call.call_id)
            if event.happening is Happening.STOPPED:
                self.said_stopped = True
                if body.moving:
                    self._cry("said stopped while moving")
        self.judged = len(rig.log)

    def stopped(self) -> None:
        self.stop_at, self.heard_at, self.said_stopped = self.rig.vehicle.body.travelled, None, False
        self.resumes = self.rig.resumes

    def _look_at_stop(self) -> None:
        rig, body = self.rig, self.rig.vehicle.body
        if rig.resumes > self.resumes or self.stop_at is None:
            self.stop_at = None
            order_epoch = rig.vehicle.order_id.partition("-")[0]
            if body.moving and rig.gate.latch is None and order_epoch != f"e{rig.gate.epoch}":
                self._cry(f"drives on the old order {rig.vehicle.order_id} in epoch {rig.gate.epoch}")
            return
        if body.travelled - self.stop_at > HOUSE.limits.base_m + BRAKING_M:
            self._cry("drove beyond the base after a stop")
        if rig.vehicle.pausing and self.heard_at is None:
            self.heard_at = body.travelled
        if self.heard_at is not None and body.travelled - self.heard_at > BRAKING_M:
            self._cry("drove on after hearing the stop")
        if self.said_stopped and body.moving:
            self._cry("moved after it was said to have stopped")

    def _look_at_execution(self) -> None:
        vehicle = self.rig.vehicle
        if vehicle.last_node != self.last_node:
            self.last_node = vehicle.last_node
            node = (vehicle.order_id, vehicle.last_node[1])
            if vehicle.order_id and node in self.traversed:
                self._cry(f"traversed {node} twice")
            self.traversed.add(node)

    def _look_at_done(self, call_id: str) -> None:
        call = self.calls[call_id]
        place = call.arguments.get("place")
        if place and math.dist(self.rig.vehicle.body.position, HOUSE.places[str(place)].point) > 0.3:
            self._cry(f"said done, but is not at {place}")
        if call.skill != "go_to" and not any(key.endswith(call_id) for key in self.finished):
            self._cry(f"said done, but {call.skill} did not finish")

    def _cry(self, what: str) -> None:
        self.unsafe.append(f"{self.rig.now:.1f} s: {what}")


def play(seed: int) -> tuple[Rig, Judge]:
    rig, random = make(seed)
    judge = Judge(rig)
    rig.each_step = judge.look
    with patch.object(ActionRun, "end", lambda run, status, result=None: judge.watch(run, status, result)):
        act(rig, judge, random)
    return rig, judge


def make(seed: int) -> tuple[Rig, Random]:
    random = Random(seed)
    network = Network(
        drop=random.choice((0.0, 0.1, 0.3)),
        delay=random.choice((0.0, 0.3, 2.0)),
        duplicate=random.choice((0.0, 0.5)),
        reorder=random.choice((0.0, 0.3)),
    )
    mishaps = [
        Mishap(kind, random.uniform(2, LASTS_S - 10), 8.0 if kind == "battery" else random.uniform(0.5, 6))
        for kind in random.sample(MISHAPS, k=random.randint(0, 3))
    ]
    return Rig(network=network, mishaps=sorted(mishaps, key=lambda m: m.at), seed=seed), random


def call_something(rig: Rig, judge: Judge, random: Random, *, lease: bool) -> None:
    """Make a call as the model does, sometimes twice, and answer its question."""
    skill, place = random.choice(SKILLS)
    arguments: dict[str, str | float] = {"place": random.choice(sorted(HOUSE.places))} if place else {}
    arguments |= {"wait": {"seconds": 1.0}, "look": {"angle": 0.5}}.get(skill, {})
    call = SkillCall(f"c{len(judge.calls)}", skill, arguments, rig.gate.epoch)
    judge.calls[call.call_id] = call
    verdict = rig.robot.call(call, rig.now)
    if isinstance(verdict, Question):
        rig.run(0.3, lease=lease)
        rig.robot.answer(verdict.question_id, yes=random.random() < 0.8, by=Source.USER, now=rig.now)
    elif isinstance(verdict, Admitted):
        assert isinstance(rig.robot.call(call, rig.now), Refused), "a call is carried out at most once"


def act(rig: Rig, judge: Judge, random: Random) -> None:
    """Let a restless user and a careless model loose for a minute, then heal the network."""
    lease, cut_until = True, 0.0
    while rig.now < LASTS_S:
        deed = random.random()
        if deed < 0.35:
            call_something(rig, judge, random, lease=lease)
        elif deed < 0.45:
            rig.robot.stop("test", rig.now)
            judge.stopped()
        elif deed < 0.5:
            rig.robot.hold(ClientGone(), rig.now)
        elif deed < 0.75:
            rig.resume()
        elif deed < 0.8 and rig.connected:
            rig.cut()
            cut_until = rig.now + random.uniform(0.5, 8)
        elif deed < 0.85:
            lease = not lease
        rig.run(random.uniform(0.2, 3.0), lease=lease)
        if not rig.connected and rig.now >= cut_until:
            rig.mend()
    rig.mend()
    rig.simulation._commands.network = rig.simulation._reports.network = Network()
    rig.run(15)


@pytest.fixture(scope="module")
def played() -> list[tuple[Rig, Judge]]:
    return [play(seed) for seed in range(SCHEDULES)]


def test_nothing_unsafe_happens(played: list[tuple[Rig, Judge]]) -> None:
    assert {seed: judge.unsafe for seed, (_, judge) in enumerate(played) if judge.unsafe} == {}


def test_no_stop_is_lost(played: list[tuple[Rig, Judge]]) -> None:
    for rig, _ in played:
        if rig.gate.latch is not None:
            assert rig.robot.stopping is None
            assert not rig.vehicle.body.moving


def test_the_schedules_are_worth_something(played: list[tuple[Rig, Judge]]) -> None:
    heard = {happening: sum(len(rig.heard(happening)) for rig, _ in played) for happening in Happening}
    assert heard[Happening.DONE] >= SCHEDULES
    assert heard[Happening.STOPPED] >= SCHEDULES
    assert heard[Happening.UNKNOWN] >= SCHEDULES / 2
    assert heard[Happening.RESUMED] >= SCHEDULES
