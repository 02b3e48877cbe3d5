"""The served engine over a server with live views (a stand-in): who reads what, and how it goes on when that ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest

from reasoning.engine.contract import Sampling, Token
from reasoning.options import VllmOptions
from reasoning.vllm.blocks import ServedBlock, ServerLimits
from reasoning.vllm.engine import VllmEngine
from reasoning.vllm.live import Board, LiveViews
from reasoning.vllm.servers import Servers
from tests.reasoning.engine.test_engine_contract import ids_of, read
from tests.reasoning.toy_vllm import ToyServer, ToyVllm, babbling, logits_behind

VOCABULARY = 64
SEGMENT = 4
PROMPT, THOUGHT, REPLY, QUESTION = [1, 2, 3], [4], [5, 6], [7, 8, 9]


@asynccontextmanager
async def engine(*toys: ToyVllm) -> AsyncIterator[tuple[VllmEngine, list[ToyServer]]]:
    servers = [ToyServer(toy) for toy in toys]
    for each in servers:
        await each.start()
    asked = Servers(VllmOptions(servers=tuple(each.url for each in servers)))
    feeding = asyncio.create_task(feed(*toys))
    try:
        async with asked.watched():
            await asked.model()
            yield VllmEngine(asked, ServerLimits(400, SEGMENT, VOCABULARY)), servers
    finally:
        feeding.cancel()
        for each in servers:
            await each.stop()


async def feed(*toys: ToyVllm) -> None:
    """Let the servers make one token after the other, each when the last one has arrived."""
    while True:
        for each in toys:
            assert each.gate is not None
            each.gate.release()
        for _ in range(40):
            await asyncio.sleep(0)


def toy(*, live: bool = True) -> ToyVllm:
    return ToyVllm(babbling(VOCABULARY), live=live, gate=asyncio.Semaphore(0))


def views(model: ToyVllm) -> list[list[str]]:
    """What each request read, of those that said anything."""
    return [body["vllm_xargs"].get("live_view", []) for body in model.asked if "vllm_xargs" in body]


async def first(stream: object, count: int) -> list[Token]:
    found = []
    async for token in stream:  # type: ignore[attr-defined]
        found.append(token)
        if len(found) == count:
            break
    return found


def test_a_request_stands_for_the_longest_beginning_of_a_view() -> None:
    board = Board()
    a, b, c, d = (ServedBlock(name) for name in "abcd")
    assert board.find([a, b]) == ((), 0)
    ready = [True, True]
    board.offer("thinker", (a, b), LiveViews("b1", (), 2), lambda: ready[0])
    board.offer("writer", (a, b, c), LiveViews("b2", ("b1",), 1), lambda: ready[1])
    assert board.find([a, b, c]) == (("b1", "b2"), 3)
    assert board.find([a, b, d]) == (("b1",), 2)
    assert board.find([b]) == ((), 0)
    # A request that is ahead of what was taken of it is not read.
    ready[1] = False
    assert board.find([a, b, c]) == (("b1",), 2)
    assert board.has(("b1", "b2"))
    board.withdraw("writer")
    assert not board.has(("b1", "b2"))


async def test_a_writer_asks_once_and_sees_the_thoughts_grow() -> None:
    model = toy()
    async with engine(model) as (served, _), served.session() as session:
        assert served.live_views
        prompt, thoughts, reply = (session.block(name) for name in ("prompt", "thoughts", "reply"))
        await session.append([prompt], PROMPT)
        await session.append([prompt, thoughts], THOUGHT)
        await session.append([prompt, thoughts, reply], REPLY)
        thinker = session.generate([prompt, thoughts], Sampling(max_tokens=300))
        await first(thinker, 3)
        thinking = asyncio.create_task(read(thinker))
        writer = session.generate([prompt, thoughts, reply], Sampling(max_tokens=30))
        said = await read(writer)
        assert views(model) == [[], ["b1"]]
        thinking.cancel()
        await asyncio.gather(thinking, return_exceptions=True)
    behind = [text for text, token in model.computed if text[: len(PROMPT)] == tuple(PROMPT)]
    replies = [
        (text, token)
        for text, token in model.computed
        if any(text[i : i + 2] == tuple(REPLY) for i in range(len(text)))
    ]
    assert [token for _, token in replies][: len(said)] == ids_of(said)
    grown = {len(text) for text, _ in replies}
    assert len(behind) == len(model.computed)
    # Own tokens and thoughts: the text grows by more than one a token.
    assert max(grown) - min(grown) > len(said)
    assert said[-1].seen["thoughts"] > said[0].seen["thoughts"]


async def test_a_question_reads_all_that_is_being_written() -> None:
    model = toy()
    async with engine(model) as (served, _), served.session() as session:
        prompt, thoughts, reply = (session.block(name) for name in ("prompt", "thoughts", "reply"))
        await session.append([prompt, thoughts], [*PROMPT, *THOUGHT])
        await session.append([prompt, thoughts, reply], REPLY)
        thinker = session.generate([prompt, thoughts], Sampling(max_tokens=300))
        await first(thinker, 4)
        verdict = await session.score_choices([prompt, thoughts, reply], QUESTION, [frozenset({1}), frozenset({2})])
        await thinker.aclose()
    ((text, _),) = [each for each in model.computed if each[0][-3:] == tuple(QUESTION)]
    expected = logits_behind(text, VOCABULARY)
    assert verdict.log_odds == pytest.approx(expected[1] - expected[2])
    assert views(model)[-1] == ["b1"]
    assert text[: len(PROMPT) + 1] == (*PROMPT, *THOUGHT)


async def test_a_writer_reads_the_end_of_the_thoughts_anew_when_the_thinker_has_ended() -> None:
    model = toy()
    async with engine(model) as (served, _), served.session() as session:
        prompt, thoughts, reply = (session.block(name) for name in ("prompt", "thoughts", "reply"))
        await session.append([prompt, thoughts], [*PROMPT, *THOUGHT])
        await session.append([prompt, thoughts, reply], REPLY)
        thinker = session.generate([prompt, thoughts], Sampling(max_tokens=20))
        await first(thinker, 2)
        writer = session.generate([prompt, thoughts, reply], Sampling(max_tokens=60))
        await first(writer, 2)
        await read(thinker)
        await read(writer)
        written = [*thoughts.tokens, *reply.tokens]
    assert views(model) == [[], ["b1"], []]
    text, token = model.computed[-1]
    assert [*text, token] == written


async def test_where_a_view_is_lost_the_stream_goes_on_without_one() -> None:
    model = toy()
    async with engine(model) as (served, _), served.session() as session:
        prompt, thoughts, reply = (session.block(name) for name in ("prompt", "thoughts", "reply"))
        await session.append([prompt, thoughts], [*PROMPT, *THOUGHT])
        await session.append([prompt, thoughts, reply], REPLY)
        thinker = session.generate([prompt, thoughts], Sampling(max_tokens=300))
        await first(thinker, 2)
        # The server has forgotten all, and nobody has been told.
        model._texts.clear()
        writer = session.generate([prompt, thoughts, reply], Sampling(max_tokens=3))
        said = ids_of(await read(writer))
        assert len(said) == 3
        assert "vllm_xargs" not in model.asked[-1]
        await thinker.aclose()


async def test_a_conversation_moves_to_a_server_without_its_blocks() -> None:
    async with engine(toy(), toy()) as (served, (one, other)), served.session() as session:
        prompt, thoughts, reply = (session.block(name) for name in ("prompt", "thoughts", "reply"))
        await session.append([prompt, thoughts], [*PROMPT, *THOUGHT])
        await session.append([prompt, thoughts, reply], REPLY)
        thinker = session.generate([prompt, thoughts], Sampling(max_tokens=100))
        await first(thinker, 2)
        writer = session.generate([prompt, thoughts, reply], Sampling(max_tokens=100))
        await first(writer, 2)
        one.kill()
        async with aclosing(thinker), aclosing(writer):
            rest = [await first(stream, 10) for stream in (thinker, writer)]
        assert [len(each) for each in rest] == [10, 10]
        assert other.model.asked


async def test_a_stock_server_is_told_nothing_of_views() -> None:
    model = toy(live=False)
    async with engine(model) as (served, _), served.session() as session:
        assert not served.live_views
        prompt, thoughts = session.block("prompt"), session.block("thoughts")
        await session.append([prompt, thoughts], [*PROMPT, *THOUGHT])
        await read(session.generate([prompt, thoughts], Sampling(max_tokens=5)))
        await session.score_choices([prompt, thoughts], QUESTION, [frozenset({1}), frozenset({2})])
    assert model.asked
    assert not any("vllm_xargs" in body for body in model.asked)
