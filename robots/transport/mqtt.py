"""One MQTT 5 connection as this room needs it; the only module that knows aiomqtt and paho.

What aiomqtt 2.5 leaves out and a commander needs: a publish that the broker denies is an error (aiomqtt drops the
reason code of the acknowledgement, so a denial looks like success), a denied subscription is an error, and messages
that wait to be read are kept per topic, newest wins. A `MqttConnection` is used once: paho sends an unacknowledged
publish again after a reconnect of the same client, which would be a command from the past.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiomqtt import Client, Message, MqttCodeError, MqttError, ProtocolVersion, Will
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from robots.errors import BadSetting, LinkLost, PublishDenied
from robots.facts.link import CommandDenied, HostUnknown, LinkBroken, SubscriptionDenied
from robots.transport.reasons import of_code, of_error, of_peer
from robots.untrusted import plain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from paho.mqtt import client as mqtt

    from robots.facts.fact import Fact

ANSWER_S: Final = 5.0
"""How long the broker may take to acknowledge, s."""
_FIRST_FAILURE: Final = 0x80
_NEVER_RETAINED: Final = 2
"""MQTT 5 retain handling: send no retained messages at subscription."""


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is and how to be let in."""

    host: str = "127.0.0.1"
    port: int = 1883
    username: str | None = None
    password_file: Path | None = None
    """Text file; its first line is the password."""
    ca_file: Path | None = None
    """Certificate authority of the broker; given, TLS is used."""
    cert_file: Path | None = None
    """Client certificate."""
    key_file: Path | None = None
    """Its private key."""
    keepalive_s: int = 2
    """The broker takes a silent client for dead after 1.5 times this. aiomqtt looks once a second: 2 is the least."""

    def password(self) -> str | None:
        """Read the password.

        Raises:
            BadSetting: the file cannot be read.

        """
        if self.password_file is None:
            return None
        try:
            return self.password_file.read_text(encoding="utf-8").partition("\n")[0]
        except (OSError, UnicodeDecodeError) as error:
            raise BadSetting(f"password file {self.password_file}: {error}") from None

    def tls(self) -> ssl.SSLContext | None:
        """Return the TLS context, or None for a plain connection.

        Raises:
            BadSetting: a certificate or key cannot be read, or only one of the two is given.

        """
        if (self.cert_file is None) != (self.key_file is None):
            raise BadSetting("a client certificate needs its key, and a key its certificate: give both files")
        if self.ca_file is None and self.cert_file is None:
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            if self.cert_file is not None:
                context.load_cert_chain(self.cert_file, self.key_file)
        except (OSError, ssl.SSLError) as error:
            raise BadSetting(f"TLS files {self.ca_file}, {self.cert_file}, {self.key_file}: {error}") from None
        return context

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class LastWill:
    """What the broker publishes with QoS 1 when the connection breaks."""

    topic: str
    payload: bytes
    retain: bool


@dataclass(frozen=True, slots=True)
class MqttMessage:
    """A message as it came."""

    topic: str
    payload: bytes
    retained: bool


class NewestPerTopic(asyncio.Queue[Message]):
    """Keeps the newest unread message of each topic: a slow reader skips states instead of lagging behind."""

    def _init(self, maxsize: int) -> None:  # noqa: ARG002, the queue is as long as there are topics
        self._queue: dict[str, Message] = {}

    def _put(self, item: Message) -> None:
        self._queue.pop(item.topic.value, None)
        self._queue[item.topic.value] = item

    def _get(self) -> Message:
        return self._queue.pop(next(iter(self._queue)))


