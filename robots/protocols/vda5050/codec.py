"""From messages to bytes and back, in the dialects 1.1, 2.0 and 2.1.

`Codec` is all that the rest of the room knows of the wire format. The reader is tolerant: unknown fields, older names
and any version are accepted; what is of the wrong type, out of range or too large is an `InvalidMessage`. The writer
is strict: a message that exists is valid, and each dialect leaves out what its version does not know.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Protocol

from pydantic import ValidationError

from robots.errors import BadSetting, InvalidMessage
from robots.facts.messages import FieldMissing, FieldWrong, MessageNotJson, MessageTooLarge, ValueRead
from robots.protocols.vda5050.messages import (
    Connection,
    Factsheet,
    InstantActions,
    Message,
    Order,
    Part,
    State,
    Visualization,
)
from robots.protocols.vda5050.reading import UINT32, Count, Name
from robots.untrusted import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from robots.facts.fact import Fact

MAX_PAYLOAD_BYTES: Final = 1 << 20
"""A larger payload is refused unread; the largest honest message, a factsheet, has about 40 kB."""

_TOPIC_PART: Final = re.compile(r"[A-Za-z0-9_.:-]+")
_UNWRITTEN: Final = re.compile(r"[^a-z0-9]")
"""What a topic may not hold, or may hold otherwise than a header."""
_WHERE: Final = 80
"""Most characters of the name of a wrong field."""


class Topic(StrEnum):
    """The last level of a topic name (6.5)."""

    ORDER = "order"
    INSTANT_ACTIONS = "instantActions"
    STATE = "state"
    CONNECTION = "connection"
    FACTSHEET = "factsheet"
    VISUALIZATION = "visualization"


COMMAND_TOPICS: Final = frozenset({Topic.ORDER, Topic.INSTANT_ACTIONS})
"""The topics that move a robot."""

_TYPES: Final[dict[Topic, type[Message]]] = {
    Topic.ORDER: Order,
    Topic.INSTANT_ACTIONS: InstantActions,
    Topic.STATE: State,
    Topic.CONNECTION: Connection,
    Topic.FACTSHEET: Factsheet,
    Topic.VISUALIZATION: Visualization,
}
_TOPICS: Final = {kind: topic for topic, kind in _TYPES.items()}


def topic_of(message: Message) -> Topic:
    """Return the topic on which a message is sent."""
    return _TOPICS[type(message)]


class Header(Part):
    """What stands at the head of every message (6.4)."""

    header_id: Count
    timestamp: Name
    """ISO 8601, UTC; empty where the sender has no clock."""
    version: Name
    manufacturer: Name
    serial_number: Name


@dataclass(frozen=True, slots=True)
class Received:
    """A decoded message."""

    topic: Topic
    header: Header
    message: Message
    misread: tuple[ValueRead, ...] = ()
    """Values that are unknown here, and what they were taken for."""


@dataclass(frozen=True, slots=True)
class Address:
    """Which robot, and where its topics begin (6.5)."""

    manufacturer: str
    serial_number: str
    interface: str = "uagv"

    def __post_init__(self) -> None:
        """Refuse what would break out of the topic level.

        Raises:
            BadSetting: a part is empty or has characters that the specification forbids.

        """
        for part in (self.interface, self.manufacturer, self.serial_number):
            if not _TOPIC_PART.fullmatch(part):
                raise BadSetting(f"robot address part {part!r}: use only letters, digits and _ - . : (at least one)")

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read `manufacturer/serial` or `interface/manufacturer/serial`.

        Raises:
            BadSetting: the text has another form.

        """
        match text.split("/"):
            case [manufacturer, serial]:
                return cls(manufacturer, serial)
            case [interface, manufacturer, serial]:
                return cls(manufacturer, serial, interface)
            case _:
                raise BadSetting(f"robot address {text!r}: write it as manufacturer/serial, for example acme/R1")

    def __str__(self) -> str:
        return f"{self.manufacturer}/{self.serial_number}"

    def named_in(self, header: Header) -> bool:
        """Whether a header names this robot, or none; case and signs that a topic cannot hold do not count."""
        pairs = ((self.manufacturer, header.manufacturer), (self.serial_number, header.serial_number))
        return all(not said or _bare(said) == _bare(ours) for ours, said in pairs)


def _bare(name: str) -> str:
    return _UNWRITTEN.sub("", name.lower())


