"""Tiny models with random weights, of the architecture that thinks, through the whole loop on the embedded engine.

What they write means nothing: they begin and end thoughts anywhere, or never, and write whatever their vocabulary has.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import tokenizers
import torch
from tokenizers import decoders, models, pre_tokenizers

from agent.models.registry import load_decoder, load_engine
from reasoning.engine.torch_engine import TorchEngine
from reasoning.events import LoopEvent, ReplyText, Thought, TurnDone
from reasoning.loop.loop import Loop
from reasoning.options import EngineOptions, Listening, LoopOptions, Mode
from reasoning.prompting.script import Script
from tests.reasoning.engine.test_torch_engine import FREE_ROWS
from tests.reasoning.prompting import chat_templates
from tests.reasoning.tiny_models import QWEN2, QWEN3, Tiny, hf_tiny

SPECIAL = ("<|im_start|>", "<|im_end|>", "<think>", "</think>", "<｜User｜>", "<｜Assistant｜>")
PROFILES = """
[hot]
models = ["*hot*"]
sampling.thinker = { temperature = 1.5, top_p = 0.95, top_k = 40 }
sampling.writer = { temperature = 1.0, min_p = 0.01 }
budgets = { answer_tokens = 8 }
"""
OPTIONS = LoopOptions(think_tokens=16, reply_tokens=12, sentence_tokens=6)
FLAT = replace(QWEN3, tied=False)
"""One that does not go on with its newest token whatever is drawn."""
QUESTIONS = ("How many are 6 rows of 4 eggs?", "Hello.")


def saved(folder: Path, tiny: Tiny, template: str) -> Path:
    """Write a model folder: random weights, and a vocabulary of bytes with a few words."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [("Y", "e"), ("Ye", "s"), ("N", "o"), ("n", "o")]
    vocabulary = {name: number for number, name in enumerate([*letters, *map("".join, words)])}
    bpe = tokenizers.Tokenizer(models.BPE(vocab=vocabulary, merges=words))
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    bpe.add_special_tokens(list(SPECIAL))
    model: Any = hf_tiny(replace(tiny, vocabulary=bpe.get_vocab_size(), context=4096))
    model.save_pretrained(folder)
    bpe.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|im_end|>"}))
    (folder / "chat_template.jinja").write_text(template, "utf-8")
    return folder


@dataclass
class Conversation:
    loop: Loop
    script: Script
    events: list[LoopEvent]

    def told(self) -> list[str]:
        """What was thought and said, in order."""
        return [event.text for event in self.events if isinstance(event, Thought | ReplyText)]

    async def turns(self, questions: Sequence[str] = QUESTIONS) -> None:
        for question in questions:
            await self.loop.hear(question)
            await self.loop.answer(question)
            await self.loop.finish(" ".join(e.text for e in self.events if isinstance(e, ReplyText))[:80])


@asynccontextmanager
async def model(folder: Path, profiles: Path | None = None) -> AsyncIterator[tuple[TorchEngine, Script]]:
    engine, script = load_engine(
        folder, EngineOptions(native="off", device="cpu", context=4000, prefill_rows=512, threads=1), profiles
    )
    try:
        yield engine, script
    finally:
        await asyncio.to_thread(engine.close)


