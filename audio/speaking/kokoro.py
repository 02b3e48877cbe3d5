"""Kokoro behind an adapter: one model, many voices. Blocking; knows neither clauses nor threads of its own.

The weights (82M parameters, Apache-2.0) are run by kokoro-onnx (MIT). How words sound is told by espeak-ng, which is
GPL-3.0-or-later: both are imported here and in `audio.speaking.espeak` alone, only when such a voice is loaded, and
installed only by those who ask for the extra "kokoro".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from audio.errors import VoiceUnavailable
from audio.onnx import open_network

if TYPE_CHECKING:
    from pathlib import Path

    from audio.clock import Pcm
    from audio.options import VoiceOptions
    from audio.speaking.voices import VoiceEntry

_LOUDEST: Final = 32_767
_SOUNDS: Final = {"en-US": "en-us", "fr": "fr-fr"}
"""Names that espeak-ng has for languages, where they are not the tag in small letters."""


class KokoroModel:
    """The loaded weights. Raises VoiceUnavailable."""

    def __init__(self, folder: Path, options: VoiceOptions) -> None:
        """`folder` has the model's .onnx file, and a .bin file with the styles of its voices."""
        model, styles = (next(iter(sorted(folder.glob(kind))), None) for kind in ("*.onnx", "*.bin"))
        if model is None or styles is None:
            raise VoiceUnavailable(f"{folder}: no such voices; fetch them with: descant models pull kokoro-82m")
        try:
            from kokoro_onnx import Kokoro  # noqa: PLC0415 - optional
        except ImportError as error:
            raise VoiceUnavailable(
                f"the engine of this voice is not installed ({error}); add it with: pip install 'descant[kokoro]'"
            ) from error
        try:
            session = open_network(model, options.threads, arena=False)
            self._kokoro = Kokoro.from_session(session, str(styles))
        except Exception as error:  # onnxruntime's errors share no other base
            raise VoiceUnavailable(
                f"{folder}: the voices cannot be loaded ({error}); check them with: descant models verify kokoro-82m"
            ) from error

    def voice(self, entry: VoiceEntry, options: VoiceOptions) -> KokoroVoice:
        """Give one of its voices. Raises VoiceUnavailable where the weights do not have it."""
        if entry.speaker not in self._kokoro.voices:
            raise VoiceUnavailable(f"the weights of {entry.model} have no voice {entry.speaker}")
        return KokoroVoice(self, entry, options)

    def create(self, text: str, speaker: str, language: str, speed: float) -> Pcm:
        """Say a text; safe from several threads."""
        sounds = self._kokoro.tokenizer.phonemize(text, _SOUNDS.get(language, language.lower()))
        if not sounds:
            return np.zeros(0, np.int16)
        sound, _ = self._kokoro.create(sounds, speaker, speed, is_phonemes=True, trim=False)
        return np.asarray(np.clip(sound, -1.0, 1.0) * _LOUDEST, np.int16)


class KokoroVoice:
    """A voice of a loaded model."""

    rate: Final = 24_000
    """Samples per second."""

    def __init__(self, model: KokoroModel, entry: VoiceEntry, options: VoiceOptions) -> None:
        self._model, self._entry, self._speed = model, entry, options.speed

    def speak(self, text: str) -> Pcm:
        """Say a text of plain words."""
        return self._model.create(text, self._entry.speaker, self._entry.language, self._speed)
