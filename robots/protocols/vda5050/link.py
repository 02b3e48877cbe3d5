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

from robots.ending import end
from robots.errors import LinkLost, PublishDenied, UnlikeCommand
from robots.facts.link import LinkBroken
from robots.protocols.vda5050.codec import COMMAND_TOPICS, Topic
from robots.terms.heard import Denied, LinkDown, LinkUp, RobotNews
from robots.transport.mqtt import Broker, LastWill, MqttConnection, connect

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from robots.facts.fact import Fact
    from robots.protocols.vda5050.translator import Translator
    from robots.safety.packet import Packet, PacketFeed

FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 5.0
"""Pauses between attempts to reach the broker double from the first to the longest, s, each cut by up to a half."""

_SUBSCRIPTIONS: Final = {Topic.CONNECTION: 1, Topic.STATE: 0, Topic.FACTSHEET: 0}
"""Quality of service by topic (6.3)."""


@dataclass(slots=True)
class Link:
    """The connection of a commander to its robot."""

    broker: Broker
    translator: Translator
    feed: PacketFeed
    clock: Callable[[], float]
    """Monotonic s, the clock of the feed's deadlines."""
    new_id: Callable[[], str]
    random: Random = field(default_factory=Random)
    part_in_peace: bool = False
    """Whether closing the link leaves the robot as it is; otherwise the will pauses it."""

    async def events(self) -> AsyncGenerator[RobotNews, None]:
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
                    self.translator.order.forget()
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
            await connection.subscribe(self._name(topic), qos=qos)
        for topic in COMMAND_TOPICS:
            name = self._name(topic)
            await connection.subscribe(name, qos=1, retained=False, own=False)

    async def _both_ways(self, connection: MqttConnection) -> AsyncGenerator[RobotNews, None]:
        """Write what the feed gives while yielding what the robot says, until either breaks."""
        happened: asyncio.Queue[RobotNews | LinkLost] = asyncio.Queue(maxsize=64)
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

    async def _read(self, connection: MqttConnection, happened: asyncio.Queue[RobotNews | LinkLost]) -> None:
        topics = {self._name(topic): topic for topic in Topic}
        try:
            async for message in connection.messages():
                news = self.translator.read(topics[message.topic], message.payload, self.clock())
                if news is not None:
                    await happened.put(news)
        except LinkLost as error:
            await happened.put(error)

    async def _write(self, connection: MqttConnection, happened: asyncio.Queue[RobotNews | LinkLost]) -> None:
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
                except (PublishDenied, UnlikeCommand) as error:
                    await happened.put(Denied(error.fact))
        except LinkLost as error:
            await happened.put(error)

    async def _send(self, connection: MqttConnection, packet: Packet) -> None:
        topic, payload = self.translator.write(packet.command, datetime.now(UTC))
        await connection.publish(self._name(topic), payload, expiry_s=packet.expiry_s)

    def _will(self) -> LastWill:
        """Return the message with which the broker pauses the robot when this program is gone."""
        topic, payload = self.translator.write_will(self.new_id(), datetime.now(UTC))
        return LastWill(self._name(topic), payload, retain=False)

    def _name(self, topic: Topic) -> str:
        return self.translator.codec.topic_name(self.translator.address, topic)
