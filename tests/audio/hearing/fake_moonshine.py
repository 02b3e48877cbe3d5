"""Stands in for the library `moonshine-voice`, by the interface that its version 0.1.5 has; it hears loudness.

A word is half a second of loud sound. Like the library's streams, it holds back what it has not looked ahead of, keeps
what a stream did not look at before its stop from being heard at all, and cannot be used when it was closed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

RATE = 16_000
LOOK_AHEAD = RATE // 5


class MoonshineError(Exception):
    """The base of the library's errors."""


class ModelArch(IntEnum):
    """Kinds of models."""

    TINY_STREAMING = 2
    SMALL_STREAMING = 4


def string_to_model_arch(model_arch_string: str) -> ModelArch:
    """Give the kind by its name."""
    return ModelArch[model_arch_string.upper().replace("-", "_")]


@dataclass
class WordTiming:
    """A word of a line, where the model tells them apart."""

    word: str
    start: float
    end: float
    confidence: float


@dataclass
class TranscriptLine:
    """A line of a transcript."""

    text: str
    words: list[WordTiming] | None = None


@dataclass
class Transcript:
    """What was heard."""

    lines: list[TranscriptLine]


class Transcriber:
    """A loaded model."""

    MOONSHINE_FLAG_FORCE_UPDATE = 1

    loaded: list[Transcriber]
    """Of this test."""
    fail = ""
    """What is wrong with the next one that is loaded."""
    mute = False
    """Whether stopping a stream fails, as the library tells it: without a transcript."""

    def __init__(
        self,
        model_path: str,
        model_arch: ModelArch = ModelArch.TINY_STREAMING,
        update_interval: float = 0.5,
        options: dict[str, str] | None = None,
    ) -> None:
        if self.fail:
            raise MoonshineError(self.fail)
        self.model_path, self.model_arch, self.options = model_path, model_arch, options or {}
        self.contexts: list[str | None] = []
        self.streams: list[Stream] = []
        del update_interval
        self.loaded.append(self)

    def set_context(self, context: str | None, max_terms: int = 0) -> None:
        """Prefer unusual words of a text."""
        del max_terms
        self.contexts.append(context)

    def create_stream(self, update_interval: float | None = None, flags: int = 0, transcribe_flags: int = 0) -> Stream:
        """Give a new stream."""
        del flags, transcribe_flags
        self.streams.append(Stream(self, update_interval or 0.5))
        return self.streams[-1]

    def transcribe_without_streaming(
        self, audio_data: list[float], sample_rate: int = RATE, flags: int = 0
    ) -> Transcript:
        """Transcribe all of it."""
        del flags
        assert sample_rate == RATE
        return self.transcript(loud(audio_data))

    def transcript(self, samples: int) -> Transcript:
        """Give the transcript of so many loud samples."""
        texts = [f"w{n}" for n in range(round(samples / (RATE / 2)))]
        timed = [WordTiming(text, 0, 0, 0.75) for text in texts] if "word_timestamps" in self.options else None
        return Transcript([TranscriptLine(" ".join(texts), timed)] if texts else [])


class Stream:
    """Sound that comes bit by bit."""

    def __init__(self, transcriber: Transcriber, update_interval: float) -> None:
        self._transcriber, self._interval = transcriber, update_interval
        self._waiting: list[float] = []
        self._looked_at: list[float] = []
        self.open, self.started, self.asked = True, False, 0

    def start(self) -> None:
        """Begin."""
        self.started = True

    def add_audio(self, audio_data: list[float], sample_rate: int = RATE) -> None:
        """Take sound; look at it now and then."""
        assert self.open
        assert self.started
        assert sample_rate == RATE
        assert isinstance(audio_data, list)
        self._waiting += audio_data
        if len(self._waiting) >= self._interval * RATE:
            self.update_transcription()

    def update_transcription(self, flags: int = 0) -> Transcript:
        """Look at what came, if there is enough of it or it is asked for."""
        assert self.open
        self.asked += 1
        if self.started and (flags & Transcriber.MOONSHINE_FLAG_FORCE_UPDATE or len(self._waiting) >= LOOK_AHEAD):
            self._looked_at += self._waiting
            self._waiting = []
        return self._transcriber.transcript(loud(self._looked_at[:-LOOK_AHEAD]))

    def stop(self) -> Transcript | None:
        """End; None where something failed."""
        self.started = False
        return None if self._transcriber.mute else self.update_transcription()

    def close(self) -> None:
        """Free it."""
        assert self.open, "freed twice"
        self.open = False


def loud(samples: list[float]) -> int:
    """Count loud samples."""
    return sum(abs(sample) > 0.5 for sample in samples)
