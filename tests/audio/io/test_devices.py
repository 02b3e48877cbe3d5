"""The stream's own logic on a PortAudio of paper; tests/e2e/test_sound_card.py has a real one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from audio.clock import Sound
from audio.errors import NoDevice
from audio.io.devices import SoundCard, find_device
from audio.options import DeviceOptions

BUILT_IN = {"name": "Built-in", "max_input_channels": 1, "max_output_channels": 2, "default_samplerate": 44_100.0}
HEADSET = {"name": "USB Headset", "max_input_channels": 1, "max_output_channels": 2, "default_samplerate": 48_000.0}
SPEAKERS = {"name": "USB Speakers", "max_input_channels": 0, "max_output_channels": 2, "default_samplerate": 48_000.0}
NOW = SimpleNamespace(currentTime=5.0, outputBufferDacTime=5.02)
FINE = SimpleNamespace(input_overflow=False, output_underflow=False)


class PaperPortAudio:
    """What audio.io.devices uses of sounddevice; `turn` plays the device's thread."""

    class PortAudioError(Exception):
        pass

    def __init__(self, *devices: Mapping[str, Any], rates: tuple[int, ...] = (48_000, 44_100)) -> None:
        self.devices = list(devices)
        self.rates = rates
        self.stream: PaperStream | None = None
        self.default = SimpleNamespace(device=(0, 0))

    def query_devices(self) -> list[Mapping[str, Any]]:
        self.default.device = (0, 0) if self.devices else (-1, -1)
        return self.devices

    def check_input_settings(self, *, samplerate: int, **_: object) -> None:
        if samplerate not in self.rates:
            raise self.PortAudioError("Invalid sample rate")

    check_output_settings = check_input_settings

    def _initialize(self) -> None:
        pass

    _terminate = _initialize

    def Stream(self, *, callback: Callable[..., None], samplerate: int, **_: object) -> PaperStream:  # noqa: N802
        self.stream = PaperStream(callback, samplerate)
        return self.stream

    def turn(self, recorded: Sound, *, status: SimpleNamespace = FINE) -> Sound:
        """Let the device record and play as many samples; give what it plays."""
        assert self.stream is not None
        played = np.full((len(recorded), 2), np.nan, np.float32)
        self.stream.callback(recorded[:, None], played, len(recorded), NOW, status)
        assert (played[:, 0] == played[:, 1]).all()
        return played[:, 0]


class PaperStream:
    latency = (0.01, 0.02)

    def __init__(self, callback: Callable[..., None], rate: int) -> None:
        self.callback, self.rate = callback, rate
        self.active = False

    def start(self) -> None:
        self.active = True

    def abort(self) -> None:
        self.active = False

    def close(self) -> None:
        raise PaperPortAudio.PortAudioError("the device is gone")


async def until(true: Callable[[], bool]) -> None:
    """Let the loop turn until something that another thread does is done."""
    while not true():  # noqa: ASYNC110 - the code under test signals nothing
        await asyncio.sleep(0)


def tone(samples: int, value: float = 0.5) -> Sound:
    return np.full(samples, value, np.float32)


@pytest.mark.parametrize(
    ("name", "index"), [("USB Headset", 1), ("headset", 1), ("speak", 2), ("usb speakers", 2), ("Built-in", 0)]
)
def test_a_device_is_found_by_a_part_of_its_name(name: str, index: int) -> None:
    assert find_device(name, "max_output_channels", [BUILT_IN, HEADSET, SPEAKERS]) == index


