"""Sound files in as 20 ms frames of the input clock, and WAV out as 16-bit mono.

Reads what libsndfile reads (WAV, RF64, W64, AIFF, CAF, FLAC, Ogg Vorbis and Opus, MP3, …) in any common rate and
channel count, streamed: the memory needed does not depend on the length. What it cannot read is named by its first
bytes.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np
import soundfile
import soxr

from audio.clock import FRAME, RATE, Pcm, Sound
from audio.errors import BadAudio, CannotWrite

_CHANNELS: Final = (1, 8)
_RATES: Final = (4_000, 384_000)
_BLOCK: Final = 8_192
"""Sample frames decoded at a time: half a second at 16 kHz."""

_SILENT: Final = 1e-8
"""Power below which a block says nothing about its channels."""
_CANCELS: Final = 0.05
"""Where so little of the power is left in their mean, channels are in opposite phase."""

_FOREIGN: Final = {
    b"\x1aE\xdf\xa3": "a Matroska or WebM file",
    b"RIFX": "a big-endian WAV file (RIFX)",
    b"0&\xb2u\x8ef\xcf\x11": "a Windows Media file",
    b"#!AMR": "an AMR file",
    b"%PDF": "a PDF file",
    b"PK\x03\x04": "a ZIP file",
    b"\xff\xf1": "an AAC file",
    b"\xff\xf9": "an AAC file",
}
"""What is met in place of a sound file, by its first bytes."""
_CONVERT: Final = "convert it, for example with: ffmpeg -i FILE -ar 16000 -ac 1 question.wav"


@dataclass(frozen=True, slots=True)
class SoundReader:
    """A sound file that was found good. Each iteration reads it anew, from the start."""

    path: Path

    rate: int
    """Samples per second and channel."""

    channels: int

    length: int
    """Sample frames in the file."""

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.length / self.rate

    def __iter__(self) -> Iterator[Sound]:
        """Yield frames of 320 samples at 16 kHz, the last one filled up with silence. Raises BadAudio."""
        held = np.empty(0, np.float32)
        for piece in self._resampled():
            held = np.concatenate((held, piece))
            whole = len(held) - len(held) % FRAME
            yield from held[:whole].reshape(-1, FRAME)
            held = held[whole:]
        if len(held):
            yield np.pad(held, (0, FRAME - len(held)))

    def _resampled(self) -> Iterator[Sound]:
        stream = soxr.ResampleStream(self.rate, RATE, 1, dtype="float32")
        for mono in self._mono():
            yield np.clip(stream.resample_chunk(mono), -1, 1)
        yield np.clip(stream.resample_chunk(np.empty(0, np.float32), last=True), -1, 1)

    def _mono(self) -> Iterator[Sound]:
        opposite: bool | None = None
        try:
            with _Straight(self.path) as file:
                while len(block := file.read(_BLOCK, dtype="float32", always_2d=True)):
                    clean = np.clip(np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0), -1, 1)
                    opposite = _cancels(clean) if opposite is None else opposite
                    # The mean would be silence.
                    yield clean[:, 0].copy() if opposite else clean.mean(axis=1, dtype=np.float32)
        except (OSError, soundfile.SoundFileError) as error:
            raise BadAudio(f"{self.path}: cannot be read to its end: {_reason(error)}") from error


class _Straight(soundfile.SoundFile):  # type: ignore[misc]
    """A sound file that is read from its start to its end.

    soundfile seeks to where it is after each read of a file that can seek, which spoils MP3 at every seam.
    """

    def seekable(self) -> bool:
        """Deny it."""
        return False


def _cancels(block: Sound) -> bool | None:
    """Say whether channels [frames, channels] cancel each other; None where there is nothing to hear."""
    power = float(np.square(block).mean())
    return None if power < _SILENT else float(np.square(block.mean(axis=1)).mean()) < _CANCELS * power


def read_sound(path: Path | str) -> SoundReader:
    """Open a sound file and check its header. Raises BadAudio with one line that says what is wrong."""
    path = Path(path)
    found = _opened(path)
    if not _CHANNELS[0] <= found.channels <= _CHANNELS[1]:
        raise BadAudio(f"{path}: {found.channels} channels; from {_CHANNELS[0]} to {_CHANNELS[1]} can be read")
    if not _RATES[0] <= found.rate <= _RATES[1]:
        raise BadAudio(f"{path}: {found.rate} samples a second; from {_RATES[0]} to {_RATES[1]} can be read")
    if found.length <= 0:
        raise BadAudio(f"{path}: holds no samples, or was not written to its end; a file with sound is needed")
    return found


def _opened(path: Path) -> SoundReader:
    head = b""
    try:
        if not path.is_file():
            wrong = "is a directory" if path.is_dir() else "is not a regular file" if path.exists() else "no such file"
            raise BadAudio(f"{path}: {wrong}; name a sound file")
        with path.open("rb") as file:
            head = file.read(12)
        if not head:
            raise BadAudio(f"{path}: is empty; a file with sound is needed")
        with soundfile.SoundFile(path) as sound:
            return SoundReader(path, sound.samplerate, sound.channels, sound.frames)
    except soundfile.SoundFileError as error:
        raise BadAudio(f"{path}: {_what_it_is(head) or f'cannot be read: {_reason(error)}'}; {_CONVERT}") from error
    except OSError as error:
        raise BadAudio(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise BadAudio(f"{str(path)!r}: is not a usable file name") from error


def _what_it_is(head: bytes) -> str:
    """Name what a file that is no sound file is; empty where that is not known."""
    if head[4:8] == b"ftyp":
        return "is an MP4 or M4A file, which is not read"
    return next((f"is {name}, which is not read" for magic, name in _FOREIGN.items() if head.startswith(magic)), "")


def _reason(error: Exception) -> str:
    text = getattr(error, "error_string", None) or getattr(error, "strerror", None) or str(error)
    return " ".join(str(text).split()).rstrip(".")


def check_writable(path: Path | str) -> None:
    """Refuse a place where no file can be written, before work is spent on its content. Raises CannotWrite."""
    target = Path(path).resolve()
    if target.is_dir():
        raise CannotWrite(f"{path}: is a folder; name a WAV file to write")
    if target.exists() and not target.is_file():
        raise CannotWrite(f"{path}: is not a regular file; name a WAV file to write")
    if not target.parent.is_dir():
        raise CannotWrite(f"{path}: there is no folder {target.parent}; make it, or name another file")
    if not os.access(target.parent, os.W_OK):
        raise CannotWrite(f"{path}: the folder {target.parent} may not be written; name another file")


class WavWriter:
    """Write 16-bit mono sound: `with WavWriter(path, rate) as wav: wav.write(samples)`.

    The sound goes to a file beside the target that takes its place when the block is left without an error, so there is
    never half a file. Raises CannotWrite.
    """

    def __init__(self, path: Path | str, rate: int) -> None:
        self._path = Path(path)
        self._rate = rate
        self._bytes = 0

    def __enter__(self) -> Self:
        try:
            self._target = self._path.resolve()
            if self._target.exists() and not self._target.is_file():
                raise CannotWrite(f"{self._path}: is not a regular file; name a WAV file to write")
            self._part = self._target.with_name(f".{self._target.name}.{os.getpid()}.part")
            self._file = self._part.open("wb")
            self._file.write(self._header())
        except OSError as error:
            raise self._refusal(error) from error
        return self

    def write(self, samples: Pcm) -> None:
        """Append samples (int16, mono)."""
        raw = samples.astype("<i2", copy=False).tobytes()
        try:
            self._file.write(raw)
        except OSError as error:
            raise self._refusal(error) from error
        self._bytes += len(raw)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with self._file as file:
                if kind is None:
                    file.seek(0)
                    file.write(self._header())
            if kind is None:
                self._part.replace(self._target)
        except OSError as failure:
            raise self._refusal(failure) from failure
        finally:
            with suppress(OSError):
                self._part.unlink(missing_ok=True)

    def _header(self) -> bytes:
        length = min(self._bytes, 0xFFFFFFFF - 36)
        form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, self._rate, 2 * self._rate, 2, 16)
        return struct.pack("<4sI4s", b"RIFF", 36 + length, b"WAVE") + form + struct.pack("<4sI", b"data", length)

    def _refusal(self, error: OSError) -> CannotWrite:
        return CannotWrite(f"{self._path}: cannot be written: {error.strerror}")
