"""Prompts that were computed once: what begins like them is copied, and gives what computing it would have given."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reasoning.engine.contract import Sampling
from reasoning.engine.torch_engine import TorchEngine
from reasoning.formats.gguf import open_gguf
from tests.reasoning.engine.test_torch_engine import WatchedDecoder, greedy, read
from tests.reasoning.tiny_models import LLAMA, write_tiny

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from reasoning.formats.gguf import GgufFile

PROMPT = [(7 * n + 3) % (LLAMA.vocabulary - 2) for n in range(90)]
OTHER = [(5 * n + 1) % (LLAMA.vocabulary - 2) for n in range(40)]


@pytest.fixture
def file(tmp_path: Path) -> GgufFile:
    return open_gguf(write_tiny(tmp_path / "tiny.gguf", LLAMA))


@pytest.fixture
async def engine(file: GgufFile) -> AsyncIterator[TorchEngine]:
    engine = TorchEngine(WatchedDecoder(file), threads=1)
    yield engine
    engine.close()


def computed(engine: TorchEngine) -> int:
    """Rows that were computed so far."""
    decoder = engine._decoder
    assert isinstance(decoder, WatchedDecoder)
    return sum(map(sum, decoder.rows()))


async def said(engine: TorchEngine, prompt: list[int], count: int = 8) -> list[int]:
    async with engine.session() as session:
        block = session.block("prompt")
        await session.append([block], prompt)
        return [token.id for token in await read(session.generate([block], Sampling(max_tokens=count)))]


@pytest.mark.parametrize("prompt", [PROMPT, [*PROMPT, *OTHER], PROMPT[:65] + OTHER, PROMPT[:70]])
async def test_a_prompt_that_begins_like_a_kept_one_is_not_computed_again(
    engine: TorchEngine, file: GgufFile, prompt: list[int]
) -> None:
    await engine.keep_prompt(PROMPT)
    before = computed(engine)
    assert await said(engine, prompt) == greedy(file, prompt, 8)
    common = next((n for n, (a, b) in enumerate(zip(prompt, PROMPT, strict=False)) if a != b), min(len(prompt), 90))
    assert computed(engine) - before <= len(prompt) - min(common, len(prompt) - 1, len(PROMPT) - 1) + 8
    assert engine._prompts.copied >= 60


async def test_what_a_conversation_brings_itself_is_not_shared(engine: TorchEngine, file: GgufFile) -> None:
    assert await said(engine, PROMPT) == greedy(file, PROMPT, 8)
    before = computed(engine)
    await said(engine, PROMPT)
    assert computed(engine) - before >= len(PROMPT)
    assert engine._prompts.copied == 0


async def test_a_prompt_of_its_own_is_computed(engine: TorchEngine, file: GgufFile) -> None:
    await engine.keep_prompt(PROMPT)
    assert await said(engine, OTHER) == greedy(file, OTHER, 8)
    assert engine._prompts.copied == 0


async def test_conversations_do_not_write_into_each_others_prompts(engine: TorchEngine, file: GgufFile) -> None:
    await engine.keep_prompt(PROMPT)
    longer = [*PROMPT, *OTHER]
    for prompt in (longer, PROMPT, [*PROMPT[:80], 1, 2, 3], longer):
        assert await said(engine, prompt) == greedy(file, prompt, 8)


async def test_some_prompts_are_kept_and_no_more(engine: TorchEngine) -> None:
    for number in range(9):
        await engine.keep_prompt([number, *PROMPT])
    assert len(engine._prompts._kept) == 4


async def test_the_tune_of_a_machine_is_taken_between_steps(engine: TorchEngine) -> None:
    assert engine.slowdown == 1.0
    await engine.fit(threads=1, prefill_rows=3, usual_s=(1e-9,) * 8)
    await said(engine, OTHER)
    assert engine.slowdown > 1.2
    assert engine._schedule.prefill_rows == 3
    assert engine._schedule.row_costs == ()
    await engine.fit(threads=1, prefill_rows=8)
    assert engine.slowdown == 1.0
    engine._schedule.row_costs = (0.0, 1.0, 9.0)
    await engine.fit(threads=1, prefill_rows=8, usual_s=(2.0, 3.0))
    assert engine._schedule.row_costs == (0.0, 1.0, 1.5)
    assert await engine.step_seconds(2, reading=4, context=70) > 0
