"""Draft tokens: what is guessed, what is worth its rows, and that nobody can tell by the tokens."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

from reasoning.engine.attention import Run
from reasoning.engine.contract import Sampling
from reasoning.engine.decoder import Decoder
from reasoning.engine.drafts import MOST_ROWS, Draft, Guesser, Occurrences, allotted
from reasoning.engine.torch_engine import TorchEngine
from reasoning.errors import NativeUnavailable
from reasoning.formats.gguf import GgufFile, open_gguf
from reasoning.native.instruction_sets import SETS, possible
from reasoning.native.library import processor
from tests.reasoning.engine.test_torch_engine import (
    FREE_ROWS,
    WatchedDecoder,
    entered,
    greedy,
    ids_of,
    read,
    replay,
    settle,
)
from tests.reasoning.tiny_models import LLAMA, QWEN2, write_tiny

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from reasoning.engine.contract import Token
    from reasoning.native.instruction_sets import Use

TOKENS = st.lists(st.integers(0, 3), max_size=60)


def guess(*texts: Sequence[int], limit: int = 8, guesser: Guesser | None = None) -> list[int]:
    """What is guessed behind the last of some texts."""
    return list((guesser or Guesser()).look_up([(text, Occurrences()) for text in reversed(texts)], limit).tokens)


# --- what is guessed ---


def test_what_followed_the_longest_match_is_guessed() -> None:
    assert guess([1, 2, 3, 4, 5, 6], [9, 2, 3]) == [4, 5, 6]
    assert guess([1, 2, 3, 4, 5, 6], [9, 2, 3], limit=2) == [4, 5]
    assert guess([7, 2, 3, 4], [8, 2, 3, 5], [8, 2, 3]) == [5]
    assert guess([8, 2, 3, 4], [7, 2, 3, 5], [8, 2, 3]) == [4]
    assert guess([1, 2, 3, 1, 2, 4, 1, 2]) == [4, 1, 2]
    assert guess([1, 2, 3, 4, 2, 5, 1, 2]) == [3, 4, 2, 5, 1, 2]
    assert guess([5, 6, 7], [9, 5], [6]) == [7]
    assert guess([1, 2, 3], [3, 1]) == [2, 3]
    assert guess([1, 2, 3], [4, 5]) == []
    assert guess([1], []) == []
    assert guess([], []) == []


@given(st.lists(st.tuples(st.integers(0, 60), TOKENS), min_size=1, max_size=8))
def test_a_match_is_one_in_whatever_way_the_text_came_about(changes: Sequence[tuple[int, list[int]]]) -> None:
    text: list[int] = []
    occurrences = Occurrences()
    for length, more in changes:
        del text[length:]
        occurrences.crop(length)
        text += more
        occurrences.look_through(text)
        tail = text[-8:]
        if not tail:
            continue
        end, match = occurrences.match(text, tail)
        assert end < len(text)
        assert text[end - match : end] == tail[len(tail) - match :]


@given(TOKENS)
def test_of_the_newest_places_that_with_the_longest_match_is_found(text: list[int]) -> None:
    occurrences = Occurrences()
    for stop in range(len(text) + 1):
        occurrences.look_through(text[:stop])
    if not text:
        return
    matches = [
        (max(length for length in range(1, min(end, 8) + 1) if text[end - length : end] == text[-length:]), end)
        for end in [end for end in range(1, len(text)) if text[end - 1] == text[-1]][-4:]
    ]
    length, end = max(matches, default=(0, 0))
    assert occurrences.match(text, text[-8:]) == (end, length)


def test_a_long_text_is_looked_through_in_pieces() -> None:
    text = random.Random(1).sample(range(50_000), k=8_000)
    occurrences = Occurrences()
    occurrences.look_through(text)
    assert occurrences.match(text, text[100:102]) == (102, 2)
    assert occurrences.match(text, text[7_000:7_002]) == (0, 0)
    for _ in range(20):
        occurrences.look_through(text)
    assert occurrences.match(text, text[7_000:7_002]) == (7_002, 2)


def test_what_was_taken_back_is_guessed_again_from_where_it_began() -> None:
    guesser = Guesser()
    guesser.note_gone([1, 2, 3, 4, 5, 6], 3)
    guesser.note_gone([1, 2, 7, 8], 2)
    assert guess([9, 2, 3], guesser=guesser) == [4, 5, 6]
    assert guess([4, 9], [2, 3], guesser=guesser) == [4, 5, 6]
    assert guess([2, 3, 0], [2, 3], guesser=guesser) == [0], "the view counts before it"
    for _ in range(3000):
        guesser.note_gone(range(100, 400), 50)
    assert len(guesser._gone) <= 2048 + 300
    assert guess([9, 9, 149], guesser=guesser)[:2] == [150, 151]


def test_rates_follow_what_comes_true() -> None:
    guesser = Guesser()
    before = guesser.rate(3)
    for _ in range(100):
        guesser.note(Draft([1, 2], 3), [5, 2])
    assert guesser.rate(3) < 0.05 < before
    assert guesser.rate(4) == Guesser().rate(4), "behind a wrong guess nothing is learnt"
    for _ in range(200):
        guesser.note(Draft([1, 2], 3), [1, 2])
    assert guesser.rate(3) > 0.95
    assert guesser.rate(4) > 0.95


def test_odds_are_those_of_longer_and_longer_matches() -> None:
    guesser = Guesser()
    draft = guesser.look_up([([1, 2, 3, 4, 5, 1, 2], Occurrences())], 3)
    assert draft.match == 2
    rates = [guesser.rate(match) for match in (2, 3, 4)]
    assert list(draft.odds) == pytest.approx([rates[0], rates[0] * rates[1], rates[0] * rates[1] * rates[2]])


# --- what is worth its rows ---

ODDS = st.lists(st.floats(0.01, 1), max_size=8).map(lambda odds: sorted(odds, reverse=True))


def draft(*odds: float) -> Draft:
    return Draft([0] * len(odds), 2, odds)


@given(
    st.lists(ODDS, min_size=1, max_size=8),
    st.lists(st.floats(0, 0.5), max_size=12),
    st.lists(st.floats(0, 4), min_size=8, max_size=8),
)
def test_no_stream_is_expected_to_fall_behind(odds: list[list[float]], dearer: list[float], ahead: list[float]) -> None:
    costs = [0.0, 1.0]
    for more in dearer:
        costs.append(costs[-1] + more)
    own = len(odds)
    counts, after = allotted([draft(*each) for each in odds], costs, ahead[:own])
    rows = own + sum(counts)
    assert all(count <= len(each) for count, each in zip(counts, odds, strict=True))
    if not sum(counts):
        assert after == ahead[:own]
        return
    assert rows <= min(MOST_ROWS, len(costs) - 1)
    for count, each, before, now in zip(counts, odds, ahead, after, strict=False):
        assert now >= -1e-9
        assert now == pytest.approx(min(4.0, before + 1 + sum(each[:count]) - costs[rows] / costs[own] / 1.02))


def counts_of(*drafts: Draft, costs: Sequence[float], ahead: Sequence[float] = ()) -> list[int]:
    return allotted(drafts, costs, ahead or [0.0] * len(drafts))[0]


def test_rows_go_where_they_pay() -> None:
    steep = [1.0 + 0.3 * max(0, rows - 1) for rows in range(9)]
    assert counts_of(draft(0.9, 0.8, 0.2), costs=steep) == [2]
    assert counts_of(draft(0.2, 0.1), costs=steep) == [0]
    assert counts_of(draft(0.9, 0.8), draft(), costs=steep) == [0, 0]
    assert counts_of(draft(0.9, 0.8), draft(0.8, 0.7), costs=steep) == [2, 2]
    assert counts_of(draft(0.9, 0.8, 0.7), draft(0.1), costs=FREE_ROWS) == [3, 1]
    assert counts_of(draft(*[0.9] * 8), draft(*[0.5] * 8), costs=FREE_ROWS) == [6, 0]
    assert counts_of(*[draft(0.9)] * 8, costs=FREE_ROWS) == [0] * 8
    assert counts_of(draft(0.9), costs=()) == [0]


def test_a_stream_pays_with_what_it_has_gained() -> None:
    steep = [1.0 + 0.2 * max(0, rows - 1) for rows in range(9)]
    quick, slow = draft(0.9), draft()
    assert counts_of(quick, slow, costs=steep, ahead=[0.0, 0.1]) == [0, 0]
    counts, ahead = allotted([quick, slow], steep, [0.0, 0.2])
    assert counts == [1, 0]
    assert ahead == pytest.approx([1.9 - 1.4 / 1.2 / 1.02, 1.2 - 1.4 / 1.2 / 1.02])


# --- nobody can tell by the tokens ---


@pytest.fixture(name="use", params=SETS, ids=lambda one: one.name)
def _use(request: pytest.FixtureRequest) -> Use:
    """Every set of kernels that this machine can run."""
    try:
        if request.param not in possible(processor()):
            pytest.skip(f"this processor cannot run {request.param.name}")
    except NativeUnavailable as error:
        pytest.skip(str(error))
    name: Use = request.param.name
    return name


@pytest.mark.parametrize("kind", ["Q8_0", "Q5_0", "Q4_1"])
@pytest.mark.parametrize("before", [1, 14, 126, 509])
def test_a_row_has_the_same_bits_in_any_company(use: Use, kind: str, before: int, tmp_path: Path) -> None:
    decoder = Decoder(open_gguf(write_tiny(tmp_path / "tiny.gguf", replace(QWEN2, context=1024), kind)), native=use)
    assert decoder.kernels == use
    ids = random.Random(7).choices(range(QWEN2.vocabulary), k=MOST_ROWS)
    prompt, text, other = decoder.cache(), decoder.cache(), decoder.cache()
    decoder.forward([Run([5, 6, 7], [prompt], 0)])
    decoder.forward([Run(random.Random(8).choices(range(QWEN2.vocabulary), k=before), [prompt, text], 0)])
    decoder.forward([Run([8, 9], [prompt, text, other], 0)])
    alone = torch.cat([decoder.forward([Run([token], [prompt, text], 1)]) for token in ids])
    # As whole numbers: what was in the memory before may be no number.
    written = [part.view(torch.int16).clone() for part in (text.keys, text.values)]
    for rows in range(1, MOST_ROWS + 1):
        text.crop(before)
        assert torch.equal(decoder.forward([Run(ids[:rows], [prompt, text], rows, rows - 1)]), alone[:rows])
        assert text.length == before + 1
    assert torch.equal(text.keys.view(torch.int16), written[0])
    assert torch.equal(text.values.view(torch.int16), written[1])
    # The other stream reads what is certain, and no more.
    found = []
    for guesses in range(4):
        text.crop(before)
        other.crop(2)
        runs = [Run(ids[: 1 + guesses], [prompt, text], 1 + guesses, guesses)]
        found.append(decoder.forward([*runs, Run(ids[4 : 5 + guesses], [prompt, text, other], 1 + guesses, guesses)]))
    for guesses in range(1, 4):
        assert torch.equal(found[guesses][0], found[0][0])
        assert torch.equal(found[guesses][1 + guesses], found[0][1])


FEW = frozenset(range(4, 80))
"""All but these: of few tokens, most pairs have been there before."""
RULES = (
    Sampling(max_tokens=90, ban=FEW),
    Sampling(max_tokens=90, ban=FEW - {20}, stop=frozenset({20})),
    Sampling(max_tokens=90, ban=FEW, stop=frozenset({1})),
    Sampling(max_tokens=90, ban=FEW, temperature=0.5, seed=4),
    Sampling(max_tokens=90, ban=FEW, temperature=2.0, top_k=3, top_p=0.9, min_p=0.05, seed=5),
    Sampling(max_tokens=4, ban=FEW),
)


class CountedDecoder(Decoder):
    """A decoder that writes down its runs."""

    def __init__(self, file: GgufFile, use: Use) -> None:
        super().__init__(file, max_context=500, native=use)
        self.runs: list[Sequence[Run]] = []

    def forward(self, runs: Sequence[Run]) -> torch.Tensor:
        self.runs.append(runs)
        return super().forward(runs)


async def conversation(decoder: Decoder, rules: Sampling, row_costs: Sequence[float]) -> list[list[Token]]:
    """A stream alone, then two side by side that read the same text, then one that goes on."""
    engine = TorchEngine(decoder, threads=1, row_costs=row_costs)
    async with engine.session() as session:
        prompt, a, b = map(session.block, "pab")
        await session.append([prompt], random.Random(3).choices(range(80), k=40) * 2)
        await session.append([prompt, a], [4, 5])
        await session.append([prompt, b], [6])
        found = [await read(session.generate([prompt, a], rules))]
        await session.append([prompt, a], [7])
        streams = session.generate([prompt, a], rules), session.generate([prompt, b], rules)
        found += await asyncio.gather(*map(read, streams))
        found.append(await read(session.generate([prompt, a, b], rules)))
        assert a.ids == [4, 5, *ids_of(found[0]), 7, *ids_of(found[1])]
        assert b.ids == [6, *ids_of(found[2]), *ids_of(found[3])]
        # The last stream has read the one to its end.
        assert (a.cache.length, b.cache.length) == (len(a.ids), len(b.ids) - 1)
    await asyncio.to_thread(engine.close)
    return found


@pytest.mark.parametrize("rules", RULES, ids=["greedy", "stop", "early stop", "drawn", "cut", "short"])
async def test_tokens_are_bit_for_bit_those_without_drafts(use: Use, rules: Sampling, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    file = open_gguf(write_tiny(tmp_path / "tiny.gguf", QWEN2, "Q8_0"))
    plain, drafted = CountedDecoder(file, use), CountedDecoder(file, use)
    expected = await conversation(plain, rules, ())
    found = await conversation(drafted, rules, FREE_ROWS)
    assert [[(token.id, token.log_prob) for token in tokens] for tokens in found] == [
        [(token.id, token.log_prob) for token in tokens] for tokens in expected
    ]
    assert not any(run.guesses for runs in plain.runs for run in runs)
    assert all(
        sum(len(run.tokens) for run in runs) <= MOST_ROWS for runs in drafted.runs if any(r.guesses for r in runs)
    )
    if rules.max_tokens == 90 and not rules.stop:
        assert len(drafted.runs) < 0.8 * len(plain.runs)
    for tokens in found:
        for one, other in pairwise(tokens):
            assert one.step <= other.step


@pytest.fixture
def file(tmp_path: Path) -> GgufFile:
    torch.set_num_threads(1)
    return open_gguf(write_tiny(tmp_path / "tiny.gguf", LLAMA))


@pytest.fixture
def decoder(file: GgufFile) -> WatchedDecoder:
    return WatchedDecoder(file)


@pytest.fixture
def engine(decoder: WatchedDecoder) -> Iterator[TorchEngine]:
    engine = TorchEngine(decoder, threads=1, row_costs=FREE_ROWS)
    yield engine
    decoder.gated = False
    decoder.leave.release(1000)
    engine.close()


async def test_who_reads_a_text_that_is_written_never_sees_a_guess(
    file: GgufFile, engine: TorchEngine, decoder: WatchedDecoder
) -> None:
    async with engine.session() as session:
        prompt, thoughts, reply = map(session.block, ("prompt", "thoughts", "reply"))
        await session.append([prompt], random.Random(3).choices(range(80), k=20) * 2)
        await session.append([prompt, thoughts], [3, 4])
        await session.append([prompt, thoughts, reply], [5])
        rules = Sampling(max_tokens=120, ban=FEW)
        found = await asyncio.gather(
            read(session.generate([prompt, thoughts], rules)),
            read(session.generate([prompt, thoughts, reply], rules)),
        )
    joint = [runs for runs in decoder.runs if len(runs) == 2 and any(run.guesses for run in runs)]
    assert any(len(one.tokens) > 1 for runs in joint for one in runs)
    replay(file, decoder)
    for tokens, name, length in zip(found, ("thoughts", "reply"), (2, 1), strict=True):
        assert [token.seen[name] for token in tokens] == list(range(length, length + 120))
        assert all(one.seen["prompt"] == 40 for one in tokens)
    thought = {token.step: token.seen["thoughts"] for token in reversed(found[0])}
    joint_steps = [token for token in found[1] if token.step in thought]
    assert joint_steps
    for token in joint_steps:
        # As long as the thoughts were with the one token of that step that was certain.
        assert token.seen["thoughts"] == thought[token.step]


async def test_a_stream_is_ended_in_the_middle_of_a_step_with_guesses(
    file: GgufFile, engine: TorchEngine, decoder: WatchedDecoder
) -> None:
    expected = greedy(file, [1, 2, 3], 200)
    for read_so_far in range(40, 60, 3):
        async with engine.session() as session:
            text = session.block("text")
            await session.append([text], [1, 2, 3])
            stream = session.generate([text], Sampling(max_tokens=190))
            found = ids_of(await read(stream, read_so_far))
            await settle(engine)
            decoder.gated = True
            found += ids_of(await read(stream, 1))
            reading = asyncio.create_task(read(stream))
            await entered(decoder)
            ending = asyncio.create_task(session.crop(text, 30))
            await asyncio.sleep(0)
            decoder.gated = False
            decoder.leave.release()
            await ending
            found += ids_of(await reading)
            assert found == expected[: len(found)]
            assert list(text.tokens) == text.ids == [1, 2, 3, *expected][:30]
            assert text.cache.length <= 30
            again = ids_of(await read(session.generate([text], Sampling(max_tokens=20))))
            assert again == expected[27:47]
    assert any(run.guesses for runs in decoder.runs for run in runs)


async def test_waiting_text_is_not_made_to_wait_longer(engine: TorchEngine, decoder: WatchedDecoder) -> None:
    async with engine.session() as session:
        text, other = session.block("text"), session.block("other")
        await session.append([text], [1, 2, 3])
        stream = session.generate([text], Sampling(max_tokens=300))
        await read(stream, 60)
        reading = asyncio.create_task(read(stream))
        await session.append([other], random.Random(1).choices(range(80), k=60))
        await reading
    mixed = [runs for runs in decoder.runs if len(runs) > 1]
    assert mixed
    assert not any(run.guesses for runs in mixed for run in runs)


async def test_drafts_stay_within_the_context(file: GgufFile) -> None:
    decoder = WatchedDecoder(file, max_context=64)
    engine = TorchEngine(decoder, threads=1, row_costs=FREE_ROWS)
    async with engine.session() as session:
        text = session.block("text")
        await session.append([text], [1, 2, 3])
        found = ids_of(await read(session.generate([text], Sampling(max_tokens=62))))
    await asyncio.to_thread(engine.close)
    assert found == greedy(file, [1, 2, 3], 62)
    assert max(length + len(run[0]) for runs, _ in decoder.log for run in runs for length in run[2]) <= 64


@pytest.mark.parametrize(("begun", "held"), [((0.0, 1.0, 1.2), (0.0, 1.0, 1.5, 2.0)), ((), ())])
async def test_measured_steps_replace_the_costs_of_rows_where_drafts_are_exact(
    begun: Sequence[float], held: Sequence[float], tmp_path: Path
) -> None:
    file = write_tiny(tmp_path / "tiny.gguf", LLAMA)
    engine = TorchEngine(Decoder(open_gguf(file), torch.float32), threads=1, row_costs=begun)
    await engine.fit(threads=1, prefill_rows=8, usual_s=(0.1, 0.15, 0.2))
    assert engine._schedule.row_costs == pytest.approx(held)
    engine.close()
