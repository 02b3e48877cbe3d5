"""Plays one sound on the loudspeaker and waits for its end, with no microphone and no conversation about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import soxr

from audio.errors import NoDevice
from audio.io.devices import find_device, library

if TYPE_CHECKING:
    from audio.clock import Pcm
    from audio.options import DeviceOptions


def play(sound: Pcm, rate: int, options: DeviceOptions, sounddevice: Any | None = None) -> None:  # noqa: ANN401
    """Play it; blocks. Raises NoDevice."""
    card = sounddevice or library()
    try:
        devices = list(card.query_devices())
        device = find_device(options.output, "max_output_channels", devices) if options.output else None
        index = int(card.default.device[1]) if device is None else device
        if index < 0:
            raise NoDevice("there is no loudspeaker; connect one, or write a file: --output FILE.wav")
        # The rate of the device is the one that it surely takes.
        own = int(devices[index]["default_samplerate"])
        card.play(soxr.resample(sound.astype(np.float32) / 32_768, rate, own), own, device=index, blocking=True)
    except card.PortAudioError as error:
        told = " ".join(str(error).split())
        raise NoDevice(f"the loudspeaker cannot be used ({told}); see: descant doctor") from error
