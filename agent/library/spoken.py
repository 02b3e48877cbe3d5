"""Holds a conversation with sound in real time: frames of a source in, what a listener hears out.

    source ──► frames, as they come ──► ears        the clock ──► 20 ms of what is heard ──► output

With a sound card, its samples are both. A source that stalls does not stop the agent's voice, and one that is ahead of
time waits. Knows a conversation's two directions, and nothing of what is said.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from agent.conversation.frames import FrameQueue
from audio.clock import FRAME, RATE
from audio.io.sound_files import WavWriter, check_writable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence

    from agent.conversation.driver import ConversationDriver
    from audio.clock import Pcm, Sound
    from audio.hearing.ears import Ears
    from audio.io.audio_io import AudioIO
    from audio.io.devices import Captured, SoundCard

    Output = str | PathLike[str] | Callable[[Pcm, int], None]
    """Where what is heard goes: a WAV file, or what is called with int16 samples and their rate."""

FRAME_S: Final = FRAME / RATE
_TAIL_S: Final = 1.0
"""Silence after a source in which its last turn may end."""
_AHEAD: Final = 250
"""Frames that are read ahead of time from a source that is faster than the clock."""
_LATE_S: Final = 0.5
"""Seconds by which a source may be late; then silence is heard in its place."""


@contextmanager
def written(output: Output | None, rate: int) -> Iterator[Callable[[Pcm], None]]:
    """Give what takes the sound that is heard. Raises CannotWrite."""
    if output is None:
        yield lambda _: None
    elif isinstance(output, str | PathLike):
        check_writable(Path(output))
        with WavWriter(Path(output), rate) as writer:
            yield writer.write
    else:
        yield lambda sound: output(sound, rate)


async def hold(
    conversation: ConversationDriver,
    ears: Ears,
    source: AsyncIterator[Sound],
    *,
    play: Callable[[Pcm], None],
    rate: int,
    over: Callable[[], bool],
    wait_s: float,
    ticks: AsyncIterator[float],
    beside: Sequence[Coroutine[None, None, None]] = (),
) -> None:
    """Converse until the source has ended and all is said; in order, too, where that is cut short.

    source: frames of the input clock.
    play: takes what the listener hears, `rate` samples a second.
    over: whether nothing is left to do, beside what the conversation knows of.
    wait_s: seconds after the end of the source until what is left is given up.
    ticks: seconds since the beginning, one for each frame.
    beside: runs until then.
    """
    microphone, intake = FrameQueue(conversation), _Intake(source)
    async with asyncio.TaskGroup() as group:
        conversing = group.create_task(conversation.run(), name="conversation")
        helpers = [group.create_task(work) for work in (microphone.run(), intake.read(), *beside)]
        try:
            async for now_s in ticks:
                # Before the next frame is put: the ears have had the time of a frame for the one before it.
                idle = conversation.idle and not microphone.waiting and over()
                if (intake.over_s >= _TAIL_S and idle) or intake.over_s > wait_s:
                    break
                play(conversation.play(int(now_s * rate), now_s))
                for frame in intake.due(now_s):
                    microphone.put(frame, now_s)
        finally:
            await _end(conversation, conversing, ears, helpers)


async def hold_at_desk(
    conversation: ConversationDriver,
    ears: Ears,
    card: SoundCard,
    desk: AudioIO,
    *,
    ended: asyncio.Event,
    frame: Callable[[Sound, Captured], Sound] = lambda clean, _: clean,
    beside: Sequence[Coroutine[None, None, None]] = (),
) -> None:
    """Converse over a sound card until `ended` is set; in order, too, where that is cut short.

    frame: takes each frame without echo, and the block that it comes from, and gives what is to be heard of it.
    beside: runs until then.
    """
    microphone = FrameQueue(conversation)

    async def live() -> None:
        count = 0
        async for block in card.captured():
            for clean in desk.hear(block):
                count += 1
                heard = frame(clean, block)
                desk.play(conversation.play(desk.due(), count * FRAME_S))
                microphone.put(heard, count * FRAME_S)

    async with asyncio.TaskGroup() as group:
        conversing = group.create_task(conversation.run(), name="conversation")
        helpers = [group.create_task(work) for work in (live(), microphone.run(), *beside)]
        try:
            await ended.wait()
        finally:
            await _end(conversation, conversing, ears, helpers)
            card.silence()


async def _end(
    conversation: ConversationDriver,
    conversing: asyncio.Task[None],
    ears: Ears,
    helpers: Sequence[asyncio.Task[None]],
) -> None:
    """End in order: a reply that still runs is cut, so that the loop knows what was heard of it."""
    for helper in helpers:
        helper.cancel()
    await asyncio.wait(helpers)
    if not conversing.done():
        if not conversation.idle:
            conversation.interrupt()
        await ears.close()
        await asyncio.wait([conversing])


async def wall_clock() -> AsyncIterator[float]:
    """Yield the seconds since the first frame began, whenever one is complete."""
    start, count = time.monotonic(), 0
    while True:
        count += 1
        due_s = count * FRAME_S
        # A microphone gives a frame when its last sample is recorded, not sooner.
        await asyncio.sleep(max(0.0, start + due_s - time.monotonic()))
        yield max(due_s, time.monotonic() - start)


class _Intake:
    """Frames of a source in step with the clock."""

    def __init__(self, source: AsyncIterator[Sound]) -> None:
        self._source = source
        self._ahead: asyncio.Queue[Sound] = asyncio.Queue(_AHEAD)
        self._ended = False
        self._taken = 0
        """Frames that were handed out, silence included: with it the input clock keeps up with the wall clock."""
        self.over_s = 0.0
        """Seconds of silence since the end of the source."""

    async def read(self) -> None:
        """Read the source to its end, a little ahead of time at most."""
        async for frame in self._source:
            await self._ahead.put(frame)
        self._ended = True

    def due(self, now_s: float) -> Iterator[Sound]:
        """Yield the frames that are complete by now; silence after the end, and where the source is too late."""
        while (self._taken + 1) * FRAME_S <= now_s:
            if not self._ahead.empty():
                frame = self._ahead.get_nowait()
            elif self._ended:
                frame = np.zeros(FRAME, np.float32)
                self.over_s += FRAME_S
            elif (self._taken + 1) * FRAME_S <= now_s - _LATE_S:
                frame = np.zeros(FRAME, np.float32)
            else:
                return
            self._taken += 1
            yield frame
