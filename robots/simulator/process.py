"""The simulated robot as a program: the simulation behind a real broker, in real or quickened time."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING, Final

from robots.ending import end
from robots.errors import BadSetting, LinkLost
from robots.facts.simulation import BrokerAwaited, RobotServes
from robots.protocols.vda5050.codec import COMMAND_TOPICS, Address, Codec, Topic, Vda5050
from robots.protocols.vda5050.messages import Connection as Presence
from robots.protocols.vda5050.messages import ConnectionState
from robots.simulator.body import VehicleBody
from robots.simulator.faults import Mishap, Network
from robots.simulator.simulation import Simulation
from robots.simulator.vehicle import Vehicle
from robots.transport.mqtt import Broker, LastWill, MqttConnection, connect

if TYPE_CHECKING:
    from collections.abc import Callable

    from robots.facts.fact import Fact
    from robots.site import Site

TICK_S: Final = 0.05
RECONNECT_S: Final = 0.5
UNSENT: Final = 64
"""Reports kept while the broker is slow; the oldest are dropped."""
_RETAINED: Final = frozenset({Topic.CONNECTION, Topic.FACTSHEET})


@dataclass(slots=True)
class SimulatedRobot:
    """One simulated robot on a broker."""

    broker: Broker
    address: Address
    site: Site
    speed: float = 1.0
    """Simulated seconds per second."""
    start: str | None = None
    """Place where it stands at first; None: the first of the map."""
    network: Network = field(default_factory=Network)
    mishaps: list[Mishap] = field(default_factory=list)
    seed: int = 0
    codec: Codec = field(default_factory=Vda5050)
    say: Callable[[Fact], None] = field(default=lambda _: None)
    """Is told when the broker is reached and when it is lost, once for each cause."""
    simulation: Simulation = field(init=False)
    _reports: deque[tuple[Topic, bytes]] = field(init=False, default_factory=lambda: deque(maxlen=UNSENT))
    _something: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    _begun: float = field(init=False, default_factory=time.monotonic)

    def __post_init__(self) -> None:
        """Put the robot on the map.

        Raises:
            BadSetting: the place to start from is not on the map.

        """
        name = self.start or next(iter(self.site.places))
        if name not in self.site.places:
            raise BadSetting(f"start {name!r}: the map has {', '.join(sorted(self.site.places))}")
        place = self.site.places[name]
        body = VehicleBody(place.x, place.y, place.theta or 0.0)
        vehicle = Vehicle(self.site.map, lambda: datetime.now(UTC), body, self.codec)
        self.simulation = Simulation(vehicle, self.address, self.network, self.mishaps, Random(self.seed))

    def now(self) -> float:
        """Return the simulated time, s."""
        return (time.monotonic() - self._begun) * self.speed

    async def run(self) -> None:
        """Serve the broker for ever; reconnect after each outage, and drive on meanwhile as robots do (6.2).

        Raises:
            BadSetting: a password or certificate file cannot be used.

        """
        async with asyncio.TaskGroup() as group:
            group.create_task(self._live(), name="simulated robot")
            why: Fact | None = None
            while True:
                try:
                    await self._serve()
                except LinkLost as error:
                    if error.fact != why:
                        why = error.fact
                        self.say(BrokerAwaited(why))
                    await asyncio.sleep(RECONNECT_S)
                await asyncio.sleep(max(0.0, (self.simulation.dead_until - self.now()) / self.speed))

    async def _live(self) -> None:
        """Let time pass, whether or not the broker is reached."""
        while True:
            reports = self.simulation.tick(self.now())
            if reports:
                self._reports.extend(reports)
                self._something.set()
            await asyncio.sleep(TICK_S)

    async def _serve(self) -> None:
        """Be connected until the broker is lost or the robot dies."""
        will = LastWill(self._name(Topic.CONNECTION), self._presence(ConnectionState.CONNECTIONBROKEN), retain=True)
        async with connect(self.broker, identifier=f"robot-{self.address}", will=will) as connection:
            for topic in COMMAND_TOPICS:
                await connection.subscribe(self._name(topic), qos=1, retained=False)
            self.say(RobotServes(str(self.address), str(self.broker)))
            self._reports.clear()
            self.simulation.vehicle.announce()
            reader = asyncio.create_task(self._read(connection), name="simulated robot reader")
            try:
                await self._write(connection, reader)
            except asyncio.CancelledError:
                with suppress(LinkLost):
                    await connection.publish(
                        self._name(Topic.CONNECTION), self._presence(ConnectionState.OFFLINE), retain=True
                    )
                    connection.leaves_will = False
                raise
            finally:
                await end(reader)

    async def _read(self, connection: MqttConnection) -> None:
        topics = {self._name(topic): topic for topic in COMMAND_TOPICS}
        try:
            async for message in connection.messages():
                topic = topics[message.topic]
                self.simulation.deliver(topic, message.payload, self.now(), retained=message.retained)
        finally:
            self._something.set()

    async def _write(self, connection: MqttConnection, reader: asyncio.Task[None]) -> None:
        while self.now() >= self.simulation.dead_until:
            if reader.done():
                await reader
            if not self._reports:
                self._something.clear()
                await self._something.wait()
                continue
            topic, payload = self._reports.popleft()
            qos = 1 if topic is Topic.CONNECTION else 0
            await connection.publish(self._name(topic), payload, qos=qos, retain=topic in _RETAINED)

    def _name(self, topic: Topic) -> str:
        return self.codec.topic_name(self.address, topic)

    def _presence(self, state: ConnectionState) -> bytes:
        return self.codec.encode(Presence(connection_state=state), self.address, 0, datetime.now(UTC))
