"""The long part of carrying out an event, ahead of it and in a thread: where it is carried out it would hold up all.

What is wrong with a schema is found by a walk of interpreted code, a ms for each of its objects; megabytes of base64
take some ms each. The thread works in small pieces, between which the event loop has its turn.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from agent.realtime.protocol.wire import MOST_APPENDED, decoded, prove_tools

_LONG: Final = 65_536
"""Characters of base64 that are decoded in a thread."""


class AheadOfEvents:
    """One server's. Await it with each event of a client, then carry out what it gives."""

    def __init__(self) -> None:
        self._free = asyncio.Lock()

    async def __call__(self, event: Any) -> Any:  # noqa: ANN401 - JSON
        """Check the functions of an event, which is remembered, and decode its sound. Raises Refused."""
        match event:
            case {"type": "session.update", "session": asked} | {"type": "response.create", "response": asked}:
                await self.check_tools(asked)
            case {"type": "input_audio_buffer.append", "audio": str(sound)} if _LONG < len(sound) <= MOST_APPENDED:
                return {**event, "audio": await asyncio.to_thread(decoded, sound, "audio")}
            case {"type": "conversation.item.create", "item": {"content": list(parts)} as item}:
                content = [await self._decoded(part) for part in parts]
                return {**event, "item": {**item, "content": content}}
            case _:
                pass
        return event

    async def check_tools(self, asked: object) -> None:
        """Check the functions in a session or a response as a client sent it; one client at a time."""
        if isinstance(asked, dict) and asked.get("tools"):
            async with self._free:
                await asyncio.to_thread(prove_tools, asked)

    @staticmethod
    async def _decoded(part: Any) -> Any:  # noqa: ANN401 - JSON
        match part:
            case {"type": "input_audio", "audio": str(sound)} if len(sound) > _LONG:
                return {**part, "audio": await asyncio.to_thread(decoded, sound, "item.content")}
            case _:
                return part
