"""The embedded engine on a tiny model: who shares a step, what waits, and what its caches hold.

What every engine owes its callers is in `test_engine_contract`.
"""

from __future__ import annotations

import asyncio
import random
import threading
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, cast

import pytest
import torch

from reasoning.engine.attention import Run
from reasoning.engine.contract import Grammar, Sampling
from reasoning.engine.decoder import Decoder
from reasoning.engine.torch_engine import TorchEngine, TorchSession
from reasoning.errors import BlockBusy, EngineFailed
from reasoning.formats.gguf import GgufFile, open_gguf
from tests.reasoning.reference import Reference, ReferenceBlock
from tests.reasoning.tiny_models import FAMILIES, LLAMA, Tiny, hf_greedy, write_tiny

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Sequence
    from pathlib import Path

    from torch import Tensor

    from reasoning.engine.cache import BlockCache
    from reasoning.engine.contract import Token
    from reasoning.engine.schedule import TorchBlock
    from reasoning.tools.grammar import Grammars

POISON = LLAMA.vocabulary - 1
CLOSE = 1e-4
FREE_ROWS = (0.0, *[1.0] * 8)
"""Costs of a machine that computes eight rows as quickly as one."""


class WatchedDecoder(Decoder):
    """A decoder that writes down its steps, waits for leave where it is told to, and cannot compute `POISON`."""

    def __init__(self, file: GgufFile, max_context: int = 512, *, poisoned: bool = False) -> None:
        super().__init__(file, torch.float32, max_context=max_context)
        self.log: list[tuple[list[tuple[list[int], list[BlockCache], list[int]]], Tensor]] = []
        self.runs: list[Sequence[Run]] = []
        self.poisoned = poisoned
        self.entered, self.leave = threading.Semaphore(0), threading.Semaphore(0)
        self.gated = False

    def forward(self, runs: Sequence[Run]) -> Tensor:
        if self.gated:
            self.entered.release()
            self.leave.acquire()
        if self.poisoned and any(POISON in run.tokens for run in runs):
            raise RuntimeError("no memory for this")
        written = [(list(run.tokens), list(run.view), [cache.length for cache in run.view]) for run in runs]
        logits = super().forward(runs)
        self.log.append((written, logits))
        self.runs.append(runs)
        return logits

    def rows(self) -> list[list[int]]:
        """Rows of each run of each step."""
        return [[len(tokens) for tokens, _, _ in runs] for runs, _ in self.log]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> GgufFile:
    torch.set_num_threads(1)
    return open_gguf(write_tiny(tmp_path_factory.mktemp("tiny") / "tiny.gguf", LLAMA))


@pytest.fixture
def decoder(file: GgufFile) -> WatchedDecoder:
    return WatchedDecoder(file)


@pytest.fixture
def engine(decoder: WatchedDecoder) -> Iterator[TorchEngine]:
    engine = TorchEngine(decoder, threads=1)
    yield engine
    decoder.gated = False
    decoder.leave.release(1000)
    engine.close()


def greedy(file: GgufFile, ids: Sequence[int], count: int) -> list[int]:
    """What a plain loop over one cache chooses."""
    reference, block = Reference(file), ReferenceBlock()
    found: list[int] = []
    logits = reference.step([(ids, [block])])[0][-1]
    while len(found) < count:
        found.append(int(logits.argmax()))
        logits = reference.step([(found[-1:], [block])])[0][-1]
    return found


async def settle(engine: TorchEngine) -> None:
    """Wait until the engine has nothing to do: between two looks of the worker no step was made."""
    seen = [-2, -1]
    while seen[-1] != seen[-2]:
        await engine.between_steps(lambda: seen.append(engine.steps))


async def entered(decoder: WatchedDecoder) -> None:
    """Wait until the worker stands in a step."""
    await asyncio.get_running_loop().run_in_executor(None, decoder.entered.acquire)


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


