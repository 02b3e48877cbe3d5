"""A turn as a recogniser of windows hears it: decoded anew for each transcript, as Whisper does it.

What is longer than a window is cut at a pause, and what lies before the cut is settled. Does not know threads.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from audio.clock import RATE, Sound, samples_of
from audio.hearing.agreement import Stretches

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from audio.hearing.whisper import Hypothesis
    from audio.messages import Words

AFTER_SPEECH: Final = samples_of(150)
"""Sound kept after the last sample of speech: quiet last consonants."""

SHORTEST: Final = samples_of(250)
"""Less sound than this gives no partial transcript."""

_WINDOW: Final = 25 * RATE
"""Samples in one window; what is longer is cut."""

_CUT_FROM: Final = 12 * RATE
"""A cut lies between this and the end of the window."""

_PAUSE: Final = samples_of(200)
"""Length of the stretch whose energy decides where the cut lies."""


class Decode(Protocol):
    """Transcribes at most 30 s; `final`: with care, for it is believed as it stands."""

    def __call__(self, sound: Sound, *, final: bool) -> Awaitable[Hypothesis]:
        """Give what was heard."""
        ...


class WindowedTurn:
    """The sound of a turn that is not settled yet, and what was heard in all of it."""

    def __init__(self, turn: int, origin: int, sound: Sound, decode: Decode) -> None:
        """Begin with sound that starts at sample `origin`."""
        self._origin, self._pieces, self._decode = origin, [sound], decode
        self._heard = Stretches(turn)

    def feed(self, sound: Sound) -> None:
        """Append sound."""
        self._pieces.append(sound)

    def resume(self) -> None:
        """Speech went on after all."""
        self._heard.reopen()

    @property
    def waits(self) -> bool:
        """Whether there is enough sound for a partial transcript."""
        return sum(map(len, self._pieces)) >= SHORTEST

    def until(self, end: int) -> Sound:
        """Give the sound up to that sample of speech, and a little more; what is settled may be missing."""
        return self._sound()[: max(0, end + AFTER_SPEECH - self._origin)]

    async def partial(self) -> Words:
        """Decode what there is."""
        await self._settle_long()
        self._heard.receive((await self._decode(self._sound(), final=False)).words)
        return self._heard.words(final=False)

    async def final(self, end: int) -> Words:
        """Decode what there is up to that sample of speech, with care."""
        await self._settle_long()
        sound = self.until(end)
        if not len(sound):
            return self._heard.words(final=True)
        heard = await self._decode(sound, final=True)
        self._heard.settle(heard.words)
        other = self._heard.other(heard.other)
        return replace(self._heard.words(final=True), language=heard.language.code, other=other)

    def _sound(self) -> Sound:
        self._pieces = [np.concatenate(self._pieces)]
        return self._pieces[0]

    async def _settle_long(self) -> None:
        while len(sound := self._sound()) > _WINDOW:
            cut = _quietest(sound[:_WINDOW])
            self._heard.settle((await self._decode(sound[:cut], final=True)).words)
            self._heard.next_stretch()
            self._pieces = [self._sound()[cut:]]
            self._origin += cut


def _quietest(sound: Sound) -> int:
    """Middle of the quietest stretch in the later part: the best place for a cut."""
    energy = np.cumsum(np.square(sound[_CUT_FROM:], dtype=np.float64))
    return _CUT_FROM + int(np.argmin(energy[_PAUSE:] - energy[:-_PAUSE])) + _PAUSE // 2
