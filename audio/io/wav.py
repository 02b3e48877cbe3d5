"""WAV files in as 20 ms frames of the input clock, and out as 16-bit mono.

Reads integer (8 to 32 bit), float, µ-law and A-law in any common rate and channel count, streamed: the memory
needed does not depend on the length. Written after the RIFF/WAVE and WAVE_FORMAT_EXTENSIBLE specifications
(Microsoft, 1991 and 2001). Does not know compressed formats, nor big-endian RIFX: it names them.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Literal, Self

import numpy as np
import numpy.typing as npt
import soxr

from audio.clock import FRAME, RATE, Pcm, Sound
from audio.errors import BadAudio, CannotWrite

_CHANNELS: Final = (1, 8)
_RATES: Final = (4_000, 384_000)
_MAX_CHUNKS: Final = 1_000
_BLOCK: Final = 8_192
"""Sample frames decoded at a time: half a second at 16 kHz."""

_EXTENSIBLE: Final = 0xFFFE
_SUBFORMAT_TAIL: Final = bytes.fromhex("000000001000800000aa00389b71")
_TAGS: Final[dict[int, Literal["int", "float", "alaw", "ulaw"]]] = {
    1: "int",
    3: "float",
    6: "alaw",
    7: "ulaw",
}
_FOREIGN_TAGS: Final = {
    0x0002: "Microsoft ADPCM",
    0x0011: "IMA ADPCM",
    0x0031: "GSM 6.10",
    0x0050: "MPEG",
    0x0055: "MP3",
    0x00FF: "AAC",
    0x0161: "Windows Media",
    0x0162: "Windows Media Professional",
}
_FOREIGN_FILES: Final = {
    b"fLaC": "a FLAC file",
    b"OggS": "an Ogg file",
    b"ID3": "an MP3 file",
    b"\xff\xfb": "an MP3 file",
    b"FORM": "an AIFF file",
    b"RIFX": "a big-endian WAV file (RIFX)",
    b"\x1aE\xdf\xa3": "a Matroska or WebM file",
}
_WIDTHS: Final = {"int": (1, 2, 3, 4), "float": (4, 8), "alaw": (1,), "ulaw": (1,)}
_CONVERT: Final = "convert it, for example with: ffmpeg -i FILE -ar 16000 -ac 1 question.wav"


@dataclass(frozen=True, slots=True)
class WavFormat:
    """What the header says about the samples."""

    coding: Literal["int", "float", "alaw", "ulaw"]

    rate: int
    """Samples per second and channel."""

    channels: int

    width: int
    """Bytes of one sample of one channel."""


@dataclass(frozen=True, slots=True)
class WavReader:
    """A WAV file whose header was found good. Each iteration reads it anew, from the start."""

    path: Path

    format: WavFormat

    offset: int
    """Where in the file the samples begin, in bytes."""

    length: int
    """Sample frames in the file."""

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.length / self.format.rate

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
        stream = soxr.ResampleStream(self.format.rate, RATE, 1, dtype="float32")
        for mono in self._mono():
            yield np.clip(stream.resample_chunk(mono), -1, 1)
        yield np.clip(stream.resample_chunk(np.empty(0, np.float32), last=True), -1, 1)

    def _mono(self) -> Iterator[Sound]:
        stride = self.format.channels * self.format.width
        left = self.length
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                while left:
                    raw = file.read(min(left, _BLOCK) * stride)
                    count = len(raw) // stride
                    if not count:
                        return
                    left -= count
                    yield _decode(raw[: count * stride], self.format)
        except OSError as error:
            raise BadAudio(f"{self.path}: cannot be read: {error.strerror}") from error


def read_wav(path: Path | str) -> WavReader:
    """Open a WAV file and check its header. Raises BadAudio with one line that says what is wrong."""
    path = Path(path)
    try:
        if path.is_dir():
            raise BadAudio(f"{path}: is a directory; name a WAV file")
        if not path.exists():
            raise BadAudio(f"{path}: no such file")
        if not path.is_file():
            raise BadAudio(f"{path}: is not a regular file; name a WAV file")
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            return _parse(path, file, size)
    except OSError as error:
        raise BadAudio(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise BadAudio(f"{str(path)!r}: is not a usable file name") from error


def _parse(path: Path, file: BinaryIO, size: int) -> WavReader:
    head = file.read(12)
    if not head:
        raise BadAudio(f"{path}: is empty; a WAV file with sound is needed")
    if head[:4] not in {b"RIFF", b"RF64"} or head[8:12] != b"WAVE":
        raise BadAudio(f"{path}: {_what_it_is(head)}; {_CONVERT}")
    found: WavFormat | None = None
    for _ in range(_MAX_CHUNKS):
        header = file.read(8)
        if len(header) < 8:
            break
        name, length = struct.unpack("<4sI", header)
        start = file.tell()
        if name == b"fmt ":
            found = _parse_format(path, file.read(min(length, 40)), min(length, 40))
        elif name == b"data":
            if found is None:
                raise BadAudio(f"{path}: its samples come before their format; the file is damaged")
            return _reader(path, found, start, _data_length(file, start, length, size))
        file.seek(start + length + length % 2)
    if found is None:
        raise BadAudio(f"{path}: ends before its format is told; the file is cut off or damaged")
    raise BadAudio(f"{path}: holds no samples; the file is cut off or damaged")


def _reader(path: Path, found: WavFormat, start: int, length: int) -> WavReader:
    frames = length // (found.channels * found.width)
    if not frames:
        raise BadAudio(f"{path}: holds no samples; a WAV file with sound is needed")
    return WavReader(path, found, start, frames)


def _data_length(file: BinaryIO, start: int, length: int, size: int) -> int:
    """Bytes of sound. A writer that streams cannot know the length and leaves 0 or the greatest number there."""
    rest = max(0, size - start)
    if length == 0:
        following = file.read(8)
        if len(following) == 8:
            name, extent = struct.unpack("<4sI", following)
            if name.isascii() and name.decode("ascii").isprintable() and start + 8 + extent <= size:
                return 0
        return rest
    return min(length, rest)


def _parse_format(path: Path, fields: bytes, length: int) -> WavFormat:
    if length < 16 or len(fields) < length:
        raise BadAudio(f"{path}: its header is cut off or damaged")
    tag, channels, rate, _, stride, bits = struct.unpack("<HHIIHH", fields[:16])
    if tag == _EXTENSIBLE:
        if length < 40 or fields[26:40] != _SUBFORMAT_TAIL:
            raise BadAudio(f"{path}: an extended header of a kind that is not known; {_CONVERT}")
        tag = int.from_bytes(fields[24:26], "little")
    coding = _TAGS.get(tag)
    if coding is None:
        raise BadAudio(f"{path}: coded as {_FOREIGN_TAGS.get(tag, f'format {tag:#06x}')}; {_CONVERT}")
    if not _CHANNELS[0] <= channels <= _CHANNELS[1]:
        raise BadAudio(f"{path}: {channels} channels; from {_CHANNELS[0]} to {_CHANNELS[1]} can be read")
    if not _RATES[0] <= rate <= _RATES[1]:
        raise BadAudio(f"{path}: {rate} samples a second; from {_RATES[0]} to {_RATES[1]} can be read")
    width, odd = divmod(stride, channels)
    if odd or width not in _WIDTHS[coding] or not 8 * (width - 1) < bits <= 8 * width:
        raise BadAudio(f"{path}: {bits}-bit samples ({coding}) in {stride} bytes for {channels} channels; {_CONVERT}")
    return WavFormat(coding, rate, channels, width)


def _what_it_is(head: bytes) -> str:
    for magic, name in _FOREIGN_FILES.items():
        if head.startswith(magic):
            return f"is {name}, not a WAV file"
    if head[4:8] == b"ftyp":
        return "is an MP4 file, not a WAV file"
    if len(head) < 12 and b"RIFF".startswith(head[:4]):
        return "its header is cut off"
    return "is not a WAV file"


def _decode(raw: bytes, form: WavFormat) -> Sound:
    """Bytes of whole sample frames to mono sound: the average over the channels."""
    many = _DECODERS[form.coding](raw, form.width).reshape(-1, form.channels)
    clean = np.nan_to_num(many, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    return np.asarray(np.clip(clean, -1, 1).mean(axis=1), np.float32)


def _decode_int(raw: bytes, width: int) -> npt.NDArray[np.float32]:
    if width == 1:
        return (np.frombuffer(raw, np.uint8).astype(np.float32) - np.float32(128)) / np.float32(128)
    if width == 3:
        padded = np.zeros((len(raw) // 3, 4), np.uint8)
        padded[:, 1:] = np.frombuffer(raw, np.uint8).reshape(-1, 3)
        return padded.view("<i4").reshape(-1).astype(np.float32) / np.float32(2**31)
    return np.frombuffer(raw, f"<i{width}").astype(np.float32) / np.float32(2 ** (8 * width - 1))


def _decode_float(raw: bytes, width: int) -> npt.NDArray[np.float32]:
    with np.errstate(over="ignore", invalid="ignore"):
        return np.frombuffer(raw, f"<f{width}").astype(np.float32)


def _ulaw_table() -> npt.NDArray[np.float32]:
    """ITU-T G.711 µ-law: sign, exponent, mantissa, all bits inverted; 14-bit magnitudes with a bias of 33."""
    code = ~np.arange(256, dtype=np.uint8)
    exponent, mantissa = (code >> 4 & 7).astype(np.int32), (code & 15).astype(np.int32)
    magnitude = ((2 * mantissa + 33) << exponent) - 33
    return (np.where(code & 0x80, -magnitude, magnitude) / 8192).astype(np.float32)


def _alaw_table() -> npt.NDArray[np.float32]:
    """ITU-T G.711 A-law: every other bit inverted; 13-bit magnitudes, the lowest segment linear."""
    code = np.arange(256, dtype=np.uint8) ^ 0x55
    exponent, mantissa = (code >> 4 & 7).astype(np.int32), (code & 15).astype(np.int32)
    step = np.where(exponent == 0, 2 * mantissa + 1, (2 * mantissa + 33) << np.maximum(exponent - 1, 0))
    return (np.where(code & 0x80, step, -step) / 4096).astype(np.float32)


def _decode_ulaw(raw: bytes, _: int) -> npt.NDArray[np.float32]:
    return _ULAW[np.frombuffer(raw, np.uint8)]


def _decode_alaw(raw: bytes, _: int) -> npt.NDArray[np.float32]:
    return _ALAW[np.frombuffer(raw, np.uint8)]


_ULAW: Final = _ulaw_table()
_ALAW: Final = _alaw_table()
_DECODERS: Final = {"int": _decode_int, "float": _decode_float, "alaw": _decode_alaw, "ulaw": _decode_ulaw}


def check_writable(path: Path | str) -> None:
    """Refuse a place where no file can be written, before work is spent on its content. Raises CannotWrite."""
    target = Path(path).resolve()
    if target.is_dir():
        raise CannotWrite(f"{path}: is a folder; name a WAV file to write")
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
