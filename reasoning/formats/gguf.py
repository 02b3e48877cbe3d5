"""Reads GGUF files, versions 2 and 3, little endian: metadata, and tensors mapped from disk.

Follows the GGUF specification (`docs/gguf.md` of ggml). The header is somebody else's data: every count,
length and offset is checked against the file before it is used, and whatever is wrong is one `BadModel`.
Opening reads only the header. What the metadata means, and how a tensor is decoded, is not known here.
"""

from __future__ import annotations

import math
import mmap
import struct
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

import numpy as np

from reasoning.errors import BadModel
from reasoning.formats.quants import GgmlType, block_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike

    from numpy.typing import NDArray

Value: TypeAlias = "bool | int | float | str | list[str] | NDArray[np.generic]"
"""A metadata value; an array of strings is a list, an array of numbers a read-only numpy array."""

_Kind = TypeVar("_Kind", bool, int, float, str)

_SCALARS: Final = {
    0: struct.Struct("<B"),
    1: struct.Struct("<b"),
    2: struct.Struct("<H"),
    3: struct.Struct("<h"),
    4: struct.Struct("<I"),
    5: struct.Struct("<i"),
    6: struct.Struct("<f"),
    7: struct.Struct("<?"),
    10: struct.Struct("<Q"),
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}
_STRING: Final = 8
_ARRAY: Final = 9
_U32: Final = _SCALARS[4]
_U64: Final = _SCALARS[10]

# The largest published vocabularies have some 700,000 tokens and merges, and headers of about 30 MB.
_MAX_STRINGS: Final = 1 << 20
_MAX_HEADER_BYTES: Final = 64 << 20
_MAX_DIMENSIONS: Final = 4
_MAX_WEIGHTS: Final = 1 << 48
_MAX_ALIGNMENT: Final = 1 << 20
_MAX_STRING_BYTES: Final = 1 << 20
_MAX_ENTRIES: Final = 1 << 16
_MAX_SHOWN: Final = 60


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """Where one tensor lies and how it is packed."""

    name: str
    type: GgmlType
    shape: tuple[int, ...]
    """Row-major: rows first, the contiguous dimension last."""
    offset: int
    """Bytes from the start of the file."""
    nbytes: int


class GgufFile:
    """An open model file. Its bytes stay mapped as long as this object, or an array from `raw`, lives."""

    def __init__(
        self, path: Path, mapped: mmap.mmap, metadata: dict[str, Value], tensors: dict[str, TensorInfo]
    ) -> None:
        self.path: Final = path
        self.metadata: Final[Mapping[str, Value]] = MappingProxyType(metadata)
        self.tensors: Final[Mapping[str, TensorInfo]] = MappingProxyType(tensors)
        self._mapped = mapped
        self._data = np.frombuffer(mapped, np.uint8)

    @property
    def architecture(self) -> str:
        """The model family, such as `llama` or `qwen2`."""
        return self.value("general.architecture", str)

    def raw(self, name: str) -> NDArray[np.uint8]:
        """Give the tensor's bytes as they lie in the file: read-only, mapped, not copied."""
        info = self.tensors.get(name)
        if info is None:
            raise BadModel(f"{self.path}: the tensor {name!r} is missing")
        return self._data[info.offset : info.offset + info.nbytes]

    def give_back(self) -> None:
        """Let go of the memory of what was read; it is read from the file again when it is needed again."""
        self._mapped.madvise(mmap.MADV_DONTNEED)

    def value(self, key: str, kind: type[_Kind], default: _Kind | None = None) -> _Kind:
        """Give the scalar under `key`; `BadModel` where it is of another kind, or missing with no default."""
        found = self.metadata.get(key, default)
        if found is None:
            raise BadModel(f"{self.path}: the metadata key {key!r} is missing")
        if kind is float and isinstance(found, int) and not isinstance(found, bool):
            return kind(found)
        if type(found) is not kind or is_no_number(found):
            raise BadModel(f"{self.path}: {key!r} is {_shown(found)}, not a {kind.__name__}")
        return found

    def strings(self, key: str) -> list[str]:
        """Give the array of strings under `key`; `BadModel` where there is none."""
        found = self.metadata.get(key)
        if not isinstance(found, list):
            raise BadModel(f"{self.path}: {key!r} is {_shown(found)}, not an array of strings")
        return found


