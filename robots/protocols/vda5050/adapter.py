"""A robot that speaks VDA 5050 over MQTT."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from robots.protocols.vda5050.codec import Vda5050
from robots.protocols.vda5050.link import Link
from robots.protocols.vda5050.translator import Translator

if TYPE_CHECKING:
    from collections.abc import Callable

    from robots.protocols.vda5050.codec import Address, Codec
    from robots.safety.packet import PacketFeed
    from robots.transport.mqtt import Broker


@dataclass(frozen=True, slots=True)
class Vda5050Adapter:
    """A `robots.protocols.contract.ProtocolAdapter`."""

    broker: Broker
    address: Address
    codec: Codec = field(default_factory=Vda5050)

    @property
    def name(self) -> str:
        """The robot's serial number."""
        return self.address.serial_number

    @property
    def reached_at(self) -> str:
        """The broker."""
        return str(self.broker)

    def link(self, feed: PacketFeed, clock: Callable[[], float], new_id: Callable[[], str]) -> Link:
        """Return a connection that takes commands from a feed."""
        return Link(self.broker, Translator(self.address, self.codec), feed, clock, new_id)