def replay(file: GgufFile, decoder: WatchedDecoder) -> None:
    """Compute every step that the decoder made once more, by the reference."""
    reference = Reference(file)
    blocks: dict[int, ReferenceBlock] = {}
    drafted: dict[int, ReferenceBlock] = {}
    """Blocks with the guesses of the last step that wrote them: some of those have come true."""
    for (written, found), runs in zip(decoder.log, decoder.runs, strict=True):
        for _, view, lengths in written:
            for cache, length in zip(view, lengths, strict=True):
                if length > len(blocks.setdefault(id(cache), ReferenceBlock())):
                    blocks[id(cache)] = drafted[id(cache)]
                blocks[id(cache)].crop(length)
                assert len(blocks[id(cache)]) == length
        views = [[blocks[id(cache)] for cache in run.view] for run in runs]
        certain = [run.tokens[: len(run.tokens) - run.guesses] for run in runs]
        steps = reference.step(list(zip(certain, views, strict=True)))
        expected: list[Tensor] = []
        for run, read_blocks, logits in zip(runs, views, steps, strict=True):
            expected.extend(logits[-1:] if run.logits else ())
            if run.guesses:
                # They read what all others wrote, and nobody reads them.
                own, length = read_blocks[-1], len(read_blocks[-1])
                expected.extend(reference.step([(run.tokens[-run.guesses :], read_blocks)])[0])
                drafted[id(run.view[-1])] = ReferenceBlock(own.keys, own.values)
                own.crop(length)
        for row, logits in zip(found, expected, strict=True):
            assert float((row - logits).abs().max()) <= CLOSE


class SlowChoice:
    """Grammars whose choice of a token takes until somebody lets it go."""

    active = True

    def __init__(self) -> None:
        self.entered, self.leave = threading.Event(), threading.Event()
        self.was_let_go = False

    def matcher(self, _: object) -> SlowChoice:
        return self

    def restrict(self, logits: Tensor) -> Tensor:
        self.entered.set()
        self.was_let_go = self.leave.wait(30)
        return logits

    def take(self, token: int) -> None:
        """Any token will do."""


# --- what a stream delivers ---


@pytest.mark.parametrize("tiny", FAMILIES, ids=lambda tiny: f"{tiny.architecture}-{tiny.seed}")
async def test_one_stream_alone_equals_greedy_generation_by_transformers(tiny: Tiny, tmp_path: Path) -> None:
    file = open_gguf(write_tiny(tmp_path / "tiny.gguf", tiny))
    prompt = random.Random(3).choices(range(tiny.vocabulary), k=30)
    engine = TorchEngine(Decoder(file, torch.float32), threads=1)
    async with engine.session() as session:
        text = session.block("text")
        await session.append([text], prompt)
        tokens = await read(session.generate([text], Sampling(max_tokens=60)))
    engine.close()
    assert ids_of(tokens) == hf_greedy(tiny, prompt, 60)


@pytest.mark.parametrize("prefill_rows", [1, 2, 8])
async def test_a_stream_reads_every_block_to_its_end(file: GgufFile, prefill_rows: int) -> None:
    decoder = WatchedDecoder(file)
    engine = TorchEngine(decoder, threads=1, prefill_rows=prefill_rows)
    async with engine.session() as session:
        view: list[TorchBlock] = []
        for number in range(5):
            view.append(session.block(str(number)))
            await session.append(view, [3 * number + 1, 3 * number + 2, 3 * number + 3])
        assert [block.waiting for block in view] == [0, 0, 0, 0, 1]
        others = [session.block(f"other {number}") for number in range(4)]
        for block in others:
            await session.append([block], [20, 21])
        await session.append([*others, view[0], session.block("last")], [30])
        streams = [session.generate(view, Sampling(max_tokens=20))]
        streams.append(session.generate([*others, view[0], session.block("last")], Sampling(max_tokens=20)))
        found = await asyncio.gather(*map(read, streams))
    engine.close()
    assert ids_of(found[0]) == greedy(file, range(1, 16), 20)
    replay(file, decoder)


