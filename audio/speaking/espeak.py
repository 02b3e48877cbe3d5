"""espeak-ng behind an adapter: a plain voice for languages that have no other, in 1 % of the time that it speaks.

It is called as the C library that espeakng-loader brings along. It is GPL-3.0-or-later, Descant is not: it is loaded
only when such a voice is, and installed only by those who ask for the extra "espeak" (or "kokoro", which needs it).
Functions and numbers are those of espeak-ng's `speak_lib.h`.
"""

from __future__ import annotations

import ctypes
import math
import threading
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from audio.errors import VoiceUnavailable

if TYPE_CHECKING:
    from audio.clock import Pcm
    from audio.options import VoiceOptions
    from audio.speaking.voices import VoiceEntry

_SYNCHRONOUS: Final = 2
"""AUDIO_OUTPUT_SYNCHRONOUS: all sound has gone to the callback when a call returns."""
_BY_CHARACTER: Final = 1
_UTF8: Final = 1
_RATE, _PITCH = 1, 3
"""Parameters: words per minute, and height from 0 to 100."""
_USUAL_RATE: Final = 175
_USUAL_PITCH: Final = 50
_PITCH_OF_OCTAVE: Final = 71
"""As measured: 25 more makes the voice 1.28 times as high, 25 less 0.79 times."""

_SAMPLES = ctypes.POINTER(ctypes.c_short)
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, _SAMPLES, ctypes.c_int, ctypes.c_void_p)


class EspeakLibrary:
    """The library, which has one state in a process: one text is said at a time. Raises VoiceUnavailable."""

    _lock: Final = threading.Lock()
    """Of the process, as the state is."""
    _started: ClassVar[int] = 0
    """Its rate, once it was started: started a second time in a process, it may crash in the middle of a text."""

    def __init__(self) -> None:
        try:
            import espeakng_loader  # noqa: PLC0415 - optional
        except ImportError as error:
            raise VoiceUnavailable(
                f"the engine of this voice is not installed ({error}); add it with: pip install 'descant[espeak]'"
            ) from error
        self._parts: list[Pcm] = []
        try:
            self._library: Any = ctypes.CDLL(espeakng_loader.get_library_path())
            data = str(espeakng_loader.get_data_path()).encode()
        except (OSError, RuntimeError) as error:
            raise VoiceUnavailable(
                f"espeak-ng cannot be loaded ({error}); install it anew: pip install --force-reinstall espeakng-loader"
            ) from error
        self._callback = _CALLBACK(self._take)
        with self._lock:
            if EspeakLibrary._started == 0:
                EspeakLibrary._started = int(self._library.espeak_Initialize(_SYNCHRONOUS, 0, data, 0))
        self.rate = EspeakLibrary._started
        """Samples per second."""
        if self.rate <= 0:
            raise VoiceUnavailable(f"espeak-ng cannot be started with the data in {data.decode()}")

    def voice(self, entry: VoiceEntry, options: VoiceOptions) -> EspeakVoice:
        """Give the voice of a language. Raises VoiceUnavailable where the data do not have it."""
        with self._lock:
            if self._library.espeak_SetVoiceByName(entry.speaker.encode()) != 0:
                raise VoiceUnavailable(f"espeak-ng has no voice {entry.speaker} here")
        return EspeakVoice(self, entry.speaker, options)

    def create(self, text: str, speaker: str, words_a_minute: int, pitch: int) -> Pcm:
        """Say a text; waits while another is said."""
        data = text.encode() + b"\0"
        with self._lock:
            self._parts.clear()
            self._library.espeak_SetSynthCallback(self._callback)
            self._library.espeak_SetVoiceByName(speaker.encode())
            self._library.espeak_SetParameter(_RATE, words_a_minute, 0)
            self._library.espeak_SetParameter(_PITCH, pitch, 0)
            self._library.espeak_Synth(data, len(data), 0, _BY_CHARACTER, 0, _UTF8, None, None)
            self._library.espeak_Synchronize()
            return np.concatenate(self._parts) if self._parts else np.zeros(0, np.int16)

    def _take(self, samples: Any, count: int, _events: object) -> int:  # noqa: ANN401 - a pointer, which may be null
        if samples and count > 0:
            self._parts.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0


class EspeakVoice:
    """The voice of one language."""

    def __init__(self, library: EspeakLibrary, speaker: str, options: VoiceOptions) -> None:
        self._library, self._speaker = library, speaker
        self._words_a_minute = round(_USUAL_RATE * options.speed)
        self._pitch = round(_USUAL_PITCH + _PITCH_OF_OCTAVE * math.log2(options.pitch))
        self.rate = library.rate
        """Samples per second."""

    def speak(self, text: str) -> Pcm:
        """Say a text of plain words."""
        return self._library.create(text, self._speaker, self._words_a_minute, self._pitch)
