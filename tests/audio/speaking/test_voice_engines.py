"""The adapters of voices, with the libraries that are there and no weights."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from audio.clock import Pcm
from audio.errors import VoiceUnavailable
from audio.options import VoiceOptions
from audio.speaking.espeak import EspeakLibrary
from audio.speaking.kokoro import KokoroModel
from audio.speaking.voices import VOICES, VoiceBackend, find_voice

GERMAN = find_voice("espeak-de")
SENTENCE = "Der Zug nach Berlin fährt um Viertel nach neun."


def height(sound: Pcm, rate: int) -> float:
    """Give the median fundamental, in Hz, by autocorrelation."""
    found = []
    for start in range(0, len(sound) - 2048, 1024):
        window = sound[start : start + 2048].astype(float)
        if np.abs(window).max() < 3000:
            continue
        alike = np.correlate(window, window, "full")[2047:]
        period = rate // 400 + int(np.argmax(alike[rate // 400 : rate // 50]))
        if alike[period] > 0.5 * alike[0]:
            found.append(rate / period)
    return float(np.median(found))


def test_speed_and_pitch_are_those_that_are_asked_for() -> None:
    pytest.importorskip("espeakng_loader")

    library = EspeakLibrary()
    usual = library.voice(GERMAN, VoiceOptions())
    said = usual.speak(SENTENCE)
    assert 2 < len(said) / usual.rate < 4
    fast = library.voice(GERMAN, VoiceOptions(speed=1.5)).speak(SENTENCE)
    assert len(said) / len(fast) == pytest.approx(1.5, rel=0.15)
    for pitch in (0.8, 1.25):
        high = library.voice(GERMAN, VoiceOptions(pitch=pitch)).speak(SENTENCE)
        assert height(high, usual.rate) / height(said, usual.rate) == pytest.approx(pitch, rel=0.08)
    # What was asked of one voice is not left behind for another. Breath is noise, never the same twice.
    again = usual.speak(SENTENCE)
    assert len(again) == pytest.approx(len(said), rel=0.01)
    assert height(again, usual.rate) == pytest.approx(height(said, usual.rate), rel=0.03)


def test_every_language_of_espeak_is_there_and_speaks() -> None:
    pytest.importorskip("espeakng_loader")

    library = EspeakLibrary()
    for entry in VOICES.values():
        if entry.backend is VoiceBackend.ESPEAK:
            assert len(library.voice(entry, VoiceOptions()).speak("Berlin")) > 2000, entry.name
    assert len(library.voice(GERMAN, VoiceOptions()).speak("")) < 400


def test_two_threads_of_espeak_do_not_mix_their_sound() -> None:
    pytest.importorskip("espeakng_loader")

    library = EspeakLibrary()
    voices = [library.voice(find_voice(f"espeak-{tag}"), VoiceOptions()) for tag in ("de", "es")]
    texts = (SENTENCE, "Hola.")
    alone = [len(voice.speak(text)) for voice, text in zip(voices, texts, strict=True)]
    with ThreadPoolExecutor(2) as threads:
        together = [threads.submit(voices[n % 2].speak, texts[n % 2]) for n in range(40)]
        for n, sound in enumerate(together):
            assert len(sound.result()) == pytest.approx(alone[n % 2], rel=0.15)


def test_engines_that_are_missing_name_their_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    for name in ("kokoro.onnx", "voices.bin"):
        (tmp_path / name).write_bytes(b"no weights")
    monkeypatch.setitem(sys.modules, "kokoro_onnx", None)
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(VoiceUnavailable, match=r"descant\[kokoro\]"):
        KokoroModel(tmp_path, VoiceOptions())
    with pytest.raises(VoiceUnavailable, match=r"descant\[espeak\]"):
        EspeakLibrary()


def test_weights_that_are_missing_or_damaged_are_told(tmp_path: Path) -> None:
    with pytest.raises(VoiceUnavailable, match="descant models pull kokoro-82m"):
        KokoroModel(tmp_path, VoiceOptions())
    pytest.importorskip("kokoro_onnx")
    for name in ("kokoro.onnx", "voices.bin"):
        (tmp_path / name).write_bytes(b"no weights")
    with pytest.raises(VoiceUnavailable, match=r"cannot be loaded.*descant models verify kokoro-82m"):
        KokoroModel(tmp_path, VoiceOptions())


@pytest.mark.parametrize(("name", "value"), [("speed", 0.4), ("speed", 2.1), ("pitch", 0.6), ("pitch", 1.5)])
def test_what_no_voice_can_do_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} = {value} is not allowed: from"):
        VoiceOptions(**{name: value})  # type: ignore[arg-type]
