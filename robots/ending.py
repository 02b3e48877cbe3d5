"""The end of tasks that use a connection."""

from __future__ import annotations

import asyncio
from typing import Final

_AGAIN_S: Final = 0.5


async def end(*tasks: asyncio.Task[None]) -> None:
    """Cancel tasks that use a connection, and wait until they have ended.

    Once is not enough: `asyncio.wait_for` of Python 3.11, on which aiomqtt relies, loses a cancellation that
    comes together with the answer.
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_AGAIN_S)
    await asyncio.gather(*tasks, return_exceptions=True)
