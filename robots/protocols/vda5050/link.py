"""The commander's connection to one robot: reconnecting, with a last will that pauses the robot.

One link per robot, because a connection has one will. Nothing is queued over an outage. The link also overhears what
other programs command the robot: two commanders must notice each other.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING, Final

from robots.errors import InvalidMessage, LinkLost, PublishDenied
from robots.facts.link import LinkBroken
from robots.facts.messages import OtherRobotNamed
from robots.protocols.vda5050.codec import COMMAND_TOPICS, Address, Codec, HeaderCounter, Received, Topic, topic_of
from robots.protocols.vda5050.messages import Action, BlockingType, InstantActions
from robots.safety.packet import WILL
from robots.transport.mqtt import Broker, LastWill, MqttConnection, connect, end
from robots.untrusted import plain

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from robots.facts.fact import Fact
    from robots.safety.packet import Packet, PacketFeed

FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 5.0
"""Pauses between attempts to reach the broker double from the first to the longest, s, each cut by up to a half."""
_NAMED: Final = 80
"""Most characters of a foreign robot's name."""


@dataclass(frozen=True, slots=True)
class LinkUp:
    """The broker is reached and the robot's topics are subscribed."""


@dataclass(frozen=True, slots=True)
class LinkDown:
    """The broker is gone, or cannot be reached."""

    why: Fact


@dataclass(frozen=True, slots=True)
class Denied:
    """The broker does not let us command the robot."""

    why: Fact


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The robot published something that cannot be used."""

    why: Fact


LinkEvent = LinkUp | LinkDown | Denied | Unreadable | Received

_SUBSCRIPTIONS: Final = {Topic.CONNECTION: 1, Topic.STATE: 0, Topic.FACTSHEET: 0}
"""Quality of service by topic (6.3)."""


@dataclass(slots=True)
class Link:
    """The connection of a commander to its robot."""

    broker: Broker
    address: Address
    codec: Codec
    feed: PacketFeed
    clock: Callable[[], float]
    """Monotonic s, the clock of the feed's deadlines."""
    new_id: Callable[[], str]
    random: Random = field(default_factory=Random)
    part_in_peace: bool = False
    """Whether closing the link leaves the robot as it is; otherwise the will pauses it."""
    _headers: HeaderCounter = field(default_factory=HeaderCounter)

    async def events(self) -> AsyncGenerator[LinkEvent, None]:
        """Connect, and again after each outage; yield what happens. Ends only by being closed.

        Raises:
            BadSetting: a password or certificate file cannot be used.

        """
        pause = FIRST_PAUSE_S
        while True:
            why: Fact = LinkBroken("closed")
            try:
                async with connect(
                    self.broker, identifier=f"descant-{self.new_id()}", will=self._will(), newest_only=True
                ) as connection:
                    await self._subscribe(connection)
                    pause = FIRST_PAUSE_S
                    yield LinkUp()
                    try:
                        async for event in self._both_ways(connection):
                            yield event
                    finally:
                        connection.leaves_will = not self.part_in_peace
            except LinkLost as error:
                why = error.fact
            self.feed.clear()
            yield LinkDown(why)
            await asyncio.sleep(pause * (1 - self.random.random() / 2))
            pause = min(2 * pause, LONGEST_PAUSE_S)

    async def _subscribe(self, connection: MqttConnection) -> None:
        for topic, qos in _SUBSCRIPTIONS.items():
            await connection.subscribe(self.codec.topic_name(self.address, topic), qos=qos)
        for topic in COMMAND_TOPICS:
            name = self.codec.topic_name(self.address, topic)
            await connection.subscribe(name, qos=1, retained=False, own=False)

    async def _both_ways(self, connection: MqttConnection) -> AsyncGenerator[LinkEvent, None]:
        """Write what the feed gives while yielding what the robot says, until either breaks."""
        happened: asyncio.Queue[LinkEvent | LinkLost] = asyncio.Queue(maxsize=64)
        tasks = [
            asyncio.create_task(self._read(connection, happened), name="robot link reader"),
            asyncio.create_task(self._write(connection, happened), name="robot link writer"),
        ]
        try:
            while True:
                event = await happened.get()
                if isinstance(event, LinkLost):
                    raise event
                yield event
        finally:
            await end(*tasks)

    async def _read(self, connection: MqttConnection, happened: asyncio.Queue[LinkEvent | LinkLost]) -> None:
        topics = {self.codec.topic_name(self.address, topic): topic for topic in Topic}
        try:
            async for message in connection.messages():
                await happened.put(self._read_one(topics[message.topic], message.payload))
        except LinkLost as error:
            await happened.put(error)

    def _read_one(self, topic: Topic, payload: bytes) -> Received | Unreadable:
        try:
            received = self.codec.decode(topic, payload)
        except InvalidMessage as error:
            return Unreadable(error.fact)
        # A command on this robot's topic is for this robot, whatever its header says: it is noticed.
        if topic not in COMMAND_TOPICS and not self.address.named_in(received.header):
            named = f"{received.header.manufacturer}/{received.header.serial_number}"
            return Unreadable(OtherRobotNamed(topic, plain(named, _NAMED)))
        return received

    async def _write(self, connection: MqttConnection, happened: asyncio.Queue[LinkEvent | LinkLost]) -> None:
        something = asyncio.Event()
        self.feed.wake(something.set)
        try:
            while True:
                packet = self.feed.take(self.clock())
                if packet is None:
                    await something.wait()
                    something.clear()
                    continue
                try:
                    await self._send(connection, packet)
                except PublishDenied as error:
                    await happened.put(Denied(error.fact))
        except LinkLost as error:
            await happened.put(error)

    async def _send(self, connection: MqttConnection, packet: Packet) -> None:
        topic = topic_of(packet.message)
        payload = self.codec.encode(packet.message, self.address, self._headers.take(topic), datetime.now(UTC))
        await connection.publish(self.codec.topic_name(self.address, topic), payload, expiry_s=packet.expiry_s)

    def _will(self) -> LastWill:
        """Return the message with which the broker pauses the robot when this program is gone."""
        pause = Action(
            action_type="startPause",
            action_id=WILL + self.new_id(),
            blocking_type=BlockingType.HARD,
            action_parameters=(),
        )
        header_id = self._headers.take(Topic.INSTANT_ACTIONS)
        payload = self.codec.encode(InstantActions(actions=(pause,)), self.address, header_id, datetime.now(UTC))
        return LastWill(self.codec.topic_name(self.address, Topic.INSTANT_ACTIONS), payload, retain=False)
