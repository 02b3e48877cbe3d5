"""Spoken items of `descant bench think` with real voice and ears; a small language model, as nothing need be right."""

from __future__ import annotations

import re

import pytest

from agent.config.settings import load
from agent.models.registry import Files
from bench.stopping import run_until_stopped
from bench.think.items.question import TaskQuestion
from bench.think.speech import SpeechStage
from bench.think.think import Row, ThinkStage, open_model
from bench.virtual.timed import Pace
from reasoning.engine.torch_engine import TorchEngine
from reasoning.options import LoopOptions
from reasoning.policies.grounding import pieces
from tests.reasoning.model_files import model_path

pytestmark = pytest.mark.e2e
ITEM = TaskQuestion("eggs", 0, "Anna has seven eggs. How many eggs does she have?", "7", "number")


def test_a_question_is_spoken_and_its_reply_is_heard() -> None:
    settings = load().settings
    options = settings.models
    files = Files(
        model_path("smollm2-135m"), model_path(options.asr).parent, model_path(options.voice).parent
    )  # fmt: skip
    stage = ThinkStage(open_model(files.llm, settings.engine), settings, Pace())
    engine = TorchEngine(stage.model.decoder, prefill_rows=8, threads=1)
    row = Row("no-think", "no-think", LoopOptions(mode="no-think", reply_tokens=40))
    try:
        told = run_until_stopped(SpeechStage(stage, engine, files).ask(row, ITEM))
    finally:
        engine.close()
    assert told is not None
    assert {"eggs", "how", "many"} <= set(re.findall(r"\w+", told.question_heard.lower()))
    # What it says is its own affair: numbers are written in figures or spelled, and Whisper garbles a name.
    said, heard = (_told(text) for text in (told.sample.spoken, told.reply_heard))
    assert said
    assert len(said & heard) >= len(said) / 2, (told.sample.spoken, told.reply_heard)
    starts = [at for at, kind, _ in told.sample.timeline if kind == "content"]
    assert starts
    assert min(starts) > 0, "seconds after the last word of the question"


def _told(text: str) -> set[object]:
    """Give the numbers and the longer words of a text."""
    return {piece for piece in pieces(text) if isinstance(piece, float) or len(piece) > 3}
