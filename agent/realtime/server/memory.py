"""What sessions leave in the heap goes back to the system: a server does not stay as large as its busiest hour."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import sys
from typing import Final

_EVERY_S: Final = 5.0
"""At most so often, however quickly clients come and go."""


class Tidy:
    """`run` it in a task, and `soon` it when a session has ended."""

    def __init__(self) -> None:
        self._wanted = asyncio.Event()

    def soon(self) -> None:
        """Ask for it; never waits."""
        self._wanted.set()

    async def run(self) -> None:
        """Give free memory back from time to time, in a thread: messages of megabytes leave holes in the heap."""
        # What is there now, the models and all libraries, stays: looking it through would hold up all sessions.
        gc.freeze()
        try:
            while True:
                await self._wanted.wait()
                await asyncio.sleep(_EVERY_S)
                self._wanted.clear()
                await asyncio.to_thread(_give_back)
        finally:
            gc.unfreeze()


def _give_back() -> None:
    gc.collect()
    if sys.platform == "linux":
        # Of glibc; other libraries give back by themselves.
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
