"""Sees what goes over the wire between a robot and whoever commands it; sends nothing.

For measurements and displays. It knows when a message came, on the caller's monotonic clock.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from robots.ending import end
from robots.errors import InvalidMessage, LinkLost
from robots.protocols.vda5050.codec import Topic
from robots.transport.mqtt import connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from robots.protocols.vda5050.codec import Address, Codec
    from robots.protocols.vda5050.messages import Message
    from robots.transport.mqtt import Broker

KEPT: Final = 4096
"""Messages that are remembered; the oldest go first."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A message that went over the wire."""

    at: float
    """When it came, monotonic s."""
    message: Message


@dataclass(slots=True)
class WireLog:
    """What was seen so far."""

    seen: list[Seen] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, seen: Seen) -> None:
        """Remember a message."""
        self.seen.append(seen)
        del self.seen[:-KEPT]
        self._news.set()

    async def until(self, wanted: Callable[[Message], bool], *, after: float, within_s: float) -> Seen | None:
        """Wait for the first message of a kind that came later than a moment; None: none came in time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while True:
                    for seen in self.seen:
                        if seen.at > after and wanted(seen.message):
                            return seen
                    self._news.clear()
                    await self._news.wait()
        return None


@asynccontextmanager
async def watching(broker: Broker, address: Address, codec: Codec) -> AsyncIterator[WireLog]:
    """Watch one robot's commands and states while the block lasts.

    Raises:
        LinkLost: the broker cannot be reached or refuses.

    """
    topics = {codec.topic_name(address, topic): topic for topic in (Topic.ORDER, Topic.INSTANT_ACTIONS, Topic.STATE)}
    async with connect(broker, identifier=f"watch-{uuid.uuid4().hex}") as connection:
        for name in topics:
            await connection.subscribe(name, qos=1, retained=False)
        wire = WireLog()

        async def read() -> None:
            with suppress(LinkLost):
                async for message in connection.messages():
                    at = time.monotonic()
                    with suppress(InvalidMessage):
                        wire.add(Seen(at, codec.decode(topics[message.topic], message.payload).message))

        reader = asyncio.create_task(read(), name="wire watcher")
        try:
            yield wire
        finally:
            await end(reader)
