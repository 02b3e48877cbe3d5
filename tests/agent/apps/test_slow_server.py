"""A language model server that is slow: the listener hears fillers, never silence, and then the answer."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from audio.options import EarsOptions
from bench.think.items.question import TaskQuestion
from bench.think.metrics import Sample, measure
from bench.virtual.simulation import converse
from bench.virtual.stepped import Batch, Lane, StepCosts, VirtualLoop, run_virtual
from bench.virtual.timed import Pace, Utterance
from languages.english import ENGLISH
from reasoning.engine.decoder import Decoder
from reasoning.formats.gguf import open_gguf
from reasoning.loop.loop import Loop
from reasoning.options import LoopOptions
from reasoning.prompting.script import Script
from tests.reasoning.loop.test_loop import FAMILY, QUESTION, Model
from tests.reasoning.scripted_engine import Mind, ScriptedEngine
from tests.reasoning.scripted_server import served_session
from tests.reasoning.tiny_models import LLAMA, write_tiny

if TYPE_CHECKING:
    from collections.abc import Callable

    from reasoning.engine.contract import EngineSession
    from reasoning.events import LoopEvent

PACE = Pace(synthesis_s=0.1, synthesis_letter_s=0.0, sound_s=0.0, sound_letter_s=0.05, partial_s=0.2, final_s=0.3)
OPTIONS = LoopOptions()
PLENTY = 100_000


def held(folder: Path, *, tokens_at_once: int, slow_s: float) -> Sample:
    """Ask a question of a server that gives so many tokens, then none until so many seconds after the question."""
    lane = Lane(Decoder(open_gguf(write_tiny(folder / "tiny.gguf", LLAMA)), torch.float32, max_context=64), 4)
    model, gate = Model(), asyncio.Semaphore(tokens_at_once)
    engine = ScriptedEngine(Mind(model.write, model.score_choices, model.steps))
    script = Script(engine.tokenizer, FAMILY)

    async def main() -> Sample:
        def mind(session: EngineSession[Any], emit: Callable[[LoopEvent], None], clock: Callable[[], float]) -> Loop:
            return Loop(session, script, OPTIONS, emit, clock, context=PLENTY)

        async def hurry() -> None:
            await asyncio.sleep(PACE.sound(QUESTION) + slow_s)
            for _ in range(PLENTY):
                gate.release()

        hurrying = asyncio.create_task(hurry())
        async with served_session(engine, gate) as session:
            record = await converse(
                session,
                mind,
                (Utterance(QUESTION),),
                pace=PACE,
                ears=EarsOptions(),
                options=OPTIONS,
                encode=engine.tokenizer.encode,
            )
        await hurrying
        return measure("row", TaskQuestion("eggs", 0, QUESTION, "24", "number"), record, PACE, engine.tokenizer.shown)

    return run_virtual(VirtualLoop(lane, 0, Batch(lane._decoder, 1), StepCosts({0: [(1, 1.0), (2, 2.0)]})), main())


@pytest.mark.parametrize("tokens_at_once", [0, 5, 40])
def test_a_slow_server_leads_to_two_fillers_and_then_to_a_silent_wait(tmp_path: Path, tokens_at_once: int) -> None:
    slow_s = 9.0
    sample = held(tmp_path, tokens_at_once=tokens_at_once, slow_s=slow_s)
    held_back = [text for at, kind, text in sample.timeline if kind == "filler" and at < slow_s]
    assert held_back[:2] == list(ENGLISH.replies.fillers[:2])
    kinds = "".join(kind[0] for _, kind, _ in sample.timeline if kind in {"filler", "content"})
    assert "fff" not in kinds
    assert sample.first_sound_s is not None
    assert sample.first_sound_s <= OPTIONS.filler_after_s + 0.2
    # When the server goes on, so does the answer, whole.
    content = [at for at, kind, _ in sample.timeline if kind == "content"]
    assert content[-1] > slow_s
    assert sample.right
    assert sample.reason == "complete"
    assert sample.reply_end_s is not None
    assert sample.reply_end_s < slow_s + 15


def test_a_server_in_time_needs_no_filler(tmp_path: Path) -> None:
    sample = held(tmp_path, tokens_at_once=PLENTY, slow_s=0.0)
    assert sample.fillers == 0
    assert sample.right
