"""A real Mosquitto on private loopback ports, with passwords, an access list and TLS; killed and started by its pid."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from robots.transport.mqtt import Broker

PROGRAM = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
PASSWORDS = {"agent": "s3cret", "robot": "s3cret2", "watcher": "s3cret3"}
ACCESS = """
user agent
topic read uagv/#
topic write uagv/+/acme/R1/order
topic write uagv/+/acme/R1/instantActions
user robot
topic readwrite uagv/#
user watcher
topic readwrite #
"""


def until_open(port: int, seconds: float = 10.0) -> None:
    """Wait until somebody listens on a port of this machine; `TimeoutError` if nobody does."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise TimeoutError(f"nobody listens on port {port}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Mosquitto:
    folder: Path
    port: int = field(default_factory=free_port)
    tls_port: int = field(default_factory=free_port)
    mutual_port: int = field(default_factory=free_port)
    """TLS with client certificates."""
    process: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        """Write certificates, passwords, access list and configuration."""
        run = self._run
        run("openssl req -x509 -newkey rsa:2048 -nodes -days 30 -keyout ca.key -out ca.crt -subj /CN=test-ca")
        for name in ("server", "agent"):
            run(f"openssl req -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}")
            (self.folder / "san").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
            run(
                f"openssl x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 "
                f"-extfile san -out {name}.crt"
            )
        for user, password in PASSWORDS.items():
            (self.folder / f"{user}.password").write_text(password + "\n")
            new = "" if (self.folder / "passwd").exists() else "-c"
            run(f"mosquitto_passwd {new} -b passwd {user} {password}")
        self.allow(ACCESS)

    def configure(self) -> None:
        (self.folder / "broker.conf").write_text(
            f"""per_listener_settings false
user {os.environ.get("USER") or "root"}
persistence false
allow_anonymous false
password_file {self.folder}/passwd
acl_file {self.folder}/acl
log_dest stderr
log_type all
listener {self.port} 127.0.0.1
listener {self.tls_port} 127.0.0.1
cafile {self.folder}/ca.crt
certfile {self.folder}/server.crt
keyfile {self.folder}/server.key
listener {self.mutual_port} 127.0.0.1
cafile {self.folder}/ca.crt
certfile {self.folder}/server.crt
keyfile {self.folder}/server.key
require_certificate true
use_identity_as_username true
"""
        )

    def allow(self, access: str) -> None:
        (self.folder / "acl").write_text(access)

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([PROGRAM, "-c", str(self.folder / "broker.conf")], stdout=log, stderr=log)
        try:
            until_open(self.port)
        except TimeoutError as error:
            raise RuntimeError(f"mosquitto did not start: {self.log()}") from error

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal to this broker and, where that ends it, wait for its end."""
        assert self.process is not None
        self.process.send_signal(number)
        if number in {signal.SIGKILL, signal.SIGTERM}:
            self.process.wait(5)

    def frozen(self) -> bool:
        """Whether a SIGSTOP has taken effect."""
        assert self.process is not None
        return Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def by_certificate(self) -> Broker:
        """The user whom the certificate names: agent."""
        return Broker(
            "127.0.0.1",
            self.mutual_port,
            ca_file=self.folder / "ca.crt",
            cert_file=self.folder / "agent.crt",
            key_file=self.folder / "agent.key",
        )

    def as_user(self, user: str, *, tls: bool = False) -> Broker:
        return Broker(
            "127.0.0.1",
            self.tls_port if tls else self.port,
            username=user,
            password_file=self.folder / f"{user}.password",
            ca_file=self.folder / "ca.crt" if tls else None,
        )

    def _run(self, command: str) -> None:
        subprocess.run(command.split(), cwd=self.folder, check=True, capture_output=True)
