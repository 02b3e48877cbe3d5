from __future__ import annotations

import itertools
from contextlib import aclosing

import numpy as np
import pytest

from agent.bench import false_stops
from agent.bench.false_stops import Listened, Utterance, _frames, _in_turn, _spoken, sentences
from agent.options import TurnOptions
from agent.stop_phrases import StopPhrases
from audio.clock import FRAME, RATE, Sound

COMMAND = StopPhrases(TurnOptions().stop_phrases).command


def test_ordinary_speech_holds_words_like_stop_and_no_command() -> None:
    pytest.importorskip("reasoning_gym", reason="the story comes with it")
    texts = sentences(COMMAND)
    assert len(texts) > 250
    assert not [text for text in texts if COMMAND(text)]
    assert len([text for text in texts if "stop" in text.lower()]) >= 5
    assert not [text for text in texts if "Gutenberg" in text or "\n" in text]


def test_every_voice_says_every_text_in_the_end() -> None:
    texts, voices = ["one", "two", "three"], ("a", "b")
    said = list(itertools.islice(_in_turn(texts, voices), 12))
    assert {(utterance.voice, utterance.text) for utterance in said} == set(itertools.product(voices, texts))


def test_a_sentence_is_followed_by_a_pause_that_ends_its_turn() -> None:
    frames = list(_frames(np.full(1000, 0.5, np.float32), np.random.default_rng(0)))
    assert {len(frame) for frame in frames} == {FRAME}
    assert sum(map(len, frames)) >= 1000 + 1.2 * RATE
    assert np.abs(np.concatenate(frames)[1000:]).max() < 0.01


def test_hours_are_those_of_speech() -> None:
    assert Listened({"a": 1800.0, "b": 900.0}, []).hours == 0.75


async def test_told_to_end_no_further_sentence_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    async def say(*_: object) -> Sound:
        return np.ones(RATE, np.float32)

    monkeypatch.setattr(false_stops, "spoken", say)
    listened = Listened({}, [])
    async with aclosing(_spoken(None, iter([Utterance("a", "one"), Utterance("a", "two")]), 60, listened)) as speech:  # type: ignore[arg-type]
        assert (await anext(speech))[0].text == "one"
        listened.end()
        assert [said async for said in speech] == []
    assert listened.seconds == {"a": 1.0}
