"""A simulated robot behind a bad network, befallen by mishaps: still without sockets and clocks."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Final

from robots.protocols.vda5050.codec import Address, HeaderCounter, Topic, topic_of
from robots.protocols.vda5050.messages import Connection, EStop, Message, OperatingMode
from robots.simulator.faults import Channel, Mishap, Network

if TYPE_CHECKING:
    from robots.geometry import Point
    from robots.simulator.vehicle import Vehicle

TRAIL_S: Final = 0.2
"""Time between two points of the trail, s."""


@dataclass(frozen=True, slots=True)
class TrailPoint:
    """Where the robot was, for the drawing."""

    at: float
    """s"""
    position: Point
    theta: float
    speed: float
    """m/s"""
    held: bool
    """Whether it was told to pause."""
    base: tuple[Point, ...] = ()
    """Nodes ahead that are released."""
    horizon: tuple[Point, ...] = ()
    """Nodes after them."""


@dataclass(slots=True)
class Simulation:
    """One robot, its two directions of network, and what happens to it."""

    vehicle: Vehicle
    address: Address
    network: Network = field(default_factory=Network)
    mishaps: list[Mishap] = field(default_factory=list)
    random: Random = field(default_factory=Random)
    trail: deque[TrailPoint] = field(default_factory=lambda: deque(maxlen=20_000))
    frozen_until: float = 0.0
    dead_until: float = 0.0
    """A dead robot is off the network; whoever owns the connection breaks it."""
    _ends: list[Mishap] = field(default_factory=list)
    _headers: HeaderCounter = field(default_factory=HeaderCounter)
    _commands: Channel[tuple[Topic, bytes, bool]] = field(init=False)
    _reports: Channel[tuple[Topic, bytes]] = field(init=False)
    _was_dead: bool = False

    def __post_init__(self) -> None:
        """Build both directions of the network."""
        self.vehicle.address = self.address
        self._commands = Channel(self.network, self.random)
        self._reports = Channel(self.network, self.random)

    def deliver(self, topic: Topic, payload: bytes, now: float, *, retained: bool = False) -> None:
        """Send a command towards the robot."""
        self._commands.push((topic, payload, retained), now)

    def tick(self, now: float) -> list[tuple[Topic, bytes]]:
        """Let time pass; return what arrives from the robot."""
        self._befall(now)
        if now < self.dead_until:
            self._was_dead = True
            self._commands.clear()
            self._reports.clear()
            self.vehicle.outbox.clear()
            self.vehicle.sleep(now)
            return []
        if self._was_dead:
            self._was_dead = False
            self.vehicle.restart()
            self._headers = HeaderCounter()
            self.vehicle.announce()
        if now < self.frozen_until:
            self.vehicle.sleep(now)
        else:
            for topic, payload, retained in self._commands.pop(now):
                self.vehicle.receive(topic, payload, now, retained=retained)
            self.vehicle.tick(now)
        self._remember(now)
        at_once = []
        while self.vehicle.outbox:
            message = self.vehicle.outbox.popleft()
            report = (topic_of(message), self._encode(message))
            if isinstance(message, Connection):
                # Presence has QoS 1 and is retained: a bad network delays no more than the connection itself.
                at_once.append(report)
            else:
                self._reports.push(report, now)
        return at_once + self._reports.pop(now)

    def _encode(self, message: Message) -> bytes:
        vehicle = self.vehicle
        header_id = self._headers.take(topic_of(message))
        return vehicle.codec.encode(message, self.address, header_id, vehicle.time_of_day())

    def _befall(self, now: float) -> None:
        while self.mishaps and self.mishaps[0].at <= now:
            mishap = self.mishaps.pop(0)
            self._begin(mishap, now)
            self._ends.append(Mishap(mishap.kind, now + mishap.value, 0.0))
        for mishap in [end for end in self._ends if end.at <= now]:
            self._ends.remove(mishap)
            self._end(mishap.kind)

    def _begin(self, mishap: Mishap, now: float) -> None:
        vehicle = self.vehicle
        match mishap.kind:
            case "freeze":
                # The motor controller's own watchdog brakes when the computer above it hangs.
                vehicle.body.speed = vehicle.body.turn = 0.0
                self.frozen_until = now + mishap.value
            case "kill":
                vehicle.body.speed = vehicle.body.turn = 0.0
                self.dead_until = now + mishap.value
            case "obstacle":
                vehicle.obstacle = True
            case "estop":
                vehicle.e_stop = EStop.MANUAL
            case "manual":
                vehicle.switch(OperatingMode.MANUAL)
            case _:
                vehicle.battery_percent = mishap.value

    def _end(self, kind: str) -> None:
        match kind:
            case "obstacle":
                self.vehicle.obstacle = False
            case "estop":
                self.vehicle.e_stop = EStop.NONE
            case "manual":
                self.vehicle.switch(OperatingMode.AUTOMATIC)
            case _:
                pass

    def _remember(self, now: float) -> None:
        if self.trail and now < self.trail[-1].at + TRAIL_S:
            return
        vehicle, body = self.vehicle, self.vehicle.body
        ahead = [(n.released, (n.node_position.x, n.node_position.y)) for n in vehicle.nodes if n.node_position]
        base = tuple(point for released, point in ahead if released)
        horizon = tuple(point for released, point in ahead if not released)
        self.trail.append(TrailPoint(now, body.position, body.theta, body.speed, vehicle.pausing, base, horizon))
