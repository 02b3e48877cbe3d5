"""A German and a Spanish question by voice, in one conversation: each is answered in the language that it was asked in.

The answers are transcribed by Whisper base, which is told nothing of what it should hear.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pytest
import soxr

import descant
from agent.config.settings import ModelOptions, load
from agent.models.voices import VoiceShelf
from audio.clock import RATE
from audio.errors import BadVoice
from audio.hearing.whisper import WhisperDecoder
from audio.io.sound_files import read_sound
from audio.options import EarsOptions
from languages.known import language_of
from tests.reasoning.model_files import model_path

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from audio.clock import Sound

BASE: Final = ModelOptions().cache_dir / "whisper-base"
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not (BASE / "model.bin").is_file(), reason="whisper-base is not in the cache"),
]
QUESTIONS: Final = {
    "de": ("espeak-de", "Vier Karten kosten je neun Euro. Wie viel kosten alle Karten zusammen?"),
    "es": ("kokoro-ef_dora", "Cuatro entradas cuestan nueve euros cada una. ¿Cuánto cuestan todas juntas?"),
}
"""Who asks, and what; the answer is 36 euros."""


def spoken_by(name: str, text: str) -> Sound:
    """Give a text in a voice, with silence around it."""
    try:
        voice = VoiceShelf(load().settings).voice(name)
    except BadVoice as error:
        pytest.skip(str(error))
    sound = soxr.resample(voice.speak(text).astype(np.float32) / 32768, voice.rate, RATE)
    return np.pad(sound, (RATE // 2, 2 * RATE))


async def frames(sound: Sound) -> AsyncIterator[Sound]:
    yield sound


async def test_each_question_is_answered_in_its_language(tmp_path: Path) -> None:
    model_path("qwen2.5-coder-1.5b")
    asked = {code: spoken_by(name, text) for code, (name, text) in QUESTIONS.items()}
    settings = {"ears.language": "auto", "models.asr": "whisper-base"}
    written: dict[str, list[str]] = {}
    async with descant.open(settings=settings) as agent, agent.conversation() as talk:
        for code, sound in asked.items():
            heard = talk.listen(frames(sound), output=tmp_path / f"{code}.wav", wait_s=300)
            events = [event async for event in heard]
            written[code] = [event.text for event in events if isinstance(event, descant.events.AudioOut)]
    base = WhisperDecoder(BASE, EarsOptions()).hearing(())
    for code, said in written.items():
        numbers = language_of(code).numbers
        assert 36.0 in numbers.values_in(" ".join(said)), said
        answer = np.concatenate(list(read_sound(tmp_path / f"{code}.wav")))
        loud = np.flatnonzero(np.abs(answer) > 0.02)
        again = base.decode(answer[loud[0] : loud[-1]][-25 * RATE :], final=True)
        text = " ".join(word.text for word in again.words)
        assert again.language.code == code, text
        assert 36.0 in numbers.values_in(text), (said, text)
