"""Microphone and loudspeaker: one full-duplex stream of the sound card, that outlives a device's being unplugged.

The device's thread only copies between rings; what it plays is handed back sample by sample beside what it records,
as the reference of the echo canceller. Both directions count the same samples, so there is one clock. Knows nothing
of voices, words, or rates other than the device's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from audio.errors import NoDevice
from audio.io.ring import Ring

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
    from types import TracebackType

    from audio.clock import Sound
    from audio.options import DeviceOptions

RATES: Final = (48_000, 44_100, 16_000)
"""Rates that are tried, in samples per second, before the device's own."""

_BLOCK_S: Final = 0.02
"""Seconds of one block that `captured` yields."""

_SILENT_S: Final = 2.0
"""Seconds without a call of the device's thread after which the device counts as gone."""

_BELIEVABLE_S: Final = 2.0
"""Some sound systems tell no times, or wrong ones; a latency beyond this is not believed."""

_RETRY_S: Final = 1.0
_CAPACITY_S: Final = 10.0
"""Seconds of sound that may wait on each side: longer than any stall of the rest of the program."""

_FADE_S: Final = 0.005
"""Seconds in which sound fades that is cut off: an abrupt end clicks."""


@dataclass(slots=True)
class Counters:
    """What went wrong with a stream, since the start."""

    underruns: int = 0
    """Times that the loudspeaker ran dry while there was more to play."""
    overruns: int = 0
    """Times that recorded sound was lost because nobody took it, or because the device says so."""
    starved_samples: int = 0
    """Samples of silence that the device played because nothing was there, at the device's rate."""
    reopened: int = 0
    """Times that the stream was opened anew because its device had gone."""


@dataclass(frozen=True, slots=True)
class Captured:
    """One block of sound: what was recorded, and what was played at the same time."""

    microphone: Sound
    played: Sound
    """Same length. What the loudspeaker was given while the microphone was read; its echo comes a little later."""


