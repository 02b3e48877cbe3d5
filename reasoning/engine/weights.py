"""A model's weights as torch wants them: 4-bit groups stay 4-bit, 8-bit ones become int8 rows.

On other devices than the processor, 4-bit groups stay 4-bit where torch's kernel proves itself; all others are unpacked
once, into the device's dtype.

Converting 1.5e9 weights takes seconds, so the result is kept in the cache as one file that is
mapped, not read, the next time. The layout of packed 4-bit weights depends on the processor and on torch, so both
are part of that file's name.

Knows tensors by name. Does not know what a decoder does with them.
"""

from __future__ import annotations

import os
import pickle
import tempfile
from contextlib import suppress
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
import torch
from torch import Tensor

from reasoning.engine.device import carried
from reasoning.engine.tiles import TiledAffine4Linear, tiles_work
from reasoning.formats.quants import GgmlType, affine4, dequantize
from reasoning.native.linear import NativeLinear, Packed, packed, packed_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from reasoning.formats.model_file import ModelFile
    from reasoning.native.binding import Library

FOUR_BIT: Final = frozenset({GgmlType.Q4_K, GgmlType.Q4_1, GgmlType.Q4_0})
EIGHT_BIT: Final = frozenset({GgmlType.Q6_K, GgmlType.Q8_0, GgmlType.Q5_0})
GROUP: Final = 32
"""Columns that share a scale in the packed 4-bit layout; torch's kernel knows 32 among few others."""

_LAYOUT: Final = 1
"""Number of the file layout below: a change of names or formats counts it up."""
_NATIVE_LAYOUT: Final = 1
"""The same for the interleaved layout of the C kernels, which no processor or version changes."""


class Linear(Protocol):
    """A linear layer: rows of activations in, rows of outputs out."""

    def __call__(self, x: Tensor) -> Tensor:
        """Map [rows, columns] to [rows, outputs]."""
        ...


