"""Written forms read by the default voice, and heard back by Whisper. Real models."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soxr

from audio.clock import RATE
from audio.options import VoiceOptions
from audio.speaking.piper import PiperVoice
from audio.speaking.speakable import speakable
from tests.languages.reading.forms import WrittenForm, table
from tests.reasoning.model_files import model_path

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HALF = table("english")[::2]
QUARTER_S = RATE // 4


@pytest.fixture(scope="module", name="say")
def _say() -> Callable[[str], Any]:
    voice = PiperVoice(model_path("piper-en-us-joe"), VoiceOptions())

    def say(words: str) -> Any:  # noqa: ANN401 - an array of samples
        sound = soxr.resample(voice.speak(words).astype(np.float32) / 32768, voice.rate, RATE)
        return np.pad(sound, (QUARTER_S, 2 * QUARTER_S))

    return say


def heard_right(forms: Sequence[WrittenForm], say: Callable[[str], Any]) -> list[WrittenForm]:
    """Give the forms of which Whisper hears the words that the table expects, however it writes them."""
    whisper = pytest.importorskip("faster_whisper")
    normal = pytest.importorskip("whisper_normalizer.english").EnglishTextNormalizer()
    model = whisper.WhisperModel(str(model_path("whisper-tiny.en").parent), device="cpu", compute_type="int8")

    def letters(text: str) -> str:
        # The normaliser leaves out what stands in brackets.
        return re.sub(r"[^a-z0-9]", "", normal(re.sub(r"[()]", " ", text)))

    right = []
    for form in forms:
        segments, _ = model.transcribe(say(speakable(form.written)), language="en", beam_size=5)
        heard = " ".join(segment.text for segment in segments)
        # Whisper writes figures of its own: "May 21, 2020" was heard as it was meant if it is read like that again.
        if letters(form.said) in {letters(heard), letters(speakable(heard))}:
            right.append(form)
        else:
            print(f"{form.written!r}: {form.said!r} was heard as {heard!r}")
    print(f"{len(right)} of {len(forms)} heard right")
    return right


@pytest.mark.e2e
@pytest.mark.timeout(900)
def test_what_the_voice_says_of_written_forms_is_heard(say: Callable[[str], Any]) -> None:
    # The voice says nothing twice alike: what tiny.en mishears of it varies.
    forms = HALF[::4]
    assert len(heard_right(forms, say)) >= 0.55 * len(forms)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_what_the_voice_says_of_half_of_the_forms_is_heard(say: Callable[[str], Any]) -> None:
    assert len(HALF) >= 100
    assert len(heard_right(HALF, say)) >= 0.7 * len(HALF)
