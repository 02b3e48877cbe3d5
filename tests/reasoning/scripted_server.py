"""A scripted engine's mind behind the completion interface: the loop's scenarios, over `VllmEngine`.

Time stays virtual: requests are answered in process, and every token takes steps of the scripted engine. As a real
server it knows nothing but the prompt; it tells where a text goes on that it has begun in an earlier request.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import httpx

from reasoning.options import VllmOptions
from reasoning.vllm.blocks import ServedBlock, ServerLimits
from reasoning.vllm.engine import VllmEngine, VllmSession
from reasoning.vllm.servers import Servers
from tests.reasoning.scripted_engine import ScriptedEngine, Words
from tests.reasoning.toy_vllm import Body, Rule, ToyVllm

_NEVER: Final = -9999.0
VOCABULARY: Final = 4000
"""More words than any scenario has."""
TURNS: Final = 30
"""Turns of the event loop that a token takes from one side of the interface to the other, and more."""
_YES, _NO = {"yes", "calculation", "puzzle"}, {"no", "chat", "fact", "advice"}


class ScriptedMind:
    """Makes the rule of each request."""

    def __init__(self, engine: ScriptedEngine) -> None:
        self._engine, self._words = engine, engine.tokenizer
        self._begun: dict[str, list[int]] = {}
        """What was to be written, by the block that a request is for."""

    @asynccontextmanager
    async def begin(self, body: Body) -> AsyncIterator[Rule]:
        name, prompt = body["request_id"].rpartition("-")[0], list(body["prompt"])
        question = bool(body.get("logprob_token_ids"))
        rest = [] if question else self.rest(name, prompt)
        if question:
            self._engine.log.append((name, self._words.shown(prompt)))

        async def rule(written: Sequence[int]) -> Sequence[float]:
            for _ in range(max(1, self._engine.mind.steps(name))):
                await self._engine.step()
            log_probs = [_NEVER] * VOCABULARY
            if question:
                self._weigh(prompt, body["logprob_token_ids"], log_probs)
            else:
                token = rest[len(written)] if rest[len(written) :] else 1
                log_probs[token] = self._engine.mind.log_prob(self._words.shown([token]))
            return log_probs

        self._engine.running.append(name)
        try:
            yield rule
        finally:
            self._engine.running.remove(name)

    def rest(self, name: str, prompt: list[int]) -> list[int]:
        """What comes behind the prompt, which may end in the middle of a text that this server has begun."""
        write, encode, shown = self._engine.mind.write, self._words.encode_template, self._words.shown
        old = self._begun.get(name, [])
        # A text that stands there whole is not gone on with: another one begins behind it.
        for back in range(min(len(old), len(prompt)) - 1, 0, -1):
            before, partial = prompt[:-back], prompt[-back:]
            if old[:back] != partial:
                continue
            now = encode(write(shown(before), name))
            if now[:back] == partial:
                old = self._begun[name] = now
            # Else it changes its mind only where that can follow what stands there.
            return old[back:]
        self._engine.log.append((name, shown(prompt)))
        self._begun[name] = encode(write(shown(prompt), name))
        return self._begun[name]

    def _weigh(self, prompt: list[int], listed: Sequence[int], log_probs: list[float]) -> None:
        odds = self._engine.mind.score_choices(self._words.shown(prompt))
        for words, share in ((_YES, -math.log1p(math.exp(-odds))), (_NO, -math.log1p(math.exp(odds)))):
            first = next(token for token in listed if self._words.shown([token]).strip().lower() in words)
            log_probs[first] = math.log(0.9) + share


class InProcess(httpx.AsyncBaseTransport):
    """Hands requests to a server in this process."""

    def __init__(self, server: ToyVllm) -> None:
        self._server = server

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=_Events(self._server, json.loads(await request.aread())))


class _Events(httpx.AsyncByteStream):
    def __init__(self, server: ToyVllm, body: dict[str, object]) -> None:
        self._chunks = server.chunks(body)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._chunks:
            yield f"data: {json.dumps(chunk)}\n\n".encode()

    async def aclose(self) -> None:
        await self._chunks.aclose()


class ShownSession(VllmSession):
    """A session whose blocks can be read as text."""

    def __init__(self, engine: VllmEngine, words: Words) -> None:
        super().__init__(engine)
        self._words = words

    @property
    def blocks(self) -> dict[str, ServedBlock]:
        return self._blocks

    def text(self, *names: str) -> str:
        return "".join(self._words.shown(self.block(name).ids) for name in names)


@asynccontextmanager
async def served_session(engine: ScriptedEngine, gate: asyncio.Semaphore | None = None) -> AsyncIterator[ShownSession]:
    """Open a session of `VllmEngine` whose server has the scripted engine's mind; `gate`: leave for one token each."""
    engine.turns = TURNS
    server = ToyVllm(ScriptedMind(engine).begin, max_model_len=engine.context + 1, gate=gate)
    servers = Servers(VllmOptions(servers=("http://scripted",), model="toy"), transport=InProcess(server))
    session = ShownSession(VllmEngine(servers, ServerLimits(engine.context, 16, VOCABULARY)), engine.tokenizer)
    try:
        yield session
    finally:
        await session.aclose()
        await servers.aclose()
