"""Does the turn sound finished? A small network that judges the melody of what was said. Blocking; knows no words.

Smart Turn v3.2 (pipecat-ai/smart-turn, BSD-2-Clause): Whisper's encoder and a classifier, on the last 8 s of a turn.
It wants Whisper's log-mel features of exactly 8 s, with what is missing put in front, of sound brought to mean 0 and
variance 1; faster-whisper's extractor gives the same features to 1e-7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from audio.clock import RATE, Sound
from audio.errors import EarsUnavailable
from audio.onnx import open_network

if TYPE_CHECKING:
    from pathlib import Path

_WINDOW_S: Final = 8
_STEADY: Final = 1e-7
"""Keeps the variance of silence away from zero, as in Whisper's own features."""


class EndOfTurn:
    """A loaded judge (an .onnx file). Raises EarsUnavailable."""

    def __init__(self, model: Path) -> None:
        if not model.is_file():
            raise EarsUnavailable(f"{model}: no such model; fetch it with: descant models pull smart-turn-v3.2")
        from faster_whisper.feature_extractor import FeatureExtractor  # noqa: PLC0415 - heavy, not needed for --help

        try:
            self._network = open_network(model, 1)
        except Exception as error:  # onnxruntime's errors share no other base
            raise EarsUnavailable(
                f"{model}: the model cannot be loaded ({error}); check it with: descant models verify"
            ) from error
        self._features = FeatureExtractor(chunk_length=_WINDOW_S)

    def complete(self, sound: Sound) -> float:
        """Give the probability (0..1) that whoever spoke has finished; `sound` is the turn up to now, shape [n]."""
        recent = sound[-_WINDOW_S * RATE :]
        window = np.pad(recent, (_WINDOW_S * RATE - len(recent), 0))
        window = (window - window.mean()) / np.sqrt(window.var() + _STEADY)
        features = self._features(window.astype(np.float32), padding=0)
        (probability,) = self._network.run(None, {"input_features": features[None].astype(np.float32)})
        return float(probability.item())
