"""Moonshine's streaming models by their own library (`moonshine-voice`): sound goes in once, words come out meanwhile.

None of its weights was run with this adapter: they come from its publisher's servers alone, and nothing here fetches
them. What is relied on is the library's interface: `Transcriber`, `Stream`, key terms, and lines of a transcript.

A loaded model has the state of one stream, and computes it anew when two of them take turns: so short decodes have a
model of their own, and conversations that share one are heard, but slower.
"""

from __future__ import annotations

import re
import threading
import weakref
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from audio.clock import RATE, Sound
from audio.errors import EarsUnavailable
from audio.hearing.agreement import Word
from audio.hearing.whisper import Hypothesis

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import ModuleType

    from audio.options import EarsOptions

_NEEDED: Final = ("streaming_config.json", "tokenizer.bin")
_KIND: Final = re.compile(r"(tiny|base|small|medium)-streaming")
"""In the name of a folder, as the download of the library names it: `small-streaming-en`."""

_OPTIONS: Final = {"vad_threshold": "0.0", "return_audio_data": "false"}
"""Where speech is, is known here: without a threshold all sound counts as speech (its voice-activity-detector.cpp)."""
_TIMED_WORDS: Final = "decoder_kv_with_attention.ort"
"""The file that the library needs in order to tell words apart and how sure of them it is."""

_ASK_ONLY_S: Final = 1e9
"""Between two transcripts that a stream makes by itself: it makes one when it is asked."""
_TAIL: Final = np.zeros(RATE // 2, np.float32)
"""Silence that ends a line: its encoder looks ahead, and holds the last frames back until it has."""


class MoonshineRecogniser:
    """A loaded streaming model: a StreamingRecogniser, and a Recogniser for sound that is there as a whole."""

    def __init__(self, folder: Path, _: EarsOptions) -> None:
        """Load it. Raises EarsUnavailable."""
        missing = [name for name in _NEEDED if not (folder / name).is_file()]
        if missing:
            raise EarsUnavailable(
                f"{folder}: no streaming model of Moonshine there (no {', '.join(missing)}); fetch one with: "
                "python -m moonshine_voice.download --language en"
            )
        self._library = _library()
        self._line_model, self._spot_model = _load(self._library, folder), _load(self._library, folder)
        self._hearing, self._spotting = threading.Lock(), threading.Lock()
        self._expected = ""

    def open_line(self, expected: str) -> MoonshineLine:
        """Begin to hear a stretch of speech; unusual words of `expected` are preferred."""
        with self._hearing:
            if expected != self._expected:
                self._line_model.set_context(expected)
                self._expected = expected
            stream = self._line_model.create_stream(update_interval=_ASK_ONLY_S)
            stream.start()
        return MoonshineLine(stream, self._hearing, self._library.Transcriber.MOONSHINE_FLAG_FORCE_UPDATE)

    def decode(self, sound: Sound, *, final: bool, expected: str = "") -> Hypothesis:  # noqa: ARG002 - each as good
        """Transcribe at most 30 s."""
        line = self.open_line(expected)
        line.feed(sound)
        return Hypothesis(tuple(line.finish()))

    def spot(self, sound: Sound) -> Hypothesis:
        """Transcribe at most 2 s, beside whatever else is heard."""
        with self._spotting:
            return Hypothesis(_words(self._spot_model.transcribe_without_streaming(sound.tolist(), RATE)))


class MoonshineLine:
    """A stream of the library, from its start to its stop; freed with the object at the latest."""

    def __init__(self, stream: Any, free: threading.Lock, force: int) -> None:  # noqa: ANN401 - the library has no types
        self._stream, self._free, self._force = stream, free, force
        # Without the lock, which may be held for a decode: freeing one stream waits for no other in the library.
        self._close = weakref.finalize(self, stream.close)

    def feed(self, sound: Sound) -> None:
        """Take the next sound."""
        with self._free:
            self._stream.add_audio(sound.tolist(), RATE)

    def words(self) -> Sequence[Word]:
        """Give what was heard so far."""
        with self._free:
            return _words(self._stream.update_transcription(self._force))

    def finish(self) -> Sequence[Word]:
        """Give all that was heard. Raises EarsUnavailable where the library could not tell."""
        with self._free:
            self._stream.add_audio(_TAIL.tolist(), RATE)
            # What a stream has not looked at when it stops is lost.
            self._stream.update_transcription(self._force)
            transcript = self._stream.stop()
        self._close()
        if transcript is None:
            raise EarsUnavailable("moonshine-voice ended a line without a transcript; try models.asr = whisper-tiny.en")
        return _words(transcript)


def _words(transcript: Any) -> tuple[Word, ...]:  # noqa: ANN401 - the library has no types
    """Give the words of all lines; where the library does not say how sure it is of them, they count as sure."""
    found: list[Word] = []
    for line in transcript.lines:
        sure = [float(word.confidence) for word in line.words or ()]
        texts = line.text.split()
        found += map(Word, texts, sure if len(sure) == len(texts) else [1.0] * len(texts))
    return tuple(found)


def _library() -> ModuleType:
    try:
        import moonshine_voice  # noqa: PLC0415 - optional
    except (ImportError, OSError) as error:
        raise EarsUnavailable(
            f"moonshine-voice cannot be loaded ({error}); add it with: pip install 'descant[moonshine]'"
        ) from error
    library: ModuleType = moonshine_voice
    return library


def _load(library: ModuleType, folder: Path) -> Any:  # noqa: ANN401 - the library has no types
    kind = next((match[0] for part in reversed(folder.absolute().parts) if (match := _KIND.search(part))), None)
    if kind is None:
        raise EarsUnavailable(
            f"{folder}: its name does not tell which streaming model it is; call it tiny-, small- or medium-streaming, "
            "as its download does"
        )
    timed = {"word_timestamps": "true"} if (folder / _TIMED_WORDS).is_file() else {}
    try:
        return library.Transcriber(str(folder), library.string_to_model_arch(kind), options=_OPTIONS | timed)
    except library.MoonshineError as error:
        raise EarsUnavailable(f"{folder}: the model cannot be loaded ({error}); fetch it again") from error
