"""Why there is no connection: told for each kind of peer, by what it really answers on the loopback."""

from __future__ import annotations

import asyncio
import gc
import ssl
import subprocess
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from agent.robot.access import look
from robots.errors import BadSetting, LinkLost
from robots.events import Happening
from robots.facts.fitness import NoLink
from robots.facts.link import (
    BrokerRefuses,
    BrokerSilent,
    CertificateRefused,
    ClosesAtOnce,
    HostUnknown,
    LoginMissing,
    LoginRefused,
    NobodyListens,
    NoMqtt5,
    NotMqtt,
    TlsUnknown,
    TlsWanted,
)
from robots.options import RobotOptions
from robots.protocols.vda5050.adapter import Vda5050Adapter
from robots.protocols.vda5050.codec import Address
from robots.session import stop_robot
from robots.transport import reasons
from robots.transport.connection import broker_of
from robots.transport.mqtt import Broker, connect
from tests.robots.stage.live import write_map
from tests.robots.stage.mosquitto import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from robots.facts.fact import Fact
    from tests.robots.stage.mosquitto import Mosquitto

HTTP = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
WELCOME = b"\x20\x03\x00\x00\x00"


@asynccontextmanager
async def peer(answer: bytes | None, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Somebody who answers each connection with the same bytes and closes; None: says nothing and stays."""
    held: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)
        if answer is not None:
            await reader.read(4096)
            writer.write(answer)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in held:
            writer.close()


def make_certificates(folder: Path, *names: str) -> None:
    for name in names:
        command = f"openssl req -x509 -newkey rsa:2048 -nodes -days 3 -keyout {name}.key -out {name}.crt -subj /CN=x"
        subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)


async def why(broker: Broker) -> Fact:
    with pytest.raises(LinkLost) as caught:
        async with connect(broker, identifier="test"):
            pass
    return caught.value.fact


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"\x20\x02\x00\x01", NoMqtt5("{}")),
        (b"\x20\x03\x00\x84\x00", NoMqtt5("{}")),
        (b"\x20\x02\x00\x05", LoginMissing("{}")),
        (b"\x20\x03\x00\x86\x00", LoginMissing("{}")),
        (b"\x20\x03\x00\x87\x00", LoginMissing("{}")),
        (b"\x20\x03\x00\x89\x00", BrokerRefuses("{}", "Server busy")),
        (HTTP, NotMqtt("{}", "HTTP/1.1 400 Bad Request")),
        (b"SSH-2.0-OpenSSH_9.6\r\n", NotMqtt("{}", "SSH-2.0-OpenSSH_9.6")),
        (b"\x15\x03\x03\x00\x02\x02\x32", TlsWanted("{}")),
        (b"", ClosesAtOnce("{}")),
    ],
)
async def test_who_answers_otherwise_than_a_broker_is_told(answer: bytes, told: Fact) -> None:
    async with peer(answer) as port:
        begun = asyncio.get_running_loop().time()
        found = await why(Broker("127.0.0.1", port))
        assert asyncio.get_running_loop().time() - begun < 4, "aiomqtt's own timeout was waited for"
    assert found.code == told.code
    assert dict(found.items()) == dict(told.items()) | {"broker": f"127.0.0.1:{port}"}


async def test_a_user_who_is_not_let_in_is_named(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("wrong")
    async with peer(b"\x20\x03\x00\x87\x00") as port:
        broker = Broker("127.0.0.1", port, username="agent", password_file=tmp_path / "password")
        assert await why(broker) == LoginRefused(str(broker), "agent")


async def test_nobody_and_an_unknown_host_are_told() -> None:
    broker = Broker("127.0.0.1", free_port())
    assert await why(broker) == NobodyListens(str(broker))
    assert isinstance(await why(Broker("no-such-host.invalid", 1883)), HostUnknown)
    # A label of a name has 63 letters at most: the codec of names complains before any resolver.
    assert isinstance(await why(Broker("x" * 70, 1883)), HostUnknown)


async def test_who_takes_the_connection_and_says_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reasons, "LOOK_S", 0.1)
    async with peer(None) as port:
        found = await reasons.of_peer("127.0.0.1", port, None, "h:1", None)
    assert found == BrokerSilent("h:1")
    async with peer(WELCOME) as port:
        found = await reasons.of_peer("127.0.0.1", port, None, "h:1", None)
    assert found == BrokerSilent("h:1")


# paho leaves the socket of a refused TLS handshake to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
async def test_tls_on_one_side_alone_and_a_strange_authority_are_told(tmp_path: Path) -> None:
    make_certificates(tmp_path, "server", "other")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
    async with peer(HTTP) as port:
        assert isinstance(await why(Broker("127.0.0.1", port, ca_file=tmp_path / "other.crt")), TlsUnknown)
    async with peer(WELCOME, context) as port:
        assert isinstance(await why(Broker("127.0.0.1", port, ca_file=tmp_path / "other.crt")), CertificateRefused)
        assert await why(Broker("127.0.0.1", port)) == TlsWanted(f"127.0.0.1:{port}")
    # What paho left, here and not in the next test.
    gc.collect()


@pytest.mark.parametrize(
    ("given", "mend"),
    [
        ("mqtt://127.0.0.1:1883", "write 127.0.0.1:1883"),
        ("mqtt://broker", "write broker:1883"),
        ("mqtts://me:secret@broker:8883/x", "write broker:8883; robot.ca_file"),
        ("wss://broker:443/mqtt", "web sockets are not spoken"),
        ("broker", "write HOST:PORT"),
        ("broker:1883/x", "write HOST:PORT"),
        ("me:secret@broker:1883", "write HOST:PORT"),
        ("broker:" + "9" * 5000, "write HOST:PORT"),
        ("broker:0", "write HOST:PORT"),
        ("bro ker:1883", "write HOST:PORT"),
    ],
)
def test_what_is_no_host_and_port_is_refused_with_what_to_write(given: str, mend: str) -> None:
    with pytest.raises(BadSetting) as caught:
        broker_of(RobotOptions(broker=given))
    assert mend in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_number_of_the_newer_internet_is_a_host() -> None:
    assert broker_of(RobotOptions(broker="[::1]:1883")).host == "::1"


async def test_a_look_and_a_stop_say_why_there_is_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.robot.access.READY_S", 1.0)
    async with peer(HTTP) as port:
        address = f"127.0.0.1:{port}"
        seen = await look(RobotOptions(broker=address))
        event = await stop_robot(Vda5050Adapter(Broker("127.0.0.1", port), Address("acme", "R1")))
    assert f"{address} is no MQTT broker" in seen.broker
    assert f"{address} is no MQTT broker" in seen.command
    assert event.happening is Happening.UNCONFIRMED
    assert event.reason == NoLink(NotMqtt(address, "HTTP/1.1 400 Bad Request"))


@pytest.mark.broker
async def test_a_real_broker_that_lets_nobody_in_or_wants_tls_is_told(mosquitto: Mosquitto) -> None:
    assert isinstance(await why(Broker("127.0.0.1", mosquitto.port)), LoginMissing)
    assert isinstance(await why(Broker("127.0.0.1", mosquitto.tls_port)), TlsWanted)


@pytest.mark.broker
def test_the_command_line_says_why(mosquitto: Mosquitto) -> None:
    def ran(*arguments: str) -> str:
        program = [sys.executable, "-m", "tests.robots.stage.descant", "robot", *arguments]
        found = subprocess.run(program, capture_output=True, text=True, timeout=120, check=False)
        assert found.returncode == 1
        assert "internal error" not in found.stderr
        return found.stdout

    strange = ("--broker", f"127.0.0.1:{mosquitto.port}")
    wanted = "wants a user and a password: set robot.user and robot.password_file"
    assert wanted in ran("state", *strange)
    assert wanted in ran("stop", *strange)
    assert wanted in ran("resume", *strange, "--yes", "--map", str(write_map(mosquitto.folder)))
