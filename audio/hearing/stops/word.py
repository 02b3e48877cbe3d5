"""Listens for the one word "stop" by a network of its own, frame by frame: no window to wait for, and no transcript.

microWakeWord's stop model (Kevin Ahrendt, Apache-2.0, trained on English), run by pymicro-wakeword. It hears a sound,
not a sentence: what becomes of it, `audio.hearing.stops.listener` knows. Blocking, 0.2 ms for a frame of 32 ms.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from audio.errors import EarsUnavailable

if TYPE_CHECKING:
    from audio.clock import Sound

WORD: Final = "stop"
"""What it hears."""

_MEAN_OF: Final = 3
"""Readings, of 30 ms each, whose mean is told. Its publisher takes five, for an ear that decides alone."""

_LOUDEST: Final = 32_767
_MAGIC: Final = b"TFL3"


def stop_word_runs() -> bool:
    """Say whether the package that runs it is installed."""
    return find_spec("pymicro_wakeword") is not None


class StopWord:
    """What one listener has heard so far. Feed it every frame in order."""

    def __init__(self, model: Path) -> None:
        """Load the model from its .tflite file. Raises EarsUnavailable."""
        if not model.is_file():
            raise EarsUnavailable(f"{model}: no such model; fetch it with: descant models pull micro-stop-en")
        try:
            import pymicro_wakeword  # noqa: PLC0415 - optional
        except ImportError as error:
            raise EarsUnavailable(
                f"what runs the second ear for stops is not installed ({error}); add it with: "
                "pip install 'descant[stop]', or set models.stop to nothing"
            ) from error
        # The runtime is not asked what it makes of the file, and ends the process where that is nothing.
        if model.read_bytes()[4:8] != _MAGIC:
            raise EarsUnavailable(
                f"{model}: the model cannot be loaded (no TFLite file); check it with: "
                "descant models verify micro-stop-en"
            )
        library = next((Path(pymicro_wakeword.__file__).parent / "lib").glob("*tensorflowlite_c.*"))
        self._network = pymicro_wakeword.MicroWakeWord(
            "stop",
            wake_word=WORD,
            tflite_model=model,
            probability_cutoff=1.0,
            sliding_window_size=1,
            trained_languages=["en"],
            libtensorflowlite_c_path=library,
        )
        self._features = pymicro_wakeword.MicroWakeWordFeatures()
        self._readings = [0.0] * _MEAN_OF
        self._taken = 0
        """Steps of 10 ms; the network reads as many at a time as its stride says."""

    def hear(self, frame: Sound) -> float:
        """Take the next sound, and give how sure (0..1) it is that the word has just been said."""
        pcm = (np.clip(frame, -1.0, 1.0) * _LOUDEST).astype("<i2").tobytes()
        surest = 0.0
        for features in self._features.process_streaming(pcm):
            reading = self._network.process_streaming_prob(features)
            self._taken += 1
            if self._taken % self._network.stride == 0:
                self._readings = [*self._readings[1:], reading]
            surest = max(surest, sum(self._readings) / _MEAN_OF)
        return surest
