"""What goes to the device, and when, on a PortAudio of paper."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest

from audio.clock import Sound
from audio.io.audio_io import AudioIO
from audio.io.devices import SoundCard
from audio.messages import Clip
from audio.options import DeviceOptions
from tests.audio.io.test_devices import BUILT_IN, PaperPortAudio

OPTIONS = DeviceOptions(headphones=True, lead_ms=240)
VOICE = 22_050
DEVICE = 44_100
TICK = DEVICE // 50


@dataclass
class World:
    portaudio: PaperPortAudio
    card: SoundCard
    desk: AudioIO
    played: list[Sound] = field(default_factory=list)

    def tick(self, times: int = 1) -> None:
        """Let 20 ms pass, and serve the device as a conversation does."""
        for _ in range(times):
            self.played.append(self.portaudio.turn(np.zeros(TICK, np.float32)))
            sound, _ = self.desk.playout.advance(self.desk.due())
            self.desk.play(sound)

    def sounding_s(self, since: int) -> float:
        """Seconds from tick `since` until nothing is heard any more."""
        loud = np.flatnonzero(np.abs(np.concatenate(self.played[since:])) > 1e-3)
        return float(loud[-1] + 1) / DEVICE if len(loud) else 0.0

    def first_s(self, since: int) -> float:
        return float(np.flatnonzero(np.abs(np.concatenate(self.played[since:])) > 1e-3)[0]) / DEVICE


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    portaudio = PaperPortAudio(BUILT_IN)
    async with SoundCard(OPTIONS, print, portaudio) as card:
        card.rate = DEVICE
        card._fit(DEVICE)
        yield World(portaudio, card, AudioIO(card, VOICE, OPTIONS))


def clip(seconds: float) -> Clip:
    return Clip("a", np.full(round(seconds * VOICE), 12_000, np.int16), VOICE)


async def test_sound_waits_in_the_device_and_silence_does_not() -> None:
    async with world() as one:
        one.tick(20)
        assert one.card.waiting <= 0.05 * DEVICE
        one.desk.playout.queue(clip(2.0), "content", 1)
        one.tick(20)
        assert one.card.waiting == pytest.approx(0.24 * DEVICE, abs=0.03 * DEVICE)
        assert one.first_s(20) < 0.08
        one.tick(100)
        one.desk.playout.queue(clip(1.0), "content", 1)
        one.tick(20)
        assert one.first_s(140) < 0.08
        assert one.card.counters.underruns == 0


async def test_what_is_queued_while_the_end_of_a_clip_waits_follows_without_a_gap() -> None:
    async with world() as one:
        one.desk.playout.queue(clip(1.0), "content", 1)
        one.tick(45)
        assert one.desk.playout.ready == 0
        one.desk.playout.queue(clip(1.0), "content", 1)
        one.tick(80)
        loud = np.flatnonzero(np.abs(np.concatenate(one.played)) > 1e-3)
        assert np.diff(loud).max() < 0.005 * DEVICE
        assert len(loud) / DEVICE == pytest.approx(2.0, abs=0.01)


@pytest.mark.parametrize("how", ["pause", "flush"])
async def test_a_reply_that_is_cut_is_silent_at_once_and_for_good(how: str) -> None:
    async with world() as one:
        one.desk.playout.queue(clip(3.0), "content", 1)
        one.tick(50)
        if how == "pause":
            one.desk.playout.pause()
        else:
            one.desk.playout.flush(1)
        one.tick(30)
        assert one.sounding_s(50) < 0.01


async def test_a_pause_loses_no_sound() -> None:
    async with world() as one:
        one.desk.playout.queue(clip(2.0), "content", 1)
        one.tick(50)
        one.desk.playout.pause()
        one.tick(10)
        one.desk.playout.go_on()
        one.tick(100)
        loud = np.abs(np.concatenate(one.played)) > 1e-3
        assert loud.sum() / DEVICE == pytest.approx(2.0, abs=0.03)
        assert one.card.counters.underruns == 0


async def test_silence_is_no_underrun_and_a_gap_amid_sound_is_one() -> None:
    async with world() as one:
        one.tick(5)
        one.portaudio.turn(np.zeros(DEVICE, np.float32))
        assert one.card.counters.underruns == 0
        to = one.desk.due()
        sound, _ = one.desk.playout.advance(to)
        one.desk.playout.queue(clip(3.0), "content", 1)
        one.desk.play(sound)
        one.portaudio.turn(np.zeros(DEVICE, np.float32))
        assert one.card.counters.underruns == 0
        one.tick(10)
        one.portaudio.turn(np.zeros(DEVICE, np.float32))
        assert one.card.counters.underruns == 1
