"""One conversation: what is typed, and what its tools give, through one loop that remembers it all.

    ask ──► loop ──► sentences, calls ──► tools ──► results as notes ──► loop ──► the answer

One thing at a time: a turn that is typed, or a source that is listened to.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, contextmanager
from typing import TYPE_CHECKING, Final, Self

from agent.conversation import timeline
from agent.errors import BadQuestion, TalkBusy
from reasoning.loop.loop import Loop
from reasoning.tools.running import ToolRunner

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from types import TracebackType

    from agent.conversation.timeline import Event
    from agent.models.assembly import OpenModels
    from reasoning.events import LoopEvent
    from reasoning.tools.calls import Tool

_ROUNDS: Final = 8
"""Replies to results of calls within one turn: a model that answers every result with a call comes to an end."""


class Talk:
    """A conversation. `async with` begins and ends it; calls of tools that still run at its end are cancelled."""

    def __init__(self, models: OpenModels, *, tools: Sequence[Tool] = (), seed: int = 0) -> None:
        self._models, self._tools, self._seed = models, tools, seed
        self._tell: asyncio.Queue[Event | None] | None = None
        """Where events go while somebody streams them."""
        self._said: list[str] = []
        """Sentences of the running reply."""
        self._calls: list[asyncio.Task[None]] = []
        """Calls that it made. Those of a reply that was given up run on; their results are notes for a later one."""
        self._turn: asyncio.Task[str] | None = None
        """The turn that runs, if one does."""

    async def __aenter__(self) -> Self:
        models = self._models
        self._runner = ToolRunner(self._tools, self._emit, self.note)
        async with AsyncExitStack() as stack:
            session = await stack.enter_async_context(models.engine.session())
            self._loop = Loop(
                session,
                models.script,
                models.settings.loop,
                self._happened,
                time.monotonic,
                context=models.settings.engine.context,
                seed=self._seed,
                tools=self._tools,
            )
            stack.push_async_callback(self._loop.close)
            await stack.enter_async_context(self._runner)
            await self._loop.open()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        async with self._stack:
            await self._cancel_turn()

    async def ask(self, text: str) -> str:
        """Answer a typed turn; where it calls tools, the answer is what is said with their results.

        Cancel it to interrupt: what was said stays in the conversation.

        Raises:
            BadQuestion: there is nothing to answer.
            TalkBusy: something else goes on in this conversation.

        """
        with self._alone(text):
            self._turn = asyncio.create_task(self._take_turn(text), name="typed turn")
            try:
                return await self._turn
            finally:
                await self._cancel_turn()

    async def stream(self, text: str) -> AsyncIterator[Event]:
        """Answer a typed turn as `ask` does, and yield what happens meanwhile, as it happens."""
        with self._alone(text):
            events: asyncio.Queue[Event | None] = asyncio.Queue()
            self._tell = events
            self._turn = asyncio.create_task(self._take_turn(text), name="typed turn")
            self._turn.add_done_callback(lambda _: events.put_nowait(None))
            try:
                while (event := await events.get()) is not None:
                    yield event
                await self._turn
            finally:
                self._tell = None
                await self._cancel_turn()

    async def note(self, text: str) -> None:
        """Tell the model something from outside, in a line of at most 1000 characters: it stands in the next turn."""
        await self._loop.note(text)

    # --- one turn ---

    @contextmanager
    def _alone(self, text: str) -> Iterator[None]:
        if not text.strip():
            raise BadQuestion('the question is empty; ask something, as in "what is 12 times 7?"')
        if self._turn is not None:
            raise TalkBusy("this conversation answers something already; wait for it, or begin another conversation")
        try:
            yield
        finally:
            self._turn = None

    async def _cancel_turn(self) -> None:
        if self._turn is not None and not self._turn.done():
            self._turn.cancel()
            await asyncio.wait([self._turn])

    async def _take_turn(self, text: str) -> str:
        self._runner.turn_began()
        self._emit(timeline.TurnEnded(text))
        answer = await self._reply(text)
        for _ in range(_ROUNDS):
            if self._calls:
                await asyncio.gather(*self._calls)
            if not self._loop.notes_waiting:
                break
            self._emit(timeline.Prompted())
            answer = await self._reply("") or answer
        return answer

    async def _reply(self, text: str) -> str:
        """Have the loop answer; without words, the notes that wait. Give what it said."""
        self._said, self._calls = [], []
        try:
            await self._loop.answer(text)
        except BaseException:
            await self._loop.finish(" ".join(self._said), interrupted=True)
            raise
        await self._loop.finish(" ".join(self._said))
        return " ".join(self._said)

    def _happened(self, event: LoopEvent) -> None:
        """Take an event of the loop; calls run at once, since a typed turn is over."""
        self._emit(event)
        match event:
            case timeline.ReplyText(text):
                self._said.append(text)
            case timeline.Unsaid(text) if text in self._said:
                self._said.remove(text)
            case timeline.ToolCall():
                self._calls.append(self._runner.start(event))
            case _:
                pass

    def _emit(self, event: Event) -> None:
        if self._tell is not None:
            self._tell.put_nowait(event)
