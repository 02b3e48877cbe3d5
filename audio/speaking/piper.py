"""Piper behind an adapter: text in, raw sound out. Blocking; knows neither clauses nor threads of its own.

Piper (piper-tts) is licensed GPL-3.0-or-later, Descant is not. It is imported here and nowhere else, only when a
voice is loaded, and it is installed only by those who ask for the extra "voice".
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from audio.errors import VoiceUnavailable
from audio.onnx import open_network

if TYPE_CHECKING:
    from audio.clock import Pcm
    from audio.options import VoiceOptions
    from audio.speaking.voices import VoiceEntry

_LOUDEST = 32_767


class PiperVoice:
    """A loaded Piper voice (an .onnx file with its .onnx.json beside it). Raises VoiceUnavailable."""

    def __init__(self, model: Path, options: VoiceOptions) -> None:
        config = Path(f"{model}.json")
        for file in (model, config):
            if not file.is_file():
                raise VoiceUnavailable(f"{file}: no such voice; fetch it with: descant models pull")
        try:
            import piper  # noqa: PLC0415 - optional
            from piper.config import PiperConfig, SynthesisConfig  # noqa: PLC0415 - optional
        except ImportError as error:
            raise VoiceUnavailable(
                f"the voice engine is not installed ({error}); add it with: pip install 'descant[voice]'"
            ) from error
        try:
            session = open_network(model, options.threads, arena=False)
            settings = PiperConfig.from_dict(json.loads(config.read_text(encoding="utf-8")))
        except Exception as error:  # onnxruntime's errors share no other base
            raise VoiceUnavailable(
                f"{model}: the voice cannot be loaded ({error}); check it with: descant models verify"
            ) from error
        self._voice = piper.PiperVoice(session=session, config=settings)
        self._synthesis, self._length = SynthesisConfig, float(settings.length_scale)
        self._speed = options.speed
        self.rate = int(settings.sample_rate)
        """Samples per second."""

    def voice(self, _entry: VoiceEntry, options: VoiceOptions) -> PacedVoice:
        """Give the same voice with the speed of these options."""
        return PacedVoice(self, options)

    def speak(self, text: str) -> Pcm:
        """Say a text of plain words."""
        return self.create(text, self._speed)

    def create(self, text: str, speed: float) -> Pcm:
        """Say a text of plain words that much faster than the voice was recorded."""
        said = self._voice.synthesize(text, self._synthesis(length_scale=self._length / speed))
        parts = [chunk.audio_float_array for chunk in said]
        sound = np.concatenate(parts) if parts else np.zeros(0, np.float32)
        return np.asarray(sound * _LOUDEST, np.int16)


class PacedVoice:
    """A loaded voice at a speed of its own."""

    def __init__(self, voice: PiperVoice, options: VoiceOptions) -> None:
        self._voice, self._speed = voice, options.speed
        self.rate = voice.rate
        """Samples per second."""

    def speak(self, text: str) -> Pcm:
        """Say a text of plain words."""
        return self._voice.create(text, self._speed)
