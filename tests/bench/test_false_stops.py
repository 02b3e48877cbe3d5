from __future__ import annotations

import itertools
from contextlib import aclosing
from typing import TYPE_CHECKING

import numpy as np
import pytest

from agent.conversation.options import TurnOptions
from audio.clock import FRAME, RATE, Sound
from audio.hearing.agreement import Word
from audio.hearing.ears import Ears
from audio.hearing.stop_phrases import StopPhrases
from audio.hearing.transcriber import Transcriber
from audio.hearing.vad import VoiceActivity
from audio.hearing.whisper import Hypothesis
from audio.options import EarsOptions
from bench.robot import false_stops
from bench.robot.false_stops import Listened, OrdinaryUtterance, _frames, _in_turn, _listen, _spoken, sentences

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

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
    assert Listened(0, seconds={"a": 1800.0, "b": 900.0}).hours == 0.75


async def test_told_to_end_no_further_sentence_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    async def say(*_: object) -> Sound:
        return np.ones(RATE, np.float32)

    monkeypatch.setattr(false_stops, "spoken", say)
    listened = Listened(0)
    said = iter([OrdinaryUtterance("a", text) for text in ("one", "two")])
    async with aclosing(_spoken(None, said, 60, listened)) as speech:  # type: ignore[arg-type]
        assert (await anext(speech))[0].text == "one"
        listened.end()
        assert [utterance async for utterance in speech] == []
    assert listened.seconds == {"a": 1.0}
    assert listened.sentences == 1


class Hears:
    """Hears a sentence of its own in every transcript."""

    def __init__(self, text: str) -> None:
        self._words = tuple(Word(word, 0.9) for word in text.split())

    def decode(self, _: Sound, *, final: bool, expected: str = "") -> Hypothesis:  # noqa: ARG002 - all are the same
        return Hypothesis(self._words, -0.2, 0.0)

    def spot(self, _: Sound) -> Hypothesis:
        return Hypothesis((), -0.2, 0.0)


@pytest.mark.parametrize(("text", "heard"), [("Please stop.", ["stop"]), ("Where is the bus stop?", [])])
async def test_a_stop_in_a_transcript_counts_once_with_what_was_said(text: str, heard: list[str]) -> None:
    async def speech() -> AsyncGenerator[tuple[OrdinaryUtterance, Sound]]:
        yield OrdinaryUtterance("a", "It stopped."), np.full(RATE, 0.5, np.float32)

    options, listened = EarsOptions(), Listened(0)
    activity = VoiceActivity(options, lambda chunk: float(np.abs(chunk).max() > 0.1))
    transcriber = Transcriber(lambda: Hears(text))
    async with Ears(activity, transcriber, options, StopPhrases(TurnOptions().stop_phrases).command) as ears:
        await _listen(ears, TurnOptions(), speech(), listened)
    assert [stop.phrase for stop in listened.stops] == heard
    assert {(stop.voice, stop.text, stop.by) for stop in listened.stops} <= {("a", "It stopped.", "transcript")}