class Codec(Protocol):
    """A wire format: the one seam behind which another version can stand."""

    def topic_name(self, address: Address, topic: Topic) -> str:
        """Return the full MQTT topic name."""
        ...

    def encode(self, message: Message, address: Address, header_id: int, now: datetime) -> bytes:
        """Return the payload of a message."""
        ...

    def decode(self, topic: Topic, payload: bytes) -> Received:
        """Return the message in a payload; raise `InvalidMessage` where it is none."""
        ...


@dataclass(frozen=True, slots=True)
class Vda5050:
    """The dialects 1.1, 2.0 and 2.1: one reader, three ways to write."""

    version: str = "2.1.0"
    actions_array: str = "actions"
    """Name of the array in `instantActions`; 1.1 and some programs of 2.0 say `instantActions`."""
    unknown: Mapping[str, Any] = field(default_factory=dict)
    """Optional fields that this version does not know, in the form of pydantic's `exclude`."""

    def topic_name(self, address: Address, topic: Topic) -> str:
        """Return `interface/major/manufacturer/serial/topic` (6.5)."""
        major = self.version.partition(".")[0]
        return f"{address.interface}/v{major}/{address.manufacturer}/{address.serial_number}/{topic}"

    def encode(self, message: Message, address: Address, header_id: int, now: datetime) -> bytes:
        """Return header and message as compact UTF-8 JSON."""
        header = Header(
            header_id=header_id,
            timestamp=timestamp(now),
            version=self.version,
            manufacturer=address.manufacturer,
            serial_number=address.serial_number,
        )
        body = message.model_dump(mode="json", by_alias=True, exclude_none=True, exclude=self.unknown)
        if isinstance(message, InstantActions):
            body = {self.actions_array: body["actions"]}
        head = header.model_dump(mode="json", by_alias=True)
        return json.dumps(head | body, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()

    def decode(self, topic: Topic, payload: bytes) -> Received:
        """Read any of the dialects.

        Raises:
            InvalidMessage: too large, not JSON, a field missing, of the wrong type or out of range.

        """
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise InvalidMessage(MessageTooLarge(topic, len(payload), MAX_PAYLOAD_BYTES))
        read: list[ValueRead] = []
        try:
            header = Header.model_validate_json(payload)
            message = _TYPES[topic].model_validate_json(payload, context=read)
        except ValidationError as error:
            raise InvalidMessage(_problem(topic, error)) from None
        return Received(topic, header, message, tuple(read))


def _problem(topic: Topic, error: ValidationError) -> Fact:
    """Return the first of what is wrong with a payload."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = plain(".".join(str(step) for step in first["loc"] if step != ""), _WHERE)
    if not where:
        return MessageNotJson(topic)
    if first["type"] == "missing":
        return FieldMissing(topic, where)
    return FieldWrong(topic, where, first["type"])


_SINCE_2_1: Final = {
    "maps": True,
    "edges": {"__all__": {"corridor"}},
    "errors": {"__all__": {"error_hint"}},
}

DIALECTS: Final = {
    "2.1": Vda5050(),
    "2.0": Vda5050("2.0.0", unknown=_SINCE_2_1),
    # Two widespread implementations say 2.0.0 and keep the array name of 1.1.
    "2.0-instantActions": Vda5050("2.0.0", "instantActions", _SINCE_2_1),
    "1.1": Vda5050("1.1.0", "instantActions", _SINCE_2_1),
}
"""The ways to write, by the name that a setting gives."""


def timestamp(now: datetime) -> str:
    """Return UTC in the specification's form, with milliseconds (6.4)."""
    return now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def newer(header_id: int, than: int) -> bool:
    """Whether a header was sent after another, across the wrap at 2**32."""
    return 0 < (header_id - than) % UINT32 < UINT32 // 2


def overtaken(header: Header, known: Header) -> bool:
    """Whether a message was sent before one that is known already.

    A sender that restarts counts from 0 again, but its clock goes on; so both must be older.
    """
    if newer(header.header_id, known.header_id):
        return False
    before, after = sent_at(header), sent_at(known)
    return before is None or after is None or before <= after


def sent_at(header: Header) -> datetime | None:
    """Return when a message was written, or None where its timestamp cannot be read."""
    try:
        time = datetime.fromisoformat(header.timestamp)
        # Some programs leave the zone out; the specification says UTC.
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


@dataclass(slots=True)
class HeaderCounter:
    """Counts the messages sent per topic: 0, 1, ..., 2**32 - 1, 0 (6.4)."""

    upcoming: dict[Topic, int] = field(default_factory=dict)

    def take(self, topic: Topic) -> int:
        """Return the header id of the next message on a topic."""
        header_id = self.upcoming.get(topic, 0)
        self.upcoming[topic] = (header_id + 1) % UINT32
        return header_id
