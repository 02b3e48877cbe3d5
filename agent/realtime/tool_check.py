"""Looks at the functions that clients bring before their events are carried out: in a thread, one client at a time.

What is wrong with a schema is found by a walk of interpreted code, a ms for each of its objects. Done where the events
are carried out it would hold up everybody.
"""

from __future__ import annotations

import asyncio

from agent.realtime.protocol.wire import prove_tools


class ToolCheck:
    """One server's. Await it with a session or a response as a client sent it."""

    def __init__(self) -> None:
        self._free = asyncio.Lock()

    async def __call__(self, asked: object) -> None:
        """Check its functions, if it has any: what came of it is remembered for whoever carries it out."""
        if isinstance(asked, dict) and asked.get("tools"):
            async with self._free:
                await asyncio.to_thread(prove_tools, asked)
