"""Real Whisper, real Piper: what is recorded is heard, what is spoken is understood, and noise stays cheap."""

from __future__ import annotations

import asyncio
import os
import resource
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soxr

from audio.clock import FRAME, RATE, Sound
from audio.hearing.agreement import edits, key
from audio.hearing.ears import Ears
from audio.hearing.end_of_turn import EndOfTurn
from audio.hearing.transcriber import Transcriber
from audio.hearing.vad import VoiceActivity
from audio.hearing.whisper import WhisperDecoder
from audio.io.sound_files import read_sound
from audio.messages import EarsEvent, HardEnd, Words
from audio.options import EarsOptions, VoiceOptions
from audio.speaking.piper import PiperVoice
from audio.speaking.synthesizer import Synthesizer
from bench.ears.listening import stream
from bench.ears.recordings import SpeechClip
from tests.e2e.stage.make_recordings import RECORDINGS
from tests.reasoning.model_files import model_path

MODELS = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "descant" / "models"
EARS = MODELS / "whisper-tiny.en"
VOICE = MODELS / "piper-en-us-joe" / "en_US-joe-medium.onnx"
QUESTIONS: list[dict[str, Any]] = tomllib.loads((RECORDINGS / "questions.toml").read_text(encoding="utf-8"))["question"]
NUMBERS = {
    "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8",
    "nine": "9", "ten": "10", "twelve": "12", "forty": "40", "fifty": "50",
}  # fmt: skip

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not (EARS.is_dir() and VOICE.is_file()), reason="the default models are not in the cache"),
]


def same_words(text: str) -> list[str]:
    """Words without case, punctuation, and the question whether a number is written in digits."""
    plain = text.replace("$", "").replace("-", " ")
    words = [NUMBERS.get(key(word), key(word)) for word in plain.split()]
    return [word for word in words if word not in {"dollar", "dollars"}]


async def hear(sound: Sound, wait_ms: float = 550) -> list[EarsEvent]:
    """Listen as fast as the decodes allow; every pause ends the turn after that much silence."""
    options = EarsOptions()
    events: list[EarsEvent] = []
    padded = np.pad(sound, (RATE // 4, 2 * RATE - len(sound) % FRAME))
    async with Ears(VoiceActivity(options), Transcriber(lambda: WhisperDecoder(EARS, options)), options) as ears:

        async def read() -> None:
            async for event in ears.events():
                events.append(event)
                if isinstance(event, Words) and not event.final:
                    ears.end_turn_after(wait_ms)

        reader = asyncio.create_task(read())
        for start in range(0, len(padded) - FRAME + 1, FRAME):
            await ears.receive(padded[start : start + FRAME])
            await ears.caught_up()
            await asyncio.sleep(0)
        await ears.close()
        await reader
    return events


def finals(events: list[EarsEvent]) -> list[str]:
    return [event.committed for event in events if isinstance(event, Words) and event.final]


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question["file"].removesuffix(".wav"))
async def test_every_recording_is_heard_right(question: dict[str, Any]) -> None:
    """All numbers, and all words but one: "Ben" is "been" in the arithmetic of some processors."""
    sound = np.concatenate(list(read_sound(RECORDINGS / question["file"])))
    events = await hear(sound, wait_ms=1_400)
    (heard,) = finals(events)
    found, said = same_words(heard), same_words(question["text"])
    assert list(filter(str.isdigit, found)) == list(filter(str.isdigit, said))
    assert edits(said, found) <= 1
    assert sum(isinstance(event, HardEnd) for event in events) == 1
    confidences = next(event.confidence for event in events if isinstance(event, Words) and event.final)
    assert len(confidences) == len(heard.split())
    assert all(0 < confidence <= 1 for confidence in confidences)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question["file"].removesuffix(".wav"))
async def test_no_recorded_question_is_cut_at_its_pauses(question: dict[str, Any]) -> None:
    options = replace(EarsOptions(), partial_every_ms=10**6)
    judge = EndOfTurn(model_path("smart-turn-v3.2"))
    clip = SpeechClip(RECORDINGS / question["file"], question["text"])
    heard = await stream(clip, WhisperDecoder(EARS, options), judge, options)
    assert heard.turns == 1
    assert 0.5 < heard.waits_s[0] < 1.3


async def test_a_long_pause_ends_the_turn_unless_it_is_held_open() -> None:
    sound = np.concatenate(list(read_sound(RECORDINGS / "fruit.wav")))
    assert len(finals(await hear(sound))) == 2
    assert len(finals(await hear(sound, wait_ms=1_400))) == 1


async def test_what_the_voice_says_is_understood() -> None:
    text = "The answer is 120 eggs, so he is happy."
    async with Synthesizer(lambda: PiperVoice(VOICE, VoiceOptions()), VoiceOptions()) as synthesizer:
        clip = await synthesizer.synthesize(text)
    sound = soxr.resample(clip.samples.astype(np.float32) / 32768, clip.rate, RATE)
    (heard,) = finals(await hear(sound))
    assert "120 eggs" in heard
    assert "happy" in heard


async def test_a_lone_stop_is_never_lost() -> None:
    async with Synthesizer(lambda: PiperVoice(VOICE, VoiceOptions()), VoiceOptions()) as synthesizer:
        for word in ("Stop.", "Yes.", "Thank you."):
            clip = await synthesizer.synthesize(word)
            sound = soxr.resample(clip.samples.astype(np.float32) / 32768, clip.rate, RATE)
            (heard,) = finals(await hear(sound))
            assert same_words(heard) == same_words(word)


@pytest.mark.parametrize("level", [0.0, 0.01, 0.3])
async def test_silence_and_noise_hold_no_words_and_no_memory(level: float) -> None:
    noise = np.random.default_rng(0).normal(0, level, 60 * RATE).astype(np.float32).clip(-1, 1)
    assert not [event for event in await hear(noise[: 5 * RATE]) if isinstance(event, Words) and event.committed]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert not [event for event in await hear(noise) if isinstance(event, Words) and event.committed]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000
