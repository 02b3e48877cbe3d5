"""The listener's time axis: which sample is heard when, silence included. Counts samples; has no clock, plays nothing.

Clips are queued with a generation number; a flush drops what was not heard of that generation and the older ones,
and what still arrives for them. A device takes sound a little before it is heard: `advance` hands it out, `lag` says
how much of it has not gone out yet, and only what went out is told as heard. Used by every shell that has a listener.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from audio.messages import Clip, ClipEnded, ClipStarted, Kind, PlayoutEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from audio.clock import Pcm


@dataclass(slots=True)
class _Queued:
    number: int
    clip: Clip
    kind: Kind
    generation: int
    start: int | None = None
    """Sample of the axis at which it begins, once that is settled."""
    handed_out: int = 0
    heard: int = 0
    told: bool = False
    """Whether its beginning was told."""


class Playout:
    """Queue clips, and let time pass with `advance`.

    `silence` is called by a flush that drops sound which was handed out: the device must not play the rest of that.
    """

    def __init__(self, rate: int, silence: Callable[[], None] = lambda: None) -> None:
        self.rate = rate
        """Samples per second of the axis; every clip must have it."""
        self.now = 0
        """Up to where sound was handed out, in samples of the axis. The listener is there, less the lag."""
        self._silence = silence
        self._queue: deque[_Queued] = deque()
        self._ended_samples = 0
        self._lag = 0
        self._paused_at: int | None = None
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
    def played(self) -> int:
        """Samples of clips that were heard in all: the time axis without its silences."""
        return self._ended_samples + sum(item.heard for item in self._queue)

    @property
    def unplayed(self) -> int:
        """Samples that wait to be heard."""
        return sum(len(item.clip.samples) - item.heard for item in self._queue)

    @property
    def ready(self) -> int:
        """Samples of clips that can be handed out now; none while paused."""
        if self._paused_at is not None:
            return 0
        return sum(len(item.clip.samples) - item.handed_out for item in self._queue)

    def lag(self, samples: int) -> None:
        """Tell how many of the samples that were handed out have not gone out yet. Holds until told anew."""
        self._lag = samples

    def advance(self, to_sample: int) -> tuple[Pcm, list[PlayoutEvent]]:
        """Hand out sound up to `to_sample` of the axis; give what the listener noticed, who is behind by the lag."""
        sound = np.zeros(max(0, to_sample - self.now), np.int16)
        begin, position = self.now, self.now
        self.now = max(self.now, to_sample)
        for item in self._queue if self._paused_at is None else ():
            if position >= to_sample:
                break
            if item.start is None:
                item.start = position - item.heard
            part = item.clip.samples[item.handed_out : item.handed_out + to_sample - position]
            sound[position - begin : position - begin + len(part)] = part
            item.handed_out += len(part)
            position += len(part)
        return sound, self._listen(self.now - self._lag)

    def pause(self) -> None:
        """Hand out silence until `go_on`; what was handed out and is not heard yet comes again then."""
        if self._paused_at is not None:
            return
        self._paused_at = self.now - self._lag
        if any(item.handed_out > item.heard for item in self._queue):
            self._silence()
        for item in self._queue:
            item.handed_out, item.start = item.heard, None

    def go_on(self) -> None:
        """Go on where `pause` stopped."""
        self._paused_at = None

    def hand_out_again(self) -> None:
        """Hand out anew what was not heard yet: it will not go out as it was handed out."""
        if self._paused_at is None:
            self.pause()
            self.go_on()

    def flush(self, generation: int) -> list[PlayoutEvent]:
        """Drop what was not heard yet of this generation and the older ones. A clip that is being heard is cut off."""
        self._flushed = generation if self._flushed is None else max(generation, self._flushed)
        dropped = [item for item in self._queue if item.generation <= generation]
        self._queue = deque(item for item in self._queue if item.generation > generation)
        self._ended_samples += sum(item.heard for item in dropped)
        if any(item.handed_out > item.heard for item in dropped):
            self._silence()
        return [self._ended(item) for item in dropped if item.told]

    def drop(self, clips: Collection[int]) -> list[PlayoutEvent]:
        """Drop what was not heard yet of these clips; what comes after them moves up. One that is heard is cut off."""
        dropped = [item for item in self._queue if item.number in clips]
        if any(item.handed_out > item.heard for item in dropped):
            self.hand_out_again()
        self._queue = deque(item for item in self._queue if item.number not in clips)
        self._ended_samples += sum(item.heard for item in dropped)
        return [self._ended(item) for item in dropped if item.told]

    def _listen(self, here: int) -> list[PlayoutEvent]:
        """Let the listener get to sample `here` of the axis."""
        events: list[PlayoutEvent] = []
        while self._queue:
            item = self._queue[0]
            if item.start is None or (here <= item.start and not (here == item.start and not len(item.clip.samples))):
                break
            if not item.told:
                item.told = True
                events.append(ClipStarted(item.number, item.clip.text, item.kind, item.start))
            item.heard = max(item.heard, min(item.handed_out, here - item.start))
            if item.heard < len(item.clip.samples):
                break
            self._queue.popleft()
            self._ended_samples += item.heard
            events.append(self._ended(item))
        return events

    def _ended(self, item: _Queued) -> ClipEnded:
        complete = item.heard == len(item.clip.samples)
        # What is paused has no place on the axis until it goes on.
        here = self.now - self._lag if self._paused_at is None else self._paused_at
        at = here if item.start is None else item.start + item.heard
        return ClipEnded(item.number, item.clip.text, item.kind, at, item.heard, complete)