async def test_log_prob_is_the_models_own(file: GgufFile, engine: TorchEngine) -> None:
    async with engine.session() as session:
        text = session.block("text")
        await session.append([text], [1, 2, 3])
        rules = Sampling(max_tokens=1, temperature=3.0, top_k=3, ban=frozenset(greedy(file, [1, 2, 3], 1)))
        (token,) = await read(session.generate([text], rules))
    logits = Reference(file).step([([1, 2, 3], [ReferenceBlock()])])[0][-1]
    assert token.log_prob == pytest.approx(float(logits.log_softmax(dim=-1)[token.id]), abs=CLOSE)


async def test_a_stream_ends_after_max_tokens(engine: TorchEngine) -> None:
    async with engine.session() as session:
        text = session.block("text")
        await session.append([text], [1, 2, 3])
        assert len(await read(session.generate([text], Sampling(max_tokens=7)))) == 7
        await settle(engine)
        assert text.cache.length <= 10


async def test_a_stream_continues_where_an_earlier_one_ended(file: GgufFile, engine: TorchEngine) -> None:
    async with engine.session() as session:
        text = session.block("text")
        await session.append([text], [1, 2, 3])
        first = await read(session.generate([text], Sampling(max_tokens=5)))
        second = await read(session.generate([text], Sampling(max_tokens=5)))
    assert ids_of(first + second) == greedy(file, [1, 2, 3], 10)


async def test_sessions_in_one_engine_do_not_influence_each_other(
    file: GgufFile, engine: TorchEngine, decoder: WatchedDecoder
) -> None:
    async def answer(prompt: Sequence[int]) -> list[int]:
        async with engine.session() as session:
            text = session.block("text")
            await session.append([text], prompt)
            return ids_of(await read(session.generate([text], Sampling(max_tokens=40))))

    prompts = [[1, 2, 3], [4] * 30, [60, 50, 40, 30]]
    found = await asyncio.gather(*map(answer, prompts))
    assert max(map(len, decoder.rows())) > 1
    for prompt, ids in zip(prompts, found, strict=True):
        assert ids == greedy(file, prompt, 40)


# --- who runs, and who waits ---


async def test_an_unread_stream_computes_one_token_ahead_and_pauses(engine: TorchEngine) -> None:
    async with engine.session() as session:
        text = session.block("text")
        await session.append([text], [1, 2, 3])
        async with aclosing(session.generate([text], Sampling())) as stream:
            assert engine.steps == 1
            for read_so_far in range(1, 5):
                token = await anext(stream)
                await settle(engine)
                assert text.tokens[-1] == token.id
                assert len(text) == 3 + read_so_far
                assert text.cache.length == len(text) + 1
                assert engine.steps == 1 + read_so_far + 2


async def test_what_was_ahead_is_gone_after_aclose(file: GgufFile, engine: TorchEngine) -> None:
    async with engine.session() as session:
        text = session.block("text")
        await session.append([text], [1, 2, 3])
        stream = session.generate([text], Sampling())
        found = ids_of(await read(stream, 4))
        await settle(engine)
        await stream.aclose()
        assert list(text.tokens) == text.ids == [1, 2, 3, *found]
        assert text.cache.length == len(text)
        assert ids_of(await read(session.generate([text], Sampling(max_tokens=4)))) == greedy(file, [1, 2, 3], 8)[4:]


@pytest.mark.parametrize("max_tokens", [2, 3, 100])
async def test_crop_takes_back_what_was_not_delivered(engine: TorchEngine, max_tokens: int) -> None:
    async with engine.session() as session:
        text = session.block("text")
        await session.append([text], [1, 2, 3])
        stream = session.generate([text], Sampling(max_tokens=max_tokens))
        first = await anext(stream)
        await settle(engine)
        await session.crop(text, 100)
        assert list(text.tokens) == text.ids == [1, 2, 3, first.id]
        assert await read(stream) == []
        await session.append([text], [7, 8])
        await stream.aclose()
        assert list(text.tokens) == text.ids == [1, 2, 3, first.id, 7, 8]


