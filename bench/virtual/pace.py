"""Measures how fast the voice that the settings name makes speech, and how long its speech lasts."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Final

import numpy as np

from agent.models.registry import load_voice
from audio.errors import VoiceUnavailable
from audio.speaking.speakable import speakable
from audio.speaking.synthesizer import Synthesizer
from audio.speaking.voices import find_voice
from bench.virtual.timed import Pace
from reasoning.errors import StoreError
from reasoning.store.store import StoreState

if TYPE_CHECKING:
    from agent.config.settings import Settings
    from reasoning.store.store import Store

_CLAUSES: Final = (
    "Let me see.",
    "That makes twenty-four.",
    "There are twelve apples in the first box.",
    "Each of the four tickets costs nine dollars,",
    "so together they cost thirty-six dollars, and you get fourteen dollars back.",
    "The train leaves at a quarter past nine and arrives two hours and ten minutes later.",
)
_REPEATS: Final = 3
"""Times that each is said; the quickest counts, as others may use the machine."""


async def measure_pace(settings: Settings, store: Store) -> Pace:
    """Fit constant and cost per letter to a few clauses; without a voice on disk, give the reference voice's pace."""
    try:
        model = find_voice(settings.models.voice).model
        if model and store.status(model).state is StoreState.MISSING:
            return Pace()
        folder = store.ensure(model, lambda _: None) if model else None
        async with Synthesizer(lambda: load_voice(folder, settings), settings.voice) as synthesizer:
            await synthesizer.synthesize(_CLAUSES[-1])
            measured = [await _measured(synthesizer, clause) for clause in _CLAUSES]
    except (StoreError, VoiceUnavailable):
        return Pace()
    letters, taken, sound = zip(*measured, strict=True)
    slope, constant = np.polyfit(letters, taken, 1)
    sound_slope, sound_constant = np.polyfit(letters, sound, 1)
    return Pace(
        synthesis_s=max(0.0, float(constant)),
        synthesis_letter_s=max(0.0, float(slope)),
        sound_s=max(0.0, float(sound_constant)),
        sound_letter_s=max(0.0, float(sound_slope)),
    )


async def _measured(synthesizer: Synthesizer, clause: str) -> tuple[int, float, float]:
    """Give letters as they are said, seconds of synthesis, seconds of sound."""
    best = float("inf")
    for _ in range(_REPEATS):
        start = perf_counter()
        clip = await synthesizer.synthesize(clause)
        best = min(best, perf_counter() - start)
    return len(speakable(clause)), best, len(clip.samples) / clip.rate
