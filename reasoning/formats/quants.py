"""Block formats of GGUF tensors, unpacked with numpy.

Follows the block layouts of ggml (`ggml-common.h`, `ggml-quants.c`). Every function takes the tensor's bytes
as they lie in the file and its row-major shape; work goes in chunks, so that the scratch memory stays within
a few megabytes. Nothing here knows files, torch, or what a tensor is for.
"""

from __future__ import annotations

import enum
import math
from typing import TYPE_CHECKING, Final

import numpy as np

from reasoning.errors import BadModel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]
    Ints = NDArray[np.int8]
    Floats = NDArray[np.float32]


class GgmlType(enum.IntEnum):
    """Tensor element types by number; those without an entry in `BLOCKS` are known by name only."""

    F32 = 0
    F16 = 1
    Q4_0 = 2
    Q4_1 = 3
    Q5_0 = 6
    Q5_1 = 7
    Q8_0 = 8
    Q8_1 = 9
    Q2_K = 10
    Q3_K = 11
    Q4_K = 12
    Q5_K = 13
    Q6_K = 14
    Q8_K = 15
    IQ2_XXS = 16
    IQ2_XS = 17
    IQ3_XXS = 18
    IQ1_S = 19
    IQ4_NL = 20
    IQ3_S = 21
    IQ2_S = 22
    IQ4_XS = 23
    I8 = 24
    I16 = 25
    I32 = 26
    I64 = 27
    F64 = 28
    IQ1_M = 29
    BF16 = 30
    TQ1_0 = 34
    TQ2_0 = 35
    MXFP4 = 39


BLOCKS: Final[dict[GgmlType, tuple[int, int]]] = {
    GgmlType.F32: (1, 4),
    GgmlType.F16: (1, 2),
    GgmlType.BF16: (1, 2),
    GgmlType.Q4_0: (32, 18),
    GgmlType.Q4_1: (32, 20),
    GgmlType.Q5_0: (32, 22),
    GgmlType.Q8_0: (32, 34),
    GgmlType.Q4_K: (256, 144),
    GgmlType.Q5_K: (256, 176),
    GgmlType.Q6_K: (256, 210),
}
"""Weights per block and bytes per block of every type that can be read."""

# Unpacked weights per chunk: input, output and scratch of one chunk together fit a second-level cache.
_CHUNK_WEIGHTS: Final = 1 << 17


def block_of(kind: GgmlType | int, *, where: str = "tensor") -> tuple[int, int]:
    """Weights and bytes of one block; `BadModel` for a type that cannot be read, found in `where`."""
    if kind in BLOCKS:
        return BLOCKS[GgmlType(kind)]
    name = GgmlType(kind).name if kind in GgmlType._value2member_map_ else f"number {int(kind)}"
    known = ", ".join(sorted(known.name for known in BLOCKS))
    message = f"{where} has type {name}, which cannot be read; take a file with {known} tensors only"
    raise BadModel(message)


def dequantize(raw: Bytes, kind: GgmlType, shape: tuple[int, ...]) -> Floats:
    """All weights as float32 in the given shape; the same floats that ggml computes."""
    blocks = _blocks(raw, kind, shape)
    weights, _ = BLOCKS[kind]
    out = np.empty((len(blocks), weights), np.float32)
    unpack = _FLOATS[kind]
    for part in _chunks(len(blocks), weights):
        out[part] = unpack(blocks[part])
    return out.reshape(shape)


