"""The engine whose model is served by vLLM: the same streams over blocks, as requests to a stock server.

A block is its tokens; a view is one prompt of token ids, and the server's prefix cache makes what was computed before
cost nothing. A stream asks for a segment at a time (`served.plan` says how long, and when anew); its requests are read
by a task of their own, so that whatever ends the stream closes the connection, at which the server stops. Where the
server has live views, a request reads what others write as they write it (`served.live`).

Nothing here is computed on this machine. Knows nothing about text or prompts.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reasoning.engine.contract import ChoiceScores, Sampling, Token
from reasoning.errors import BadTool, EngineFailed
from reasoning.vllm.blocks import ServedBlock, ServerLimits, flat
from reasoning.vllm.live import Board, LiveViews, ViewLost
from reasoning.vllm.plan import Writing
from reasoning.vllm.replicas import Home
from reasoning.vllm.scoring import ChoiceScoring

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence

    from reasoning.engine.contract import Grammar
    from reasoning.tools.grammar import Grammars, Matcher
    from reasoning.vllm.servers import Servers
    from reasoning.vllm.wire import Ask, CompletionPiece


class VllmEngine:
    """Runs streams over blocks on servers. All of one engine belongs to one event loop."""

    def __init__(self, servers: Servers, limits: ServerLimits, *, grammars: Grammars | None = None) -> None:
        """`grammars`: those of the model's vocabulary; without them, streams with a grammar are refused."""
        self.servers, self.limits, self._grammars = servers, limits, grammars
        self._steps = 0

    @property
    def live_views(self) -> bool:
        """Whether the servers have live views; without, a running stream re-submits itself when its view grows."""
        return self.servers.live_views

    def give_way(self, seconds: float) -> Callable[[], None]:
        """Use no processor of this machine anyway."""
        del seconds
        return lambda: None

    @property
    def slowdown(self) -> float:
        """Not known of a server: 1."""
        return 1.0

    async def keep_prompt(self, tokens: Sequence[int]) -> None:
        """Leave that to the servers, which keep what many requests begin with."""

    @asynccontextmanager
    async def session(self) -> AsyncIterator[VllmSession]:
        """Open a session; leaving it ends its streams and frees its blocks."""
        session = VllmSession(self)
        try:
            yield session
        finally:
            await session.aclose()

    def next_step(self) -> int:
        """Give a token its number: nobody here knows which of them a server has computed together."""
        self._steps += 1
        return self._steps

    async def matcher(self, grammar: Grammar) -> Matcher:
        """Compile a grammar, or take a compiled one; `BadTool` where it cannot be used."""
        if self._grammars is None:
            raise BadTool("this engine was made without grammars, so no stream can be held to one")
        return await asyncio.to_thread(self._grammars.matcher, grammar)


class VllmSession:
    """One user's blocks on a `VllmEngine`, and the server that has them in its cache."""

    def __init__(self, engine: VllmEngine) -> None:
        self._engine = engine
        self._blocks: dict[str, ServedBlock] = {}
        self._streams: set[_ServedStream] = set()
        self._questions: set[asyncio.Task[CompletionPiece]] = set()
        self._home, self._board = Home(), Board()

    def block(self, name: str) -> ServedBlock:
        """Return the block of that name, made empty at first mention."""
        return self._blocks.setdefault(name, ServedBlock(name))

    async def append(self, view: Sequence[ServedBlock], tokens: Sequence[int]) -> None:
        """Write tokens at the end of the view's last block; see `EngineSession.append`."""
        if tokens:
            self._engine.limits.check_writable(view, tokens)
            view[-1].ids.extend(tokens)
            self._ask_anew(view[-1])

    async def generate(self, view: Sequence[ServedBlock], rules: Sampling) -> AsyncGenerator[Token]:
        """Write the view's last block token by token; see `EngineSession.generate`."""
        if not view[-1].ids:
            raise ValueError(f"block {view[-1].name!r} is empty: append what the stream begins with first")
        matcher = None if rules.grammar is None else await self._engine.matcher(rules.grammar)
        stream = _ServedStream(
            self._engine, self._home, self._board, Writing(view, rules, self._engine.limits, matcher)
        )
        self._streams.add(stream)
        try:
            while (token := await stream.next()) is not None:
                yield token
        finally:
            try:
                await stream.aclose()
            finally:
                self._streams.discard(stream)

    async def prepare(self, grammar: Grammar) -> None:
        """Get a grammar ready; see `EngineSession.prepare`."""
        await self._engine.matcher(grammar)

    async def score_choices(
        self, view: Sequence[ServedBlock], question: Sequence[int], choices: Sequence[frozenset[int]]
    ) -> ChoiceScores:
        """Ask a question by requests for one token; see `EngineSession.score_choices`."""
        if not question or len(choices) != 2:
            raise ValueError(f"a question takes tokens and two choices, not {len(question)} tokens and {len(choices)}")
        self._engine.limits.check(view, question)
        weighing = ChoiceScoring(choices, self._engine.limits.vocabulary)
        live = self._live(view, len(question))
        asks = weighing.asks([*flat(view), *question])
        asking = [asyncio.create_task(self._first(replace(ask, live=live))) for ask in asks]
        self._questions.update(asking)
        try:
            pieces = await asyncio.gather(*asking)
        except asyncio.CancelledError:
            me = asyncio.current_task()
            if me is not None and me.cancelling():
                raise
            raise EngineFailed("the session is closed") from None
        finally:
            await _end(asking)
            self._questions.difference_update(asking)
        log_odds = weighing.log_odds({token: value for piece in pieces for token, value in piece.weighed.items()})
        return ChoiceScores(log_odds, self._engine.next_step())

    async def crop(self, block: ServedBlock, length: int) -> None:
        """Forget all but the first `length` tokens of the block, ending the stream that writes it."""
        ended = [stream for stream in self._streams if stream.writes(block)]
        for stream in ended:
            stream.end()
        if length < len(block):
            del block.ids[length:]
            self._ask_anew(block)
        for stream in ended:
            await stream.aclose()

    async def aclose(self) -> None:
        """End the session's streams and questions and free its blocks."""
        streams = list(self._streams)
        for stream in streams:
            stream.end()
        for block in self._blocks.values():
            block.ids.clear()
        self._blocks.clear()
        self._engine.servers.leave(self._home)
        await _end(self._questions)
        for stream in streams:
            await stream.aclose()

    def _ask_anew(self, block: ServedBlock) -> None:
        for stream in self._streams:
            if stream.reads(block):
                stream.ask_anew()

    def _live(self, view: Sequence[ServedBlock], more: int) -> LiveViews | None:
        """Say what a question of so many tokens behind the view reads where it is being written."""
        names, count = self._board.find(view)
        return LiveViews(None, names, sum(map(len, view[count:])) + more) if names else None

    async def _first(self, ask: Ask) -> CompletionPiece:
        try:
            async with aclosing(self._engine.servers.complete(self._home, ask)) as pieces:
                # To the end, so that the connection can be used again.
                found = [piece async for piece in pieces]
        except ViewLost:
            return await self._first(replace(ask, live=None))
        if not found:
            raise EngineFailed("the server ended a request for one token without any")
        return found[0]


