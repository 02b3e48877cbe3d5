"""Why a broker could not be reached: from the error that the library gives, or by a look at what answers there.

The library tells nothing of a peer that answers in another protocol, or not at all. So a second, bare connection sends
the opening of MQTT 5 and reads how the answer begins. It sends no password.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from robots.facts.link import (
    BrokerRefuses,
    BrokerSilent,
    BrokerUnreachable,
    CertificateRefused,
    ClosesAtOnce,
    HostUnknown,
    LoginMissing,
    LoginRefused,
    NobodyListens,
    NoMqtt5,
    NotMqtt,
    TlsFailed,
    TlsUnknown,
    TlsWanted,
)
from robots.untrusted import plain

if TYPE_CHECKING:
    from robots.facts.fact import Fact

LOOK_S: Final = 1.0
"""How long the look at an unknown peer may take, s."""
_OPENING: Final = bytes.fromhex("100d 0004 4d515454 05 02 000a 00 0000")
"""CONNECT of MQTT 5 without a name, a password or a will: clean start, keepalive 10 s."""
_CONNACK: Final = 0x20
_TLS_RECORDS: Final = frozenset({0x15, 0x16})
_NOT_TLS: Final = frozenset({"WRONG_VERSION_NUMBER", "UNEXPECTED_EOF_WHILE_READING", "RECORD_LAYER_FAILURE"})
_TOLD: Final = 24
"""Most characters of a foreign protocol that are told."""
_V3_VERSION: Final = 1
_V3_LOGIN: Final = frozenset({4, 5})
_VERSION: Final = 0x84
_LOGIN: Final = frozenset({0x86, 0x87, 0x8C})
"""Bad user name or password, not authorized, bad authentication method."""


def of_error(error: BaseException | None, broker: str) -> Fact | None:  # noqa: PLR0911 - a table
    """Return what an error of the operating system or of TLS means; None: it is neither."""
    match error:
        case ssl.SSLCertVerificationError(verify_message=str(cause)):
            return CertificateRefused(broker, plain(cause))
        case ssl.SSLError(reason=reason) if reason in _NOT_TLS:
            return TlsUnknown(broker)
        case ssl.SSLError():
            return TlsFailed(broker, plain(error.reason or str(error)))
        case socket.gaierror() | UnicodeError():
            return HostUnknown(broker)
        case ConnectionRefusedError():
            return NobodyListens(broker)
        case ConnectionResetError() | BrokenPipeError():
            return ClosesAtOnce(broker)
        case TimeoutError():
            return BrokerSilent(broker)
        case OSError(errno=int(number)):
            return BrokerUnreachable(broker, os.strerror(number))
        case OSError():
            return BrokerUnreachable(broker, plain(str(error)))
        case _:
            return None


def of_code(code: int, words: str, broker: str, user: str | None) -> Fact:
    """Return what the reason code of a CONNACK means (MQTT 5, 3.2.2.2; MQTT 3.1.1, 3.2.2.3)."""
    if code in {_VERSION, _V3_VERSION}:
        return NoMqtt5(broker)
    if code in _LOGIN | _V3_LOGIN:
        return LoginRefused(broker, plain(user)) if user else LoginMissing(broker)
    return BrokerRefuses(broker, words)


async def of_peer(host: str, port: int, context: ssl.SSLContext | None, broker: str, user: str | None) -> Fact:
    """Look what answers at an address; takes twice `LOOK_S` at most."""
    try:
        async with asyncio.timeout(LOOK_S):
            found = _meaning(await _answer(host, port, context), broker, user)
    except (OSError, UnicodeError) as error:
        found = of_error(error, broker) or BrokerSilent(broker)
    # Mosquitto resets a connection on which TLS was expected.
    if isinstance(found, ClosesAtOnce) and context is None and await _speaks_tls(host, port):
        return TlsWanted(broker)
    return found


async def _speaks_tls(host: str, port: int) -> bool:
    """Whether TLS can be agreed upon, whoever that is: nothing is sent there."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with suppress(OSError):
        async with asyncio.timeout(LOOK_S):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
        writer.transport.abort()
        return True
    return False


async def _answer(host: str, port: int, context: ssl.SSLContext | None) -> bytes:
    reader, writer = await asyncio.open_connection(host, port, ssl=context)
    try:
        writer.write(_OPENING)
        return await reader.read(64)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def _meaning(answer: bytes, broker: str, user: str | None) -> Fact:
    match list(answer):
        case []:
            return ClosesAtOnce(broker)
        case [first, _, _, code, *_] if first == _CONNACK and code:
            return of_code(code, f"{code:#04x}", broker, user)
        case [first, *_] if first == _CONNACK:
            # It lets strangers in, and has not answered us in time.
            return BrokerSilent(broker)
        case [first, 3, *_] if first in _TLS_RECORDS:
            return TlsWanted(broker)
        case _:
            return NotMqtt(broker, plain(answer.decode("ascii", "replace"), _TOLD))
