"""What every engine owes its callers, on each of them: the embedded one, and the served one over two kinds of server.

`drafts` is `torch` where drafts cost nothing, `portable` is `torch` by what every device has, `cuda` that on a card.
`served` is the engine for vLLM over a small stand-in for the server, on the same tiny model as `torch`; `vllm` is the
same engine over a real vLLM, `live` over one with live views. What only one engine promises is tested in its own file.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from reasoning.engine.contract import Engine, EngineSession, Sampling, Token
from reasoning.engine.decoder import Decoder
from reasoning.engine.torch_engine import TorchEngine
from reasoning.errors import BadTool, BlockBusy, ContextFull, EngineFailed
from reasoning.formats.gguf import open_gguf
from reasoning.options import VllmOptions
from reasoning.vllm.blocks import ServerLimits
from reasoning.vllm.engine import VllmEngine
from reasoning.vllm.servers import Servers
from tests.reasoning.engine.test_torch_engine import FREE_ROWS
from tests.reasoning.reference import Reference, ReferenceBlock
from tests.reasoning.tiny_models import LLAMA, write_tiny
from tests.reasoning.toy_vllm import ToyServer, ToyVllm, computed_by
from tests.vllm.server import VllmServer

Session = EngineSession[Any]


@dataclass(frozen=True, slots=True)
class Lab:
    """An engine, and what its model has to say, found out without it."""

    engine: Engine
    shares: Callable[[Sequence[int]], Awaitable[list[float]]]
    """(tokens) -> probability of each next token."""
    greedy: Callable[[Sequence[int], int], Awaitable[list[int]]]
    """(tokens, count) -> what a plain loop writes behind them."""
    vocabulary: int


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return write_tiny(tmp_path_factory.mktemp("tiny") / "tiny.gguf", LLAMA)


def tiny_lab(engine: Engine, path: Path) -> Lab:
    reference = Reference(open_gguf(path))

    async def shares(ids: Sequence[int]) -> list[float]:
        found: list[float] = reference.step([(ids, [ReferenceBlock()])])[0][-1].double().softmax(dim=-1).tolist()
        return found

    async def greedy(ids: Sequence[int], count: int) -> list[int]:
        block, found = ReferenceBlock(), list[int]()
        logits = reference.step([(ids, [block])])[0][-1]
        while len(found) < count:
            found.append(int(logits.argmax()))
            logits = reference.step([(found[-1:], [block])])[0][-1]
        return found

    return Lab(engine, shares, greedy, LLAMA.vocabulary)


@asynccontextmanager
async def torch_lab(
    path: Path,
    context: int,
    device: torch.device | None = None,
    *,
    portable: bool = False,
    row_costs: Sequence[float] = (),
) -> AsyncIterator[Lab]:
    decoder = Decoder(open_gguf(path), torch.float32, device, max_context=context, portable=portable)
    engine = TorchEngine(decoder, threads=1, row_costs=row_costs)
    try:
        yield tiny_lab(engine, path)
    finally:
        await asyncio.to_thread(engine.close)


@asynccontextmanager
async def served_lab(path: Path, context: int) -> AsyncIterator[Lab]:
    async with AsyncExitStack() as stack:
        toy = ToyVllm(computed_by(open_gguf(path)))
        server = await stack.enter_async_context(ToyServer(toy).served())
        servers = Servers(VllmOptions(servers=(server.url,)))
        await stack.enter_async_context(servers.watched())
        await servers.model()
        engine = VllmEngine(servers, ServerLimits(min(context, toy.max_model_len - 1), 4, LLAMA.vocabulary))
        yield tiny_lab(engine, path)
        await toy.until_idle()


@asynccontextmanager
async def vllm_lab(server: VllmServer, context: int) -> AsyncIterator[Lab]:
    servers = Servers(VllmOptions(servers=(server.url,)))
    async with servers.watched():
        model = await servers.model()
        engine = VllmEngine(servers, ServerLimits(min(context, model.context - 1), 4, server.vocabulary))
        yield Lab(engine, server.shares, server.greedy, server.vocabulary)


@pytest.fixture(
    params=[
        "torch",
        "drafts",
        "portable",
        *(["cuda"] if torch.cuda.is_available() else []),
        "served",
        *(pytest.param(name, marks=pytest.mark.vllm) for name in ("vllm", "live")),
    ]
)
def open_lab(request: pytest.FixtureRequest, tiny: Path) -> Callable[[int], Any]:
    """Give what opens a lab with room for so many tokens."""
    if request.param in {"vllm", "live"}:
        server = request.getfixturevalue("vllm_server" if request.param == "vllm" else "live_vllm_server")
        return lambda context: vllm_lab(server, context)
    if request.param == "served":
        return lambda context: served_lab(tiny, context)
    device = torch.device("cuda", 0) if request.param == "cuda" else None
    costs = FREE_ROWS if request.param == "drafts" else ()
    return lambda context: torch_lab(tiny, context, device, portable=request.param == "portable", row_costs=costs)


@pytest.fixture
async def lab(open_lab: Callable[[int], Any]) -> AsyncIterator[Lab]:
    async with open_lab(500) as lab:
        yield lab


async def read(stream: AsyncGenerator[Token], count: int = 10_000) -> list[Token]:
    found: list[Token] = []
    while len(found) < count:
        try:
            found.append(await anext(stream))
        except StopAsyncIteration:
            break
    return found


def ids_of(tokens: Sequence[Token]) -> list[int]:
    return [token.id for token in tokens]


# --- what a stream delivers ---


async def test_a_stream_reads_its_whole_view(lab: Lab) -> None:
    async with lab.engine.session() as session:
        view = []
        for number in range(5):
            view.append(session.block(str(number)))
            await session.append(view, [3 * number + 1, 3 * number + 2, 3 * number + 3])
        found = await read(session.generate(view, Sampling(max_tokens=20)))
    assert ids_of(found) == await lab.greedy(range(1, 16), 20)
    assert [token.seen["4"] for token in found] == list(range(3, 23))
    assert all(token.seen["0"] == 3 for token in found)


async def test_log_prob_is_the_models_own_and_banned_tokens_are_not_chosen(lab: Lab) -> None:
    ban = frozenset(await lab.greedy([1, 2, 3], 1))
    async with lab.engine.session() as session:
        text = session.block("text")
        await session.append([text], [1, 2, 3])
        rules = Sampling(max_tokens=1, temperature=2.0, top_k=3, ban=ban)
        (token,) = await read(session.generate([text], rules))
    assert token.id not in ban
    shares = await lab.shares([1, 2, 3])
    assert token.log_prob == pytest.approx(math.log(shares[token.id]), abs=1e-3)


async def test_the_stop_token_is_delivered_and_ends_the_stream(lab: Lab) -> None:
    expected = await lab.greedy([1, 2, 3], 12)
    stop = expected[7]
    async with lab.engine.session() as session:
        text = session.block("text")
        await session.append([text], [1, 2, 3])
        found = ids_of(await read(session.generate([text], Sampling(stop=frozenset({stop})))))
        assert found == expected[: expected.index(stop) + 1]
        assert list(text.tokens) == [1, 2, 3, *found]


async def test_a_stream_ends_after_max_tokens_and_the_next_one_continues(lab: Lab) -> None:
    async with lab.engine.session() as session:
        text = session.block("text")
        await session.append([text], [1, 2, 3])
        first = await read(session.generate([text], Sampling(max_tokens=5)))
        second = await read(session.generate([text], Sampling(max_tokens=5)))
    assert [len(first), len(second)] == [5, 5]
    assert ids_of(first + second) == await lab.greedy([1, 2, 3], 10)


async def test_a_seed_gives_the_same_tokens_again(lab: Lab) -> None:
    async with lab.engine.session() as session:
        found = []
        for number, seed in enumerate([5, 5, 6]):
            text = session.block(str(number))
            await session.append([text], [1, 2, 3])
            rules = Sampling(max_tokens=30, temperature=2.0, seed=seed)
            found.append(ids_of(await read(session.generate([text], rules))))
    assert found[0] == found[1] != found[2]


async def test_crop_then_generate_equals_never_having_written(lab: Lab) -> None:
    async with lab.engine.session() as session:
        prompt, text = session.block("prompt"), session.block("text")
        await session.append([prompt], [1, 2, 3])
        await session.append([prompt, text], [4])
        await session.append([prompt, text], [9, 9, 9])
        await read(session.generate([prompt, text], Sampling(max_tokens=40, temperature=1.0)))
        await session.crop(text, 1)
        assert list(text.tokens) == [4]
        found = await read(session.generate([prompt, text], Sampling(max_tokens=20)))
    assert ids_of(found) == await lab.greedy([1, 2, 3, 4], 20)


async def test_sessions_in_one_engine_do_not_influence_each_other(lab: Lab) -> None:
    async def answer(prompt: Sequence[int]) -> list[int]:
        async with lab.engine.session() as session:
            text = session.block("text")
            await session.append([text], prompt)
            return ids_of(await read(session.generate([text], Sampling(max_tokens=20))))

    prompts = [[1, 2, 3], [4] * 30, [60, 50, 40, 30]]
    found = await asyncio.gather(*map(answer, prompts))
    for prompt, ids in zip(prompts, found, strict=True):
        assert ids == await lab.greedy(prompt, 20)


# --- what a block holds ---


@pytest.mark.parametrize("max_tokens", [2, 3, 100])
async def test_crop_ends_the_stream_and_takes_back_what_was_not_delivered(lab: Lab, max_tokens: int) -> None:
    async with lab.engine.session() as session:
        text = session.block("text")
        await session.append([text], [1, 2, 3])
        stream = session.generate([text], Sampling(max_tokens=max_tokens))
        first = await anext(stream)
        await session.crop(text, 100)
        assert list(text.tokens) == [1, 2, 3, first.id]
        assert await read(stream) == []
        await session.append([text], [7, 8])
        await stream.aclose()
        assert list(text.tokens) == [1, 2, 3, first.id, 7, 8]
        again = await read(session.generate([text], Sampling(max_tokens=3)))
    assert ids_of(again) == await lab.greedy([1, 2, 3, first.id, 7, 8], 3)


async def test_crop_while_somebody_waits_for_a_token_ends_the_stream(lab: Lab) -> None:
    async with lab.engine.session() as session:
        text = session.block("text")
        await session.append([text], [1, 2, 3])
        reading = asyncio.create_task(read(session.generate([text], Sampling(max_tokens=400))))
        while len(text) < 6:  # noqa: ASYNC110 - the engine may be on another thread, or another machine
            await asyncio.sleep(0)
        await session.crop(text, 3)
        await reading
        assert list(text.tokens) == [1, 2, 3]


async def test_after_aclose_the_block_holds_what_was_delivered(lab: Lab) -> None:
    async with lab.engine.session() as session:
        text = session.block("text")
        await session.append([text], [1, 2, 3])
        stream = session.generate([text], Sampling(max_tokens=300))
        found = ids_of(await read(stream, 4))
        await stream.aclose()
        assert list(text.tokens) == [1, 2, 3, *found]
        rest = ids_of(await read(session.generate([text], Sampling(max_tokens=4))))
    assert [*found, *rest] == await lab.greedy([1, 2, 3], 8)


@pytest.mark.parametrize("turns", [0, 1, 5, 40])
async def test_a_cancelled_reader_leaves_what_was_delivered(lab: Lab, turns: int) -> None:
    async with lab.engine.session() as session:
        text = session.block("text")
        await session.append([text], [1, 2, 3])
        delivered: list[int] = []

        async def consume() -> None:
            async with aclosing(session.generate([text], Sampling(max_tokens=300))) as stream:
                async for token in stream:
                    # One by one: what came before the cancellation counts.
                    delivered.append(token.id)  # noqa: PERF401

        for _ in range(3):
            task = asyncio.create_task(consume())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            assert list(text.tokens) == [1, 2, 3, *delivered]
        await session.append([text], [4])


# --- questions ---


async def test_weigh_gives_the_models_odds_and_leaves_nothing_behind(lab: Lab) -> None:
    shares = await lab.shares([1, 2, 3, 4, 20, 21, 22])
    best = sorted(range(len(shares)), key=shares.__getitem__, reverse=True)
    yes, no = frozenset(best[1:9:4]), frozenset([*best[2:50:2], best[-1]])
    expected = [sum(shares[token] for token in choice) for choice in (yes, no)]
    async with lab.engine.session() as session:
        text, more = session.block("text"), session.block("more")
        await session.append([text], [1, 2, 3])
        await session.append([text, more], [4])
        verdict = await session.score_choices([text, more], [20, 21, 22], [yes, no])
        assert verdict.log_odds == pytest.approx(math.log(expected[0] / expected[1]), abs=1e-2)
        assert (list(text.tokens), list(more.tokens)) == ([1, 2, 3], [4])
        found = await read(session.generate([text, more], Sampling(max_tokens=10)))
    assert ids_of(found) == await lab.greedy([1, 2, 3, 4], 10)


async def test_some_tokens_are_weighed_against_all_others(lab: Lab) -> None:
    shares = await lab.shares([1, 2, 3, 4])
    likely = max(range(len(shares)), key=shares.__getitem__)
    some = frozenset({likely, 7, 11})
    share = sum(shares[token] for token in some)
    async with lab.engine.session() as session:
        text = session.block("text")
        await session.append([text], [1, 2, 3])
        verdict = await session.score_choices([text], [4], [some, frozenset(range(lab.vocabulary)) - some])
    assert verdict.log_odds == pytest.approx(math.log(share / (1 - share)), abs=1e-2)


async def test_weigh_while_a_stream_runs_does_not_change_the_stream(lab: Lab) -> None:
    async with lab.engine.session() as session:
        text = session.block("text")
        await session.append([text], [1, 2, 3])
        stream = session.generate([text], Sampling(max_tokens=30))
        found = await read(stream, 5)
        reading = asyncio.create_task(read(stream))
        questions = (session.score_choices([text], [20, 21], [frozenset({3}), frozenset({4})]) for _ in range(3))
        verdicts = await asyncio.gather(*questions)
        assert len(verdicts) == 3
        found += await reading
    assert ids_of(found) == await lab.greedy([1, 2, 3], 30)


@pytest.mark.parametrize(("question", "choices"), [([], [{1}, {2}]), ([1], [{1}]), ([1], [{1}, {2}, {3}])])
async def test_a_question_without_words_or_with_other_than_two_choices_is_refused(
    lab: Lab, question: list[int], choices: list[set[int]]
) -> None:
    async with lab.engine.session() as session:
        text = session.block("text")
        await session.append([text], [1, 2])
        with pytest.raises(ValueError, match="two choices"):
            await session.score_choices([text], question, [frozenset(choice) for choice in choices])


# --- refusals ---


async def test_a_block_has_one_writer(lab: Lab) -> None:
    async with lab.engine.session() as session:
        text = session.block("text")
        await session.append([text], [1, 2, 3])
        async with aclosing(session.generate([text], Sampling())) as stream:
            await anext(stream)
            length = len(text)
            with pytest.raises(BlockBusy, match="'text'"):
                await session.append([text], [4])
            with pytest.raises(BlockBusy, match="'text'"):
                await anext(session.generate([text], Sampling()))
            assert len(text) == length
        await session.append([text], [4])
        assert text.tokens[-1] == 4


async def test_a_block_is_busy_until_its_last_token_is_delivered(lab: Lab) -> None:
    async with lab.engine.session() as session:
        text = session.block("text")
        await session.append([text], [1, 2, 3])
        stream = session.generate([text], Sampling(max_tokens=2))
        first = await anext(stream)
        with pytest.raises(BlockBusy):
            await session.append([text], [4])
        second = await anext(stream)
        await session.append([text], [4])
        assert list(text.tokens) == [1, 2, 3, first.id, second.id, 4]
        await stream.aclose()
        assert list(text.tokens) == [1, 2, 3, first.id, second.id, 4]


async def test_a_view_that_is_too_long_is_refused(open_lab: Callable[[int], Any]) -> None:
    async with open_lab(32) as lab, lab.engine.session() as session:
        text, reply = session.block("text"), session.block("reply")
        with pytest.raises(ContextFull, match=r"33 tokens does not fit the 32 .*engine.context"):
            await session.append([text], [1] * 33)
        assert len(text) == 0
        await session.append([text], [1] * 30)
        await session.append([text, reply], [2])
        stream = session.generate([text, reply], Sampling())
        tokens = await read(stream, 2)
        with pytest.raises(ContextFull):
            await anext(stream)
        assert ids_of(tokens) == await lab.greedy([1] * 30 + [2], 2)
        assert list(reply.tokens) == [2, *ids_of(tokens)]
        with pytest.raises(ContextFull):
            await session.score_choices([text], [1, 2, 3], [frozenset({1}), frozenset({2})])


async def test_a_stream_whose_view_outgrows_the_context_ends(open_lab: Callable[[int], Any]) -> None:
    async with open_lab(32) as lab, lab.engine.session() as session:
        text, reply = session.block("text"), session.block("reply")
        await session.append([text], [1] * 10)
        await session.append([text, reply], [2])
        stream = session.generate([text, reply], Sampling())
        await read(stream, 2)
        await session.append([text], [3] * 20)
        with pytest.raises(ContextFull):
            await read(stream)
        await session.append([reply], [4])


async def test_tokens_that_the_model_does_not_have_are_refused(lab: Lab) -> None:
    async with lab.engine.session() as session:
        text = session.block("text")
        for token in (-1, lab.vocabulary):
            with pytest.raises(ValueError, match=f"no token {token}"):
                await session.append([text], [1, token])
        assert len(text) == 0


async def test_a_stream_cannot_begin_with_nothing(lab: Lab) -> None:
    async with lab.engine.session() as session:
        with pytest.raises(ValueError, match="'text' is empty"):
            await anext(session.generate([session.block("text")], Sampling()))


async def test_rules_that_no_token_can_meet_end_only_their_stream(lab: Lab) -> None:
    everything = frozenset(range(lab.vocabulary))
    async with lab.engine.session() as session:
        one, other = session.block("one"), session.block("other")
        await session.append([one], [1, 2, 3])
        await session.append([other], [1, 2, 3])
        good = session.generate([other], Sampling(max_tokens=10))
        found = await read(good, 2)
        with pytest.raises(EngineFailed, match="could be chosen"):
            await anext(session.generate([one], Sampling(ban=everything, temperature=1.0)))
        found += await read(good)
        assert list(one.tokens) == [1, 2, 3]
    assert ids_of(found) == await lab.greedy([1, 2, 3], 10)


async def test_without_grammars_a_stream_with_one_is_refused(lab: Lab) -> None:
    from reasoning.engine.contract import Form, Grammar  # noqa: PLC0415 - only here

    grammar = Grammar((Form("", '{"type": "object"}', ""),))
    async with lab.engine.session() as session:
        text = session.block("text")
        await session.append([text], [1, 2, 3])
        with pytest.raises(BadTool, match="without grammars"):
            await anext(session.generate([text], Sampling(grammar=grammar)))
        await session.append([text], [4])


async def test_leaving_a_session_ends_its_streams_and_its_questions(lab: Lab) -> None:
    session: Session
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(lab.engine.session())
        text, more = session.block("text"), session.block("more")
        await session.append([text], [1, 2, 3])
        await session.append([text, more], [1, 2, 3])
        reading = asyncio.create_task(read(session.generate([text, more], Sampling(max_tokens=400))))
        await asyncio.sleep(0)
        questions = [session.score_choices([text], [1] * 20, [frozenset({1}), frozenset({2})]) for _ in range(3)]
        asked = [asyncio.create_task(question) for question in questions]
        await asyncio.sleep(0)
    await reading
    for ended in await asyncio.gather(*asked, return_exceptions=True):
        assert not isinstance(ended, EngineFailed) or "the session is closed" in str(ended)
    assert [len(text), len(more)] == [0, 0]
