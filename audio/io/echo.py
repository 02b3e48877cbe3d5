"""The agent must not hear itself: echo cancelled from the microphone, and words of its own recognised. No thread.

Three layers. The canceller (WebRTC's AEC3) subtracts what the loudspeaker really played. Until it knows the room, the
microphone is silenced while the agent sounds. What still gets through is compared, as words, with what is being said.
The canceller also takes the first sounds of whoever speaks over the agent, in its first seconds above all; so what is
much stronger than any echo in this room passes by it.
Counts samples of the input clock; does not know where sound comes from.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

import numpy as np

from audio.clock import FRAME, RATE, Sound, samples_of
from audio.errors import NoDevice
from audio.hearing.agreement import key
from audio.io.resampling import Resampler

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pywebrtc_audio import EchoCanceller

    from audio.messages import Words

_BLOCK: Final = RATE // 100
"""Samples that the canceller takes at a time: 10 ms."""

_AUDIBLE: Final = 1e-3
"""Level (RMS) from which the loudspeaker counts as sounding: -60 dB."""

_TAIL: Final = samples_of(300)
"""Samples after the end of playback in which the room may still answer."""

_STRONGEST: Final = 95
"""Percentile of what was heard, beside what was played, that stands for the strongest echo of the room."""

_NEARER: Final = 10.0
"""What is so many times stronger than that (10 dB) is somebody in the room."""

_HOLD: Final = samples_of(200)
"""Samples for which somebody is believed to go on: between the sounds of a word."""

_ALIKE: Final = 0.75
"""Share of the heard words, in order, that the agent's own words must contain to be taken for them."""

_UNSURE: Final = 0.6
"""A single word is taken for the agent's own only below this confidence: it may be "stop"."""

_JUST_SAID_S: Final = 4.0
"""For how long words that come back are held to be the agent's own: a long echo, and the time of a transcript."""

_LATELY: Final = 500
"""Blocks that the room is known by: 5 s of playback."""


class EchoMeter:
    """How much of the loudspeaker's sound the microphone hears, and how much of that is left after the canceller."""

    def __init__(self) -> None:
        self._energy: deque[tuple[float, float, float]] = deque(maxlen=_LATELY)

    def measure(self, far: Sound, near: Sound, clean: Sound) -> None:
        """Take 10 ms of what was played, heard and left while the loudspeaker or the room sounded."""
        self._energy.append((_power(far), _power(near), _power(clean)))

    @property
    def blocks(self) -> int:
        """How many blocks of 10 ms the figures are made of; at most 500, the newest."""
        return len(self._energy)

    @property
    def return_loss_db(self) -> float:
        """Echo return loss: how far below the loudspeaker's signal its echo arrives, in dB."""
        return _decibels(*np.sum(self._energy, axis=0)[:2]) if self._energy else 0.0

    @property
    def enhancement_db(self) -> float:
        """Echo return loss enhancement (ERLE): how far the canceller lowers it further, in dB (ITU-T G.168)."""
        return _decibels(*np.sum(self._energy, axis=0)[1:]) if self._energy else 0.0


