"""A decoder's whole step in one call of the C kernels.

Lays out, in the structures of step.c, the model once and each step's rows, blocks and readers. The layout of a
block's cache is the kernels' own (see attention.h), so a cache that was written here is read here only.

Where the milliseconds of a joint step go (default model, 2 cores with AVX-512 VNNI, short context; 53-55 ms, and 52-53
with a single row): products with 4-bit weights 55 %, with 6-bit weights (the output head, half of the down
projections) 30 %, attention 8 %, threads that wait for each other 6 %. One gigabyte of weights crosses the memory bus
in every step, 36-40 ms at the 25-28 GB/s that plain reading reaches here, so a second row is nearly free, and what
remains to be won is the distance to the bus. Huge pages might help there; the machine measured gave none.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from reasoning.native.linear import NativeLinear

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from reasoning.engine.attention import Run
    from reasoning.engine.cache import BlockCache
    from reasoning.native.binding import Library

    Table = NDArray[np.void]

HEAD_UNIT: Final = 16
"""Head sizes are multiples of this: values are read 16 elements at a time."""

BLOCK: Final = [("keys", np.uintp), ("values", np.uintp), ("capacity", np.int64)]
"""`Block` of attention.h."""
_WRITE: Final = np.dtype([*BLOCK, ("position", np.int64)])
READ: Final = np.dtype([*BLOCK, ("first", np.int32), ("count", np.int32)])
"""`Read` of attention.h."""
PAIR: Final = np.dtype([("row", np.int32), ("distance", np.int32), ("limit", np.int32)])
"""`Pair` of attention.h."""


class Heads(ctypes.Structure):
    """`Heads` of attention.h."""

    _fields_ = (
        ("heads", ctypes.c_int32),
        ("kv_heads", ctypes.c_int32),
        ("head_size", ctypes.c_int32),
        ("cos", ctypes.c_void_p),
        ("sin", ctypes.c_void_p),
    )


@dataclass(frozen=True, slots=True)
class NativeLayer:
    """One transformer layer's weights; vectors are float32."""

    q_k_v: NativeLinear
    output: NativeLinear
    gate_up: NativeLinear
    down: NativeLinear
    attention_norm: Tensor
    feed_forward_norm: Tensor
    q_norm: Tensor | None
    k_norm: Tensor | None


@dataclass(frozen=True, slots=True)
class NativeShape:
    """What the kernels need to know of a decoder's shape."""

    width: int
    inner: int
    vocabulary: int
    heads: int
    kv_heads: int
    head_size: int
    epsilon: float


class _Linear(ctypes.Structure):
    _fields_ = (("parts", ctypes.c_void_p), ("count", ctypes.c_int64), ("bias", ctypes.c_void_p))


class _Layer(ctypes.Structure):
    _fields_ = (
        ("q_k_v", _Linear),
        ("output", _Linear),
        ("gate_up", _Linear),
        ("down", _Linear),
        ("attention_norm", ctypes.c_void_p),
        ("feed_forward_norm", ctypes.c_void_p),
        ("q_norm", ctypes.c_void_p),
        ("k_norm", ctypes.c_void_p),
    )


class _Model(ctypes.Structure):
    _fields_ = (
        ("layers", ctypes.c_int32),
        ("width", ctypes.c_int32),
        ("inner", ctypes.c_int32),
        ("vocabulary", ctypes.c_int32),
        ("heads", Heads),
        ("epsilon", ctypes.c_float),
        ("layer", ctypes.c_void_p),
        ("norm", ctypes.c_void_p),
        ("head", _Linear),
    )


class _Step(ctypes.Structure):
    _fields_ = (
        ("rows", ctypes.c_int32),
        ("reads", ctypes.c_int32),
        ("wants", ctypes.c_int32),
        ("unused", ctypes.c_int32),
        ("x", ctypes.c_void_p),
        ("writes", ctypes.c_void_p),
        ("read", ctypes.c_void_p),
        ("pairs", ctypes.c_void_p),
        ("want", ctypes.c_void_p),
        ("logits", ctypes.c_void_p),
    )