class _ServedStream:
    """The reading end of one stream, and the request that is on its way."""

    def __init__(self, engine: VllmEngine, home: Home, board: Board, writing: Writing) -> None:
        self._engine, self._home, self._board, self._writing = engine, home, board, writing
        self._reads: tuple[str, ...] = ()
        """Requests that its own one reads."""
        self._plainly = not engine.live_views
        """Ask without a view, since the last one was lost."""
        self._ready: deque[CompletionPiece] = deque()
        self._arrived = asyncio.Event()
        self._request: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._error: BaseException | None = None

    def writes(self, block: ServedBlock) -> bool:
        """Whether this stream is the block's writer."""
        return block.writer is self._writing

    def reads(self, block: ServedBlock) -> bool:
        """Whether the block stands before the one that is written."""
        return block in self._writing.view[:-1]

    async def next(self) -> Token | None:
        """Wait for the next token; None at the end of the stream."""
        while not self._writing.over:
            if self._reads and not self._board.has(self._reads):
                self._reads = ()
                self._writing.freeze()
            if self._writing.due:
                self.ask_anew()
            if self._ready:
                token = self._writing.take(self._ready.popleft(), self._engine.next_step())
                if token is not None:
                    return token
                self.ask_anew()
            if self._error is not None:
                raise self._error
            if self._request is None:
                self._request = asyncio.create_task(self._read(self._ask()), name="completion")
                self._request.add_done_callback(self._read_out)
            self._arrived.clear()
            await self._arrived.wait()
        return None

    def ask_anew(self) -> None:
        """Forget what was not delivered, and close the request: it has read what is no longer so."""
        if self._request is not None:
            self._request.cancel()
            self._ending.add(self._request)
            self._request.add_done_callback(self._ending.discard)
        self._request, self._error = None, None
        self._board.withdraw(self)
        self._ready.clear()
        self._arrived.set()

    def end(self) -> None:
        """End the stream: the block keeps what was delivered."""
        self._writing.release()
        self.ask_anew()

    async def aclose(self) -> None:
        """End the stream, and wait until its connection is closed."""
        self.end()
        await _end(self._ending)

    def _ask(self) -> Ask:
        """Ask by the view as it is, read where it is being written."""
        if self._plainly:
            self._reads, self._plainly = (), not self._engine.live_views
            return self._writing.ask()
        self._reads, count = self._board.find(self._writing.view[:-1])
        own = sum(map(len, self._writing.view[count:]))
        return replace(self._writing.ask(count), live=LiveViews(self._board.new_name(), self._reads, own))

    async def _read(self, ask: Ask) -> None:
        try:
            async with aclosing(self._engine.servers.complete(self._home, ask)) as pieces:
                async for piece in pieces:
                    self._engine.limits.check_answer(piece.id)
                    if self._request is asyncio.current_task():
                        self._ready.append(piece)
                        self._arrived.set()
                        if ask.live is not None and not self._writing.held:
                            self._board.offer(self, self._writing.view, ask.live, lambda: not self._ready)
        except ViewLost:
            self._plainly = self._plainly or self._request is asyncio.current_task()

    def _read_out(self, request: asyncio.Task[None]) -> None:
        if request is self._request:
            self._request = None
            self._board.withdraw(self)
            self._error = None if request.cancelled() else request.exception()
            self._arrived.set()


async def _end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel requests and wait until their connections are closed."""
    ending = list(tasks)
    for task in ending:
        # A second cancellation would hit the first one while it closes the connection.
        if not task.cancelling():
            task.cancel()
    if ending:
        await asyncio.wait(ending)
