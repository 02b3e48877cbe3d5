"""The engine over a real vLLM on this machine's processor: the same answers, and what it costs the server.

Every figure comes from the server's own counters or its own answers to plain requests.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from agent.models.served import check_vocabulary, vocabulary_in
from reasoning.engine.contract import Engine, EngineSession, Form, Grammar, Sampling
from reasoning.engine.decoder import Decoder
from reasoning.engine.torch_engine import TorchEngine
from reasoning.errors import BadModel
from reasoning.events import LoopEvent, Probe, ReplyText, Thought
from reasoning.formats.safetensors_folder import open_safetensors
from reasoning.loop.loop import Loop
from reasoning.options import LoopOptions, VllmOptions
from reasoning.prompting.script import Script, family_of
from reasoning.prompting.tokenizer import Tokenizer
from reasoning.tools.grammar import Grammars
from reasoning.vllm.blocks import ServerLimits
from reasoning.vllm.engine import VllmEngine
from reasoning.vllm.servers import Servers
from tests.agent.command_line import Descant, descant
from tests.reasoning.engine.test_engine_contract import ids_of, read
from tests.vllm.server import BLOCK, ROOT, VllmServer, running

__all__ = ["descant"]

pytestmark = pytest.mark.vllm

POSITIONS = 200
CONTEXT = 4000
SEGMENT = 16
ABORT_S = 0.25
GROWING = 120
"""Tokens that a writer writes while the thoughts it reads grow."""


@dataclass
class House:
    engine: VllmEngine
    servers: Servers
    tokenizer: Tokenizer


@asynccontextmanager
async def house(*servers: VllmServer) -> AsyncIterator[House]:
    # Patience for a server that is started again on a busy machine.
    asked = Servers(VllmOptions(servers=tuple(server.url for server in servers), patience_s=600))
    tokenizer = Tokenizer.from_json(servers[0].folder)
    async with asked.watched():
        await asked.model()
        limits = ServerLimits(CONTEXT, SEGMENT, tokenizer.vocab_size)
        yield House(VllmEngine(asked, limits, grammars=Grammars(tokenizer)), asked, tokenizer)


@asynccontextmanager
async def embedded(folder: Path, dtype: torch.dtype) -> AsyncIterator[TorchEngine]:
    engine = TorchEngine(Decoder(open_safetensors(folder), dtype, max_context=CONTEXT, native="off"), threads=2)
    try:
        yield engine
    finally:
        await asyncio.to_thread(engine.close)


# --- the same answers ---


@pytest.fixture(scope="module")
def bfloat16() -> Iterator[VllmServer]:
    server = VllmServer(dtype="bfloat16")
    with running(server):
        yield server


async def top_choices(engine: Engine, ids: list[int], first: int) -> list[int]:
    found = []
    async with engine.session() as session:
        text = session.block("text")
        await session.append([text], ids[:first])
        for token in ids[first : first + POSITIONS]:
            length = len(text)
            found += ids_of(await read(session.generate([text], Sampling(max_tokens=1))))
            await session.crop(text, length)
            await session.append([text], [token])
    return found


async def test_both_engines_rank_the_same_token_first(bfloat16: VllmServer) -> None:
    async with house(bfloat16) as one, embedded(bfloat16.folder, torch.bfloat16) as other:
        ids = one.tokenizer.encode((ROOT / "README.md").read_text())[100:]
        mine = await top_choices(one.engine, ids, 64)
        theirs = await top_choices(other, ids, 64)
    same = sum(a == b for a, b in zip(mine, theirs, strict=True))
    print(f"top-1 equal at {same} of {POSITIONS} positions")
    assert len(mine) == POSITIONS
    assert same >= 0.97 * POSITIONS


async def conversation(engine: Engine, script: Script, options: LoopOptions) -> list[LoopEvent]:
    events: list[LoopEvent] = []
    async with engine.session() as session:
        options = replace(options, think_tokens=60, reply_tokens=40)
        loop = Loop(session, script, options, events.append, time.monotonic, context=CONTEXT)
        await loop.open()
        for question in ("What is 12 times 7?", "And how many days has a week?"):
            before = len(said(events))
            await loop.hear(question)
            await loop.answer(question)
            await loop.finish(" ".join(said(events)[before:]))
    return events


def said(events: Sequence[LoopEvent]) -> list[str]:
    return [event.text for event in events if isinstance(event, ReplyText)]


def thought(events: Sequence[LoopEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, Thought))


async def on_both(server: VllmServer, options: LoopOptions) -> list[list[LoopEvent]]:
    async with house(server) as one, embedded(server.folder, torch.float32) as other:
        script = Script(one.tokenizer, family_of("smollm2"))
        return [await conversation(engine, script, options) for engine in (one.engine, other)]


@pytest.fixture(params=["stock", "live"])
def either_server(request: pytest.FixtureRequest) -> VllmServer:
    """Give a server without live views, and one with them."""
    server: VllmServer = request.getfixturevalue("vllm_server" if request.param == "stock" else "live_vllm_server")
    return server


@pytest.mark.parametrize(
    "options",
    [
        LoopOptions(mode="think-first"),
        LoopOptions(mode="no-think"),
        # What is said on the way depends on how far the thoughts are, which is a matter of time.
        LoopOptions(mode="async", direct_replies=False),
    ],
    ids=lambda options: options.mode,
)
async def test_the_loop_says_the_same_on_both_engines(either_server: VllmServer, options: LoopOptions) -> None:
    mine, theirs = await on_both(either_server, options)
    assert said(mine) == said(theirs)
    assert thought(mine) == thought(theirs)
    assert len(said(mine)) >= 2


async def test_both_engines_ask_for_thoughts_where_the_other_does(either_server: VllmServer) -> None:
    mine, theirs = await on_both(either_server, LoopOptions())
    odds = [[event.log_odds for event in events if isinstance(event, Probe)] for events in (mine, theirs)]
    assert len(odds[0]) == 2
    assert odds[0] == pytest.approx(odds[1], abs=0.01)


async def test_a_writer_sees_thoughts_grow_as_on_the_embedded_engine(live_vllm_server: VllmServer) -> None:
    """Both streams run at once; then each token of the writer is asked for again, behind what it has seen."""
    async with house(live_vllm_server) as one, embedded(live_vllm_server.folder, torch.float32) as other:
        ids = one.tokenizer.encode((ROOT / "README.md").read_text())
        starts = {"prompt": ids[:200], "thoughts": ids[200:210], "reply": ids[210:220]}
        async with one.engine.session() as session:
            prompt, thoughts, reply = view = await begun(session, starts)
            writer = session.generate(view, Sampling(max_tokens=GROWING))
            async with aclosing(session.generate([prompt, thoughts], Sampling(max_tokens=900))) as thinker:
                thinking = asyncio.create_task(read(thinker))
                written = await read(writer)
                thinking.cancel()
                await asyncio.gather(thinking, return_exceptions=True)
            thought = list(thoughts.tokens)
        async with other.session() as session:
            prompt, thoughts, reply = view = await begun(session, starts)
            again = []
            for token in written:
                await session.append([prompt, thoughts], thought[len(thoughts) : token.seen["thoughts"]])
                length = len(reply)
                again += ids_of(await read(session.generate(view, Sampling(max_tokens=1))))
                await session.crop(reply, length)
                await session.append(view, [token.id])
    same = sum(token.id == theirs for token, theirs in zip(written, again, strict=True))
    steps = len({token.seen["thoughts"] for token in written})
    print(f"{same} of {GROWING} tokens equal, behind thoughts of {steps} lengths")
    assert steps >= GROWING / 2
    assert same >= 0.95 * GROWING


async def begun(session: EngineSession[Any], starts: Mapping[str, Sequence[int]]) -> list[Any]:
    """Give blocks that begin so, each behind the ones before it."""
    view: list[Any] = []
    for name, ids in starts.items():
        view = [*view, session.block(name)]
        await session.append(view, ids)
    return view


async def test_a_grammar_holds_on_a_real_server(vllm_server: VllmServer) -> None:
    schema = '{"type": "object", "properties": {"city": {"enum": ["Paris", "Rome"]}, "days": {"type": "integer"}}'
    schema += ', "required": ["city", "days"], "additionalProperties": false}'
    async with house(vllm_server) as one, one.engine.session() as session:
        encode = one.tokenizer.encode
        text = session.block("text")
        await session.append([text], encode("She went to Rome for five days. As JSON: "))
        grammar = Grammar((Form("", schema, ""),))
        rules = Sampling(stop=one.tokenizer.eos_ids, grammar=grammar, max_tokens=60)
        written = ids_of(await read(session.generate([text], rules)))
    told = json.loads(one.tokenizer.decode(written))
    assert told["city"] in {"Paris", "Rome"}
    assert isinstance(told["days"], int)


async def test_a_vocabulary_is_checked_with_the_server(vllm_server: VllmServer) -> None:
    async with house(vllm_server) as one:
        assert await check_vocabulary(one.servers, one.tokenizer, vllm_server.folder)
        other = vllm_server.folder.parent / "qwen2.5-coder-0.5b"
        with pytest.raises(BadModel, match="is not the vocabulary"):
            await check_vocabulary(one.servers, vocabulary_in(other), other)


# --- what it costs the server ---


async def test_a_stream_that_is_ended_stops_at_the_server(vllm_server: VllmServer) -> None:
    waits = []
    async with house(vllm_server) as one, one.engine.session() as session:
        text = session.block("text")
        await session.append([text], one.tokenizer.encode("Once upon a time"))
        for _ in range(10):
            stream = session.generate([text], Sampling(max_tokens=2000))
            await read(stream, 10)
            assert (await vllm_server.counters())["num_requests_running"] == 1
            began = time.monotonic()
            await stream.aclose()
            await vllm_server.until_idle()
            waits.append(time.monotonic() - began)
            generated = (await vllm_server.counters())["generation_tokens_total"]
        assert (await vllm_server.counters())["generation_tokens_total"] == generated
    print("seconds until the server stood still:", " ".join(f"{wait:.3f}" for wait in sorted(waits)))
    assert max(waits) <= ABORT_S


async def test_a_writer_asks_the_server_to_compute_the_new_thoughts_and_little_more(vllm_server: VllmServer) -> None:
    rows = []
    async with house(vllm_server) as one, one.engine.session() as session:
        ids = one.tokenizer.encode((ROOT / "README.md").read_text())
        prompt, thoughts, reply = (session.block(name) for name in ("prompt", "thoughts", "reply"))
        await session.append([prompt], ids[:1500])
        await session.append([prompt, thoughts], ids[1500:1510])
        await session.append([prompt, thoughts, reply], ids[1510:1520])
        thinker = session.generate([prompt, thoughts], Sampling(max_tokens=900))
        writer = session.generate([prompt, thoughts, reply], Sampling(max_tokens=900))
        async with aclosing(thinker), aclosing(writer):
            await read(thinker, 5)
            seen = (await read(writer, 1))[0].seen["thoughts"]
            for _ in range(6):
                await read(writer, SEGMENT - 1)
                await read(thinker, 12)
                before, new, own = await vllm_server.counters(), len(thoughts) - seen, len(reply)
                seen = (await read(writer, 1))[0].seen["thoughts"]
                after = await vllm_server.counters()
                asked, hit = (
                    after[name] - before[name] for name in ("prefix_cache_queries_total", "prefix_cache_hits_total")
                )
                assert asked == 1500 + seen + own
                rows.append((asked, asked - hit, new, own))
                assert asked - hit <= new + own + BLOCK
    print("prompt, computed, new thoughts, own reply:", rows)


# --- servers that die ---


@pytest.mark.timeout(1200)
async def test_a_conversation_outlives_its_servers() -> None:
    first, second = VllmServer(), VllmServer()
    with running(first, second):
        async with house(first, second) as one, one.engine.session() as session:
            text = session.block("text")
            await session.append([text], one.tokenizer.encode("The three largest cities of France are"))
            expected = await first.greedy(list(text.tokens), 120)
            async with aclosing(session.generate([text], Sampling(max_tokens=120))) as stream:
                found = await read(stream, 30)
                first.kill()
                began = time.monotonic()
                found += await read(stream, 30)
                print(f"the second server went on; 30 tokens took {time.monotonic() - began:.2f} s")
                second.kill()
                first.start()
                began = time.monotonic()
                found += await read(stream)
                print(f"the first server was started again; the rest took {time.monotonic() - began:.1f} s")
        assert ids_of(found) == expected


# --- the command line ---


def test_a_question_is_answered_by_a_server_from_the_command_line(descant: Descant, vllm_server: VllmServer) -> None:
    here = ("--set", f"engine.context={CONTEXT}")
    there = ("--engine", "vllm", "--server", vllm_server.url, "--model", str(vllm_server.folder))
    asked = descant(*here, "ask", *there, "--no-thoughts", "What is 3 plus 4?")
    assert asked.code == 0, asked.err
    assert asked.out.strip()
    asked = descant(*here, "ask", "--engine", "vllm", "--server", "http://127.0.0.1:1", "--model", there[-1], "Hello?")
    assert asked.code == 1
    assert "no language model server answers" in asked.err


def test_the_doctor_looks_at_the_server(
    descant: Descant, vllm_server: VllmServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    found = descant(
        *("--set", f"engine.context={CONTEXT}", "--set", f"models.llm={vllm_server.folder}"),
        *("doctor", "--engine", "vllm", "--server", vllm_server.url),
    )
    assert "answers in token ids" in found.out
    assert f"on, in blocks of {BLOCK} tokens" in found.out
    assert "is the served model's" in found.out
