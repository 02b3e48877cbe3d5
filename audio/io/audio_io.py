"""Microphone and loudspeaker as one end of a conversation: echo is cancelled, what really went out is accounted for.

Paced by the sound card alone, whose samples are the clock. Knows no words.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from audio.io.echo import CleanMicrophone
from audio.io.resampling import Resampler
from audio.speaking.playout import Playout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from audio.clock import Pcm, Sound
    from audio.io.devices import Captured, SoundCard
    from audio.options import DeviceOptions

_IDLE_LEAD_S: Final = 0.04
"""Seconds handed to the device ahead while there is nothing to say: a reply then begins that much later."""
_LOUDEST: Final = 32_768


class AudioIO:
    """The sound card as a listener of a playout: hands out sound ahead, and accounts for what really went out."""

    def __init__(self, card: SoundCard, rate: int, options: DeviceOptions) -> None:
        """`rate` is that of the voice."""
        self.playout = Playout(rate, self._silence)
        self._card, self._rate, self._options = card, rate, options
        self._lead_s = options.lead_ms / 1000
        self._made_up = self._skipped = self._reopened = 0
        self._sounding = False
        self._fit()

    def _fit(self) -> None:
        """Fit the device's rate; another device has another room around it."""
        options = self._options
        self.microphone = CleanMicrophone(self._card.rate, cancel=not options.headphones, warmup_ms=options.warmup_ms)
        self._resampler = Resampler(self._rate, self._card.rate)

    def hear(self, block: Captured) -> Iterator[Sound]:
        """Take a block of the device; yield frames of the input clock without the agent's own voice."""
        if self._reopened != self._card.counters.reopened:
            self._reopened = self._card.counters.reopened
            self.playout.hand_out_again()
            self._fit()
        return self.microphone.receive(block.microphone, block.played)

    def due(self) -> int:
        """Tell up to which sample of the axis sound is needed now; the lag of the playout is brought up to date.

        Silence is handed out only a little ahead: what is queued next begins behind it.
        """
        waiting_s = (self._card.waiting + self._resampler.held_back) / self._card.rate
        self.playout.lag(min(self.playout.now, round((waiting_s + self._card.latency_s) * self._rate)))
        ready = self.playout.ready
        missing_s = max(_IDLE_LEAD_S - waiting_s, min(self._lead_s - waiting_s, ready / self._rate))
        # Silence makes up for what the device played alone: both clocks stay together, and nothing is lost.
        self._sounding, self._skipped = ready > 0, 0 if ready else self._behind()
        return self.playout.now + max(0, math.ceil(missing_s * self._rate)) + self._skipped

    def play(self, sound: Pcm) -> None:
        """Send the sound that was due to the device."""
        sound = sound[self._skipped :]
        if len(sound):
            floats = (sound / _LOUDEST).astype(np.float32)
            # What is queued since then begins behind silence: a gap before it is not heard.
            self._card.play(self._resampler.receive(floats), more=self._sounding and self.playout.ready > 0)

    def _silence(self) -> None:
        self._card.silence()
        # The last milliseconds that it holds back would sound after the silence.
        self._resampler = Resampler(self._rate, self._card.rate)

    def _behind(self) -> int:
        """Count the samples by which the axis fell behind the device's clock since the last call: it played silence."""
        starved = self._card.counters.starved_samples
        behind = round((starved - self._made_up) * self._rate / self._card.rate)
        self._made_up = starved
        return behind
