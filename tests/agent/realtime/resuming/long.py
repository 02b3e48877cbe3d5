"""A conversation of 16 MB, and how long the event loop is held by what is done beside it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from agent.realtime.protocol.items import Item
from agent.realtime.protocol.keeping import ConversationWriter, KeptConversation

MOST: Final = 16 * 2**20
_ITEMS: Final = 1900
_LETTERS: Final = 8500


def long_conversation() -> KeptConversation:
    return KeptConversation(tuple(an_item(number) for number in range(_ITEMS)))


def an_item(number: int) -> Item:
    content = [{"type": "input_text", "text": f"{number} {'x' * _LETTERS}"}]
    wire = {"id": f"item_{number}", "type": "message", "status": "completed", "role": "user", "content": content}
    return Item(wire, size=_LETTERS)


@dataclass
class Hold:
    """The longest time for which anything has held the event loop, in seconds of its own thread."""

    longest_s: float = 0.0


@asynccontextmanager
async def watched() -> AsyncIterator[Hold]:
    """Watch how long the loop is held; the clock is its thread's, which nobody else's work moves."""
    hold = Hold()

    async def tick() -> None:
        last_s = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now_s = time.thread_time()
            hold.longest_s, last_s = max(hold.longest_s, now_s - last_s), now_s

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(0)
    try:
        yield hold
    finally:
        ticking.cancel()


def at_once_s() -> float:
    """Seconds in which such a conversation is written by whoever waits for it."""
    kept = long_conversation()
    began_s = time.thread_time()
    ConversationWriter(MOST).draft(kept, 0.0)()
    return time.thread_time() - began_s
