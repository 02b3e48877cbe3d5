"""Word errors and decode time of Whisper by window length, on the recordings.

`python -m tests.e2e.stage.measure_windows WHISPER_DIR [THREADS]`. The table in audio/hearing/whisper.py was made the
same way from more sentences.
"""

from __future__ import annotations

import sys
import tomllib
from dataclasses import replace
from difflib import SequenceMatcher
from pathlib import Path
from time import perf_counter

import numpy as np

from audio.clock import RATE
from audio.hearing.whisper import WhisperDecoder
from audio.io.sound_files import read_sound
from audio.options import EarsOptions
from tests.e2e.stage.make_recordings import RECORDINGS
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
            sound = np.concatenate(list(read_sound(RECORDINGS / question["file"])))[: -RATE // 2]
            if len(sound) > window * RATE:
                continue
            began = perf_counter()
            heard = decoder.decode_window(sound, window)
            times.append(perf_counter() - began)
            said = same_words(question["text"])
            wrong += errors(said, same_words(" ".join(word.text for word in heard.words)))
            words += len(said)
        print(f"{window:3} s: {len(times)} clips, {100 * wrong / words:5.1f} % word errors, {np.median(times):.3f} s")


def measure_confidence(model: Path) -> None:
    """Print which share of the words that were heard rightly and wrongly, in noise, lies under a confidence."""
    decoder = WhisperDecoder(model, EarsOptions())
    questions = tomllib.loads((RECORDINGS / "questions.toml").read_text(encoding="utf-8"))["question"]
    chance = np.random.default_rng(0)
    found: dict[bool, list[float]] = {True: [], False: []}
    for question in questions:
        sound = np.concatenate(list(read_sound(RECORDINGS / question["file"])))[: -RATE // 2]
        level = np.sqrt(np.mean(sound[np.abs(sound) > 0.01] ** 2))
        said = same_words(question["text"])
        for decibels in (99, 10, 5, 0):
            noise = chance.standard_normal(len(sound)) * level * 10 ** (-decibels / 20)
            heard = decoder.decode((sound + noise).astype(np.float32), final=True)
            words = [(part, word.confidence) for word in heard.words for part in same_words(word.text)]
            blocks = SequenceMatcher(None, said, [part for part, _ in words], autojunk=False).get_matching_blocks()
            right = {place for block in blocks for place in range(block.b, block.b + block.size)}
            for place, (_, confidence) in enumerate(words):
                found[place in right].append(confidence)
    for below in (0.2, 0.35, 0.5):
        shares = (100 * np.mean([confidence < below for confidence in found[right]]) for right in (True, False))
        print("under {:.2f}: {:4.1f} % of the right words, {:4.1f} % of the wrong ones".format(below, *shares))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    measure_confidence(Path(sys.argv[1]))
