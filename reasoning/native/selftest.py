"""Holds freshly loaded kernels against plain numpy, so that a wrong compiler cannot make a wrong model."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Final

import numpy as np

from reasoning.errors import NativeUnavailable
from reasoning.formats.quants import BLOCKS, GgmlType, dequantize
from reasoning.native.linear import KINDS, NativeLinear, packed
from reasoning.native.step import BLOCK, PAIR, READ, Heads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from reasoning.native.binding import Library

    Floats = NDArray[np.float32]

_OUTPUTS: Final = 40
_COLUMNS: Final = 512
_MOST_ROWS: Final = 16
"""Sets have a kernel for each number of rows up to this."""
_ROUNDED: Final = 0.01
"""Largest root mean square of the error, relative, where queries and shares may be rounded to bfloat16."""
_EXACT: Final = 1e-5
"""The same where they are float32 throughout; products are held against the same 8 bits."""

_HALVES: Final = {GgmlType.Q4_K: (0, 2), GgmlType.Q5_K: (0, 2), GgmlType.Q6_K: (208,), GgmlType.Q4_1: (0, 2)}
"""Where half precision numbers lie in a block; elsewhere at its start."""

_HEADS: Final = 6
_KV_HEADS: Final = 2
_HEAD_SIZE: Final = 80
"""More than the 64 elements that are read together, and no multiple of them."""
_LENGTHS: Final = (301, 7)
"""Of the blocks: several chunks and a rest, both odd."""
_READERS: Final = 4
"""With three heads for each of the keys', one to four of them leave every number of queries over."""

_NO_NUMBER: Final = np.uint16(0x7FC0)


class WrongKernels(NativeUnavailable):
    """Kernels that were compiled compute something else."""


def check(library: Library) -> None:
    """Raise `WrongKernels` where anything that an instruction set computes is wrong; takes some 50 ms."""
    rng = np.random.default_rng(1)
    for kind in KINDS:
        _check_products(library, kind, rng)
    _check_norm(library, rng)
    _check_activation(library, rng)
    _check_attention(library, rng)