class _Client(Client):
    """aiomqtt's client, the reason code of the last acknowledgement, and a farewell that publishes the will."""

    refusal: str | None = None

    def _on_disconnect(
        self,
        client: mqtt.Client,
        userdata: object,
        flags: mqtt.DisconnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        """Fail at once where the peer closes before it has answered; aiomqtt would wait for its timeout."""
        if self._connected.done():
            super()._on_disconnect(client, userdata, flags, reason_code, properties)
        else:
            self._connected.set_exception(MqttError("closed before an answer"))

    def _on_publish(
        self, client: mqtt.Client, userdata: object, mid: int, reason_code: ReasonCode, properties: Properties
    ) -> None:
        if reason_code.is_failure:
            self.refusal = str(reason_code)
        super()._on_publish(client, userdata, mid, reason_code, properties)

    def leave_with_will(self) -> None:
        self._client.disconnect(ReasonCode(PacketTypes.DISCONNECT, "Disconnect with will message"))

    def take_note(self) -> None:
        """Look at how the connection ended: what nobody looks at is complained about when it is collected."""
        if self._disconnected.done() and not self._disconnected.cancelled():
            self._disconnected.exception()


class MqttConnection:
    """An open connection; made by `connect`."""

    def __init__(self, client: _Client) -> None:
        self.leaves_will = True
        """Whether closing publishes the will, as breaking does; whoever parts in peace says so."""
        self._client = client
        self._one_at_a_time = asyncio.Lock()

    async def publish(
        self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False, expiry_s: int | None = None
    ) -> None:
        """Publish, and wait for the broker's acknowledgement where `qos` is 1.

        Raises:
            PublishDenied: the broker's access list forbids it (seen only with QoS 1).
            LinkLost: no acknowledgement in time, or the connection broke.

        """
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if expiry_s is not None:
            properties.MessageExpiryInterval = expiry_s
        # A refusal carries no topic: with one publish at a time it belongs to this one.
        async with self._one_at_a_time:
            self._client.refusal = None
            try:
                await self._client.publish(topic, payload, qos, retain, properties)
            except MqttError as error:
                raise _lost(error) from None
            if self._client.refusal is not None:
                raise PublishDenied(CommandDenied(topic, self._client.refusal))

    async def subscribe(self, topic: str, *, qos: int, retained: bool = True, own: bool = True) -> None:
        """Subscribe; `retained` and `own`: whether messages stored at the broker and those of this client are wanted.

        Raises:
            LinkLost: the broker refused, or the connection broke.

        """
        # Retain-as-published: a retained command is seen to be one even when it comes live.
        options = SubscribeOptions(
            qos=qos, noLocal=not own, retainAsPublished=True, retainHandling=0 if retained else _NEVER_RETAINED
        )
        try:
            codes = await self._client.subscribe(topic, options=options)
        except MqttError as error:
            raise _lost(error) from None
        refused = [code for code in codes if isinstance(code, ReasonCode) and code.value >= _FIRST_FAILURE]
        if refused:
            raise LinkLost(SubscriptionDenied(topic, str(refused[0])))

    async def messages(self) -> AsyncIterator[MqttMessage]:
        """Yield messages until the connection breaks.

        Raises:
            LinkLost: it broke.

        """
        try:
            async for message in self._client.messages:
                yield MqttMessage(message.topic.value, message.payload, message.retain)
        except MqttError as error:
            raise _lost(error) from None


@asynccontextmanager
async def connect(
    broker: Broker, *, identifier: str, will: LastWill | None = None, newest_only: bool = False
) -> AsyncIterator[MqttConnection]:
    """Open a connection: MQTT 5, clean start, no session afterwards.

    The will is published however the connection ends, unless `leaves_will` was set to False.

    Raises:
        LinkLost: the broker cannot be reached or refuses.
        BadSetting: a password or certificate file cannot be used.

    """
    client = _Client(
        broker.host,
        broker.port,
        username=broker.username,
        password=broker.password(),
        identifier=identifier,
        protocol=ProtocolVersion.V5,
        clean_start=True,
        keepalive=broker.keepalive_s,
        will=Will(will.topic, will.payload, qos=1, retain=will.retain) if will else None,
        tls_context=broker.tls(),
        timeout=ANSWER_S,
        queue_type=NewestPerTopic if newest_only else None,
    )
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(_quietly(client))
        except UnicodeError:
            # The codec of host names complains before any resolver, and aiomqtt lets it pass.
            raise LinkLost(HostUnknown(str(broker))) from None
        except MqttError as error:
            raise LinkLost(await _reason(error, broker)) from None
        connection = MqttConnection(client)
        try:
            yield connection
        finally:
            if will is not None and connection.leaves_will:
                client.leave_with_will()


@asynccontextmanager
async def _quietly(client: _Client) -> AsyncIterator[None]:
    """Connect, and leave without complaint: a farewell that fails must not take the place of why we leave."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(client)
        try:
            yield
        finally:
            with suppress(MqttError):
                await stack.aclose()
            client.take_note()


def _lost(error: MqttError) -> LinkLost:
    return LinkLost(LinkBroken(plain(str(error))))


async def _reason(error: MqttError, broker: Broker) -> Fact:
    """Return why a connection could not be made; where the error does not tell, who answers there is looked at."""
    if isinstance(error, MqttCodeError) and isinstance(error.rc, ReasonCode):
        return of_code(error.rc.value, str(error.rc), str(broker), broker.username)
    # aiomqtt puts its own error in the place of the system's, which stays its context.
    if isinstance(error.__context__, OSError) and not isinstance(error.__context__, TimeoutError):
        known = of_error(error.__context__, str(broker))
        if known is not None:
            return known
    return await of_peer(broker.host, broker.port, broker.tls(), str(broker), broker.username)
