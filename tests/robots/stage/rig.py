"""A commander and a simulated robot on a fake clock, with a broker in between that can be cut."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

from robots.core.robot import Robot
from robots.facts.link import LinkBroken
from robots.protocols.vda5050.codec import DIALECTS, Address, HeaderCounter, Received, Topic, topic_of
from robots.protocols.vda5050.messages import (
    Action,
    BlockingType,
    Connection,
    ConnectionState,
    InstantActions,
    Message,
    Order,
)
from robots.protocols.vda5050.translator import Translator
from robots.safety.gate import Admitted, Gate, Question, Refused, Resumed, Source
from robots.simulator.body import VehicleBody
from robots.simulator.faults import Mishap, Network
from robots.simulator.simulation import Simulation
from robots.simulator.vehicle import Vehicle
from robots.site import Site
from robots.skills import SkillCall

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from robots.events import Event, Happening
    from robots.terms.commands import RobotCommand

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
ADDRESS = Address("acme", "R1")
STEP_S = 0.1
WILL_AFTER_S = 3.0
"""Keepalive of 2 s times 1.5."""

HOUSE = Site.model_validate(
    {
        "map": "ground",
        "fence": [(0, 0), (12, 0), (12, 8), (0, 8)],
        "keep_out": [[(5, 3), (7, 3), (7, 8), (5, 8)]],
        "places": {
            "home": {"x": 1, "y": 1, "theta": 0.0},
            "kitchen": {"x": 10, "y": 6},
            "hall": {"x": 6, "y": 1.5},
            "desk": {"x": 2, "y": 6},
        },
        "limits": {"calls_per_minute": 100, "ranges": {"wait.seconds": [0, 60]}},
    }
)


@dataclass
class Rig:
    """Everything, and the time."""

    site: Site = HOUSE
    network: Network = field(default_factory=Network)
    mishaps: list[Mishap] = field(default_factory=list)
    seed: int = 0
    now: float = 0.0
    connected: bool = True
    """Whether the commander reaches the broker."""
    forgets: bool = False
    """Whether the broker passes nothing of what it takes on to the robot."""
    log: list[tuple[float, Event]] = field(default_factory=list)
    records: list[Mapping[str, object]] = field(default_factory=list)
    sent: list[tuple[float, Message]] = field(default_factory=list)
    """As whoever reads the wire decodes it."""
    commands: list[RobotCommand] = field(default_factory=list)
    """As the gate let it pass."""
    resumes: int = 0
    each_step: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        names = itertools.count()
        self.codec = DIALECTS["2.1"]
        self.translator = Translator(ADDRESS, self.codec)
        self.gate = Gate("R1", self.site, self.records.append)
        self.robot = Robot("R1", self.gate, lambda: f"id{next(names)}")
        vehicle = Vehicle(self.site.map, lambda: BEGUN + timedelta(seconds=self.now), VehicleBody(1.0, 1.0, 0.0))
        self.simulation = Simulation(vehicle, ADDRESS, self.network, self.mishaps, Random(self.seed))
        self.vehicle = vehicle
        self._headers = HeaderCounter()
        self._robot_headers = HeaderCounter()
        self._calls = itertools.count()
        self._will_at: float | None = None
        self._present = False
        vehicle.announce()

    # One step of time ----------------------------------------------------------------------------------------------

    def step(self) -> None:
        self.now = round(self.now + STEP_S, 6)
        if self._will_at is not None and self.now >= self._will_at:
            self._will_at = None
            self._to_robot(_will(f"will{self.now}"))
        present = self.now >= self.simulation.dead_until
        if self.connected:
            self.robot.linked(up=True, why=None, now=self.now)
        if present != self._present or (self.connected and self.robot.world.presence is None):
            self._present = present
            self._presence(ConnectionState.ONLINE if present else ConnectionState.CONNECTIONBROKEN)
        for topic, payload in self.simulation.tick(self.now):
            if self.connected and topic is not Topic.CONNECTION:
                self.hear(topic, payload)
        self.robot.tick(self.now)
        while self.connected and (packet := self.gate.publisher.take(self.now)):
            topic, payload = self.translator.write(packet.command, BEGUN + timedelta(seconds=self.now))
            self.commands.append(packet.command)
            self.sent.append((self.now, self.codec.decode(topic, payload).message))
            if not self.forgets:
                self.simulation.deliver(topic, payload, self.now)
        while self.robot.events:
            self.log.append((self.now, self.robot.events.popleft()))
        self.each_step()

    def run(self, seconds: float, *, lease: bool = True) -> None:
        for _ in range(round(seconds / STEP_S)):
            if lease:
                self.robot.renew(self.now)
            self.step()

    def until(self, condition: Callable[[], bool], seconds: float = 90) -> bool:
        for _ in range(round(seconds / STEP_S)):
            self.robot.renew(self.now)
            self.step()
            if condition():
                return True
        return False

    def heard(self, happening: Happening) -> list[Event]:
        return [event for _, event in self.log if event.happening is happening]

    def hear(self, topic: Topic, payload: bytes) -> None:
        """Take in what came over the wire."""
        self.take(self.codec.decode(topic, payload))

    def take(self, received: Received) -> None:
        news = self.translator.news_of(received, self.now)
        if news is not None:
            self.robot.receive(news, self.now)

    # What people do ------------------------------------------------------------------------------------------------

    def call(self, skill: str, **arguments: str | float) -> Admitted | Question | Refused:
        return self.robot.call(SkillCall(f"c{next(self._calls)}", skill, arguments, self.gate.epoch), self.now)

    def resume(self) -> object:
        question = self.robot.ask_to_resume(self.now)
        if isinstance(question, Refused):
            return question
        self.run(0.5)
        verdict = self.robot.answer(question.question_id, yes=True, by=Source.USER, now=self.now)
        self.resumes += isinstance(verdict, Resumed)
        return verdict

    def cut(self) -> None:
        """The commander loses the broker; the broker will notice after 1.5 keepalives."""
        self.connected = False
        self._will_at = self.now + WILL_AFTER_S
        self.gate.publisher.clear()
        self.robot.linked(up=False, why=LinkBroken("cut"), now=self.now)
        self.translator.order.forget()

    def mend(self) -> None:
        """The link comes back; the old connection's will is due at once."""
        self.connected = True
        if self._will_at is not None:
            self._will_at = self.now

    def _presence(self, state: ConnectionState) -> None:
        if self.connected:
            message = Connection(connection_state=state)
            header = self._robot_headers.take(Topic.CONNECTION)
            payload = self.codec.encode(message, ADDRESS, header, BEGUN + timedelta(seconds=self.now))
            self.hear(Topic.CONNECTION, payload)

    def _to_robot(self, message: Order | InstantActions) -> None:
        topic = topic_of(message)
        header = self._headers.take(topic)
        payload = self.codec.encode(message, ADDRESS, header, BEGUN + timedelta(seconds=self.now))
        self.simulation.deliver(topic, payload, self.now)


def _will(action_id: str) -> InstantActions:
    pause = Action(action_type="startPause", action_id=action_id, blocking_type=BlockingType.HARD)
    return InstantActions(actions=(pause,))
