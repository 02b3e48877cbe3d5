"""Spoken conversations of the library, in virtual time, over the scripted engine and own models of ears and voice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import descant
from agent.library.spoken import FRAME_S, _Intake
from agent.library.talk import Talk
from agent.models import assembly
from agent.models.assembly import Speech
from audio.clock import FRAME, RATE, Pcm, Sound
from audio.hearing.vad import VoiceActivity
from audio.io.sound_files import WavWriter, read_sound
from descant import events
from tests.agent.command_line import write_babbler
from tests.audio.hearing.test_vad import by_level
from tests.descant.test_library import SMALL, Model, home, opened, weather

__all__ = ["home"]

ASK, GREET, STOP = 0.9, 0.8, 0.7
SAID = {ASK: "What is the weather in Oslo?", GREET: "Good morning.", STOP: "Stop!"}
"""What is said at each level of sound."""


class Ears:
    """A recogniser that knows words by the level of their sound."""

    def decode(self, sound: Sound, *, final: bool, expected: str = "") -> descant.Hypothesis:  # noqa: ARG002 - a port's
        heard = [text for level, text in SAID.items() if (np.abs(sound - level) < 0.01).sum() > RATE / 10]
        return descant.Hypothesis(tuple(descant.Word(word, 0.9) for text in heard for word in text.split()))

    def spot(self, sound: Sound) -> descant.Hypothesis:
        return self.decode(sound, final=False)


class Voice:
    """A voice that takes 50 ms for each letter."""

    rate = 8000

    def __init__(self) -> None:
        self.said: list[str] = []

    def speak(self, text: str) -> Pcm:
        self.said.append(text)
        return np.full(len(text) * self.rate // 20, 1000, np.int16)


class Clock:
    """Lets 20 ms pass once every thread has done its work."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._run, self._pending = self.loop.run_in_executor, set[asyncio.Future[Any]]()
        self.now_s = 0.0

    def run_in_executor(self, executor: Executor | None, work: Callable[..., Any], *given: Any) -> Any:  # noqa: ANN401 - the loop's
        future = self._run(executor, work, *given)
        self._pending.add(future)
        future.add_done_callback(self._pending.discard)
        return future

    async def settle(self) -> None:
        for _ in range(3):
            for _ in range(10):
                await asyncio.sleep(0)
            while self._pending:
                await asyncio.wait(self._pending)

    async def ticks(self) -> AsyncIterator[float]:
        self.now_s = 0.0
        while True:
            await self.settle()
            self.now_s += FRAME_S
            # A clock is always a little late, so that each frame is complete when it is looked for.
            yield self.now_s + 1e-6


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    virtual = Clock()
    monkeypatch.setattr(virtual.loop, "run_in_executor", virtual.run_in_executor)
    monkeypatch.setattr(assembly, "VoiceActivity", partial(VoiceActivity, probability=by_level))
    return virtual


def talking(agent: descant.Agent, clock: Clock, tools: Sequence[descant.Tool] = ()) -> Talk:
    return Talk(agent._models, tools=tools, ticks=clock.ticks)


