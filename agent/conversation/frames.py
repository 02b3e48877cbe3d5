"""Frames of a microphone that wait for the ears, so that whoever brings them, and plays the reply, waits for nobody."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from agent.conversation.driver import ConversationDriver
    from audio.clock import Sound

_WAITING: Final = 3000
"""Frames that may wait: a minute of sound. Ears that are further behind will not catch up."""


class FrameQueue:
    """`run` it in a task, and `put` frames on the clock that plays the reply."""

    def __init__(self, conversation: ConversationDriver) -> None:
        self._conversation = conversation
        self._frames: asyncio.Queue[tuple[Sound, float]] = asyncio.Queue(_WAITING)
        self.dropped = 0
        """Frames that were lost, the oldest first, because the ears were too far behind."""

    def put(self, frame: Sound, now_s: float) -> None:
        """Bring the frame that is complete at that second; never waits."""
        if self._frames.full():
            self._frames.get_nowait()
            self.dropped += 1
        self._frames.put_nowait((frame, now_s))

    @property
    def waiting(self) -> int:
        """Frames that no ear has taken yet."""
        return self._frames.qsize()

    async def run(self) -> None:
        """Pass the frames on to the ears, until cancelled."""
        while True:
            frame, now_s = await self._frames.get()
            await self._conversation.hear(frame, now_s)
