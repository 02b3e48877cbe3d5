"""Pauses of people and of a voice, with what the ears know at each: what the waits are fitted to, and measured on.

Three sources: recordings of people, where each pause either ends the recording or is followed by speech after a known
time; the same recordings broken off behind a word, which is nobody's end; and sentences of the synthetic voice, whole
and broken off.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from agent.conversation.turn_taking import EndTurnAfter, TurnTaking
from audio.clock import FRAME, RATE, Sound, samples_of
from audio.hearing.ears import Ears
from audio.hearing.transcriber import Transcriber
from audio.hearing.vad import RESUME, VoiceActivity
from audio.messages import HardEnd, SoftEnd, SpeechResumed

if TYPE_CHECKING:
    import random

    from faster_whisper import WhisperModel

    from audio.hearing.transcriber import Judge, Recogniser
    from audio.hearing.turn_end import Ending, TurnSoFar
    from audio.messages import EarsEvent
    from audio.options import EarsOptions

_BEFORE: Final = RATE // 2
_LONGEST_MS: Final = 2400
"""Pauses are told apart up to this length: longer than any wait."""
_AFTER: Final = 3 * RATE
_NO_PARTIALS_MS: Final = 10**6
_BROKEN_WITHIN: Final = 15 * RATE
"""Only what lies before this sample of a recording is broken off: a decode takes as long as what it hears."""
_FIRST_S: Final = 0.4
_NEAR: Final = samples_of(60)
_QUIET: Final = samples_of(20)
"""A word is broken off where 20 ms are quietest, at most 60 ms from where the recogniser puts its end."""

Source = Literal["people", "people, broken off", "voice", "voice, broken off"]


@dataclass(frozen=True, slots=True)
class PauseSample:
    """One pause of a recording, and what the ears knew of the turn by then."""

    clip: str
    speaker: str
    source: Source
    lasted_s: float | None
    """Until speech went on, s; None: it did not."""
    over: bool
    """Nothing was to come. A recording that was broken off is not over, although nothing comes."""
    ending: Ending
    heard: TurnSoFar


async def pauses_of(
    sound: Sound, recogniser: Recogniser, judge: Judge, options: EarsOptions
) -> list[tuple[EndTurnAfter, float | None]]:
    """Give what turn-taking knew at each pause, and how long it lasted, s; None: to the end."""
    patient = replace(options, unfinished_end_ms=_LONGEST_MS, partial_every_ms=_NO_PARTIALS_MS, eagerness="medium")
    turns, found = TurnTaking(), list[tuple[EndTurnAfter, float | None]]()
    known: EndTurnAfter | None = None
    last = 0

    def take(event: EarsEvent, now_s: float) -> None:
        nonlocal known, last
        match event:
            case SoftEnd():
                known, last = None, event.last_sample
            case SpeechResumed() if known is not None:
                found.append((known, (event.at - RESUME - last) / RATE))
            case HardEnd() if known is not None:
                found.append((known, None))
        for action in turns.receive(event, now_s):
            known = action if isinstance(action, EndTurnAfter) and action.heard is not None else known
        if isinstance(event, HardEnd):
            known = None
            turns.replied()

    padded = np.pad(sound, (_BEFORE, _AFTER + -len(sound) % FRAME))
    async with Ears(VoiceActivity(patient), Transcriber(lambda: recogniser, lambda: judge), patient) as ears:

        async def read() -> None:
            async for event in ears.events():
                take(event, ears.now / RATE)

        reader = asyncio.create_task(read())
        for start in range(0, len(padded), FRAME):
            await ears.receive(padded[start : start + FRAME])
            await ears.caught_up()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        await ears.close()
        await reader
    return found


def samples(
    clip: str, speaker: str, source: Source, found: list[tuple[EndTurnAfter, float | None]]
) -> list[PauseSample]:
    """Name what was found in one recording. Of one that was broken off, only the last pause counts."""
    broken = source.endswith("broken off")
    taken = found[-1:] if broken else found
    return [
        PauseSample(clip, speaker, source, lasted, index == len(taken) - 1 and not broken, known.ending, known.heard)
        for index, (known, lasted) in enumerate(taken)
        if known.heard is not None
    ]


def broken_off(sound: Sound, words: WhisperModel, count: int, chance: random.Random) -> list[Sound]:
    """Give the sound up to the end of some of its words that end no sentence, each with its own silence behind it."""
    within = sound[:_BROKEN_WITHIN]
    segments, _ = words.transcribe(within, language="en", beam_size=1, word_timestamps=True)
    every = [word for segment in segments for word in segment.words or ()]
    inner = [word for word in every[:-1] if word.end > _FIRST_S and not word.word.strip().endswith((".", "?", "!"))]
    energy = np.convolve(np.square(within), np.ones(_QUIET) / _QUIET, "valid")
    floor = float(np.sqrt(np.quantile(energy, 0.02)))
    noise = np.random.default_rng(chance.getrandbits(32))
    pieces = []
    for word in chance.sample(inner, min(count, len(inner))):
        start = max(0, int(word.end * RATE) - _NEAR)
        near = energy[start : start + 2 * _NEAR]
        cut = start + (int(np.argmin(near)) if len(near) else 0) + _QUIET // 2
        piece = within[:cut].copy()
        piece[-_QUIET // 2 :] *= np.linspace(1, 0, _QUIET // 2, dtype=np.float32)
        pieces.append(np.concatenate([piece, noise.normal(0, floor, samples_of(300)).astype(np.float32)]))
    return pieces
