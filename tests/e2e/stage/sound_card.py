"""A virtual sound card: PulseAudio with a microphone and a loudspeaker of air, in a folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

_SETUP = """
load-module module-native-protocol-unix auth-anonymous=1 socket={folder}/s
load-module module-null-sink sink_name=mic rate=48000 channels=1 norewinds=1
load-module module-null-sink sink_name=spk rate=48000 channels=1 norewinds=1
load-module module-remap-source master=mic.monitor source_name=usbmic channels=1 remix=no
set-default-sink spk
set-default-source usbmic
"""
NEEDED = ("pulseaudio", "pactl", "paplay", "parecord")


class VirtualCard:
    """`with` starts it. What is played to the sink `mic` is what the microphone `usbmic` hears."""

    def __enter__(self) -> Self:
        # A socket's path must be short.
        self.folder = Path(tempfile.mkdtemp(prefix="pa", dir="/tmp"))
        (self.folder / "setup.pa").write_text(_SETUP.format(folder=self.folder))
        self.environment = {
            **os.environ,
            "PULSE_SERVER": f"unix:{self.folder}/s",
            "PULSE_RUNTIME_PATH": f"{self.folder}/pulse",
            "PULSE_SINK": "spk",
            "PULSE_SOURCE": "usbmic",
        }
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        """Plug it in."""
        with (self.folder / "log").open("w") as log:
            self._server = subprocess.Popen(
                [
                    *("pulseaudio", "-n", "-F", str(self.folder / "setup.pa"), "--daemonize=no"),
                    *("--exit-idle-time=-1", "--use-pid-file=no", "--disallow-exit", "--log-target=stderr"),
                ],
                stderr=log,
                env={**self.environment, "HOME": str(self.folder)},
            )
        deadline = time.monotonic() + 10
        while self.run("pactl", "info").returncode:
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            time.sleep(0.05)

    def kill(self) -> None:
        """Pull it out."""
        self._server.kill()
        self._server.wait()

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the card's."""
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)

    def spawn(self, *command: str) -> subprocess.Popen[str]:
        """Start a program beside the test."""
        return subprocess.Popen(
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
