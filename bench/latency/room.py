"""A room with one sound card, simulated: a virtual user speaks into its microphone, which also hears the loudspeaker.

Stands in for the module `sounddevice`, so that everything from the device's thread on is the real thing, in real time.
Keeps what was said and what was played on one axis of samples: the truth that the benchmark measures against. Knows
neither words nor turns.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from audio.clock import RATE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from audio.clock import Sound

_DELAY_S: Final = 0.03
"""Seconds that sound takes from the loudspeaker's buffer to the microphone's."""


class RoomError(Exception):
    """What this library raises; stands for `PortAudioError`."""


@dataclass(slots=True)
class Room:
    """One room; `Stream` opens its sound card."""

    echo_db: float = -20.0
    """Level of the loudspeaker at the microphone, in dB."""
    noise: float = 0.0
    """Level of the background noise (RMS, 0..1)."""
    seed: int = 0
    said: list[Sound] = field(default_factory=list)
    """What the user said, without echo and noise, block by block since the start."""
    played: list[Sound] = field(default_factory=list)
    """What the loudspeaker played, the same."""
    now: int = 0
    """Samples since the start."""
    _saying: Sound = field(default_factory=lambda: np.zeros(0, np.float32))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    PortAudioError = RoomError
    default = SimpleNamespace(device=(0, 0))

    def say(self, sound: Sound) -> int:
        """Let the user begin to speak at once; return the sample of the axis at which that is."""
        with self._lock:
            self._saying = sound
            return self.now

    @property
    def talking(self) -> bool:
        """Whether the user is still speaking."""
        return len(self._saying) > 0

    # --- what sounddevice offers ---

    def query_devices(self) -> list[Mapping[str, Any]]:
        """Name the one device."""
        return [
            {"name": "room", "max_input_channels": 1, "max_output_channels": 1, "default_samplerate": float(RATE)},
        ]

    def check_input_settings(self, *, samplerate: float, **_: object) -> None:
        """Refuse every rate but one."""
        if samplerate != RATE:
            raise RoomError(f"this room knows {RATE} Hz only")

    check_output_settings = check_input_settings

    def Stream(self, *, blocksize: int, callback: Callable[..., None], **_: object) -> RoomStream:  # noqa: N802 - as there
        """Open the stream."""
        return RoomStream(self, blocksize, callback)

    def _initialize(self) -> None:
        """List devices anew: there is always this one."""

    _terminate = _initialize

    def exchange(self, played: Sound) -> Sound:
        """Let a block sound; give what the microphone records meanwhile."""
        with self._lock:
            count = len(played)
            said = np.zeros(count, np.float32)
            said[: len(self._saying)] = self._saying[:count]
            self._saying = self._saying[count:]
            self.said.append(said)
            self.played.append(played.copy())
            self.now += count
        late = round(_DELAY_S * RATE / count)
        echo = self.played[-1 - late] if len(self.played) > late else np.zeros(count, np.float32)
        chance = np.random.default_rng((self.seed, len(self.played)))
        noise = chance.standard_normal(count).astype(np.float32) * np.float32(self.noise)
        return np.asarray(said + echo * 10 ** (self.echo_db / 20) + noise, np.float32)


class RoomStream:
    """The open sound card: a thread that calls back every block, by the wall clock."""

    latency = (0.01, 0.01)

    def __init__(self, room: Room, blocksize: int, callback: Callable[..., None]) -> None:
        self._room, self._blocksize, self._callback = room, blocksize, callback
        self._thread = threading.Thread(target=self._run, name="room", daemon=True)
        self.active = False

    def start(self) -> None:
        """Begin."""
        self.active = True
        self._thread.start()

    def abort(self) -> None:
        """End."""
        self.active = False
        self._thread.join()

    def close(self) -> None:
        """Do nothing more."""

    def _run(self) -> None:
        status = SimpleNamespace(input_overflow=False, output_underflow=False)
        at = SimpleNamespace(inputBufferAdcTime=0.0, currentTime=0.0, outputBufferDacTime=self.latency[1])
        start, blocks = time.monotonic(), 0
        recorded = np.zeros((self._blocksize, 1), np.float32)
        played = np.zeros((self._blocksize, 1), np.float32)
        while self.active:
            self._callback(recorded, played, self._blocksize, at, status)
            recorded[:, 0] = self._room.exchange(played[:, 0])
            blocks += 1
            time.sleep(max(0.0, start + blocks * self._blocksize / RATE - time.monotonic()))
