"""The listener's time axis: which sample is heard when, silence included. Counts samples; has no clock, plays nothing.

Clips are queued with a generation number; a flush drops what was not played of that generation and the older ones,
and what still arrives for them. Used for `talk --output`, and by every shell that has a real listener.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from audio.messages import Clip, ClipEnded, ClipStarted, Kind, PlayoutEvent

if TYPE_CHECKING:
    from audio.clock import Pcm


@dataclass(slots=True)
class _Queued:
    number: int
    clip: Clip
    kind: Kind
    generation: int
    played: int = 0


class Playout:
    """Queue clips, and let time pass with `advance`."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        """Samples per second of the axis; every clip must have it."""
        self.now = 0
        """Where on the axis the listener is, in samples."""
        self.played = 0
        """Samples of clips that were heard in all: the time axis without its silences."""
        self._queue: deque[_Queued] = deque()
        self._flushed: int | None = None
        self._count = 0

    def queue(self, clip: Clip, kind: Kind, generation: int) -> int | None:
        """Append a clip. Return its number, or None if its generation was flushed already.

        Raises ValueError if the clip has another rate.
        """
        if clip.rate != self.rate:
            raise ValueError(f"a clip of {clip.rate} Hz cannot be played at {self.rate} Hz")
        if self._flushed is not None and generation <= self._flushed:
            return None
        self._count += 1
        self._queue.append(_Queued(self._count, clip, kind, generation))
        return self._count

    @property
    def unplayed(self) -> int:
        """Samples that wait to be heard."""
        return sum(len(item.clip.samples) - item.played for item in self._queue)

    def advance(self, to_sample: int) -> tuple[Pcm, list[PlayoutEvent]]:
        """Let time pass up to `to_sample` of the axis: what is heard until then, and what happened."""
        heard = np.zeros(max(0, to_sample - self.now), np.int16)
        events: list[PlayoutEvent] = []
        start = self.now
        while self._queue and self.now < to_sample:
            item = self._queue[0]
            if not item.played:
                events.append(ClipStarted(item.number, item.clip.text, item.kind, self.now))
            part = item.clip.samples[item.played : item.played + to_sample - self.now]
            heard[self.now - start : self.now - start + len(part)] = part
            item.played += len(part)
            self.now += len(part)
            self.played += len(part)
            if item.played == len(item.clip.samples):
                self._queue.popleft()
                events.append(self._ended(item))
        self.now = max(self.now, to_sample)
        return heard, events

    def flush(self, generation: int) -> list[PlayoutEvent]:
        """Drop what was not heard yet of this generation and the older ones. A clip that is being heard is cut off."""
        self._flushed = generation if self._flushed is None else max(generation, self._flushed)
        dropped = [item for item in self._queue if item.generation <= generation]
        self._queue = deque(item for item in self._queue if item.generation > generation)
        return [self._ended(item) for item in dropped if item.played]

    def _ended(self, item: _Queued) -> ClipEnded:
        complete = item.played == len(item.clip.samples)
        return ClipEnded(item.number, item.clip.text, item.kind, self.now, item.played, complete)
