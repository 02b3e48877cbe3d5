from __future__ import annotations

import asyncio
import gc
import os
import threading
from pathlib import Path

import pytest

from agent.conversation.timeline import Interrupted
from reasoning.options import LoopOptions
from tests.agent.conversation.test_driver import ALSO, ASK, world

WARM_UP = 50
MOST_MB = 20.0


def resident_mb() -> float:
    """Memory of this process that is in use now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@pytest.mark.parametrize("interruptions", [75, pytest.param(500, marks=[pytest.mark.slow, pytest.mark.timeout(600)])])
async def test_many_interruptions_leave_nothing_behind(interruptions: int) -> None:
    async with world(options=LoopOptions(think_tokens=60, history_turns=4)) as one:
        one.engine.step_s = 0.01
        counts: list[tuple[int, int, int, int]] = []
        memory: list[float] = []
        interrupted = 0
        for number in range(interruptions + 1):
            await one.say(ALSO if number % 2 else ASK)
            await one.wait(lambda: one.driver._turns.state == "answering")
            begun = len(one.heard)
            await one.wait(lambda begun=begun: len(one.heard) > begun)  # type: ignore[misc]
            held = sum(len(block) for block in one.blocks.blocks.values())
            counts.append((len(asyncio.all_tasks()), threading.active_count(), held, len(one.blocks.blocks)))
            if number % 25 == 0:
                # What the test itself keeps to look at is no part of the session.
                one.engine.log.clear()
                one.voice.said.clear()
                one.sound = one.sound[:0]
                interrupted += len(one.of(Interrupted))
                one.entries.clear()
                gc.collect()
                memory.append(resident_mb())
        await one.reply()
        assert interrupted + len(one.of(Interrupted)) == interruptions
    tasks, threads, tokens, blocks = zip(*counts, strict=True)
    assert max(tasks[WARM_UP:]) <= max(tasks[:WARM_UP])
    assert max(threads[WARM_UP:]) <= max(threads[:WARM_UP])
    assert max(tokens[WARM_UP:]) <= 1.3 * max(tokens[:WARM_UP])
    assert max(blocks[WARM_UP:]) <= max(blocks[:WARM_UP])
    growth = max(memory[WARM_UP // 25 :]) - memory[WARM_UP // 25]
    print(f"memory {memory[WARM_UP // 25]:.1f} MB, grew by {growth:.1f} MB; {max(tasks)} tasks, {max(threads)} threads")
    assert growth <= MOST_MB
