"""From one sample rate to another, piece by piece, without a seam. Keeps state; knows no device.

soxr's quality "LQ" (16 bit, a wide transition band) is more than speech needs and comes within a few milliseconds;
"HQ" would hold back 20 to 35 ms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import soxr

if TYPE_CHECKING:
    from audio.clock import Sound


class Resampler:
    """Feed mono sound of one rate with `receive`; it returns as much of the other rate as is ready."""

    def __init__(self, from_rate: int, to_rate: int) -> None:
        self._ratio = to_rate / from_rate
        self._same = from_rate == to_rate
        self._stream = soxr.ResampleStream(from_rate, to_rate, 1, dtype="float32", quality="LQ")

    def receive(self, sound: Sound) -> Sound:
        """Take the next samples, shape [n]; give what is ready, shape [about n * to_rate / from_rate]."""
        return sound if self._same else cast("Sound", self._stream.resample_chunk(sound))

    @property
    def held_back(self) -> float:
        """Samples, of the rate that comes out, which were taken in and have not come out yet."""
        return 0.0 if self._same else float(self._stream.delay())
