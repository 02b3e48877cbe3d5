"""Word errors and decode time of Whisper by window length, on the recordings.

`python -m tests.e2e.measure_windows WHISPER_DIR [THREADS]`. The table in audio/decoder.py was made the same way
from more sentences.
"""

from __future__ import annotations

import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np

from audio.clock import RATE
from audio.decoder import WhisperDecoder
from audio.options import EarsOptions
from audio.wav import read_wav
from tests.e2e.make_recordings import RECORDINGS
from tests.e2e.test_speech import same_words


def errors(said: list[str], heard: list[str]) -> int:
    """Word edit distance (Levenshtein)."""
    row = list(range(len(heard) + 1))
    for number, word in enumerate(said, start=1):
        before, row[0] = row[:], number
        for place, other in enumerate(heard, start=1):
            row[place] = min(before[place] + 1, row[place - 1] + 1, before[place - 1] + (word != other))
    return row[-1]


def main(model: Path, threads: int) -> None:
    """Print one line for each window."""
    decoder = WhisperDecoder(model, replace(EarsOptions(), threads=threads))
    questions = tomllib.loads((RECORDINGS / "questions.toml").read_text(encoding="utf-8"))["question"]
    for window in (6, 8, 10, 12, 15, 20, 30):
        wrong = words = 0
        times = []
        for question in questions:
            sound = np.concatenate(list(read_wav(RECORDINGS / question["file"])))[: -RATE // 2]
            if len(sound) > window * RATE:
                continue
            began = perf_counter()
            heard = decoder.decode_window(sound, window)
            times.append(perf_counter() - began)
            said = same_words(question["text"])
            wrong += errors(said, same_words(" ".join(word.text for word in heard.words)))
            words += len(said)
        print(f"{window:3} s: {len(times)} clips, {100 * wrong / words:5.1f} % word errors, {np.median(times):.3f} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
