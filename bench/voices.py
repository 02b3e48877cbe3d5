"""Sentences as sound for the benchmarks: the default voice, and those of espeak-ng where it is installed."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import soxr

from audio.clock import RATE
from audio.io.sound_files import read_sound

if TYPE_CHECKING:
    from audio.clock import Sound
    from audio.speaking.synthesizer import Synthesizer

PIPER: Final = "piper"
ESPEAK: Final = ("en-gb", "en-us+f3", "en-gb-scotland")
"""Voices of espeak-ng."""

_WORDS_A_MINUTE: Final = "150"
_PEAK: Final = 0.5
_EDGE: Final = 0.02
"""Part of the peak below which a recorded word has ended."""


def installed(more: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Name the voices that there are; `more`: further ones of espeak-ng."""
    return (PIPER, *((*ESPEAK, *more) if shutil.which("espeak-ng") else ()))


async def spoken(synthesizer: Synthesizer, voice: str, text: str) -> Sound:
    """Say a text in a voice: from its first to its last sample, all voices equally loud."""
    if voice == PIPER:
        clip = await synthesizer.synthesize(text)
        return trimmed(soxr.resample(clip.samples.astype(np.float32) / 32768, clip.rate, RATE))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "said.wav"
        process = await asyncio.create_subprocess_exec(
            *("espeak-ng", "-v", voice, "-s", _WORDS_A_MINUTE, "-w", str(path), "--", text)
        )
        await process.wait()
        return trimmed(np.concatenate(list(read_sound(path))))


def trimmed(sound: Sound) -> Sound:
    """Leave out the silence at both ends, and make it as loud as all others."""
    loud = np.flatnonzero(np.abs(sound) > _EDGE * np.abs(sound).max())
    return np.asarray(_PEAK * sound[loud[0] : loud[-1] + 1] / np.abs(sound).max(), np.float32)
