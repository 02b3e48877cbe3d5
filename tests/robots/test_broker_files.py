"""What docs/robots.md and deploy/mosquitto.conf say of a broker, done with a real one."""

from __future__ import annotations

import gc
import os
import re
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from robots.errors import LinkLost
from robots.facts.link import CertificateRefused, TlsWanted
from robots.protocols.vda5050.codec import MAX_PAYLOAD_BYTES
from robots.transport.mqtt import Broker, connect
from tests.robots.stage.mosquitto import PROGRAM, free_port, until_open

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.broker
ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs" / "robots.md").read_text()
MOST = re.compile(r"^max_packet_size (\d+)$", re.MULTILINE)


@contextmanager
def mosquitto(folder: Path, configuration: str, port: int) -> Iterator[None]:
    # Started by root it would become another user, who cannot read pytest's folder.
    user = os.environ.get("USER") or "root"
    (folder / "broker.conf").write_text(f"user {user}\nallow_anonymous true\n{configuration}\n")
    process = subprocess.Popen([PROGRAM, "-c", str(folder / "broker.conf")], stderr=subprocess.DEVNULL)
    try:
        until_open(port)
        yield
    finally:
        process.terminate()
        process.wait(10)


def block(language: str, first: str) -> str:
    """The block of the document that begins with a word."""
    (found,) = (text for text in re.findall(rf"```{language}\n(.*?)```", DOCS, re.DOTALL) if text.startswith(first))
    return str(found)


def run(commands: str, folder: Path) -> None:
    subprocess.run(["/bin/bash", "-e", "-c", commands], cwd=folder, check=True, capture_output=True)


# paho leaves the socket of a refused TLS handshake to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
async def test_the_certificates_of_the_document_let_in_by_tls_and_only_so(tmp_path: Path) -> None:
    commands = block("bash", "openssl").replace("broker.example", "localhost").replace("192.0.2.10", "127.0.0.1")
    strange = "openssl req -x509 -newkey rsa:2048 -nodes -days 3 -keyout strange.key -out strange.crt -subj /CN=strange"
    run(f"{commands}\n{strange}", tmp_path)
    port = free_port()
    listener = block("conf", "listener").replace("8883", f"{port} 127.0.0.1").replace("/mosquitto/certs", str(tmp_path))
    with mosquitto(tmp_path, listener, port):
        async with connect(Broker("127.0.0.1", port, ca_file=tmp_path / "ca.crt"), identifier="a") as connection:
            await connection.publish("descant/test", b"1")
        for broker, told in (
            (Broker("127.0.0.1", port), TlsWanted),
            (Broker("127.0.0.1", port, ca_file=tmp_path / "strange.crt"), CertificateRefused),
        ):
            with pytest.raises(LinkLost) as caught:
                async with connect(broker, identifier="b"):
                    pass
            assert isinstance(caught.value.fact, told), caught.value
            del caught
    # What paho left, here and not in the next test.
    gc.collect()


async def test_a_message_that_nobody_reads_is_not_kept_by_the_broker(tmp_path: Path) -> None:
    found = MOST.search((ROOT / "deploy" / "mosquitto.conf").read_text())
    assert found is not None
    port = free_port()
    with mosquitto(tmp_path, f"listener {port} 127.0.0.1\n{found[0]}", port):
        broker = Broker("127.0.0.1", port)
        async with connect(broker, identifier="robot") as connection:
            await connection.publish("uagv/v2/acme/R1/factsheet", b"x" * MAX_PAYLOAD_BYTES, retain=True)
        with pytest.raises(LinkLost):
            async with connect(broker, identifier="robot") as connection:
                await connection.publish("uagv/v2/acme/R1/state", b"x" * 2 * MAX_PAYLOAD_BYTES, retain=True)
        async with connect(broker, identifier="reader") as connection:
            await connection.subscribe("uagv/#", qos=1)
            message = await anext(aiter(connection.messages()))
        assert (message.topic, len(message.payload)) == ("uagv/v2/acme/R1/factsheet", MAX_PAYLOAD_BYTES)
