from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from audio.errors import NoDevice
from audio.io.loudspeaker import play
from audio.options import DeviceOptions


class PortAudioError(Exception):
    """As the library's own."""


@dataclass
class Card:
    """What of sounddevice is used."""

    default: Any = field(default_factory=lambda: SimpleNamespace(device=[0, 1]))
    broken: bool = False
    played: list[tuple[int, int, int]] = field(default_factory=list)
    PortAudioError = PortAudioError

    def query_devices(self) -> list[dict[str, object]]:
        return [
            {"name": "mic", "max_output_channels": 0, "default_samplerate": 16_000.0},
            {"name": "box", "max_output_channels": 2, "default_samplerate": 48_000.0},
            {"name": "phones", "max_output_channels": 2, "default_samplerate": 44_100.0},
        ]

    def play(self, sound: np.ndarray, rate: int, *, device: int, blocking: bool) -> None:
        assert blocking
        assert np.abs(sound).max() <= 1.0
        if self.broken:
            raise PortAudioError("device  busy")
        self.played.append((device, rate, len(sound)))


SECOND = np.full(24_000, 8000, np.int16)


def test_a_sound_is_played_at_the_rate_of_the_device_that_is_named() -> None:
    card = Card()
    play(SECOND, 24_000, DeviceOptions(), card)
    play(SECOND, 24_000, DeviceOptions(output="phones"), card)
    assert card.played == [(1, 48_000, 48_000), (2, 44_100, 44_100)]


def test_what_keeps_it_from_sounding_is_told() -> None:
    with pytest.raises(NoDevice, match="there is no loudspeaker called 'horn'"):
        play(SECOND, 24_000, DeviceOptions(output="horn"), Card())
    with pytest.raises(NoDevice, match=r"cannot be used \(device busy\)"):
        play(SECOND, 24_000, DeviceOptions(), Card(broken=True))
    with pytest.raises(NoDevice, match=r"--output FILE\.wav"):
        play(SECOND, 24_000, DeviceOptions(), Card(default=SimpleNamespace(device=[0, -1])))