class CleanMicrophone:
    """Blocks at the device's rate in, frames of the input clock out, without the agent's own voice."""

    def __init__(self, rate: int, *, cancel: bool, warmup_ms: int = 0) -> None:
        """Take sound of `rate`; without `cancel` it is only brought to the input clock.

        Raises:
            NoDevice: the canceller is not installed.

        """
        self._near, self._far = Resampler(rate, RATE), Resampler(rate, RATE)
        self._near_rest, self._far_rest = np.zeros(0, np.float32), np.zeros(0, np.float32)
        self._clean = np.zeros(0, np.float32)
        self._canceller = _canceller() if cancel else None
        self._left = samples_of(warmup_ms) if cancel else 0
        self._quiet_for = _TAIL
        self._played: deque[float] = deque([0.0], maxlen=_TAIL // _BLOCK)
        self._ratios: deque[float] = deque(maxlen=_LATELY)
        self._nearer_for = 0
        self._share = 0.0
        self.meter = EchoMeter()

    @property
    def warm(self) -> bool:
        """Whether the canceller has heard enough of the agent to be trusted."""
        return self._left <= 0

    def receive(self, recorded: Sound, played: Sound) -> Iterator[Sound]:
        """Take what was recorded and what was played at the same time; yield frames of 20 ms that are complete."""
        self._near_rest = np.concatenate((self._near_rest, self._near.receive(recorded)))
        self._far_rest = np.concatenate((self._far_rest, self._far.receive(played)))
        count = min(len(self._near_rest), len(self._far_rest)) // _BLOCK * _BLOCK
        near, self._near_rest = self._near_rest[:count], self._near_rest[count:]
        far, self._far_rest = self._far_rest[:count], self._far_rest[count:]
        cleaned = [self._block(near[at : at + _BLOCK], far[at : at + _BLOCK]) for at in range(0, count, _BLOCK)]
        self._clean = np.concatenate((self._clean, *cleaned))
        while len(self._clean) >= FRAME:
            frame, self._clean = self._clean[:FRAME], self._clean[FRAME:]
            yield frame

    def _block(self, near: Sound, far: Sound) -> Sound:
        if self._canceller is None:
            return near
        clean: Sound = self._canceller.process(near, far)
        sounding = _power(far) > _AUDIBLE**2
        self._quiet_for = 0 if sounding else self._quiet_for + _BLOCK
        if self._quiet_for < _TAIL:
            self.meter.measure(far, near, clean)
        nearer = self._is_nearer(near, far)
        if self._quiet_for >= _TAIL:
            return clean
        if self.warm:
            return self._mixed(near, clean, nearer=nearer)
        self._left -= _BLOCK if sounding else 0
        return np.zeros_like(clean)

    def _is_nearer(self, near: Sound, far: Sound) -> bool:
        """Say whether somebody is in the room whom the loudspeaker could not be taken for."""
        self._played.append(_power(far))
        loudest, heard = max(self._played), _power(near)
        if loudest <= _AUDIBLE**2:
            return False
        # A room that gets louder is learnt within a quarter of a second of sound, also if it was taken for somebody.
        self._ratios.append(heard / loudest)
        strongest = loudest * float(np.percentile(self._ratios, _STRONGEST))
        self._nearer_for = _HOLD if heard > _NEARER * strongest else max(0, self._nearer_for - _BLOCK)
        return self._nearer_for > 0

    def _mixed(self, near: Sound, clean: Sound, *, nearer: bool) -> Sound:
        """Change over between both within a block, so that nothing clicks."""
        before, self._share = self._share, float(nearer)
        if before == self._share:
            return near if nearer else clean
        share = np.linspace(before, self._share, len(near), dtype=np.float32)
        return share * near + (1 - share) * clean


class OwnVoice:
    """What the agent has just said, by which it knows words of its own when they come back."""

    def __init__(self) -> None:
        self._said: list[tuple[float, str]] = []

    def said(self, text: str, until_s: float) -> None:
        """Take a piece of speech, heard until that second."""
        self._said.append((until_s, text))

    def own(self, words: Words, now_s: float) -> bool:
        """Tell whether these words are the agent's own, come back through the microphone."""
        self._said = [piece for piece in self._said if piece[0] > now_s - _JUST_SAID_S]
        heard = f"{words.committed} {words.tentative}".split()
        return own_words(heard, words.confidence, " ".join(text for _, text in self._said))


def own_words(heard: Sequence[str], confidence: Sequence[float], saying: str) -> bool:
    """Tell whether words that were heard are the agent's own, which is `saying` them or has just said them.

    They are when nearly all of them occur in `saying` in this order. A single word is the user's unless it is unsure:
    a lost "stop" is worse than a false one.
    """
    words = _keys(" ".join(heard))
    if not words or (len(words) == 1 and confidence[0] >= _UNSURE):
        return False
    return _common(_keys(saying), words) >= _ALIKE * len(words)


def _keys(text: str) -> list[str]:
    return [key(word) for word in text.replace("-", " ").split()]


def _common(first: Sequence[str], second: Sequence[str]) -> int:
    """Length of the longest common subsequence."""
    row = [0] * (len(second) + 1)
    for one in first:
        before = row[:]
        for place, other in enumerate(second):
            row[place + 1] = before[place] + 1 if one == other else max(before[place + 1], row[place])
    return row[-1]


def _canceller() -> EchoCanceller:
    try:
        from pywebrtc_audio import EchoCanceller  # noqa: PLC0415 - native, and not needed for files
    except ImportError as error:
        raise NoDevice(
            f"the echo canceller cannot be loaded ({error}); add it with: pip install 'descant[desktop]', "
            "or wear headphones and set devices.headphones=true"
        ) from error
    return EchoCanceller(sample_rate=RATE, num_channels=1)


def _power(sound: Sound) -> float:
    return float(np.mean(np.square(sound)))


def _decibels(before: float, after: float) -> float:
    return float(10 * np.log10(max(before, 1e-12) / max(after, 1e-12)))
