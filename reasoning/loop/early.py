"""Thinking while the user still talks: one line for each fact that was heard, and nothing else.

Conclusions drawn before the sentence has ended spoil the answer; facts survive its rest. A line that goes beyond the
words is cropped. Knows nothing of what comes after the turn has ended.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from reasoning.errors import ContextFull
from reasoning.events import Thought, ThoughtDropped
from reasoning.policies.admission import judge
from reasoning.policies.grounding import told_again

if TYPE_CHECKING:
    from collections.abc import Callable

    from reasoning.events import LoopEvent
    from reasoning.loop.context import LoopContext
    from reasoning.loop.streams import Streams
    from reasoning.loop.turn import Turn


class EarlyFacts:
    """Lists the facts heard so far, in a task of its own."""

    def __init__(self, context: LoopContext, streams: Streams, emit: Callable[[LoopEvent], None]) -> None:
        self._context, self._streams, self._emit = context, streams, emit
        self._session, self._script, self._options = context.session, context.script, context.options
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """Whether it was begun and not ended."""
        return self._task is not None

    def begin(self, turn: Turn) -> None:
        """Begin to list."""
        self._task = asyncio.create_task(self._run(turn), name="early-thinker")

    def words_changed(self) -> None:
        """Look again: there are new words."""
        self._changed.set()

    async def end(self, turn: Turn) -> None:
        """Keep the facts, and crop the line that is not finished."""
        if self._task is not None:
            self._task.cancel()
            # Not `await self._task`: its cancellation could not be told from that of the caller.
            await asyncio.wait([self._task])
            task, self._task = self._task, None
            if not task.cancelled():
                task.result()
            await self._session.crop(turn.thoughts, turn.facts_end)
            self._emit(ThoughtDropped("the turn has ended"))

    async def _run(self, turn: Turn) -> None:
        # Facts that do not fit are a loss, not the end of the turn.
        with suppress(ContextFull):
            await self._list_facts(turn)

    async def _list_facts(self, turn: Turn) -> None:
        block = turn.thoughts
        if not len(block):
            await self._session.append(self._context.view(turn), self._script.early_open)
        turn.facts_end = len(block)
        while turn.tokens["early"] < self._options.think_tokens // 2:
            heard = turn.input_text
            line = await self._fact(turn)
            known = "\n".join(turn.steps.finished)
            told = turn.input_text
            new = line is not None and told_again(line, told) and judge(line, "", "", known, grounding=False).speak
            if line is None or not new:
                await self._session.crop(block, turn.facts_end)
                self._emit(ThoughtDropped("no fact that was heard"))
                while turn.input_text == heard:
                    self._changed.clear()
                    await self._changed.wait()
                continue
            turn.facts_end = len(block)
            turn.facts += 1
            turn.steps.finished.append(line)
            self._emit(Thought("\n"))

    async def _fact(self, turn: Turn) -> str | None:
        text = ""
        view = self._context.view(turn)
        async with self._streams.run(turn, view, "early", self._script.think_ends, 40) as pieces:
            async for piece in pieces:
                text += piece.text
                if shown := piece.text.split("\n")[0]:
                    self._emit(Thought(shown))
                if "\n" in text.lstrip():
                    break
        line = text.strip(" -\n")
        return line if "\n" in text.lstrip() and len(line.split()) > 1 else None
