"""Conversations that share forward passes: each sees the same steps, at the same moments, as alone."""

from __future__ import annotations

import asyncio
import threading
from contextlib import aclosing
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
import torch

from bench.virtual.stepped import Batch, Lane, Stalled, StepCosts, VirtualLoop, measure_costs, run_virtual, settled
from reasoning.engine.attention import Run
from reasoning.engine.contract import Sampling
from reasoning.engine.decoder import Decoder
from reasoning.engine.torch_engine import TorchEngine
from reasoning.formats.gguf import open_gguf
from tests.reasoning.engine.test_torch_engine import FREE_ROWS
from tests.reasoning.tiny_models import LLAMA, write_tiny

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from pathlib import Path

COSTS = StepCosts({0: [(1, 0.010), (8, 0.024)], 1: [(1, 0.040), (9, 0.056)], 2: [(2, 0.045), (10, 0.061)]})
Seen = list[tuple[float, int, dict[str, int]]]
"""Second, token and lengths seen, token by token."""


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Decoder:
    file: Path = write_tiny(tmp_path_factory.mktemp("tiny") / "tiny.gguf", LLAMA)
    return Decoder(open_gguf(file), torch.float32, max_context=512)


def conversation(
    engine: TorchEngine, words: list[int], count: int, late_s: float, ban: frozenset[int] = frozenset()
) -> Callable[[], Coroutine[object, object, Seen]]:
    """A thinker that reads a prompt, a writer that starts later, words that arrive at a moment, and a question."""

    async def main() -> Seen:
        loop = asyncio.get_running_loop()
        seen: Seen = []
        async with engine.session() as session:
            prompt, thoughts, reply = map(session.block, ("prompt", "thoughts", "reply"))
            await session.append([prompt], words)
            await session.append([prompt, thoughts], [3, 4, 5])

            async def stream(view: list[object], many: int) -> None:
                async with aclosing(session.generate(view, Sampling(max_tokens=many, ban=ban))) as tokens:  # type: ignore[arg-type]
                    async for token in tokens:
                        seen.append((round(loop.time(), 6), token.id, dict(token.seen)))

            async def late() -> None:
                await asyncio.sleep(late_s)
                await session.append([prompt, thoughts, reply], [7, 8, 9])
                await stream([prompt, thoughts, reply], count // 2)
                await session.score_choices([prompt, thoughts], [5, 6], [frozenset({1}), frozenset({2})])

            async with asyncio.TaskGroup() as group:
                group.create_task(stream([prompt, thoughts], count))
                group.create_task(late())
        return seen

    return main


def in_batch(
    decoder: Decoder,
    plans: list[tuple[list[int], int, float]],
    row_costs: Sequence[float] = (),
    ban: frozenset[int] = frozenset(),
) -> list[Seen]:
    batch, found = Batch(decoder, 1), {}
    batch.enter(len(plans))

    def lane(number: int) -> None:
        try:
            engine = Lane(decoder, 4, row_costs)
            loop = VirtualLoop(engine, number, batch, COSTS)
            found[number] = run_virtual(loop, conversation(engine, *plans[number], ban)())
        finally:
            batch.leave()

    threads = [threading.Thread(target=lane, args=(number,)) for number in range(len(plans))]
    for thread in threads:
        thread.start()
    batch.serve()
    for thread in threads:
        thread.join()
    return [found[number] for number in range(len(plans))]


def test_a_conversation_is_the_same_alone_and_in_company(decoder: Decoder) -> None:
    plans = [([1, 2, 3], 24, 0.21), ([9, 8, 7, 6, 5, 4, 3, 2, 1, 9], 30, 0.0), ([4, 4], 12, 0.33)]
    alone = [in_batch(decoder, [plan])[0] for plan in plans]
    assert in_batch(decoder, plans) == alone
    assert all(len({step for step, _, _ in seen}) > 10 for seen in alone)


def test_the_tokens_are_those_of_the_engine(decoder: Decoder) -> None:
    plan = ([1, 2, 3], 16, 0.0)
    engine = TorchEngine(decoder, prefill_rows=4, threads=1)
    try:

        async def alone() -> list[int]:
            async with engine.session() as session:
                prompt, thoughts = session.block("prompt"), session.block("thoughts")
                await session.append([prompt], plan[0])
                await session.append([prompt, thoughts], [3, 4, 5])
                rules = Sampling(max_tokens=plan[1])
                return [token.id async for token in session.generate([prompt, thoughts], rules)]

        expected = asyncio.run(alone())
    finally:
        engine.close()
    (seen,) = in_batch(decoder, [plan])
    assert [token for _, token, lengths in seen if "reply" not in lengths] == expected


def test_time_passes_by_the_cost_of_the_rows_that_are_ones_own(decoder: Decoder) -> None:
    (seen,) = in_batch(decoder, [([1, 2, 3], 12, 10.0)])
    thinker = [at for at, _, lengths in seen if "reply" not in lengths]
    steps = [round(later - sooner, 6) for sooner, later in pairwise(thinker)]
    assert set(steps) == {0.040}
    writer = [at for at, _, lengths in seen if "reply" in lengths]
    assert writer[0] > 10.0


def test_drafts_cost_the_rows_that_they_take(decoder: Decoder) -> None:
    plan = ([1, 2, 3], 90, 10.0)
    # Of few tokens, most pairs have been there before.
    few = frozenset(range(4, LLAMA.vocabulary))
    (plain,) = in_batch(decoder, [plan], (), few)
    (drafted,) = in_batch(decoder, [plan], FREE_ROWS, few)
    (thinker, quick) = (
        [(at, token) for at, token, lengths in seen if "reply" not in lengths] for seen in (plain, drafted)
    )
    assert [token for _, token in quick] == [token for _, token in thinker]
    ends = sorted({at for at, _ in quick})
    assert len(ends) < 0.7 * len(quick)
    # With guesses, more than one row ends in logits.
    assert {round(later - sooner, 6) for sooner, later in pairwise(ends)} <= {
        0.040, *(round(COSTS.of([Run([1] * rows, [], rows, rows - 1)]), 6) for rows in range(2, 9))
    }  # fmt: skip
    assert COSTS.of([Run([1] * 4, [], 4, 3)]) == pytest.approx(0.049)


def test_words_that_arrive_during_a_step_are_seen_by_the_one_that_is_laid_out_after_it(decoder: Decoder) -> None:
    (seen,) = in_batch(decoder, [([1, 2, 3], 24, 0.21)])
    joint = [at for at, _, lengths in seen if "reply" in lengths]
    assert joint[0] - 0.21 > 0.040
    assert joint[0] - 0.21 < 0.200


def test_waiting_for_nothing_is_an_error(decoder: Decoder) -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    loop = VirtualLoop(Lane(decoder, 4), 0, Batch(decoder, 1), COSTS)
    with pytest.raises(Stalled):
        run_virtual(loop, main())


@pytest.mark.parametrize(
    ("sizes", "logits", "seconds"),
    [
        ([1], 1, 0.040),
        ([1, 1], 2, 0.045),
        ([1, 1, 4], 2, 0.053),
        ([3], 0, 0.014),
        ([1, 1, 1], 3, 0.047),
        ([16], 0, 0.040),
    ],
)
def test_costs_are_interpolated(sizes: list[int], logits: int, seconds: float) -> None:
    runs = [Run([1] * size, [], logits=number < logits) for number, size in enumerate(sizes)]
    assert COSTS.of(runs) == pytest.approx(seconds)


def test_a_step_costs_no_more_than_one_that_does_more() -> None:
    noisy = {(1, 1): 0.09, (1, 4): 0.05, (2, 2): 0.06, (2, 4): 0.07}
    assert settled(noisy).seconds == {1: [(1, 0.05), (4, 0.05)], 2: [(2, 0.06), (4, 0.07)]}


def test_costs_are_measured_on_this_machine(decoder: Decoder) -> None:
    costs = measure_costs(decoder, repeats=1)
    one, joint = Run([1], [], logits=True), [Run([1], [], logits=True), Run([1], [], logits=True)]
    assert 0 < costs.of([one]) <= costs.of(joint)
    assert costs.of([Run([1] * 128, [], logits=False)]) > 0
