"""Clauses of text in, clips of sound out: one thread that speaks, and the trimming that makes clips join.

A voice leaves silence of its own around what it says; here each clip begins at once and ends with a pause that fits
its punctuation. Whoever stops waiting for a clip drops it: at most one clause is then synthesised in vain.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, Protocol, Self

import numpy as np
import soxr

from audio.messages import Clip
from audio.speaking.speakable import speakable
from languages.english import ENGLISH

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from audio.clock import Pcm
    from audio.options import VoiceOptions
    from audio.speaking.voices import VoiceEntry
    from languages.language import Language

_QUIET: Final = 0.01
"""What stays below this part of the peak (-40 dB) is silence."""

_EDGE_MS: Final = 15
"""Milliseconds of that silence kept on both sides: soft consonants."""


class Voice(Protocol):
    """Speaks, in the calling thread."""

    @property
    def rate(self) -> int:
        """Samples per second."""
        ...

    def speak(self, text: str) -> Pcm:
        """Say a text of plain words."""
        ...


class VoiceModel(Protocol):
    """Weights, or a library, that speak with one voice or several."""

    def voice(self, entry: VoiceEntry, options: VoiceOptions) -> Voice:
        """Give one of them, quickly. Raises VoiceUnavailable where it is not there."""
        ...


class Synthesizer:
    """`async with` loads the voice in its thread and keeps both until the end."""

    def __init__(
        self,
        load: Callable[[], Voice],
        options: VoiceOptions,
        voice_for: Callable[[Language], Voice | None] = lambda _: None,
    ) -> None:
        """`load` gives the voice, and `voice_for` another one that speaks a language, if it takes one.

        Both are called in the thread that speaks.
        """
        self._load, self._voice_for = load, voice_for
        self._options = options

    async def __aenter__(self) -> Self:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="voice")
        loop = asyncio.get_running_loop()
        try:
            self._voice = await loop.run_in_executor(self._thread, self._load)
        except BaseException:
            self._thread.shutdown(wait=False)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, lambda: None)
        finally:
            self._thread.shutdown(wait=False, cancel_futures=True)

    @property
    def rate(self) -> int:
        """Samples per second of every clip."""
        return self._voice.rate

    async def synthesize(self, text: str, language: Language = ENGLISH, voice: Voice | None = None) -> Clip:
        """Say one clause. The clip is empty if there is nothing to say in it.

        voice: speaks instead of the synthesizer's own; the clip has the synthesizer's rate all the same.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._speak, text, language, voice)

    def _speak(self, text: str, language: Language, voice: Voice | None) -> Clip:
        voice = voice or self._voice_for(language) or self._voice
        words = speakable(text, language)
        if not words:
            return Clip(text, np.zeros(0, np.int16), self.rate)
        last = words.rstrip("\"'”’)")[-1]
        pause_ms = self._options.sentence_ms if last in ".!?…" else self._options.comma_ms
        sound = voice.speak(words)
        if voice.rate != self.rate and len(sound):
            sound = soxr.resample(sound, voice.rate, self.rate)
        sound = trim(sound, self.rate * _EDGE_MS // 1000)
        return Clip(text, np.pad(sound, (0, self.rate * pause_ms // 1000)), self.rate)


class ChosenVoice:
    """A synthesizer as one conversation uses it that may change its voice: what is said next has the new one."""

    def __init__(self, synthesizer: Synthesizer) -> None:
        self._synthesizer = synthesizer
        self.voice: Voice | None = None
        """Who speaks; None: whom the synthesizer takes."""
        self.speaks: Callable[[Language], bool] = lambda _: True
        """Whether that voice speaks a language; for others the synthesizer takes another one."""

    @property
    def rate(self) -> int:
        """Samples per second of every clip."""
        return self._synthesizer.rate

    async def synthesize(self, text: str, language: Language = ENGLISH) -> Clip:
        """Say one clause. The clip is empty if there is nothing to say in it."""
        voice = self.voice if self.speaks(language) else None
        return await self._synthesizer.synthesize(text, language, voice)


def trim(sound: Pcm, edge: int) -> Pcm:
    """Cut the silence around a sound, but for `edge` samples on each side."""
    loudness = np.abs(sound.astype(np.int32))
    loud = np.flatnonzero(loudness > _QUIET * loudness.max(initial=0))
    if not len(loud):
        return sound[:0]
    return sound[max(0, int(loud[0]) - edge) : int(loud[-1]) + 1 + edge]
