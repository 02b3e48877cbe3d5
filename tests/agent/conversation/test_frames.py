"""Two directions: whatever keeps the ears waiting, the loudspeaker goes on."""

from __future__ import annotations

import asyncio

import numpy as np

from agent.conversation import frames
from agent.conversation.frames import FrameQueue
from agent.conversation.timeline import TurnEnded
from audio.clock import FRAME, Pcm, Sound
from audio.hearing.ears import Ears
from tests.agent.conversation.test_driver import ALSO, ASK, SAID, TICK_S, WORD_S, World, world
from tests.audio.speaking.test_synthesizer import RATE as VOICE_RATE

STUCK_S = 2.0


class GatedEars(Ears):
    """Ears that take nothing while their gate is shut, as those do whose events nobody reads."""

    gate = asyncio.Event()

    async def receive(self, frame: Sound) -> None:
        await self.gate.wait()
        await super().receive(frame)


async def tick(one: World, queue: FrameQueue, level: float = 0.0) -> None:
    """Let 20 ms pass as a shell does: the ears get their frame when they take it."""
    one.now += TICK_S
    one.sound = np.concatenate([one.sound, one.driver.play(int(one.now * VOICE_RATE), one.now)])
    queue.put(np.full(FRAME, level, np.float32), one.now)
    one.engine.allow(TICK_S / one.engine.step_s)
    await one.settle()


async def answered(*, stuck: bool) -> tuple[Pcm, int, int]:
    """Ask, and keep the ears from hearing for two seconds of the reply; give the sound, and frames taken and given."""
    GatedEars.gate = asyncio.Event()
    GatedEars.gate.set()
    async with world(kind=GatedEars) as one:
        queue = FrameQueue(one.driver)
        passing = asyncio.create_task(queue.run())
        given = 0
        for count in range(round(12.0 / TICK_S)):
            begun = bool(one.heard)
            if stuck and begun and GatedEars.gate.is_set() and queue.waiting == 0:
                GatedEars.gate.clear()
                until = one.now + STUCK_S
                stuck = False
            if not GatedEars.gate.is_set() and one.now >= until:
                assert queue.waiting >= STUCK_S / TICK_S - 2
                GatedEars.gate.set()
            await tick(one, queue, ASK if count * TICK_S < len(SAID[ASK].split()) * WORD_S else 0.0)
            given += FRAME
        passing.cancel()
        assert queue.dropped == 0
        return one.sound, one.ears.now, given


async def test_ears_that_wait_for_two_seconds_lose_nothing_and_the_reply_plays_on() -> None:
    free, taken, given = await answered(stuck=False)
    held, taken_late, _ = await answered(stuck=True)
    assert free.any()
    assert np.array_equal(free, held)
    assert taken == taken_late == given


async def test_words_that_waited_for_the_ears_still_interrupt() -> None:
    GatedEars.gate = asyncio.Event()
    GatedEars.gate.set()
    async with world(kind=GatedEars) as one:
        queue = FrameQueue(one.driver)
        passing = asyncio.create_task(queue.run())
        for _ in range(round(len(SAID[ASK].split()) * WORD_S / TICK_S)):
            await tick(one, queue, ASK)
        while not one.heard:
            await tick(one, queue)
        GatedEars.gate.clear()
        for _ in range(round(len(SAID[ALSO].split()) * WORD_S / TICK_S)):
            await tick(one, queue, ALSO)
        GatedEars.gate.set()
        while len(one.of(TurnEnded)) < 2:
            await tick(one, queue)
        assert [event.text for event in one.of(TurnEnded)][-1].endswith(SAID[ALSO])
        passing.cancel()


async def test_of_frames_that_wait_for_too_long_the_newest_are_kept() -> None:
    GatedEars.gate = asyncio.Event()
    async with world(kind=GatedEars) as one:
        queue = FrameQueue(one.driver)
        for number in range(frames._WAITING + 5):
            queue.put(np.zeros(FRAME, np.float32), number * TICK_S)
        assert (queue.waiting, queue.dropped) == (frames._WAITING, 5)
        GatedEars.gate.set()