def affine4(raw: Bytes, kind: GgmlType, shape: tuple[int, ...]) -> tuple[Bytes, Floats, Floats]:
    """`(q, scale, minimum)` of a 4-bit tensor, exact: weight = scale * q - minimum, in groups of 32 columns.

    `q` is uint8 [rows, columns] with values 0..15, one to a byte; `scale` and `minimum` are float32
    [rows, columns / 32]. The minimum is subtracted, as in Q4_K; for Q4_1 it is the negated offset, for Q4_0
    eight times the scale. `BadModel` for any other type.
    """
    unpack = _affine_of(kind)
    blocks = _blocks(raw, kind, shape)
    weights, _ = BLOCKS[kind]
    q = np.empty((len(blocks), weights), np.uint8)
    scale = np.empty((len(blocks), weights // 32), np.float32)
    minimum = np.empty_like(scale)
    for part in _chunks(len(blocks), weights):
        unpack(blocks[part], q[part], scale[part], minimum[part])
    rows = math.prod(shape[:-1])
    return q.reshape(rows, -1), scale.reshape(rows, -1), minimum.reshape(rows, -1)


def int8_groups(raw: Bytes, kind: GgmlType, shape: tuple[int, ...]) -> tuple[Ints, Floats]:
    """`(q, scale)` of a signed tensor, exact: weight = scale * q, in groups of columns.

    A group has 16 columns in Q6_K, 32 in Q8_0 and Q5_0. `q` is int8 [rows, columns]; `scale` is float32
    [rows, columns / group]. `BadModel` for any other type.
    """
    unpack, group = _int8_of(kind)
    blocks = _blocks(raw, kind, shape)
    weights, _ = BLOCKS[kind]
    q = np.empty((len(blocks), weights), np.int8)
    scale = np.empty((len(blocks), weights // group), np.float32)
    for part in _chunks(len(blocks), weights):
        unpack(blocks[part], q[part], scale[part])
    rows = math.prod(shape[:-1])
    return q.reshape(rows, -1), scale.reshape(rows, -1)


def _blocks(raw: Bytes, kind: GgmlType, shape: tuple[int, ...]) -> Bytes:
    """View the bytes as [blocks, bytes per block]; a row never ends inside a block."""
    weights, size = block_of(kind)
    count, rest = divmod(math.prod(shape), weights)
    if rest or (shape and shape[-1] % weights) or raw.dtype != np.uint8 or raw.nbytes != count * size:
        message = f"{raw.nbytes} bytes of {raw.dtype} are not a {kind.name} tensor of shape {shape}"
        raise ValueError(message)
    return raw.reshape(count, size)


def _chunks(blocks: int, weights: int) -> Iterator[slice]:
    step = max(1, _CHUNK_WEIGHTS // weights)
    for start in range(0, blocks, step):
        yield slice(start, start + step)


def _half(columns: Bytes) -> Floats:
    """Float16 numbers that lie in a few byte columns of the blocks, widened: [blocks, bytes / 2]."""
    return np.ascontiguousarray(columns).view(np.float16).astype(np.float32)


def _nibbles(packed: Bytes, q: Bytes, run: int) -> None:
    """Unpack runs of bytes [blocks, bytes] into q: `run` low nibbles, then the same bytes' high nibbles."""
    packed = packed.reshape(len(packed), -1, run)
    q = q.reshape(len(q), -1, 2, run)
    np.bitwise_and(packed, 15, out=q[:, :, 0])
    np.right_shift(packed, 4, out=q[:, :, 1])


def _affine_q4_0(blocks: Bytes, q: Bytes, scale: Floats, minimum: Floats) -> None:
    _nibbles(blocks[:, 2:], q, 16)
    scale[:] = _half(blocks[:, :2])
    np.multiply(scale, 8, out=minimum)


def _affine_q4_1(blocks: Bytes, q: Bytes, scale: Floats, minimum: Floats) -> None:
    _nibbles(blocks[:, 4:], q, 16)
    scale[:] = _half(blocks[:, :2])
    np.negative(_half(blocks[:, 2:4]), out=minimum)


def _affine_q4_k(blocks: Bytes, q: Bytes, scale: Floats, minimum: Floats) -> None:
    _nibbles(blocks[:, 16:], q, 32)
    _k_scales(blocks, scale, minimum)


def _k_scales(blocks: Bytes, scale: Floats, minimum: Floats) -> None:
    """Eight 6-bit scales and minimums of a K block, packed in 12 bytes, times the block's two halves."""
    halves = _half(blocks[:, :4])
    packed = blocks[:, 4:16]
    first, second, mixed = packed[:, 0:4], packed[:, 4:8], packed[:, 8:12]
    scale[:, :4] = first & 63
    scale[:, 4:] = (mixed & 15) | (first >> 6 << 4)
    minimum[:, :4] = second & 63
    minimum[:, 4:] = (mixed >> 4) | (second >> 6 << 4)
    scale *= halves[:, 0:1]
    minimum *= halves[:, 1:2]


def _int8_q5_0(blocks: Bytes, q: Ints, scale: Floats) -> None:
    unsigned = q.view(np.uint8)
    _nibbles(blocks[:, 6:], unsigned, 16)
    unsigned |= np.unpackbits(blocks[:, 2:6], axis=1, bitorder="little") << 4
    q -= 16
    scale[:] = _half(blocks[:, :2])


def _int8_q8_0(blocks: Bytes, q: Ints, scale: Floats) -> None:
    q[:] = blocks[:, 2:].view(np.int8)
    scale[:] = _half(blocks[:, :2])


def _int8_q6_k(blocks: Bytes, q: Ints, scale: Floats) -> None:
    low = blocks[:, :128].reshape(-1, 2, 2, 32)
    high = blocks[:, 128:192].reshape(-1, 2, 32)
    out = q.view(np.uint8).reshape(-1, 2, 4, 32)
    np.bitwise_and(low, 15, out=out[:, :, :2])
    np.right_shift(low, 4, out=out[:, :, 2:])
    for quarter in range(4):
        out[:, :, quarter] |= (high >> (2 * quarter) & 3) << 4
    q -= 32
    np.multiply(blocks[:, 192:208].view(np.int8), _half(blocks[:, 208:210]), out=scale)


def _floats_q5_k(blocks: Bytes) -> Floats:
    q = np.empty((len(blocks), 256), np.uint8)
    scale = np.empty((len(blocks), 8), np.float32)
    minimum = np.empty_like(scale)
    _nibbles(blocks[:, 48:], q, 32)
    _k_scales(blocks, scale, minimum)
    groups = q.reshape(-1, 8, 32)
    for group in range(8):
        groups[:, group] |= (blocks[:, 16:48] >> group & 1) << 4
    return _scaled(groups, scale, minimum)


def _floats_bf16(blocks: Bytes) -> Floats:
    wide = blocks.view(np.uint16).astype(np.uint32)
    wide <<= 16
    return wide.view(np.float32)


def _floats_affine(kind: GgmlType) -> Callable[[Bytes], Floats]:
    def unpack(blocks: Bytes) -> Floats:
        weights, _ = BLOCKS[kind]
        q = np.empty((len(blocks), weights), np.uint8)
        scale = np.empty((len(blocks), weights // 32), np.float32)
        minimum = np.empty_like(scale)
        _AFFINE[kind](blocks, q, scale, minimum)
        return _scaled(q.reshape(len(blocks), -1, 32), scale, minimum)

    return unpack


def _floats_int8(kind: GgmlType) -> Callable[[Bytes], Floats]:
    def unpack(blocks: Bytes) -> Floats:
        weights, _ = BLOCKS[kind]
        fill, group = _INT8[kind]
        q = np.empty((len(blocks), weights), np.int8)
        scale = np.empty((len(blocks), weights // group), np.float32)
        fill(blocks, q, scale)
        product: Floats = q.reshape(len(blocks), -1, group) * scale[:, :, None]
        return product.reshape(len(blocks), -1)

    return unpack


def _scaled(q: Bytes, scale: Floats, minimum: Floats) -> Floats:
    out: Floats = q * scale[:, :, None]
    out -= minimum[:, :, None]
    return out.reshape(len(q), -1)


_AFFINE: Final[dict[GgmlType, Callable[[Bytes, Bytes, Floats, Floats], None]]] = {
    GgmlType.Q4_0: _affine_q4_0,
    GgmlType.Q4_1: _affine_q4_1,
    GgmlType.Q4_K: _affine_q4_k,
}
_INT8: Final[dict[GgmlType, tuple[Callable[[Bytes, Ints, Floats], None], int]]] = {
    GgmlType.Q5_0: (_int8_q5_0, 32),
    GgmlType.Q8_0: (_int8_q8_0, 32),
    GgmlType.Q6_K: (_int8_q6_k, 16),
}
_FLOATS: Final[dict[GgmlType, Callable[[Bytes], Floats]]] = {
    GgmlType.F32: lambda blocks: blocks.view(np.float32),
    GgmlType.F16: lambda blocks: blocks.view(np.float16).astype(np.float32),
    GgmlType.BF16: _floats_bf16,
    GgmlType.Q5_K: _floats_q5_k,
    **{kind: _floats_affine(kind) for kind in _AFFINE},
    **{kind: _floats_int8(kind) for kind in _INT8},
}


def _affine_of(kind: GgmlType) -> Callable[[Bytes, Bytes, Floats, Floats], None]:
    if kind in _AFFINE:
        return _AFFINE[kind]
    known = ", ".join(sorted(known.name for known in _AFFINE))
    message = f"a tensor of type {kind.name} has no 4-bit groups with a minimum; only {known} have"
    raise BadModel(message)


def _int8_of(kind: GgmlType) -> tuple[Callable[[Bytes, Ints, Floats], None], int]:
    if kind in _INT8:
        return _INT8[kind]
    known = ", ".join(sorted(known.name for known in _INT8))
    message = f"a tensor of type {kind.name} has no groups of 8-bit integers; only {known} have"
    raise BadModel(message)