def library() -> Any:  # noqa: ANN401 - the module sounddevice, which has no types
    """Load sounddevice.

    Raises:
        NoDevice: it is not installed, or PortAudio is missing on this machine.

    """
    try:
        with _hushed():
            import sounddevice  # noqa: PLC0415 - native, and not needed for files
    except ImportError as error:
        raise NoDevice(
            f"sounddevice cannot be loaded ({error}); add it with: pip install 'descant[desktop]'"
        ) from error
    except OSError as error:
        raise NoDevice(
            f"PortAudio is missing ({error}); on Debian and Ubuntu: apt-get install libportaudio2"
        ) from error
    return sounddevice


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    """Keep ALSA from writing dozens of lines about devices that nobody asked for to the standard error stream."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def find_device(name: str, channels: str, devices: Sequence[Mapping[str, Any]]) -> int:
    """Return the index of the one device whose name contains `name`, without case; an exact name goes first.

    channels: `max_input_channels` or `max_output_channels`, of which it must have one.

    Raises:
        NoDevice: there is none, or there are several; the message lists them.

    """
    usable = [(index, str(device["name"])) for index, device in enumerate(devices) if device[channels] > 0]
    wanted = name.casefold()
    exact = [index for index, known in usable if known.casefold() == wanted]
    near = [index for index, known in usable if wanted in known.casefold()]
    if len(exact or near) == 1 or exact:
        return (exact or near)[0]
    kind, setting = ("microphone", "input") if channels == "max_input_channels" else ("loudspeaker", "output")
    names = ", ".join(f"'{known}'" for _, known in usable) or "none"
    raise NoDevice(
        f"{'several devices are' if near else 'there is no'} {kind}{'s' if near else ''} called '{name}' "
        f"(there are: {names}); set devices.{setting} to one of them, or to '' for the system's default"
    )


class SoundCard:
    """`async with` opens the stream; read `captured`, and `play` in time.

    `said` is told, in a sentence for the user, when a device goes, comes, or is replaced by the default.
    """

    def __init__(self, options: DeviceOptions, said: Callable[[str], None], sounddevice: Any | None = None) -> None:  # noqa: ANN401
        self._options, self._said = options, said
        self._library = sounddevice or library()
        self._stream: Any = None
        self._last_call = 0.0
        self._more = False
        self.counters = Counters()
        self.rate = 0
        """Samples per second of the device, in both directions."""
        self.names = ("", "")
        """Names of the microphone and the loudspeaker in use."""
        self.latency_s = 0.0
        """Seconds between the moment the device takes a sample and the moment it is heard, as it tells at each call."""

    def check(self) -> None:
        """Look whether the devices are there, without opening them.

        Raises:
            NoDevice: one is not.

        """
        self._find(fallback=False)

    async def __aenter__(self) -> Self:
        with _hushed():
            await asyncio.to_thread(self._open, fallback=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self._close)

    @property
    def waiting(self) -> int:
        """Samples that were given to `play` and that the device has not taken yet."""
        return self._to_play.fill

    def play(self, sound: Sound, *, more: bool) -> None:
        """Append sound; `more` tells that running dry before the next call would be heard."""
        self._to_play.put(sound)
        self._more = more

    def silence(self) -> None:
        """Play silence in the place of what waits, beginning with a short fade."""
        self._to_play.fade_out(self._fade)
        self._more = False

    async def captured(self) -> AsyncIterator[Captured]:
        """Yield blocks of 20 ms as they are recorded, for ever; a device that has gone is replaced or waited for."""
        while True:
            missing = self._block - self._recorded.fill
            if missing > 0:
                if self._gone():
                    await self._reopen()
                else:
                    await asyncio.sleep(max(0.002, missing / self.rate))
                continue
            block = Captured(np.empty(self._block, np.float32), np.empty(self._block, np.float32))
            self._recorded.take(block.microphone)
            self._played.take(block.played)
            yield block

    def _gone(self) -> bool:
        return not self._stream.active or time.monotonic() - self._last_call > _SILENT_S

    async def _reopen(self) -> None:
        """Find a device again: the one asked for, else the default one; wait until there is one."""
        self.counters.reopened += 1
        self._said(f"the sound device has gone ({self.names[0]} / {self.names[1]}); looking for another")
        await asyncio.to_thread(self._close)
        while True:
            try:
                await asyncio.to_thread(self._open, fallback=True)
            except NoDevice:
                await asyncio.sleep(_RETRY_S)
            else:
                self._said(f"sound is back: {self.names[0]} / {self.names[1]}")
                return

    def _close(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            # A device that is gone cannot be closed in order, and need not be.
            with contextlib.suppress(self._library.PortAudioError):
                stream.abort()
            with contextlib.suppress(self._library.PortAudioError):
                stream.close()

    def _open(self, *, fallback: bool) -> None:
        if fallback:
            # PortAudio lists devices only when it starts.
            with contextlib.suppress(self._library.PortAudioError):
                self._library._terminate()  # noqa: SLF001 - there is no public way to list devices anew
            with contextlib.suppress(self._library.PortAudioError):
                self._library._initialize()  # noqa: SLF001 - the same
        chosen, devices = self._find(fallback=fallback)
        try:
            self._start(chosen, devices)
        except self._library.PortAudioError as error:
            told = " ".join(str(error).split())
            raise NoDevice(f"the sound device cannot be used ({told}); see: descant doctor") from error

    def _find(self, *, fallback: bool) -> tuple[tuple[int, int], Sequence[Mapping[str, Any]]]:
        try:
            devices = list(self._library.query_devices())
        except self._library.PortAudioError as error:
            raise NoDevice(f"the sound system does not answer ({error}); mend it, or talk with files") from error
        options = self._options
        microphone = self._choose(options.input, "max_input_channels", devices, fallback=fallback)
        return (microphone, self._choose(options.output, "max_output_channels", devices, fallback=fallback)), devices

    def _choose(self, name: str, channels: str, devices: Sequence[Mapping[str, Any]], *, fallback: bool) -> int:
        if name:
            try:
                return find_device(name, channels, devices)
            except NoDevice:
                if not fallback:
                    raise
                self._said(f"'{name}' is not there; using the system's default")
        default = int(self._library.default.device[0 if channels == "max_input_channels" else 1])
        if default < 0:
            kind = "microphone" if channels == "max_input_channels" else "loudspeaker"
            raise NoDevice(f"there is no {kind}; connect one, or talk with files: --input and --output")
        return default

    def _start(self, chosen: Sequence[int], devices: Sequence[Mapping[str, Any]]) -> None:
        channels = (1, min(2, int(devices[chosen[1]]["max_output_channels"])))
        self._fit(self._rate(chosen, channels, devices))
        self.names = (str(devices[chosen[0]]["name"]), str(devices[chosen[1]]["name"]))
        self._stream = self._library.Stream(
            samplerate=self.rate,
            blocksize=self.rate // 100,
            device=tuple(chosen),
            channels=channels,
            dtype="float32",
            latency=self._options.latency_ms / 1000,
            callback=self._call,
        )
        self._last_call = time.monotonic()
        self._stream.start()
        self.latency_s = float(self._stream.latency[1])

    def _rate(self, chosen: Sequence[int], channels: Sequence[int], devices: Sequence[Mapping[str, Any]]) -> int:
        """Find a rate that both devices take. One that the program has run at goes first: its rings fit."""
        own = int(devices[chosen[1]]["default_samplerate"])
        for rate in (*((self.rate,) if self.rate else ()), *RATES, own):
            with contextlib.suppress(self._library.PortAudioError):
                for device, count, check in zip(
                    chosen,
                    channels,
                    (self._library.check_input_settings, self._library.check_output_settings),
                    strict=True,
                ):
                    check(device=device, channels=count, dtype="float32", samplerate=rate)
                return int(rate)
        return own

    def _fit(self, rate: int) -> None:
        """Make rings for a rate; sound of before is dropped, as its time is over."""
        self.rate = rate
        self._block = round(rate * _BLOCK_S)
        capacity = round(rate * _CAPACITY_S)
        self._to_play, self._recorded, self._played = Ring(capacity), Ring(capacity), Ring(capacity)
        self._fade = np.linspace(1, 0, round(rate * _FADE_S), dtype=np.float32)

    def _call(self, recorded: Any, played: Any, frames: int, at: Any, status: Any) -> None:  # noqa: ANN401
        """Serve the device: runs in PortAudio's thread, copies, and returns. It must not wait for anything."""
        voice = played[:, 0]
        count = self._to_play.take(voice)
        if count < frames:
            voice[count:] = 0.0
            self.counters.starved_samples += frames - count
        if self._more and (count < frames or status.output_underflow):
            self.counters.underruns += 1
            self._more = False
        played[:, 1:] = played[:, :1]
        lost = self._recorded.put(recorded[:, 0]) < frames
        self._played.put(voice)
        if lost or status.input_overflow:
            self.counters.overruns += 1
        ahead = at.outputBufferDacTime - at.currentTime
        if 0 < ahead < _BELIEVABLE_S:
            self.latency_s = ahead
        self._last_call = time.monotonic()