async def test_a_cancelled_reader_leaves_what_was_delivered(engine: TorchEngine, decoder: WatchedDecoder) -> None:
    async with engine.session() as session:
        text = session.block("text")
        await session.append([text], [1, 2, 3])
        delivered: list[int] = []

        async def consume() -> None:
            async with aclosing(session.generate([text], Sampling())) as stream:
                while True:
                    delivered.append((await anext(stream)).id)

        for _ in range(3):
            decoder.gated = True
            task = asyncio.create_task(consume())
            await entered(decoder)
            decoder.leave.release()
            await entered(decoder)
            task.cancel()
            await asyncio.sleep(0)
            decoder.gated = False
            decoder.leave.release()
            with suppress(asyncio.CancelledError):
                await task
            await settle(engine)
            assert list(text.tokens) == text.ids == [1, 2, 3, *delivered]
            assert text.writer is None


async def test_streams_that_are_read_share_their_steps(
    file: GgufFile, engine: TorchEngine, decoder: WatchedDecoder
) -> None:
    async with engine.session() as session:
        prompt, thoughts, reply = (session.block(name) for name in ("prompt", "thoughts", "reply"))
        await session.append([prompt], [1, 2, 3])
        await session.append([prompt, thoughts], [4])
        await session.append([prompt, thoughts, reply], [5, 6])
        decoder.gated = True
        rules = Sampling(max_tokens=20)
        thinker = asyncio.create_task(read(session.generate([prompt, thoughts], rules)))
        writer = asyncio.create_task(read(session.generate([prompt, thoughts, reply], rules)))
        while not (thinker.done() and writer.done()):
            decoder.leave.release()
            await asyncio.sleep(0)
        thought, said = await thinker, await writer
    steps = [{token.step: token for token in tokens} for tokens in (thought, said)]
    shared = steps[0].keys() & steps[1].keys()
    assert len(shared) >= 15
    for step in shared:
        mine, other = (tokens[step] for tokens in steps)
        assert mine.seen == {"prompt": 3, "thoughts": mine.seen["thoughts"]}
        assert other.seen["thoughts"] == mine.seen["thoughts"]
    assert [token.seen["thoughts"] for token in thought] == list(range(1, 21))
    assert [token.seen["reply"] for token in said] == list(range(2, 22))
    assert [token.step for token in said] == sorted({token.step for token in said})
    assert engine.steps >= max(*steps[0], *steps[1])
    replay(file, decoder)


async def test_a_live_view_grows_under_its_reader(file: GgufFile, engine: TorchEngine, decoder: WatchedDecoder) -> None:
    async with engine.session() as session:
        heard, thoughts = session.block("heard"), session.block("thoughts")
        await session.append([heard], [1, 2, 3])
        await session.append([heard, thoughts], [4])
        async with aclosing(session.generate([heard, thoughts], Sampling())) as stream:
            found = await read(stream, 3)
            await session.append([heard], list(range(10, 40)))
            found += await read(stream, 6)
        assert found[0].seen["heard"] == 3
        # The last word waits for a reader and gets it: the stream, in its next step.
        assert found[-1].seen["heard"] == 33
    assert ids_of(found[:3]) == greedy(file, [1, 2, 3, 4], 3)
    replay(file, decoder)


async def test_text_waits_while_streams_run_and_hurries_when_none_does(
    engine: TorchEngine, decoder: WatchedDecoder
) -> None:
    async with engine.session() as session:
        text, other = session.block("text"), session.block("other")
        await session.append([text], [1] * 200)
        assert decoder.rows() == [[128], [71]]
        decoder.log.clear()
        reader = asyncio.create_task(read(session.generate([text], Sampling(max_tokens=30))))
        decoder.gated = True
        await entered(decoder)
        appended = asyncio.create_task(session.append([other], [2] * 100))
        while not reader.done():
            decoder.leave.release()
            await asyncio.sleep(0)
        decoder.gated = False
        decoder.leave.release(100)
        await appended
        both = [rows for rows in decoder.rows() if len(rows) == 2]
        assert both
        assert all(rows == [1, 8] for rows in both[:-1])
        assert both[-1] in ([1, 8], [1, 3])


