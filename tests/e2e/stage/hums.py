"""Sounds that nobody means as words, made without a voice: hums, "uh-huh", laughs, coughs.

Pulses of a larynx or noise of a breath through the resonances of a closed mouth or an open one, as in Klatt, "Software
for a cascade/parallel formant synthesizer" (1980). Whisper hears them as what they are, more often than as words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from audio.clock import RATE, samples_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from audio.clock import Sound

_CLOSED: Final = ((270, 60), (1100, 200), (2100, 250))
"""Resonances of a hum: middle and width, Hz."""
_OPEN: Final = ((640, 90), (1190, 110), (2390, 160))
_THROAT: Final = ((900, 400), (1700, 500))
_LEVEL: Final = 0.08
SOUNDS: Final = ("mm-hm", "mm", "hm", "uh-huh", "laugh", "cough")
PITCHES_HZ: Final = (110, 200)


def sound_of(kind: str, pitch_hz: float) -> Sound:
    """Make one of `SOUNDS`, as loud as speech is."""
    chance = np.random.default_rng(round(pitch_hz))

    def voiced(start: float, end: float, ms: int, mouth: Sequence[tuple[int, int]]) -> Sound:
        pitch = np.linspace(start, end, samples_of(ms)) * pitch_hz
        pulses = np.diff(np.floor(np.cumsum(pitch / RATE)), prepend=0.0)
        return _shaped(_through(_softened(pulses), mouth), 40)

    def breath(ms: int, mouth: Sequence[tuple[int, int]]) -> Sound:
        return 0.12 * _shaped(_through(chance.standard_normal(samples_of(ms)), mouth), ms // 2)

    def burst() -> Sound:
        dying = np.exp(-np.arange(samples_of(90)) / samples_of(25))
        return _shaped(_through(chance.standard_normal(samples_of(90)) * dying, _THROAT), 2)

    match kind:
        case "mm-hm":
            parts = [voiced(1, 0.9, 200, _CLOSED), breath(60, _CLOSED), voiced(1.1, 1.3, 260, _CLOSED)]
        case "mm":
            parts = [voiced(1.05, 0.8, 420, _CLOSED)]
        case "hm":
            parts = [breath(70, _CLOSED), voiced(1, 0.85, 300, _CLOSED)]
        case "uh-huh":
            parts = [voiced(1, 0.95, 180, _OPEN), breath(80, _OPEN), voiced(1.1, 1.3, 240, _OPEN)]
        case "laugh":
            parts = [
                part for n in range(3) for part in (breath(80, _OPEN), voiced(1.4 - n / 14, 1.3 - n / 14, 110, _OPEN))
            ]
        case "cough":
            parts = [burst(), 0.4 * voiced(1, 0.8, 160, _OPEN), np.zeros(samples_of(40)), 0.8 * burst()]
        case _:
            raise ValueError(f"{kind}: there are {', '.join(SOUNDS)}")
    sound = np.concatenate(parts)
    return np.asarray(sound * _LEVEL / np.sqrt(np.mean(np.square(sound[sound != 0]))), np.float32)


def _filtered(sound: Sound, poles: Sequence[complex]) -> Sound:
    size = 4 * len(sound) + 4096
    turn = np.exp(-2j * np.pi * np.arange(size // 2 + 1) / size)
    answer = np.prod([1 - pole * turn for pole in poles], axis=0)
    return np.fft.irfft(np.fft.rfft(sound, size) / answer, size)[: len(sound)]


def _softened(pulses: Sound) -> Sound:
    return _filtered(pulses, [0.97])


def _through(sound: Sound, mouth: Sequence[tuple[int, int]]) -> Sound:
    poles = [np.exp((-width + sign * 2j * middle) * np.pi / RATE) for middle, width in mouth for sign in (1, -1)]
    return _filtered(sound, poles)


def _shaped(sound: Sound, edge_ms: int) -> Sound:
    edge = max(1, min(samples_of(edge_ms), len(sound) // 2))
    rise = np.ones(len(sound))
    rise[:edge], rise[-edge:] = np.linspace(0, 1, edge), np.linspace(1, 0, edge)
    return np.asarray(sound / np.abs(sound).max() * rise, np.float32)