@asynccontextmanager
async def conversation(
    engine: TorchEngine, script: Script, options: LoopOptions = OPTIONS, seed: int = 0
) -> AsyncIterator[Conversation]:
    events: list[LoopEvent] = []
    async with engine.session() as session:
        clock = asyncio.get_running_loop().time
        loop = Loop(session, script, options, events.append, clock, context=4000, seed=seed)
        await loop.open()
        yield Conversation(loop, script, events)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("tiny", "template", "mode"),
    [
        (QWEN3, chat_templates.QWEN3, "async"),
        (QWEN3, chat_templates.QWEN3, "think-first"),
        (replace(QWEN3, seed=16), chat_templates.QWEN3_THINKING, "async"),
        (replace(QWEN3, seed=16), chat_templates.QWEN3_THINKING, "no-think"),
        (QWEN2, chat_templates.R1_DISTILLED, "async"),
        (replace(QWEN3, seed=26), chat_templates.QWEN3_INSTRUCT, "async"),
    ],
    ids=["qwen3", "qwen3-first", "qwen3-thinking", "qwen3-thinking-not", "r1-qwen", "qwen3-instruct"],
)
async def test_whatever_such_a_model_writes_it_replies_within_the_bounds(
    tmp_path: Path, tiny: Tiny, template: str, mode: Mode
) -> None:
    async with (
        model(saved(tmp_path, tiny, template)) as (engine, script),
        conversation(engine, script, replace(OPTIONS, mode=mode)) as one,
    ):
        assert one.script.thinks_in_tags == (template != chat_templates.QWEN3_INSTRUCT)
        await one.turns()
        done = [event for event in one.events if isinstance(event, TurnDone)]
        assert len(done) == len(QUESTIONS)
        for event in done:
            assert event.tokens.get("thinker", 0) <= OPTIONS.think_tokens + one.script.profile.budgets.answer_tokens
            assert event.tokens.get("writer", 0) <= OPTIONS.reply_tokens + OPTIONS.sentence_tokens
        said = [event.text for event in one.events if isinstance(event, ReplyText)]
        assert said
        assert not any(name in text for text in said for name in SPECIAL)


@pytest.mark.parametrize("mode", ["async", "think-first"])
async def test_such_a_model_that_thinks_for_long_replies_from_the_newest_stretches(tmp_path: Path, mode: Mode) -> None:
    options = replace(OPTIONS, think_tokens=300, stretch_tokens=3, mode=mode, temperature=1.0)
    longest = 0
    async with model(saved(tmp_path, replace(FLAT, seed=16), chat_templates.QWEN3_THINKING)) as (engine, script):
        for seed in range(6):
            async with conversation(engine, script, options, seed) as one:
                await one.turns()
                done = [event for event in one.events if isinstance(event, TurnDone)]
                assert len(done) == len(QUESTIONS)
                assert [event for event in one.events if isinstance(event, ReplyText)]
                longest = max(longest, *(event.tokens.get("thinker", 0) for event in done))
    assert longest > 3 * options.stretch_tokens


async def test_what_is_drawn_is_the_seeds_and_the_profiles(tmp_path: Path) -> None:
    folder = saved(tmp_path / "tiny-hot", FLAT, chat_templates.QWEN3)
    profiles = tmp_path / "profiles.toml"
    profiles.write_text(PROFILES)

    async with model(folder, profiles) as (engine, script):
        assert script.profile.name == "hot"

        async def told(seed: int, temperature: float | None = None) -> list[str]:
            options = replace(OPTIONS, mode="think-first", temperature=temperature)
            async with conversation(engine, script, options, seed) as one:
                await one.turns(QUESTIONS[:1])
                return one.told()

        first, again, other = await told(1), await told(1), await told(2)
        assert first == again != other
        greedy = await told(1, temperature=0.0)
        assert greedy == await told(2, temperature=0.0)
        assert greedy != first


async def test_what_stands_of_early_thoughts_takes_fewer_steps_and_no_token_is_another(tmp_path: Path) -> None:
    options = EngineOptions(native="off", device="cpu", context=4000, threads=1)
    decoder, script = load_decoder(saved(tmp_path, FLAT, chat_templates.QWEN3), options)
    told: list[list[str]] = []
    steps: list[int] = []
    ways: tuple[Listening, ...] = ("off", "thoughts")
    for listening in ways:
        engine = TorchEngine(decoder, prefill_rows=512, threads=1, row_costs=FREE_ROWS)
        how = replace(OPTIONS, mode="think-first", listening=listening)
        async with conversation(engine, script, how, seed=3) as one:
            for words in (QUESTIONS[0][:24], *[QUESTIONS[0]] * 12):
                await one.loop.hear(words)
                await asyncio.gather(*(task for task in asyncio.all_tasks() if task.get_name() == "ahead"))
            begun = engine.steps
            await one.loop.answer(QUESTIONS[0])
            told.append(one.told())
            steps.append(engine.steps - begun)
        await asyncio.to_thread(engine.close)
    assert told[0] == told[1]
    assert told[0]
    assert steps[1] < 0.8 * steps[0]