# --- waiting tokens ---


async def test_the_last_token_of_a_block_is_computed_for_its_reader_under_the_blocks_own_view(
    file: GgufFile, engine: TorchEngine, decoder: WatchedDecoder
) -> None:
    async with engine.session() as session:
        prompt, text, alone = (session.block(name) for name in ("prompt", "text", "alone"))
        await session.append([prompt], [1, 2, 3])
        await session.append([prompt, text], [4, 5])
        assert (prompt.cache.length, text.cache.length) == (3, 1)
        await session.append([text, alone], [6, 7])
        assert text.cache.length == 2
        plain = decoder.cache()
        with torch.inference_mode():
            Decoder.forward(decoder, [run_of([1, 2, 3, 4, 5], plain)])
        # Values are not rotated, so they show under which view a token was computed.
        assert (text.cache.values[:, :, :2] - plain.values[:, :, 3:5]).abs().max() <= CLOSE
    replay(file, decoder)


def run_of(tokens: Sequence[int], cache: BlockCache) -> Run:
    return Run(tokens, [cache], logits=False)


async def test_what_a_waiting_token_itself_reads_is_computed_first(
    engine: TorchEngine, decoder: WatchedDecoder
) -> None:
    async with engine.session() as session:
        prompt, text, alone = (session.block(name) for name in ("prompt", "text", "alone"))
        await session.append([prompt, text], [4])
        await session.append([prompt], [1, 2, 3])
        await session.append([text, alone], [6, 7])
        assert (prompt.cache.length, text.cache.length) == (3, 1)
        plain = decoder.cache()
        with torch.inference_mode():
            Decoder.forward(decoder, [run_of([1, 2, 3, 4], plain)])
        assert (text.cache.values[:, :, :1] - plain.values[:, :, 3:4]).abs().max() <= CLOSE


async def test_a_cancelled_append_is_finished_by_the_next_reader(
    file: GgufFile, engine: TorchEngine, decoder: WatchedDecoder
) -> None:
    prompt = random.Random(4).choices(range(LLAMA.vocabulary), k=300)
    async with engine.session() as session:
        text, reply = session.block("text"), session.block("reply")
        decoder.gated = True
        task = asyncio.create_task(session.append([text], prompt))
        await entered(decoder)
        task.cancel()
        await asyncio.sleep(0)
        decoder.gated = False
        decoder.leave.release()
        with suppress(asyncio.CancelledError):
            await task
        await settle(engine)
        assert list(text.tokens) == prompt
        assert text.waiting == 300 - 128
        await session.append([text, reply], [5])
        found = await read(session.generate([text, reply], Sampling(max_tokens=5)))
    assert ids_of(found) == greedy(file, [*prompt, 5], 5)


# --- questions ---


async def test_weigh_gives_the_models_odds_and_leaves_nothing_behind(file: GgufFile, engine: TorchEngine) -> None:
    yes, no = frozenset({3, 5}), frozenset({8, 9, 11})
    logits = Reference(file).step([([1, 2, 3, 4, 20, 21, 22], [ReferenceBlock()])])[0][-1]
    share = logits.double().softmax(dim=-1)
    expected = [sum(float(share[i]) for i in choice) for choice in (yes, no)]
    async with engine.session() as session:
        text, more = session.block("text"), session.block("more")
        await session.append([text], [1, 2, 3])
        await session.append([text, more], [4])
        verdict = await session.score_choices([text, more], [20, 21, 22], [yes, no])
        assert verdict.log_odds == pytest.approx(float(torch.tensor(expected[0] / expected[1]).log()), abs=1e-3)
        assert verdict.step == engine.steps
        assert (list(text.tokens), list(more.tokens)) == ([1, 2, 3], [4])
        assert (text.cache.length, more.cache.length) == (3, 1)
        assert set(session._blocks) == {"text", "more"}
        found = await read(session.generate([text, more], Sampling(max_tokens=10)))
    assert ids_of(found) == greedy(file, [1, 2, 3, 4], 10)