class DenseLinear:
    """Weights as ordinary numbers: float32 for exactness, bfloat16 where there is no packed kernel."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.weight, self.bias = weight, bias

    def __call__(self, x: Tensor) -> Tensor:
        """Map [rows, columns] to [rows, outputs]."""
        return torch.nn.functional.linear(x, self.weight, self.bias)


class Affine4Linear:
    """Weights in groups of 32 columns: (q - 8) * scale + zero, with q in 0..15, packed two to a byte."""

    def __init__(self, packed: Tensor, scales: Tensor, bias: Tensor | None) -> None:
        self.packed, self.scales, self.bias = packed, scales, bias

    def __call__(self, x: Tensor) -> Tensor:
        """Map [rows, columns] to [rows, outputs]."""
        y: Tensor = torch.ops.aten._weight_int4pack_mm_for_cpu(x, self.packed, GROUP, self.scales)
        return y if self.bias is None else y.add_(self.bias)


class Int8Linear:
    """Weights as int8 with one scale an output row."""

    def __init__(self, q: Tensor, scale: Tensor, bias: Tensor | None) -> None:
        self.q, self.scale, self.bias = q, scale, bias

    def __call__(self, x: Tensor) -> Tensor:
        """Map [rows, columns] to [rows, outputs]."""
        y: Tensor = torch.ops.aten._weight_int8pack_mm(x, self.q, self.scale)
        return y if self.bias is None else y.add_(self.bias)


class JoinedLinear:
    """Layers of different formats over the same input, their outputs side by side."""

    def __init__(self, parts: Sequence[Linear]) -> None:
        self.parts = parts

    def __call__(self, x: Tensor) -> Tensor:
        """Map [rows, columns] to [rows, sum of outputs]."""
        return torch.cat([part(x) for part in self.parts], dim=-1)


class Weights:
    """The tensors of one model file, as layers, in one dtype, on one device."""

    def __init__(
        self,
        gguf: ModelFile,
        dtype: torch.dtype,
        device: torch.device,
        cache_dir: Path | None,
        native: Library | None = None,
        *,
        portable: bool = False,
    ) -> None:
        self._gguf, self._device, self._native = gguf, device, native
        # The C kernels compute in float32 between products.
        self._dtype = dtype if native is None else torch.float32
        self._packs = dtype == torch.bfloat16 and device.type == "cpu" and not portable
        self._tiles = dtype == torch.bfloat16 and device.type != "cpu" and tiles_work(device)
        self._file = None if cache_dir is None or not self._packs else cache_dir / self._packed_name()
        self._new: dict[str, Tensor] = {}
        self._old = self._open() if self._file is not None else {}

    def vector(self, name: str) -> Tensor | None:
        """Give a norm's or bias' numbers in float32, None where the model has no such tensor."""
        return self._numbers(name) if name in self._gguf.tensors else None

    def linear(self, names: Sequence[str], order: Callable[[str], NDArray[np.intp] | None] = lambda _: None) -> Linear:
        """Give one layer that computes the outputs of all `names` side by side (one product instead of three).

        `order` gives a new order of a tensor's rows. With C kernels this is a `NativeLinear`; without, tensors of
        different formats meet in the widest one.
        """
        bias = self._bias(names, order)
        if self._native is not None:
            parts = [self._interleaved(self._native, name, order) for name in names]
            return NativeLinear(self._native, parts, bias)
        kinds = {self._format(name) for name in names}
        key = "+".join(names)
        rows, columns = sum(self._gguf.tensors[name].shape[0] for name in names), self._gguf.tensors[names[0]].shape[1]
        if kinds == {4} and self._tiles:
            return TiledAffine4Linear(*self._grouped(names, order), bias, self._device)
        if kinds == {4}:
            layout = {
                "packed": (torch.uint8, (rows, columns // 2)),
                "scales": (self._dtype, (columns // GROUP, rows, 2)),
            }
            packed, scales = self._kept(key, layout, lambda: self._affine4(names, order))
            return Affine4Linear(packed, scales, bias)
        if kinds <= {4, 8}:
            layout = {"q": (torch.int8, (rows, columns)), "scale": (self._dtype, (rows,))}
            q, scale = self._kept(key, layout, lambda: self._int8(names, order))
            return Int8Linear(q, scale, bias)
        return DenseLinear(torch.cat([_ordered(self._dense(name), order(name)) for name in names]), bias)

    def fused(self, names: Sequence[str], order: Callable[[str], NDArray[np.intp] | None] = lambda _: None) -> Linear:
        """Give one layer for all `names` where their formats allow it, else one that joins theirs."""
        kinds = [self._format(name) for name in names]
        if len(set(kinds)) == 1 or self._native is not None:
            return self.linear(names, order)
        groups = [[name for name, _ in group] for _, group in groupby(zip(names, kinds, strict=True), itemgetter(1))]
        return JoinedLinear([self.linear(group, order) for group in groups])

    def rows(self, name: str) -> Callable[[Sequence[int]], Tensor]:
        """Give a look-up of single rows, float32, that unpacks them straight from the file (the embedding table)."""
        info, raw = self._gguf.tensors[name], self._gguf.raw(name)
        table = raw.reshape(info.shape[0], -1)

        def look_up(ids: Sequence[int]) -> Tensor:
            picked = np.ascontiguousarray(table[np.asarray(ids)]).reshape(-1)
            numbers = dequantize(picked, info.type, (len(ids), info.shape[1]))
            return carried(torch.from_numpy(numbers), self._device)

        return look_up

    def keep(self) -> None:
        """Write what was converted in this run beside the model, so that the next start only maps it."""
        if self._file is None or not self._new:
            return
        # A full or read-only disk costs the next start some seconds, nothing else.
        with suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._file.parent, suffix=".part")
            os.close(handle)
            try:
                torch.save({**self._old, **self._new}, name)
                Path(name).replace(self._file)
            except (OSError, RuntimeError):
                Path(name).unlink(missing_ok=True)

    def _format(self, name: str) -> int:
        """Bits of a weight as it is kept here; 4-bit packing needs whole groups and outputs in multiples of 16."""
        info = self._gguf.tensors[name]
        if not (self._packs or self._tiles) or info.type not in FOUR_BIT | EIGHT_BIT:
            return 16
        fits = info.shape[0] % 16 == 0 and info.shape[1] % GROUP == 0
        return 4 if info.type in FOUR_BIT and fits else 8 if self._packs else 16

    def _packed_name(self) -> str:
        stat = self._gguf.path.stat()
        if self._native is not None:
            return f"{self._gguf.path.stem}-{stat.st_size}-{stat.st_mtime_ns}.native-{_NATIVE_LAYOUT}.pt"
        processor = torch.backends.cpu.get_cpu_capability().lower()
        version = torch.__version__.split("+", maxsplit=1)[0]
        return f"{self._gguf.path.stem}-{stat.st_size}-{stat.st_mtime_ns}.{processor}-{version}-{_LAYOUT}.pt"

    def _open(self) -> Mapping[str, Tensor]:
        if self._file is None or not self._file.is_file():
            return {}
        try:
            found = torch.load(self._file, mmap=True, weights_only=True)
        except (OSError, EOFError, LookupError, RuntimeError, TypeError, ValueError, pickle.UnpicklingError):
            # Whatever is wrong with it, it is written anew.
            return {}
        return found if isinstance(found, dict) else {}

    def _kept(
        self, key: str, parts: Mapping[str, tuple[torch.dtype, tuple[int, ...]]], make: Callable[[], tuple[Tensor, ...]]
    ) -> tuple[Tensor, ...]:
        """Give what the file holds under `key`, or make it; `parts` are the names, types and shapes it must have."""
        names = [f"{key}.{part}" for part in parts]
        found = [self._old.get(name) for name in names]
        # The kernels trust sizes, so a file that is not what it should be must not reach them.
        sound = [
            tensor
            for tensor, (dtype, shape) in zip(found, parts.values(), strict=True)
            if isinstance(tensor, Tensor) and tensor.dtype == dtype and tensor.shape == shape and tensor.is_contiguous()
        ]
        if len(sound) == len(names):
            return tuple(sound)
        made = make()
        # The file and what is made of it would otherwise be in memory together: twice the model.
        self._gguf.give_back()
        self._new.update(zip(names, made, strict=True))
        return made

    def _interleaved(self, library: Library, name: str, order: Callable[[str], NDArray[np.intp] | None]) -> Packed:
        info = self._gguf.tensors[name]

        def make() -> tuple[Tensor]:
            return (packed(library, self._gguf.raw(name), info.type, info.shape, order(name)).data,)

        size = packed_bytes(library, info.type, info.shape)
        return Packed(self._kept(name, {"blocks": (torch.uint8, (size,))}, make)[0], info.type, info.shape)

    def _numbers(self, name: str) -> Tensor:
        info = self._gguf.tensors[name]
        numbers = dequantize(self._gguf.raw(name), info.type, info.shape)
        return torch.from_numpy(np.array(numbers, copy=True)).to(self._device)

    def _dense(self, name: str) -> Tensor:
        """Unpack a matrix, in slices of rows: the output head alone would be a gigabyte of float32."""
        info, raw = self._gguf.tensors[name], self._gguf.raw(name)
        found = torch.empty(info.shape, dtype=self._dtype, device=self._device)
        parts = np.array_split(raw.reshape(info.shape[0], -1), max(1, info.shape[0] // 8192))
        for rows, part in zip(torch.split(found, [len(part) for part in parts]), parts, strict=True):
            numbers = dequantize(part.reshape(-1), info.type, (len(part), info.shape[1]))
            rows.copy_(torch.from_numpy(np.array(numbers)))
        return found

    def _bias(self, names: Sequence[str], order: Callable[[str], NDArray[np.intp] | None]) -> Tensor | None:
        parts = [self.vector(name.removesuffix(".weight") + ".bias") for name in names]
        if all(part is None for part in parts):
            return None
        # Where only some of the joined layers have a bias, the others add nothing.
        rows = [
            torch.zeros(self._gguf.tensors[name].shape[0], device=self._device)
            if part is None
            else _ordered(part, order(name))
            for part, name in zip(parts, names, strict=True)
        ]
        return torch.cat(rows).to(self._dtype)

    def _affine4(self, names: Sequence[str], order: Callable[[str], NDArray[np.intp] | None]) -> tuple[Tensor, Tensor]:
        q, scales = self._grouped(names, order)
        return torch.ops.aten._convert_weight_to_int4pack_for_cpu(q.to(torch.int32), 1), scales

    def _grouped(self, names: Sequence[str], order: Callable[[str], NDArray[np.intp] | None]) -> tuple[Tensor, Tensor]:
        """Give q [rows, columns] in 0..15, and scale and zero [groups, rows, 2], on the processor."""
        qs, scales = [], []
        for name in names:
            info = self._gguf.tensors[name]
            q, scale, minimum = affine4(self._gguf.raw(name), info.type, info.shape)
            qs.append(_ordered(torch.from_numpy(q), order(name)))
            # The kernel computes (q - 8) * scale + zero; the file means q * scale - minimum.
            zero = scale * 8 - minimum
            scales.append(_ordered(torch.from_numpy(np.stack([scale, zero], axis=-1)), order(name)))
        return torch.cat(qs), torch.cat(scales).transpose(0, 1).to(self._dtype).contiguous()

    def _int8(self, names: Sequence[str], order: Callable[[str], NDArray[np.intp] | None]) -> tuple[Tensor, Tensor]:
        qs, scales = [], []
        for name in names:
            info, raw = self._gguf.tensors[name], self._gguf.raw(name)
            # In slices of rows: the output head alone would be a gigabyte of float32.
            slices = [
                _int8_rows(dequantize(part.reshape(-1), info.type, (len(part), info.shape[1])))
                for part in np.array_split(raw.reshape(info.shape[0], -1), max(1, info.shape[0] // 8192))
            ]
            qs.append(_ordered(torch.cat([q for q, _ in slices]), order(name)))
            scales.append(_ordered(torch.cat([scale for _, scale in slices]), order(name)))
        return torch.cat(qs), torch.cat(scales).to(self._dtype)


def _int8_rows(weight: NDArray[np.float32]) -> tuple[Tensor, Tensor]:
    rows = torch.from_numpy(weight)
    scale = rows.abs().amax(dim=1).clamp_min(1e-12) / 127
    return (rows / scale[:, None]).round_().to(torch.int8), scale


def _ordered(tensor: Tensor, order: NDArray[np.intp] | None) -> Tensor:
    return tensor if order is None else tensor[torch.from_numpy(order).to(tensor.device)]
