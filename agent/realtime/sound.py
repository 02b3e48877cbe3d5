"""Sound between the wire and the agent: 24 kHz PCM or 8 kHz G.711 there, 16 kHz floats for the ears here.

Resamplers keep their state across pieces, so that cutting a stream into appends makes no clicks. G.711 after ITU-T
recommendation G.711 (1988): tables for decoding, and the nearest table value for encoding.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import soxr

from agent.realtime.protocol.fields import Alaw, Mulaw, Pcm
from audio.clock import RATE, Sound
from audio.clock import Pcm as PcmSound

_RATES: Final = {"audio/pcm": 24_000, "audio/pcmu": 8_000, "audio/pcma": 8_000}


def _mulaw_table() -> npt.NDArray[np.int16]:
    code = ~np.arange(256, dtype=np.uint8)
    exponent, mantissa = (code >> 4) & 7, code & 15
    size = (((mantissa.astype(np.int32) << 3) + 0x84) << exponent) - 0x84
    return np.where(code & 0x80, -size, size).astype(np.int16)


def _alaw_table() -> npt.NDArray[np.int16]:
    code = np.arange(256, dtype=np.uint8) ^ 0x55
    exponent, mantissa = ((code >> 4) & 7).astype(np.int32), (code & 15).astype(np.int32)
    low = (mantissa << 4) + 8
    size = np.where(exponent == 0, low, (low + 0x100) << np.maximum(exponent - 1, 0))
    return np.where(code & 0x80, size, -size).astype(np.int16)


_TABLES: Final = {"audio/pcmu": _mulaw_table(), "audio/pcma": _alaw_table()}
_ORDERS: Final = {name: np.argsort(table, kind="stable") for name, table in _TABLES.items()}


class Incoming:
    """Bytes of one stream in, sound for the ears out."""

    def __init__(self, form: Pcm | Mulaw | Alaw) -> None:
        self.form = form
        self._resampler = soxr.ResampleStream(_RATES[form.type], RATE, 1, dtype="float32", quality="HQ")

    @property
    def rate(self) -> int:
        """Samples per second on the wire."""
        return _RATES[self.form.type]

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample on the wire."""
        return 2 if self.form.type == "audio/pcm" else 1

    def receive(self, sound: bytes) -> Sound:
        """Take the next bytes (whole samples)."""
        if self.form.type == "audio/pcm":
            samples = np.frombuffer(sound, "<i2")
        else:
            samples = _TABLES[self.form.type][np.frombuffer(sound, np.uint8)]
        return np.asarray(self._resampler.resample_chunk(samples.astype(np.float32) / 32768), np.float32)


class Outgoing:
    """Clips of the voice in, bytes of the output format out."""

    def __init__(self, form: Pcm | Mulaw | Alaw, rate: int) -> None:
        self.form, self._from = form, rate

    @property
    def rate(self) -> int:
        """Samples per second on the wire."""
        return _RATES[self.form.type]

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample on the wire."""
        return 2 if self.form.type == "audio/pcm" else 1

    def convert(self, samples: PcmSound) -> bytes:
        """Convert one clip; clips begin and end in silence, so that each stands for itself."""
        if not len(samples):
            return b""
        sound = np.asarray(soxr.resample(samples, self._from, self.rate, quality="HQ"), np.int16)
        if self.form.type == "audio/pcm":
            return sound.astype("<i2").tobytes()
        return _encoded(sound, self.form.type)


def _encoded(sound: PcmSound, name: str) -> bytes:
    order = _ORDERS[name]
    values = _TABLES[name][order].astype(np.int32)
    above = np.clip(np.searchsorted(values, sound), 1, len(values) - 1)
    nearer_below = sound - values[above - 1] <= values[above] - sound
    return bytes(order[np.where(nearer_below, above - 1, above)].astype(np.uint8))
