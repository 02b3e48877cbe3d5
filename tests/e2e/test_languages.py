"""A German and a Spanish question by voice, in one conversation: each is answered in the language that it was asked in.

The Spanish answer is transcribed by Whisper base, which is told nothing of what it should hear; it does not understand
espeak-ng's German well enough for that.
"""

from __future__ import annotations

import gc
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
from languages.known import known_languages, language_of
from languages.spoken import written_in
from tests.reasoning.model_files import model_path

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from audio.clock import Sound

BASE: Final = ModelOptions().cache_dir / "whisper-base"
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.live,
    pytest.mark.timeout(1800),
    # kokoro-onnx leaves its file of voices open.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.skipif(not (BASE / "model.bin").is_file(), reason="whisper-base is not in the cache"),
]
QUESTIONS: Final = {
    "de": ("espeak-de", 0.8, "Ich habe zwanzig Euro und kaufe drei Brote zu je vier Euro. Wie viel Geld bleibt mir?"),
    "es": ("kokoro-ef_dora", 1.0, "Cuatro entradas cuestan nueve euros cada una. ¿Cuánto cuestan todas juntas?"),
}
"""Who asks, how fast, and what. Whisper base understands of espeak-ng's German what is slow and long enough."""


def spoken_by(name: str, speed: float, text: str) -> Sound:
    """Give a text in a voice, with silence around it."""
    try:
        voice = VoiceShelf(load().settings).voice(name, speed)
    except BadVoice as error:
        pytest.skip(str(error))
    sound = soxr.resample(voice.speak(text).astype(np.float32) / 32768, voice.rate, RATE)
    return np.pad(sound, (RATE // 2, 2 * RATE))


async def frames(sound: Sound) -> AsyncIterator[Sound]:
    yield sound


async def test_each_question_is_answered_in_its_language(tmp_path: Path) -> None:
    model_path("qwen2.5-coder-1.5b")
    asked = {code: spoken_by(*question) for code, question in QUESTIONS.items()}
    settings = {"ears.language": "auto", "models.asr": "whisper-base"}
    written: dict[str, list[str]] = {}
    async with descant.open(settings=settings) as agent, agent.conversation() as talk:
        for code, sound in asked.items():
            heard = talk.listen(frames(sound), output=tmp_path / f"{code}.wav", wait_s=300)
            events = [event async for event in heard]
            written[code] = [event.text for event in events if isinstance(event, descant.events.AudioOut)]
    for code, said in written.items():
        language = language_of(code)
        assert written_in(" ".join(said), list(known_languages().values()), language_of("en")) is language, said
        assert language.numbers.values_in(" ".join(said)), said
    answer = np.concatenate(list(read_sound(tmp_path / "es.wav")))
    loud = np.flatnonzero(np.abs(answer) > 0.02)
    base = WhisperDecoder(BASE, EarsOptions()).hearing(())
    again = base.decode(answer[loud[0] : loud[-1]][-25 * RATE :], final=True)
    text = " ".join(word.text for word in again.words)
    assert again.language.code == "es", text
    # "una es treinta y seis" is "1.36" to it, or "30 y 6".
    found = {*language_of("es").numbers.values_in(text)}
    assert {4.0, 9.0} <= found, (written["es"], text)
    assert "36" in text or 6.0 in found, (written["es"], text)
    assert 36.0 in language_of("es").numbers.values_in(" ".join(written["es"])), written["es"]
    gc.collect()
