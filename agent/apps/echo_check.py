"""`descant doctor --echo`: plays a few seconds of babble, and measures what the microphone hears of it.

Uses the same stream and the same canceller as `descant talk`. Shows nothing by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from agent.apps.doctor import Finding, Verdict
from audio.io.devices import SoundCard
from audio.io.echo import CleanMicrophone

if TYPE_CHECKING:
    from audio.clock import Sound
    from audio.options import DeviceOptions

_SECONDS: Final = 8
"""Long enough for the canceller to learn the room; the newest five are measured."""

_LEAD_S: Final = 0.1
_INAUDIBLE_DB: Final = 60.0
_ENOUGH_DB: Final = 15.0
"""From this much on, what is left of an echo at -20 dB is rarely taken for speech."""


async def check_echo(options: DeviceOptions, sounddevice: Any | None = None) -> Finding:  # noqa: ANN401
    """Play, listen and judge.

    Raises:
        NoDevice: there is no sound card to do it with.

    """
    notes: list[str] = []
    async with SoundCard(options, notes.append, sounddevice) as card:
        microphone = CleanMicrophone(card.rate, cancel=True)
        sound, at = babble(card.rate), 0
        async for block in card.captured():
            missing = max(0, round(_LEAD_S * card.rate) - card.waiting)
            card.play(sound[at : at + missing], more=at + missing < len(sound))
            at += missing
            for _ in microphone.receive(block.microphone, block.played):
                pass
            if at >= len(sound):
                break
    underruns = card.counters.underruns
    gaps = f", {underruns} gaps in playback" if underruns else ""
    meter = microphone.meter
    if meter.return_loss_db > _INAUDIBLE_DB:
        return Finding("echo", Verdict.GOOD, f"the microphone does not hear the loudspeaker{gaps}")
    found = f"return loss {meter.return_loss_db:.0f} dB, cancelled by another {meter.enhancement_db:.0f} dB{gaps}"
    if meter.enhancement_db >= _ENOUGH_DB:
        return Finding("echo", Verdict.GOOD, found)
    mend = "turn the loudspeaker down, or wear headphones and set devices.headphones=true"
    return Finding("echo", Verdict.NOTE, found, mend)


def babble(rate: int) -> Sound:
    """Make sound that is like speech to a canceller: noise in syllables, louder at low frequencies, with pauses."""
    count = _SECONDS * rate
    chance = np.random.default_rng(1)
    spectrum = np.fft.rfft(chance.standard_normal(count))
    frequency = np.fft.rfftfreq(count, 1 / rate)
    spectrum *= (frequency > 100) * (frequency < 7000) / (1 + frequency / 500)
    noise = np.fft.irfft(spectrum, count)
    seconds = np.arange(count) / rate
    syllables = np.clip(np.sin(2 * np.pi * 3.5 * seconds), 0, 1) * (seconds % 2.5 < 2)
    sound = noise * syllables
    return np.asarray(0.1 * sound / np.sqrt(np.mean(sound**2)), np.float32).clip(-0.9, 0.9)