# --- refusals and failures ---


async def test_a_block_is_busy_until_its_last_token_is_delivered(engine: TorchEngine) -> None:
    async with engine.session() as session:
        text = session.block("text")
        await session.append([text], [1, 2, 3])
        stream = session.generate([text], Sampling(max_tokens=2))
        first = await anext(stream)
        await settle(engine)
        with pytest.raises(BlockBusy):
            await session.append([text], [4])
        second = await anext(stream)
        await session.append([text], [4])
        assert list(text.tokens) == [1, 2, 3, first.id, second.id, 4]
        await stream.aclose()
        assert list(text.tokens) == [1, 2, 3, first.id, second.id, 4]


async def test_a_run_that_cannot_be_computed_ends_only_its_job(file: GgufFile) -> None:
    decoder = WatchedDecoder(file, poisoned=True)
    engine = TorchEngine(decoder, threads=1)
    async with engine.session() as session:
        good, bad, reader = session.block("good"), session.block("bad"), session.block("reader")
        await session.append([good], [1, 2, 3])
        stream = session.generate([good], Sampling(max_tokens=30, ban=frozenset({POISON})))
        reading = asyncio.create_task(read(stream))
        with pytest.raises(EngineFailed, match="no memory for this"):
            await session.append([bad], [4, POISON, 5])
        with pytest.raises(EngineFailed, match="no memory for this"):
            await session.append([bad, reader], [5, 6])
        assert len(await reading) == 30
        await session.crop(bad, 0)
        await session.append([bad], [4, 5, 6])
        assert bad.cache.length == 2
    engine.close()
    replay(file, decoder)


async def test_a_command_that_fails_fails_for_who_gave_it_alone(engine: TorchEngine) -> None:
    def fail() -> None:
        raise RuntimeError("shapes differ")

    async with engine.session() as session:
        block = session.block("a")
        await session.append([block], [1, 2])
        with pytest.raises(RuntimeError, match="shapes differ"):
            await engine.between_steps(fail)
        assert len([token async for token in session.generate([block], Sampling(max_tokens=3))]) == 3


async def test_closing_the_engine_ends_everything(file: GgufFile) -> None:
    decoder = WatchedDecoder(file)
    engine = TorchEngine(decoder, threads=1)
    async with engine.session() as session:
        text, other = session.block("text"), session.block("other")
        await session.append([text], [1, 2, 3])
        stream = session.generate([text], Sampling())
        await anext(stream)
        decoder.gated = True
        # Neither is computed in one step.
        waiting = asyncio.create_task(session.append([other], [1] * 300))
        asked = asyncio.create_task(session.score_choices([text], [1] * 300, [frozenset({1}), frozenset({2})]))
        await entered(decoder)
        decoder.gated = False
        closing = asyncio.create_task(asyncio.to_thread(engine.close))
        while not engine._closed:  # noqa: ASYNC110 - the engine closes on another thread
            await asyncio.sleep(0)
        decoder.leave.release()
        await closing
        for task in (waiting, asked):
            with pytest.raises(EngineFailed, match="closed"):
                await task
        with pytest.raises(EngineFailed, match="closed"):
            await read(stream)
        with pytest.raises(EngineFailed, match="closed"):
            await session.append([other], [1])
        await session.crop(text, 0)
        assert len(text) == 0