def open_gguf(path: str | PathLike[str]) -> GgufFile:
    """Check the header of a GGUF file and map the rest; `BadModel` for anything that is not a sound file."""
    place = Path(path)
    try:
        with place.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise BadModel(f"{place}: cannot be opened as a model: {reason}") from error
    header = _Header(place, np.frombuffer(mapped, np.uint8))
    tensor_count, key_count = header.preamble()
    metadata = header.metadata(key_count)
    _require_whole(place, metadata)
    tensors = header.tensors(tensor_count, _alignment(header, metadata))
    return GgufFile(place, mapped, metadata, tensors)


def is_no_number(value: object) -> bool:
    """Say whether a value is infinite, or not a number at all: a model would compute with it."""
    return isinstance(value, float) and not math.isfinite(value)


def _require_whole(path: Path, metadata: Mapping[str, Value]) -> None:
    """Refuse a part of a split model: what it lacks would be told tensor by tensor."""
    count, number = metadata.get("split.count", 0), metadata.get("split.no", 0)
    if isinstance(count, int) and count > 1:
        part = number + 1 if isinstance(number, int) else 1
        raise BadModel(
            f"{path}: is part {part} of a model that was split into {count}; merge them into one file with: "
            f"llama-gguf-split --merge FIRST_PART MERGED.gguf"
        )


def _alignment(header: _Header, metadata: dict[str, Value]) -> int:
    found = metadata.get("general.alignment", 32)
    if type(found) is not int or not 0 < found <= _MAX_ALIGNMENT or found & (found - 1):
        raise header.bad("general.alignment", f"{_shown(found)} is not a power of two up to {_MAX_ALIGNMENT}")
    return found


def _shown(value: object) -> str:
    """Put a value into a message: short, whatever the file holds, and on one line."""
    text = repr(value) if isinstance(value, str | int | float) else f"a {type(value).__name__}"
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


