"""Whole turns while what stands between the loop and its server answers web pages, half a stream, or another model."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

import httpx
import pytest

from reasoning.errors import EngineFailed
from reasoning.events import LoopEvent, ReplyText, TurnDone
from reasoning.loop.loop import Loop
from reasoning.options import LoopOptions, VllmOptions
from reasoning.policies.choosing import choice_of
from reasoning.prompting.script import Script
from reasoning.vllm.blocks import ServerLimits
from reasoning.vllm.engine import VllmEngine
from reasoning.vllm.servers import Servers
from tests.reasoning.loop.test_loop import FAMILY, QUESTION, Model
from tests.reasoning.scripted_engine import Mind, ScriptedEngine, Words
from tests.reasoning.scripted_server import TURNS, VOCABULARY, InProcess, ScriptedMind
from tests.reasoning.toy_vllm import ToyVllm

Trouble = Literal["", "page", "half", "model"]


class Router(InProcess):
    """Stands before the server."""

    def __init__(self, server: ToyVllm, trouble: Callable[[int], Trouble]) -> None:
        super().__init__(server)
        self._trouble = trouble
        self.asked = 0
        self.troubles: list[Trouble] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/models":
            return httpx.Response(200, json={"data": [{"id": "toy", "max_model_len": 100_001}]})
        if request.url.path != "/v1/completions":
            return httpx.Response(404)
        self.asked += 1
        trouble = self._trouble(self.asked)
        self.troubles.append(trouble)
        if trouble == "page":
            return httpx.Response(200, headers={"content-type": "text/html"}, text="<html>Sign in</html>")
        answer = await super().handle_async_request(request)
        if trouble in {"half", "model"}:
            assert isinstance(answer.stream, httpx.AsyncByteStream)
            return httpx.Response(200, stream=_Changed(answer.stream, trouble))
        return answer


@dataclass
class _Changed(httpx.AsyncByteStream):
    whole: httpx.AsyncByteStream
    trouble: Trouble

    async def __aiter__(self) -> AsyncIterator[bytes]:
        number = 0
        async for event in self.whole:
            number += 1
            if self.trouble == "model":
                yield b"data: " + json.dumps({**json.loads(event[6:]), "model": "llama"}).encode() + b"\n\n"
            elif number < 3:
                yield event
            else:
                # Ended as if it were whole, in the middle of a line.
                yield event[: len(event) // 2]
                return

    async def aclose(self) -> None:
        await self.whole.aclose()


@dataclass
class Stage:
    loop: Loop
    router: Router
    events: list[LoopEvent] = field(default_factory=list)

    @property
    def said(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, ReplyText)]

    async def turn(self) -> list[str]:
        before = len(self.said)
        await self.loop.hear(QUESTION)
        await self.loop.answer(QUESTION)
        await self.loop.finish(" ".join(self.said[before:]))
        return self.said[before:]


@asynccontextmanager
async def stage(trouble: Callable[[int], Trouble]) -> AsyncIterator[Stage]:
    model = Model()
    engine = ScriptedEngine(Mind(model.write, model.score_choices, model.steps), Words(), 100_000)
    engine.turns = TURNS
    router = Router(ToyVllm(ScriptedMind(engine).begin, max_model_len=100_001), trouble)
    servers = Servers(VllmOptions(servers=("http://router",), live_views=False), transport=router)
    await servers.model()
    events: list[LoopEvent] = []
    async with VllmEngine(servers, ServerLimits(100_000, 16, VOCABULARY)).session() as session:
        options, choice = LoopOptions(mode="think-first"), choice_of("sums")
        script = Script(engine.tokenizer, FAMILY)
        loop = Loop(session, script, options, events.append, engine.clock, context=100_000, choice=choice)
        await loop.open()
        yield Stage(loop, router, events)
    await servers.aclose()


@pytest.mark.parametrize("kind", ["page", "half"])
async def test_what_a_router_spoils_is_asked_again_and_the_reply_is_the_same_said_once(kind: Trouble) -> None:
    async with stage(lambda _: "") as calm:
        expected = await calm.turn()
        thoughts = [event.tokens for event in calm.events if isinstance(event, TurnDone)]
    async with stage(lambda number: kind if number % 2 else "") as one:
        assert await one.turn() == expected
        assert one.router.troubles.count(kind) >= 2
        assert [event.tokens for event in one.events if isinstance(event, TurnDone)] == thoughts


async def test_a_reply_of_another_model_fails_and_the_next_turn_is_answered() -> None:
    async with stage(lambda _: "") as calm:
        expected = await calm.turn()
    async with stage(lambda number: "model" if number == 1 else "") as one:
        await one.loop.hear(QUESTION)
        with pytest.raises(EngineFailed, match="the model 'llama' answered in place of toy"):
            await one.loop.answer(QUESTION)
        assert one.said == []
        await one.loop.finish("", interrupted=True)
        assert (await one.turn())[-1] == expected[-1]
