"""Voices with their real weights, heard back by Whisper; kept and dropped by the shelf; as the command plays them."""

from __future__ import annotations

import base64
import os
import resource
from pathlib import Path

import numpy as np
import pytest
import soxr

from agent.config.settings import Settings
from agent.models.voices import VoiceShelf
from agent.realtime.voices import SessionVoices
from audio.clock import RATE, Sound
from audio.hearing.whisper import WhisperDecoder
from audio.io.sound_files import read_sound
from audio.options import EarsOptions
from audio.speaking.synthesizer import Voice
from audio.speaking.voices import find_voice
from tests.agent.command_line import Descant, descant
from tests.agent.realtime.fakes import FakeModels, Script24, served
from tests.audio.speaking.test_synthesizer import Letters

__all__ = ["descant"]

MODELS = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "descant" / "models"
EARS = MODELS / "whisper-tiny.en"
SENTENCE = "Turn on the living room lamp, and then tell me about the weather in London."

pytest.importorskip("kokoro_onnx")
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not (MODELS / "kokoro-82m").is_dir(), reason="descant models pull kokoro-82m"),
    pytest.mark.skipif(not EARS.is_dir(), reason="descant models pull whisper-tiny.en"),
]


class Wide(Letters):
    """A voice of the server's own, with the rate of piper: other voices come at that rate."""

    rate = 22_050


@pytest.fixture(scope="module")
def shelf() -> VoiceShelf:
    return VoiceShelf(Settings())


@pytest.fixture(scope="module")
def ears() -> WhisperDecoder:
    return WhisperDecoder(EARS, EarsOptions())


def heard(sound: Sound, ears: WhisperDecoder) -> list[str]:
    hypothesis = ears.decode(np.pad(sound, RATE // 4), final=True)
    return [word.text.strip().strip(",.!?").lower() for word in hypothesis.words]


def said(voice: Voice, text: str = SENTENCE) -> Sound:
    sound = voice.speak(text).astype(np.float32) / 32_768
    return np.asarray(soxr.resample(sound, voice.rate, RATE), np.float32)


@pytest.mark.parametrize("name", ["kokoro-af_heart", "kokoro-am_michael", "kokoro-bf_emma", "espeak-en-us"])
def test_what_an_english_voice_says_is_understood(shelf: VoiceShelf, ears: WhisperDecoder, name: str) -> None:
    words = [word.strip(",.").lower() for word in SENTENCE.split()]
    assert heard(said(shelf.voice(name)), ears) == words


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("kokoro-ef_dora", "El tren sale a las nueve y cuarto."),
        ("kokoro-ff_siwis", "Le train part à neuf heures et quart."),
        ("kokoro-if_sara", "Il treno parte alle nove e un quarto."),
        ("kokoro-pf_dora", "O trem sai às nove e quinze."),
        ("kokoro-hf_alpha", "रेलगाड़ी नौ बजे चलती है।"),
    ],
)
def test_every_language_of_kokoro_speaks_at_its_speed(shelf: VoiceShelf, name: str, text: str) -> None:
    usual, quick = said(shelf.voice(name), text), said(shelf.voice(name, 1.5), text)
    assert 1.2 * RATE < len(usual) < 4 * RATE
    assert len(usual) / len(quick) == pytest.approx(1.5, rel=0.2)


def test_nothing_to_say_is_no_sound(shelf: VoiceShelf) -> None:
    assert len(shelf.voice("kokoro-af_heart").speak(" ")) == 0


def test_only_so_many_models_are_kept_and_the_one_unused_for_longest_goes_first() -> None:
    shelf = VoiceShelf(Settings(), most=2)
    piper, kokoro, espeak = (find_voice(name) for name in ("piper-en-us-joe", "kokoro-af_heart", "espeak-de"))
    first, second = shelf.open(piper), shelf.open(kokoro)
    assert shelf.open(find_voice("kokoro-ef_dora")) is second
    assert shelf.open(piper) is first
    shelf.open(espeak)
    assert shelf.open(piper) is first
    assert shelf.open(kokoro) is not second
    # A voice in somebody's hands speaks on, whatever was dropped meanwhile.
    voice = shelf.voice("espeak-de")
    shelf.open(piper)
    assert len(voice.speak("Guten Morgen.")) > voice.rate // 2


def test_the_command_writes_a_sample_in_the_voice_that_is_named(descant: Descant, ears: WhisperDecoder) -> None:
    file = descant.home / "sample.wav"
    wanted = ("--text", SENTENCE, "--output", str(file), "--speed", "1.1")
    done = descant("voices", "play", "kokoro-am_adam", *wanted, models=MODELS)
    assert done.code == 0, done.err
    assert "kokoro-am_adam, 24000 Hz" in done.out
    assert "living" in heard(np.concatenate(list(read_sound(file))), ears)


async def test_a_client_hears_the_voice_that_it_asks_for_and_only_that_one(ears: WhisperDecoder) -> None:
    settings = Settings()
    models = FakeModels(Script24(small_talk=True, at_once=lambda _: SENTENCE), voice=Wide())
    models.voices = SessionVoices(VoiceShelf(settings), settings.models.voice)
    async with served(models) as server, server.client() as client:
        # Where others compute, a clause of Kokoro takes long.
        client._patience_s = 120
        await client.configure(audio={"output": {"voice": "kokoro-bf_emma"}})
        await client.ask("Hello.")
    deltas = [event["delta"] for event in client.of("response.output_audio.delta")]
    sound = np.frombuffer(b"".join(map(base64.b64decode, deltas)), "<i2").astype(np.float32) / 32_768
    words = heard(np.asarray(soxr.resample(sound, 24_000, RATE), np.float32), ears)
    assert words[:6] == ["turn", "on", "the", "living", "room", "lamp"]
    assert words[-2:] == ["in", "london"]
    assert models.voice.said == []


def test_a_long_conversation_by_kokoro_keeps_its_memory(shelf: VoiceShelf) -> None:
    voice = shelf.voice("kokoro-af_heart")
    voice.speak(SENTENCE)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for count in range(6):
        voice.speak(" ".join(SENTENCE.split()[: 4 + count]))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000
