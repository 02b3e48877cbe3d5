"""Quantised layers for the C kernels: how they are packed, and how they are called."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from reasoning.formats.quants import BLOCKS, GgmlType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from reasoning.native.binding import Library

KINDS: Final = (
    GgmlType.Q4_0,
    GgmlType.Q4_1,
    GgmlType.Q5_0,
    GgmlType.Q8_0,
    GgmlType.Q4_K,
    GgmlType.Q5_K,
    GgmlType.Q6_K,
)
"""Types that the kernels compute with as they are in the file, without a second quantisation."""

_BLOCK_ROWS: Final = 16


class Matrix(ctypes.Structure):
    """`Matrix` of linear.h."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("format", ctypes.c_int32),
        ("rows", ctypes.c_int32),
        ("columns", ctypes.c_int32),
        ("unused", ctypes.c_int32),
    )


@dataclass(frozen=True, slots=True)
class Packed:
    """One tensor, interleaved by 16 rows."""

    data: Tensor
    """uint8; also keeps the memory alive."""
    kind: GgmlType
    shape: tuple[int, ...]


def packed_bytes(library: Library, kind: GgmlType, shape: tuple[int, ...]) -> int:
    """Bytes of a tensor once it is interleaved."""
    rows, columns = shape
    block: int = library.functions.descant_block_bytes(library.functions.descant_format(kind), columns)
    return -(-rows // _BLOCK_ROWS) * block


def packed(
    library: Library,
    raw: NDArray[np.uint8],
    kind: GgmlType,
    shape: tuple[int, ...],
    order: NDArray[np.intp] | None = None,
) -> Packed:
    """Interleave a tensor's bytes as they lie in the file; `order` gives the source of each row."""
    rows, columns = shape
    weights, size = BLOCKS[kind]
    if raw.nbytes != rows * columns // weights * size or not raw.flags.c_contiguous:
        raise ValueError(f"{raw.nbytes} bytes are not a {kind.name} tensor of shape {shape}")
    data = torch.empty(packed_bytes(library, kind, shape), dtype=torch.uint8)
    rows_from = None if order is None else np.ascontiguousarray(order, dtype=np.int64)
    library.functions.descant_pack(
        library.pool(torch.get_num_threads()),
        kind,
        raw.ctypes.data,
        rows,
        columns,
        None if rows_from is None else rows_from.ctypes.data,
        data.data_ptr(),
    )
    return Packed(data, kind, shape)


class NativeLinear:
    """Packed tensors over the same input, their outputs side by side; products are int8, sums float32."""

    def __init__(self, library: Library, parts: Sequence[Packed], bias: Tensor | None = None) -> None:
        self._library, self._parts = library, parts
        self.bias = None if bias is None else bias.float().contiguous()
        self.columns = parts[0].shape[1]
        self.outputs = sum(part.shape[0] for part in parts)
        self.bytes = sum(part.data.nbytes for part in parts)
        """What is read of memory for a product."""
        formats = [library.functions.descant_format(part.kind) for part in parts]
        self.matrices = (Matrix * len(parts))(
            *(
                Matrix(part.data.data_ptr(), number, part.shape[0], part.shape[1], 0)
                for part, number in zip(parts, formats, strict=True)
            )
        )

    def __call__(self, x: Tensor) -> Tensor:
        """Map [rows, columns] to [rows, outputs]."""
        out = self.multiply(x.float().contiguous().numpy(), torch.get_num_threads())
        return torch.from_numpy(out).to(x.dtype)

    def multiply(self, x: NDArray[np.float32], threads: int) -> NDArray[np.float32]:
        """Map float32 [rows, columns] to float32 [rows, outputs]."""
        if x.ndim != 2 or x.shape[1] != self.columns or x.dtype != np.float32 or not x.flags.c_contiguous:
            raise ValueError(f"{x.dtype} activations of shape {x.shape} do not fit {self.columns} columns")
        y = np.empty((len(x), self.outputs), np.float32)
        failed = self._library.functions.descant_linear(
            self._library.pool(threads),
            ctypes.addressof(self.matrices),
            len(self.matrices),
            None if self.bias is None else self.bias.data_ptr(),
            x.ctypes.data,
            len(x),
            y.ctypes.data,
        )
        if failed:
            raise MemoryError(f"no memory for a product with {len(x)} rows")
        return y