def random_tensor(
    rng: np.random.Generator, kind: GgmlType, rows: int, columns: int, scale: float | None = None
) -> NDArray[np.uint8]:
    """Bytes of a tensor with random weights: of ordinary size, or each block with the same half precision `scale`."""
    weights, size = BLOCKS[kind]
    raw = rng.integers(0, 256, (rows * columns // weights, size), dtype=np.uint8)
    for at in _HALVES.get(kind, (0,)):
        numbers = rng.random(len(raw)) * 0.01 + 0.001 if scale is None else np.full(len(raw), scale)
        raw[:, at : at + 2] = numbers.astype(np.float16).view(np.uint8).reshape(-1, 2)
    return raw.reshape(-1)


def _compare(what: str, found: Floats, expected: Floats, most: float) -> None:
    error = np.sqrt(np.square(found - expected).mean() / np.square(expected).mean())
    if not error <= most:
        raise WrongKernels(f"the compiled {what} is wrong (relative error {error:.3g})")


def _check_products(library: Library, kind: GgmlType, rng: np.random.Generator) -> None:
    raw = random_tensor(rng, kind, _OUTPUTS, _COLUMNS)
    linear = NativeLinear(library, [packed(library, raw, kind, (_OUTPUTS, _COLUMNS))])
    x = rng.standard_normal((_MOST_ROWS, _COLUMNS), dtype=np.float32)
    expected = _quantised(x) @ dequantize(raw, kind, (_OUTPUTS, _COLUMNS)).T
    for rows in range(1, _MOST_ROWS + 1):
        what = f"product of {kind.name} weights with {rows} rows"
        _compare(what, linear.multiply(x[:rows], threads=2), expected[:rows], _EXACT)


def _quantised(x: Floats) -> Floats:
    """Round to 8 bits, 32 columns at a time, as kernels.h says."""
    groups = x.reshape(-1, 32)
    peaks = np.abs(groups).max(axis=1, keepdims=True)
    rounded: Floats = np.rint(groups * (127 / peaks)) * (peaks / 127)
    return rounded.reshape(x.shape)


def _check_norm(library: Library, rng: np.random.Generator) -> None:
    x, weight = rng.standard_normal((2, 80), dtype=np.float32)
    found, epsilon = np.empty_like(x), 0.1
    library.functions.descant_norm(x.ctypes.data, weight.ctypes.data, len(x), epsilon, found.ctypes.data)
    _compare("norm", found, x / np.sqrt(np.square(x).mean() + np.float32(epsilon)) * weight, _EXACT)


def _check_activation(library: Library, rng: np.random.Generator) -> None:
    gate = np.concatenate([np.linspace(-20, 20, 80), [-1e4, -200, -90, 90, 200, 1e4, 0, 1e-30], np.zeros(8)])
    found, up = gate.astype(np.float32), rng.standard_normal(len(gate), dtype=np.float32)
    expected = (gate / (1 + np.exp(np.minimum(-gate, 700.0))) * up).astype(np.float32)
    library.functions.descant_gate(found.ctypes.data, up.ctypes.data, len(found))
    # Apart, as the great ones would hide the errors of the others.
    for some in (np.abs(gate) < 3, gate < 0, np.abs(gate) >= 3):
        _compare("activation", found[some], expected[some], _EXACT)


def _check_attention(library: Library, rng: np.random.Generator) -> None:
    """Rotation, scores, softmax and weighted sums: rows that read two blocks, the second of them to different ends."""
    # No rotations, but numbers that show which of them was used for what.
    cos, sin = rng.standard_normal((2, max(_LENGTHS) + _READERS, _HEAD_SIZE), dtype=np.float32)
    heads = Heads(_HEADS, _KV_HEADS, _HEAD_SIZE, cos.ctypes.data, sin.ctypes.data)
    q: Floats = rng.standard_normal((_READERS, _HEADS, _HEAD_SIZE), dtype=np.float32)
    q *= 0.5
    kept = [rng.standard_normal((2, length, _KV_HEADS, _HEAD_SIZE), dtype=np.float32) for length in _LENGTHS]
    blocks = [_written(library, heads, keys, values) for keys, values in kept]
    for rows in range(1, _READERS + 1):
        readers = [[(row, _LENGTHS[0] + row, _LENGTHS[0]), (row, row + 3, _LENGTHS[1] - row)] for row in range(rows)]
        pairs = np.array([reader[block] for block in (0, 1) for reader in readers], PAIR)
        reads = np.array(
            [(keys.ctypes.data, values.ctypes.data, keys.shape[1], block * rows, rows)
             for block, (keys, values) in enumerate(blocks)],
            READ,
        )  # fmt: skip
        found = np.empty((rows, _HEADS, _HEAD_SIZE), np.float32)
        attend = library.functions.descant_attend
        if attend(
            library.pool(2), ctypes.addressof(heads), reads.ctypes.data, len(reads), pairs.ctypes.data, q.ctypes.data,
            rows, found.ctypes.data,
        ):  # fmt: skip
            raise MemoryError(f"no memory for the attention of {rows} rows")
        expected = np.empty_like(found)
        for row, head in np.ndindex(rows, _HEADS):
            mine = [block[:, :, head // (_HEADS // _KV_HEADS)] for block in kept]
            expected[row, head] = _attended(q[row, head], mine, readers[row], cos, sin)
        _compare(f"attention of {rows} rows", found, expected, _ROUNDED)


def _attended(
    query: Floats, blocks: Sequence[Floats], reads: Sequence[tuple[int, int, int]], cos: Floats, sin: Floats
) -> Floats:
    """Give what one head reads of blocks [keys and values, positions, head size]."""
    scores, values = [], []
    for (keys, some), (_, distance, limit) in zip(blocks, reads, strict=True):
        turned = _bfloat16(_turned(keys[:limit], cos[:limit], sin[:limit]))
        scores.append(np.dot(turned, _turned(query, cos[distance], sin[distance])) / np.sqrt(_HEAD_SIZE))
        values.append(_bfloat16(some[:limit]))
    weights = np.exp(np.concatenate(scores) - max(map(np.max, scores)))
    attended: Floats = np.dot(weights, np.concatenate(values)) / weights.sum()
    return attended


def _turned(x: Floats, cos: Floats, sin: Floats) -> Floats:
    turned: Floats = x * cos + np.roll(x, x.shape[-1] // 2, axis=-1) * sin
    return turned


def _bfloat16(x: Floats) -> Floats:
    bits = np.ascontiguousarray(x).view(np.uint32)
    rounded: Floats = ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)
    return rounded


def _written(
    library: Library, heads: Heads, keys: Floats, values: Floats
) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """Write a block's keys and values; behind them lies what is no number."""
    capacity = -(-len(keys) // 64) * 64
    shape = (_KV_HEADS, capacity, _HEAD_SIZE)
    kept = np.full(shape, _NO_NUMBER), np.full(shape, _NO_NUMBER)
    block = np.array((kept[0].ctypes.data, kept[1].ctypes.data, capacity), BLOCK)
    for position, (key, value) in enumerate(zip(keys, values, strict=True)):
        library.functions.descant_write(
            ctypes.addressof(heads), block.ctypes.data, position, key.ctypes.data, value.ctypes.data
        )
    return kept
