"""Conversations without a model's words, and streams that race: what is timed of the embedded engine.

Knows the engine, and neither models on disk nor processes.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import aclosing, asynccontextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Final

import torch

from bench.engine.cases import SMALLEST_CONTEXT
from reasoning.engine.torch_engine import TorchSession
from reasoning.errors import EngineFailed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence

    from reasoning.engine.contract import Token
    from reasoning.engine.schedule import TorchBlock
    from reasoning.engine.torch_engine import TorchEngine

TAIL: Final = {"prompt": 64, "input": 40, "thoughts": 96, "said": 40, "draft": 16}
"""Tokens of the blocks of a conversation without history, which are `SMALLEST_CONTEXT` together."""
_TURN: Final = (48, 80)
"""Tokens of what a user said and heard in an earlier turn."""
_TURNS: Final = 6
"""Earlier turns of that size; what a longer context holds beyond them lies in blocks of `_LONG`."""
_LONG: Final = 512


def history_sizes(context: int) -> list[int]:
    """Give the lengths of the blocks between prompt and input, so that a writer reads `context` tokens."""
    left = context - SMALLEST_CONTEXT
    sizes: list[int] = []
    while left:
        usual = _TURN[len(sizes) % 2] if len(sizes) < 2 * _TURNS else _LONG
        sizes.append(min(usual, left))
        left -= sizes[-1]
    return sizes


class BenchConversation:
    """One session's blocks, laid out as the loop lays them out.

    What lies before a step is not read by the model but drawn: keys and values cost the same whatever they are, and
    reading thousands of tokens for every session takes minutes.
    """

    def __init__(self, engine: TorchEngine, vocabulary: int) -> None:
        self.session, self._engine = TorchSession(engine), engine
        self._draw, self._vocabulary = random.Random(1), vocabulary

    def tokens(self, count: int) -> list[int]:
        """Give tokens: which ones changes no time."""
        return self._draw.choices(range(self._vocabulary), k=count)

    async def past(self, context: int) -> list[TorchBlock]:
        """Give prompt and history, filled when they are first asked for."""
        view = [await self._block("prompt", TAIL["prompt"])]
        for number, size in enumerate(history_sizes(context)):
            view.append(await self._block(f"history{number}-{size}", size))
        return view

    async def thinker(self, context: int) -> list[TorchBlock]:
        """Give the thinker's view: prompt, history, input, thoughts."""
        return [*await self.past(context), *[await self._block(name, TAIL[name]) for name in ("input", "thoughts")]]

    async def writer(self, context: int) -> list[TorchBlock]:
        """Give the writer's view, `context` tokens: the thinker's, what was said, and the draft."""
        return [*await self.thinker(context), *[await self._block(name, TAIL[name]) for name in ("said", "draft")]]

    async def _block(self, name: str, size: int) -> TorchBlock:
        # Blocks keep their keys at positions of their own, so one block serves views of every length.
        block = self.session.block(name)
        if not len(block):
            await self._engine.between_steps(lambda: fill(block, self.tokens(size)))
        return block


def fill(block: TorchBlock, tokens: Sequence[int]) -> None:
    """Give an empty block tokens, and a cache of as many drawn keys and values."""
    block.cache.reserve(len(tokens))
    for part in (block.cache.keys, block.cache.values):
        # Also the room behind the last token: kernels read whole units.
        part.normal_(generator=torch.Generator(part.device).manual_seed(1))
    block.cache.length = block.delivered = len(tokens)
    block.ids = list(tokens)


class Race:
    """Streams that run side by side, and when their tokens came."""

    def __init__(self) -> None:
        self.arrivals: dict[int, list[float]] = {}
        """By step: when each of its tokens came."""
        self._tasks: list[asyncio.Task[None]] = []
        self._news = asyncio.Event()

    @asynccontextmanager
    async def running(self, streams: Sequence[AsyncGenerator[Token]]) -> AsyncIterator[None]:
        """Read the streams inside the context; end them with it."""
        self._tasks = [asyncio.create_task(self._read(stream)) for stream in streams]
        for task in self._tasks:
            task.add_done_callback(lambda _: self._news.set())
        try:
            yield
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks)

    async def until(self, reached: Callable[[], bool]) -> None:
        """Wait for tokens until something is so.

        Raises:
            EngineFailed: a stream ended before.

        """
        while not reached():
            for task in self._tasks:
                if task.done():
                    task.result()
                    raise EngineFailed("a stream ended before its steps could be timed")
            self._news.clear()
            await self._news.wait()

    def whole(self) -> list[int]:
        """Give the steps in which every stream had a row."""
        return sorted(step for step, at in self.arrivals.items() if len(at) == len(self._tasks))

    def step_s(self, first: int, last: int) -> float:
        """Give seconds of one of the steps after `first` up to `last`."""
        return (max(self.arrivals[last]) - max(self.arrivals[first])) / (last - first)

    async def _read(self, stream: AsyncGenerator[Token]) -> None:
        async with aclosing(stream):
            async for token in stream:
                self.arrivals.setdefault(token.step, []).append(perf_counter())
                self._news.set()