class NativeModel:
    """All layers of a decoder, from embeddings to logits."""

    def __init__(
        self,
        library: Library,
        shape: NativeShape,
        layers: Sequence[NativeLayer],
        *,
        norm: Tensor,
        head: NativeLinear,
        turns: tuple[Tensor, Tensor],
    ) -> None:
        """Point the C structures at the weights. `turns`: cosine and signed sine [positions, head size], float32."""
        self._library, self._shape = library, shape
        # The C structures hold addresses only: everything that they point to is kept here.
        self._kept = (layers, norm, head, turns, (_Layer * len(layers))(*map(_layer, layers)))
        self._model = _Model(
            len(layers),
            shape.width,
            shape.inner,
            shape.vocabulary,
            Heads(shape.heads, shape.kv_heads, shape.head_size, turns[0].data_ptr(), turns[1].data_ptr()),
            shape.epsilon,
            ctypes.addressof(self._kept[-1]),
            norm.data_ptr(),
            _linear(head),
        )

    def step(self, runs: Sequence[Run], x: Tensor) -> Tensor:
        """Write all runs' tokens into their blocks; give logits [tokens that want them, vocabulary].

        `x` [rows, width] are the embeddings, float32; they are overwritten.
        """
        for run in runs:
            run.view[-1].reserve(run.view[-1].length + len(run.tokens))
        writes, reads, pairs = _laid_out(runs)
        stops = np.cumsum([len(run.tokens) for run in runs])
        asked = [np.arange(stop - run.logits, stop) for run, stop in zip(runs, stops, strict=True)]
        want = np.concatenate(asked, dtype=np.int32)
        logits = torch.empty(len(want), self._shape.vocabulary)
        step = _Step(
            len(writes),
            len(reads),
            len(want),
            0,
            x.data_ptr(),
            writes.ctypes.data,
            reads.ctypes.data,
            pairs.ctypes.data,
            want.ctypes.data,
            logits.data_ptr(),
        )
        pool = self._library.pool(torch.get_num_threads())
        if self._library.functions.descant_step(pool, ctypes.addressof(self._model), ctypes.addressof(step)):
            raise MemoryError(f"no memory for a step of {len(writes)} rows")
        return logits


def _linear(linear: NativeLinear) -> _Linear:
    return _Linear(ctypes.addressof(linear.matrices), len(linear.matrices), _address(linear.bias))


def _layer(layer: NativeLayer) -> _Layer:
    return _Layer(
        _linear(layer.q_k_v),
        _linear(layer.output),
        _linear(layer.gate_up),
        _linear(layer.down),
        layer.attention_norm.data_ptr(),
        layer.feed_forward_norm.data_ptr(),
        _address(layer.q_norm),
        _address(layer.k_norm),
    )


def _address(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def _block(cache: BlockCache) -> tuple[int, int, int]:
    return cache.keys.data_ptr(), cache.values.data_ptr(), cache.keys.shape[2]


def _laid_out(runs: Sequence[Run]) -> tuple[Table, Table, Table]:
    """Give where each row is written, the blocks that are read, and who reads them, block by block.

    Within a step every run sees all new tokens of the others' blocks but their drafts, and its own causally.
    """
    grown = {id(run.view[-1]): run.grown for run in runs}
    readers: dict[int, tuple[BlockCache, list[tuple[int, int, int]]]] = {}
    writes: list[tuple[int, int, int, int]] = []
    first = 0
    for run in runs:
        own, count = run.view[-1], len(run.tokens)
        writes.extend((*_block(own), own.length + i) for i in range(count))
        lengths = [grown.get(id(cache), cache.length) for cache in run.view[:-1]]
        begin, start = 0, sum(lengths)
        for cache, length in zip(run.view[:-1], lengths, strict=True):
            if length:
                far = start + own.length - begin
                pairs = [(first + i, far + i, length) for i in range(count)]
                readers.setdefault(id(cache), (cache, []))[1].extend(pairs)
            begin += length
        pairs = [(first + i, own.length + i, own.length + i + 1) for i in range(count)]
        readers.setdefault(id(own), (own, []))[1].extend(pairs)
        first += count
    reads, pairs = [], []
    for cache, found in readers.values():
        reads.append((*_block(cache), len(pairs), len(found)))
        pairs.extend(found)
    return np.array(writes, _WRITE), np.array(reads, READ), np.array(pairs, PAIR)
