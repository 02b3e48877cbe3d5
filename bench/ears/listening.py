"""A recording through the ears as a conversation runs them, or through the bare recogniser.

The ears hear on the sample clock: every decode is awaited before the next frame, as on a machine of any speed. So what
is heard and where turns end does not depend on the machine; how long decodes take is measured beside.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Final

import numpy as np

from agent.conversation.turn_taking import EndTurnAfter, TurnTaking
from audio.clock import FRAME, RATE
from audio.hearing.ears import Ears
from audio.hearing.transcriber import Transcriber
from audio.hearing.turn_end import wait_ms
from audio.hearing.vad import VoiceActivity
from audio.messages import HardEnd, SpeechStarted, Words

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

    from audio.hearing.transcriber import Judge, Recogniser
    from audio.messages import EarsEvent
    from audio.options import EarsOptions
    from bench.ears.recordings import SpeechClip

_BEFORE: Final = RATE // 2
_AFTER: Final = 2 * RATE
"""Silence around a recording, in samples: longer than any wait for the end of a turn."""


@dataclass(frozen=True, slots=True)
class HeardClip:
    """What was heard of one recording, and when."""

    name: str
    kind: str
    said: str
    heard: str
    """All of its turns together."""
    turns: int
    first_partial_s: float | None
    """From the onset of speech until the first word was shown; None without partials."""
    final_s: float
    """Seconds of the last final decode."""
    waits_s: tuple[float, ...]
    """From the last sample of speech to the end of each turn."""
    sound_s: float
    cpu_s: float
    """Seconds of processor time, of all threads."""


@dataclass(slots=True)
class _Notes:
    """What one recording's events amount to."""

    texts: list[str] = field(default_factory=list)
    waits_s: list[float] = field(default_factory=list)
    onset: int | None = None
    """Sample at which speech began."""
    shown: int | None = None
    """Sample at which the first word was shown."""

    def take(self, event: EarsEvent, now: int) -> None:
        """Take one event, at that sample."""
        match event:
            case SpeechStarted(start=start):
                self.onset = start if self.onset is None else self.onset
            case Words(final=True):
                self.texts.append(event.committed)
            case Words() if self.shown is None and f"{event.committed}{event.tentative}":
                self.shown = now
            case HardEnd():
                self.waits_s.append((event.at - event.last_sample) / RATE)


async def stream(clip: SpeechClip, recogniser: Recogniser, judge: Judge | None, options: EarsOptions) -> HeardClip:
    """Hear a recording frame by frame, with the waits of a conversation in which nobody answers."""
    sound, turns, notes = clip.sound(), TurnTaking(), _Notes()
    padded = np.pad(sound, (_BEFORE, _AFTER + -len(sound) % FRAME))
    transcriber = Transcriber(lambda: recogniser, lambda: judge)
    began, decode_s = process_time(), 0.0
    async with Ears(VoiceActivity(options), transcriber, options) as ears:

        async def read() -> None:
            async for event in ears.events():
                notes.take(event, ears.now)
                for action in turns.receive(event, ears.now / RATE):
                    if isinstance(action, EndTurnAfter):
                        ears.end_turn_after(wait_ms(action.ending, action.heard, options))
                if isinstance(event, HardEnd):
                    turns.replied()

        reader = asyncio.create_task(read())
        for start in range(0, len(padded), FRAME):
            await ears.receive(padded[start : start + FRAME])
            await ears.caught_up()
            # What was decoded is read, and its wait decided, before the next frame.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            if notes.shown is None:
                decode_s = transcriber.last_decode_s
        await ears.close()
        await reader
    first = None if notes.onset is None or notes.shown is None else (notes.shown - notes.onset) / RATE + decode_s
    return HeardClip(
        clip.name, clip.kind, clip.text, " ".join(filter(None, notes.texts)), len(notes.waits_s), first,
        transcriber.last_decode_s, tuple(notes.waits_s), len(sound) / RATE, process_time() - began,
    )  # fmt: skip


def whole(clip: SpeechClip, model: WhisperModel) -> HeardClip:
    """Hear a recording as a whole with faster-whisper as it comes: windows of 30 s, a beam of 5, one thread."""
    sound = clip.sound()
    cpu, wall = process_time(), perf_counter()
    segments, _ = model.transcribe(sound, language="en", beam_size=5)
    text = " ".join(segment.text.strip() for segment in segments)
    return HeardClip(
        clip.name, clip.kind, clip.text, text, 1, None, perf_counter() - wall, (), len(sound) / RATE,
        process_time() - cpu,
    )  # fmt: skip