@pytest.mark.parametrize(
    ("name", "channels", "told"),
    [
        ("usb", "max_output_channels", "several devices are loudspeakers called 'usb'.*'USB Headset', 'USB Speakers'"),
        ("speakers", "max_input_channels", "no microphone called 'speakers'.*devices.input"),
        ("gone", "max_output_channels", "no loudspeaker called 'gone'.*'Built-in'.*devices.output"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(name: str, channels: str, told: str) -> None:
    with pytest.raises(NoDevice, match=told):
        find_device(name, channels, [BUILT_IN, HEADSET, SPEAKERS])


async def test_what_is_played_comes_back_beside_what_is_recorded() -> None:
    portaudio = PaperPortAudio(BUILT_IN)
    async with SoundCard(DeviceOptions(), print, portaudio) as card:
        assert (card.rate, card.names, card.latency_s) == (48_000, ("Built-in", "Built-in"), 0.02)
        card.play(tone(700), more=True)
        assert card.waiting == 700
        assert (portaudio.turn(tone(480, 0.1)) == 0.5).all()
        assert card.waiting == 220
        played = portaudio.turn(tone(480, 0.2))
        assert (played[:220] == 0.5).all()
        assert not played[220:].any()
        block = await anext(card.captured())
        assert len(block.microphone) == len(block.played) == 960
        assert (block.microphone == np.concatenate((tone(480, 0.1), tone(480, 0.2)))).all()
        assert (block.played == np.concatenate((tone(700), np.zeros(260, np.float32)))).all()
        assert (card.counters.underruns, card.counters.starved_samples) == (1, 260)


async def test_silence_with_nothing_to_say_is_no_underrun() -> None:
    portaudio = PaperPortAudio(BUILT_IN)
    async with SoundCard(DeviceOptions(), print, portaudio) as card:
        card.play(tone(480), more=False)
        portaudio.turn(tone(960))
        portaudio.turn(tone(960), status=SimpleNamespace(input_overflow=True, output_underflow=True))
        assert (card.counters.underruns, card.counters.overruns) == (0, 1)


async def test_silencing_takes_back_what_waits_and_fades() -> None:
    portaudio = PaperPortAudio(BUILT_IN)
    async with SoundCard(DeviceOptions(), print, portaudio) as card:
        card.play(tone(2000), more=True)
        card.silence()
        played = portaudio.turn(tone(2000))
        assert played[0] == 0.5
        assert (np.diff(played) <= 0).all()
        assert not played[240:].any()
        assert card.counters.underruns == 0


async def test_what_nobody_takes_is_counted() -> None:
    portaudio = PaperPortAudio(BUILT_IN)
    async with SoundCard(DeviceOptions(), print, portaudio) as card:
        for _ in range(1001):
            portaudio.turn(tone(480))
        assert card.counters.overruns == 1


async def test_a_rate_is_taken_that_the_device_has() -> None:
    async with SoundCard(DeviceOptions(), print, PaperPortAudio(BUILT_IN, rates=(44_100,))) as card:
        assert card.rate == 44_100


async def test_a_device_that_goes_is_replaced_by_the_default_and_that_is_said() -> None:
    told: list[str] = []
    portaudio = PaperPortAudio(BUILT_IN, HEADSET)
    async with SoundCard(DeviceOptions(input="headset", output="headset"), told.append, portaudio) as card:
        assert card.names == ("USB Headset", "USB Headset")
        portaudio.devices.remove(HEADSET)
        assert portaudio.stream is not None
        portaudio.stream.active = False
        blocks = card.captured()
        coming = asyncio.ensure_future(anext(blocks))
        await until(lambda: card.names[0] == "Built-in" and portaudio.stream is not None and portaudio.stream.active)
        portaudio.turn(tone(960, 0.3))
        assert ((await coming).microphone == tone(960, 0.3)).all()
        assert card.counters.reopened == 1
    assert "USB Headset" in told[0]
    assert [line for line in told if "'headset' is not there; using the system's default" in line]
    assert told[-1] == "sound is back: Built-in / Built-in"


async def test_a_device_that_comes_back_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audio.io.devices._RETRY_S", 0.0)
    told: list[str] = []
    portaudio = PaperPortAudio(HEADSET)
    async with SoundCard(DeviceOptions(), told.append, portaudio) as card:
        portaudio.devices.clear()
        assert portaudio.stream is not None
        portaudio.stream.active = False
        coming = asyncio.ensure_future(anext(card.captured()))
        await until(lambda: bool(told))
        portaudio.devices.append(HEADSET)
        await until(lambda: "sound is back: USB Headset / USB Headset" in told)
        portaudio.turn(tone(960, 0.3))
        assert len((await coming).microphone) == 960


def test_no_device_at_all_is_told_before_anything_is_opened() -> None:
    with pytest.raises(NoDevice, match="no microphone; connect one"):
        SoundCard(DeviceOptions(), print, PaperPortAudio()).check()


async def test_a_device_that_cannot_be_opened_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    portaudio = PaperPortAudio(BUILT_IN)

    def refuse(**_: object) -> None:
        raise portaudio.PortAudioError("Device unavailable [PaErrorCode -9985]")

    monkeypatch.setattr(portaudio, "Stream", refuse)
    with pytest.raises(NoDevice, match=r"Device unavailable.*descant doctor"):
        async with SoundCard(DeviceOptions(), print, portaudio):
            pytest.fail("opened")
