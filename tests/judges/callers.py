"""What the judges' callers say, spoken once by voices that the ears were not tuned on, and kept under build/judges."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Final

import numpy as np
import soxr

from agent.config.settings import load
from agent.models.voices import VoiceShelf
from audio.io.sound_files import WavWriter
from tests.judges.scenario import BUILD, HERE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

RATE: Final = 24_000


def speak_callers() -> None:
    """Speak the lines of callers.toml that are not spoken yet."""
    lines = tomllib.loads((HERE / "callers.toml").read_text(encoding="utf-8"))["line"]
    shelf = VoiceShelf(load().settings)
    for line in lines:
        file = BUILD / "callers" / line["file"]
        if file.is_file():
            continue
        pause_after = line.get("pause_after")
        parts = re.split(f"(?<={re.escape(pause_after)}) ", line["text"]) if pause_after else [line["text"]]
        _speak(shelf, line["voice"], parts, line.get("pause_ms", 0), file)


def speak_lines(voice: str, lines: Mapping[str, Path]) -> None:
    """Speak each of the lines into its file, where there is none yet."""
    shelf = VoiceShelf(load().settings)
    for text, file in lines.items():
        if not file.is_file():
            _speak(shelf, voice, [text], 0, file)


def _speak(shelf: VoiceShelf, name: str, parts: list[str], pause_ms: int, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    voice = shelf.voice(name)
    pause = np.zeros(RATE * pause_ms // 1000, np.int16)
    sound = [pause]
    for part in parts:
        said = soxr.resample(voice.speak(part).astype(np.float32), voice.rate, RATE).astype(np.int16)
        loud = np.flatnonzero(np.abs(said) > 300)
        sound += [said[loud[0] : loud[-1] + 1], pause]
    with WavWriter(file, RATE) as writer:
        writer.write(np.concatenate(sound[1:-1]))