class _Header:
    """A reading position in the header that never leaves it."""

    def __init__(self, path: Path, data: NDArray[np.uint8]) -> None:
        self._path = path
        self._data = data
        self._view = data[:_MAX_HEADER_BYTES].data
        self._end = len(self._view)
        self._at = 0
        self._strings_left = _MAX_STRINGS

    def bad(self, what: str, why: str) -> BadModel:
        return BadModel(f"{self._path}: not a sound GGUF file: {what} before byte {self._at}: {why}")

    def preamble(self) -> tuple[int, int]:
        """Read the number of tensors and of metadata keys."""
        if bytes(self._view[:4]) != b"GGUF":
            raise self.bad("magic", f"it begins with {bytes(self._view[:4])!r}, not b'GGUF'")
        self._at = 4
        version = self._scalar(_U32, "version")
        if version not in (2, 3):
            raise self.bad("version", f"{version}, while 2 and 3 (little endian) can be read")
        tensors = self._scalar(_U64, "tensor count")
        keys = self._scalar(_U64, "key count")
        if max(tensors, keys) > _MAX_ENTRIES:
            raise self.bad("counts", f"{tensors} tensors and {keys} keys; at most {_MAX_ENTRIES} of each are read")
        return tensors, keys

    def metadata(self, count: int) -> dict[str, Value]:
        found: dict[str, Value] = {}
        for index in range(count):
            key = self._string(f"key {index}")
            if key in found:
                raise self.bad(f"key {index}", f"{_shown(key)} stands twice")
            found[key] = self._value(_shown(key))
        return found

    def tensors(self, count: int, alignment: int) -> dict[str, TensorInfo]:
        entries = [self._tensor(index, alignment) for index in range(count)]
        start = -(-self._at // alignment) * alignment
        found: dict[str, TensorInfo] = {}
        for name, kind, shape, offset, size in entries:
            end = start + offset + size
            if name in found:
                raise self.bad("tensors", f"{_shown(name)} stands twice")
            if end > len(self._data):
                raise self.bad(f"tensor {_shown(name)}", f"it ends at byte {end} of a file of {len(self._data)} bytes")
            found[name] = TensorInfo(name, kind, shape, start + offset, size)
        for one, other in pairwise(sorted(found.values(), key=lambda info: info.offset)):
            if one.offset + one.nbytes > other.offset:
                raise self.bad("tensors", f"{_shown(one.name)} and {_shown(other.name)} overlap")
        return found

    def _tensor(self, index: int, alignment: int) -> tuple[str, GgmlType, tuple[int, ...], int, int]:
        name = self._string(f"name of tensor {index}")
        what = f"tensor {_shown(name)}"
        dimensions = self._scalar(_U32, what)
        if not 1 <= dimensions <= _MAX_DIMENSIONS:
            raise self.bad(what, f"it has {dimensions} dimensions, not 1 to {_MAX_DIMENSIONS}")
        shape = tuple(self._scalar(_U64, what) for _ in range(dimensions))[::-1]
        number = self._scalar(_U32, what)
        weights, block_bytes = block_of(number, where=f"{self._path}: {what}")
        if not 0 < math.prod(shape) <= _MAX_WEIGHTS or shape[-1] % weights:
            raise self.bad(what, f"{GgmlType(number).name} cannot have the shape {shape}")
        offset = self._scalar(_U64, what)
        if offset % alignment:
            raise self.bad(what, f"the offset {offset} is not a multiple of {alignment}")
        return name, GgmlType(number), shape, offset, math.prod(shape) // weights * block_bytes

    def _value(self, what: str) -> Value:
        kind = self._scalar(_U32, what)
        if kind == _STRING:
            return self._string(what)
        if kind == _ARRAY:
            return self._array(what)
        if kind not in _SCALARS:
            raise self.bad(what, f"the value type {kind} is unknown")
        return self._scalar(_SCALARS[kind], what)

    def _array(self, what: str) -> list[str] | NDArray[np.generic]:
        kind = self._scalar(_U32, what)
        count = self._scalar(_U64, what)
        if kind == _STRING:
            return self._string_array(what, count)
        if kind not in _SCALARS:
            raise self.bad(what, f"an array of value type {kind} cannot be read")
        size = _SCALARS[kind].size
        self._must_fit(what, count, size)
        found = np.frombuffer(self._view[self._at : self._at + count * size], _SCALARS[kind].format)
        self._at += count * size
        return found

    def _string_array(self, what: str, count: int) -> list[str]:
        self._must_fit(what, count, _U64.size)
        self._strings_left -= count
        if self._strings_left < 0:
            raise self.bad(what, f"with {count} strings the header holds more than {_MAX_STRINGS}")
        # The loop is flat because it runs hundreds of thousands of times when a model opens.
        view, at, end, length_at = self._view, self._at, self._end, _U64.unpack_from
        found: list[str] = []
        try:
            for _ in range(count):
                (length,) = length_at(view, at)
                at += 8
                if length > _MAX_STRING_BYTES or length > end - at:
                    self._at = at
                    raise self.bad(what, f"entry {len(found)} has {length} bytes; {end - at} are left")
                found.append(str(view[at : at + length], "utf-8"))
                at += length
        except (struct.error, UnicodeDecodeError) as error:
            self._at = at
            raise self.bad(what, f"entry {len(found)}: {error}") from error
        self._at = at
        return found

    def _string(self, what: str) -> str:
        length = self._scalar(_U64, what)
        if length > _MAX_STRING_BYTES:
            raise self.bad(what, f"a string of {length} bytes is longer than {_MAX_STRING_BYTES}")
        self._must_fit(what, length, 1)
        raw = self._view[self._at : self._at + length]
        self._at += length
        try:
            return str(raw, "utf-8")
        except UnicodeDecodeError as error:
            raise self.bad(what, f"it is not UTF-8 text: {error}") from error

    def _scalar(self, form: struct.Struct, what: str) -> int:
        self._must_fit(what, 1, form.size)
        (found,) = form.unpack_from(self._view, self._at)
        self._at += form.size
        return found  # type: ignore[no-any-return]

    def _must_fit(self, what: str, count: int, size: int) -> None:
        if count > (self._end - self._at) // size:
            left = self._end - self._at
            raise self.bad(what, f"{count} × {size} bytes do not fit into the {left} that are left")
