from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from agent.apps.doctor import Verdict
from agent.apps.echo_check import check_echo
from audio.clock import Sound
from audio.options import DeviceOptions
from tests.audio.io.test_devices import BUILT_IN, PaperPortAudio

pytest.importorskip("pywebrtc_audio")


class Room:
    """A device in a room with an echo, that turns as fast as it is served."""

    def __init__(self, loudness: float) -> None:
        self.portaudio = PaperPortAudio(BUILT_IN)
        self._loudness = loudness
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._turn)

    def __enter__(self) -> PaperPortAudio:
        self._thread.start()
        return self.portaudio

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _turn(self) -> None:
        late: Sound = np.zeros(4800, np.float32)
        chance = np.random.default_rng(0)
        while not self._over.is_set():
            if self.portaudio.stream is None or not self.portaudio.stream.active:
                time.sleep(0.001)
                continue
            noise = 1e-5 * chance.standard_normal(480).astype(np.float32)
            played = self.portaudio.turn(late[:480] + noise)
            late = np.concatenate((late[480:], self._loudness * played))
            time.sleep(0.001)


async def test_an_echo_is_measured_and_cancelled() -> None:
    with Room(0.1) as portaudio:
        finding = await check_echo(DeviceOptions(), portaudio)
    assert finding.verdict is Verdict.GOOD
    assert "return loss 2" in finding.found or "return loss 19" in finding.found
    assert "cancelled by another" in finding.found


async def test_headphones_are_told() -> None:
    with Room(0.0) as portaudio:
        finding = await check_echo(DeviceOptions(), portaudio)
    assert finding.found.startswith("the microphone does not hear the loudspeaker")