def sound_of(*levels: float) -> Sound:
    """A second of each level, with silence behind it in which it is answered."""
    parts = [part for level in levels for part in (np.full(RATE, level, np.float32), np.zeros(3 * RATE, np.float32))]
    return np.concatenate([np.zeros(RATE // 2, np.float32), *parts])


async def pieces(sound: Sound, length: int = 1000) -> AsyncIterator[Sound]:
    for start in range(0, len(sound), length):
        yield sound[start : start + length]


def said(seen: Sequence[descant.Event]) -> list[str]:
    return [event.text.strip() for event in seen if isinstance(event, events.AudioOut)]


async def test_what_is_heard_is_answered_aloud_and_a_tool_is_called_meanwhile(clock: Clock) -> None:
    voice, heard = Voice(), list[Pcm]()
    async with opened(load=lambda: Speech(Ears(), voice, None)) as agent, talking(agent, clock, [weather]) as talk:
        play = lambda samples, rate: heard.append(samples) if rate == 8000 else pytest.fail(str(rate))  # noqa: E731
        seen = [event async for event in talk.listen(pieces(sound_of(ASK)), output=play)]
        assert events.TurnEnded("What is the weather in Oslo?") in seen
        call = next(event for event in seen if isinstance(event, events.ToolCall))
        assert events.ToolResult(call.id, "weather", "rain in Oslo", failed=False) in seen
        assert said(seen) == ["I am looking.", "It is rain in Oslo."]
        sound = np.concatenate(heard)
        assert len(sound) == round((clock.now_s - FRAME_S) * 8000)
        # It ends a second after the last word, not when it is given up.
        assert clock.now_s * 1000 < max(event.end_ms for event in seen if isinstance(event, events.AudioOut)) + 1500
        assert (sound != 0).sum() > 8000
        # It is one conversation, typed or spoken.
        assert await talk.ask("Good morning.") == "Hello to you."


async def test_a_turn_is_typed_then_spoken_then_spoken_again(clock: Clock) -> None:
    model = Model()
    async with opened(model, lambda: Speech(Ears(), Voice(), None)) as agent, talking(agent, clock) as talk:
        assert await talk.ask("Good morning.") == "Hello to you."
        for _ in range(2):
            seen = [event async for event in talk.listen(pieces(sound_of(GREET, GREET)))]
            assert said(seen) == ["Hello to you."] * 2
    assert len(model.heard) == 5


async def test_a_note_is_answered_while_somebody_listens(clock: Clock) -> None:
    async with opened(load=lambda: Speech(Ears(), Voice(), None)) as agent, talking(agent, clock) as talk:
        seen: list[descant.Event] = []
        async for event in talk.listen(pieces(sound_of(GREET))):
            seen.append(event)
            if isinstance(event, events.TurnDone) and len(said(seen)) < 2 and not talk._loop.notes_waiting:
                await talk.note("[result of the door] open")
        assert "It is open." in said(seen)


async def test_a_recording_is_answered_into_a_file(clock: Clock, tmp_path: Path) -> None:
    question, answer = tmp_path / "question.wav", tmp_path / "answer.wav"
    with WavWriter(question, RATE) as wav:
        wav.write((sound_of(GREET) * 32767).astype(np.int16))
    async with opened(load=lambda: Speech(Ears(), Voice(), None)) as agent, talking(agent, clock) as talk:
        seen = [event async for event in talk.listen(descant.Recording(question), output=answer)]
    assert said(seen) == ["Hello to you."]
    assert read_sound(answer).seconds == pytest.approx(clock.now_s, abs=0.05)


async def test_a_recording_without_words_is_an_error_that_names_it(clock: Clock, tmp_path: Path) -> None:
    with WavWriter(tmp_path / "silence.wav", RATE) as wav:
        wav.write(np.zeros(RATE, np.int16))
    async with opened(load=lambda: Speech(Ears(), Voice(), None)) as agent, talking(agent, clock) as talk:
        with pytest.raises(descant.NothingHeard, match=r"silence\.wav: no words"):
            async for _ in talk.listen(descant.Recording(tmp_path / "silence.wav")):
                pass
        async for _ in talk.listen(pieces(np.zeros(RATE, np.float32))):
            pass


async def test_who_stops_reading_ends_it_in_order(clock: Clock) -> None:
    model = Model()
    async with opened(model, lambda: Speech(Ears(), Voice(), None)) as agent, talking(agent, clock) as talk:
        listening = talk.listen(pieces(sound_of(GREET)))
        async for event in listening:
            if isinstance(event, events.AudioOut):
                break
        await listening.aclose()
        assert await talk.ask("And you?") == "Hello to you."
    assert len(model.heard) == 2


@pytest.mark.parametrize(
    ("piece", "why"),
    [
        (np.zeros(320), "float64 of shape"),
        (np.zeros((320, 2), np.float32), r"float32 of shape \(320, 2\)"),
        (b"\0" * 640, "the source gave bytes"),
        (np.zeros(61 * RATE, np.float32), "976000 samples at once"),
    ],
)
async def test_what_is_no_sound_is_bad_audio(clock: Clock, piece: Any, why: str) -> None:  # noqa: ANN401 - any will do
    async def source() -> AsyncIterator[Sound]:
        yield piece

    async with opened(load=lambda: Speech(Ears(), Voice(), None)) as agent, talking(agent, clock) as talk:
        with pytest.raises(descant.BadAudio, match=why):
            async for _ in talk.listen(source()):
                pass
        assert await talk.ask("Good morning.") == "Hello to you."


async def test_an_output_that_cannot_be_written_is_told_and_a_desk_takes_none(clock: Clock) -> None:
    async with opened(load=lambda: Speech(Ears(), Voice(), None)) as agent, talking(agent, clock) as talk:
        with pytest.raises(descant.DescantError, match="no/such/place"):
            async for _ in talk.listen(pieces(sound_of(GREET)), output="no/such/place.wav"):
                pass
        with pytest.raises(descant.ConfigError, match="does not go with a Microphone"):
            async for _ in talk.listen(descant.Microphone(), output="answer.wav"):
                pass


async def test_own_voice_and_recogniser_take_the_place_of_models_that_are_not_there(clock: Clock, home: Path) -> None:
    model, voice = write_babbler(home / "babbler.gguf"), Voice()
    settings = {**SMALL, "models.turn": "", "loop.mode": "no-think"}
    async with (
        descant.open(model=model, voice=voice, recogniser=Ears(), settings=settings) as agent,
        talking(agent, clock) as talk,
    ):
        seen = [event async for event in talk.listen(pieces(sound_of(GREET)))]
    assert events.TurnEnded("Good morning.") in seen
    assert voice.said
    assert said(seen)


async def test_events_that_nobody_reads_do_not_pile_up(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.library.talk._UNREAD", 3)
    async with opened(load=lambda: Speech(Ears(), Voice(), None)) as agent, talking(agent, clock) as talk:
        listening = talk.listen(pieces(sound_of(GREET, GREET, GREET)))
        await anext(listening)
        while talk._turn is not None and not talk._turn.done():
            await asyncio.wait([talk._turn])
        with pytest.raises(descant.DescantError, match="3 events wait to be read"):
            async for _ in listening:
                pass


# --- a source in step with the clock ---


async def test_a_source_that_is_ahead_waits_and_one_that_is_late_is_silence() -> None:
    more = asyncio.Event()

    async def source() -> AsyncIterator[Sound]:
        for number in range(10):
            yield np.full(FRAME, number + 1, np.float32)
        await more.wait()
        yield np.full(FRAME, 11, np.float32)

    intake = _Intake(source())
    reading = asyncio.create_task(intake.read())
    await asyncio.sleep(0)
    taken = [[int(frame[0]) for frame in intake.due(tick * FRAME_S)] for tick in range(1, 11)]
    assert taken == [[number + 1] for number in range(10)]
    # It stalls: nothing for half a second, then silence, so that the clocks stay together.
    assert [list(intake.due(tick * FRAME_S)) for tick in range(11, 36)] == [[]] * 25
    assert [int(frame[0]) for frame in intake.due(36 * FRAME_S + 1e-6)] == [0]
    more.set()
    await reading
    frames = [int(frame[0]) for frame in intake.due(40 * FRAME_S)]
    assert frames == [11, *[0] * 28]
    assert intake.over_s == pytest.approx(28 * FRAME_S)
