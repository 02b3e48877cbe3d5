"""A ring of samples between a device's thread and the rest: one writer, one reader, no lock, no allocation.

Both sides only move a counter of their own, after the samples are in place; the other side may see it late, never
early. Knows nothing of devices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from audio.clock import Sound


class Ring:
    """Holds up to `capacity` samples."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._data = np.zeros(capacity, np.float32)
        self._written = 0
        self._read = 0

    @property
    def fill(self) -> int:
        """Samples that wait to be taken."""
        return self._written - self._read

    def put(self, sound: Sound) -> int:
        """Append what fits, and return how many samples that were. The writer's side."""
        count = min(len(sound), self.capacity - self.fill)
        at = self._written % self.capacity
        first = min(count, self.capacity - at)
        self._data[at : at + first] = sound[:first]
        self._data[: count - first] = sound[first:count]
        self._written += count
        return count

    def take(self, into: Sound) -> int:
        """Fill the beginning of `into`, and return how many samples that were. The reader's side."""
        count = min(len(into), self.fill)
        at = self._read % self.capacity
        first = min(count, self.capacity - at)
        into[:first] = self._data[at : at + first]
        into[first:count] = self._data[: count - first]
        self._read += count
        return count

    def fade_out(self, fade: Sound) -> None:
        """Multiply what waits by `fade`, and silence what lies behind that. The writer's side, while the other reads.

        A sample that is read meanwhile is heard as it was: nothing is torn.
        """
        read, written = self._read, self._written
        for start, end, gains in (
            (read, min(written, read + len(fade)), fade),
            (read + len(fade), written, None),
        ):
            position = start
            while position < end:
                at = position % self.capacity
                count = min(end - position, self.capacity - at)
                gain = np.float32(0) if gains is None else gains[position - start : position - start + count]
                self._data[at : at + count] *= gain
                position += count