async def test_leaving_a_session_ends_its_streams_and_frees_its_caches(
    engine: TorchEngine, decoder: WatchedDecoder
) -> None:
    async with engine.session() as session:
        text, more = session.block("text"), session.block("more")
        await session.append([text], [1, 2, 3])
        await session.append([text, more], [1, 2, 3])
        decoder.gated = True
        reading = asyncio.create_task(read(session.generate([text, more], Sampling())))
        asked = asyncio.create_task(session.score_choices([text], [1] * 20, [frozenset({1}), frozenset({2})]))
        await entered(decoder)
        await asyncio.sleep(0)
        decoder.gated = False
        closing = asyncio.create_task(session.aclose())
        await asyncio.sleep(0)
        decoder.leave.release()
        await closing
        await reading
        with pytest.raises(EngineFailed, match="the session is closed"):
            await asked
        assert [block.cache.keys.numel() for block in (text, more)] == [0, 0]
        assert engine._schedule.jobs == []
    steps = engine.steps
    await settle(engine)
    assert engine.steps == steps


def test_a_reader_whose_event_loop_is_gone_disturbs_nobody(
    file: GgufFile, engine: TorchEngine, decoder: WatchedDecoder
) -> None:
    async def start(session: TorchSession) -> asyncio.Task[list[Token]]:
        text = session.block("text")
        await session.append([text], [1, 2, 3])
        decoder.gated = True
        reading = asyncio.create_task(read(session.generate([text], Sampling())))
        await entered(decoder)
        return reading

    async def answer() -> list[int]:
        async with engine.session() as session:
            text = session.block("text")
            await session.append([text], [1, 2, 3])
            return ids_of(await read(session.generate([text], Sampling(max_tokens=10))))

    gone = asyncio.new_event_loop()
    gone.set_exception_handler(lambda *_: None)
    reading = gone.run_until_complete(start(TorchSession(engine)))
    gone.close()
    decoder.gated = False
    decoder.leave.release()
    assert asyncio.run(answer()) == greedy(file, [1, 2, 3], 10)
    assert not reading.done()


# --- what the event loop waits for ---


async def test_while_a_token_is_chosen_the_event_loop_waits_for_nothing(file: GgufFile) -> None:
    slow = SlowChoice()
    engine = TorchEngine(Decoder(file, torch.float32), threads=1, grammars=cast("Grammars", slow))
    async with engine.session() as session:
        quick, held, other = map(session.block, ("quick", "held", "other"))
        await session.append([quick], [1, 2])
        await session.append([held], [3, 4])
        plain = session.generate([quick], Sampling(max_tokens=8))
        first = await anext(plain)
        await settle(engine)  # it is a token ahead now
        bound = session.generate([held], Sampling(max_tokens=1, grammar=Grammar((), "", 1)))
        choosing = asyncio.create_task(read(bound))
        await asyncio.to_thread(slow.entered.wait, 30)
        # The worker stands in the choice now, and goes on only when this very thread lets it.
        second = await anext(plain)
        appending = asyncio.create_task(session.append([other], [5, 6]))
        await asyncio.sleep(0)
        assert not appending.done()
        slow.leave.set()
        await appending
        await choosing
        assert slow.was_let_go
        rest = await read(plain)
    engine.close()
    assert ids_of([first, second, *rest]) == greedy(file, [1, 2], 8)


async def test_who_crops_a_block_ends_its_reading_at_once(file: GgufFile, decoder: WatchedDecoder) -> None:
    engine = TorchEngine(decoder, threads=1)
    async with engine.session() as session:
        block = session.block("text")
        await session.append([block], [1, 2])
        stream = session.generate([block], Sampling(max_tokens=50))
        await read(stream, 3)
        decoder.gated = True
        cropping = asyncio.create_task(session.crop(block, 4))
        await asyncio.sleep(0)
        # Whatever was sampled ahead is not given out any more, although the crop waits for the step that runs.
        ended = asyncio.create_task(read(stream))
        decoder.gated = False
        decoder.leave.release(1000)
        assert await ended == []
        await cropping
        assert list(block.tokens) == [1, 2, *greedy(file, [1, 2], 2)]
        await session.append([block], [7])
        assert ids_of(await read(session.generate([block], Sampling(max_tokens=4)))) == greedy(
            file, [1, 2, *greedy(file, [1, 2], 2), 7], 4
        )
    engine.close()
