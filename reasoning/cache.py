"""The key/value cache of one block, in a buffer that grows by doubling.

Keys are stored rotated at block-local positions 0..L-1: a block can grow, or move inside a view, without its cache
being touched. Knows nothing about views, streams or what the tokens mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

if TYPE_CHECKING:
    from torch import Tensor

_CAPACITY_UNIT: Final = 64
"""Tokens; the C kernels read keys by so many."""


class BlockCache:
    """Keys and values of one block: two tensors [layers, kv heads, capacity, head size]."""

    __slots__ = ("_capacity", "_shape", "_where", "keys", "length", "values")

    def __init__(self, layers: int, kv_heads: int, head_size: int, dtype: torch.dtype, device: torch.device) -> None:
        self._shape = (layers, kv_heads, head_size)
        self._where = (dtype, device)
        self._capacity = 0
        self.length = 0
        self.keys = self.values = self._buffer(0)

    def reserve(self, length: int) -> None:
        """Make room for `length` tokens in all, keeping those that are there."""
        if length <= self._capacity:
            return
        old = self._capacity
        capacity = -(-max(length, 2 * old) // _CAPACITY_UNIT) * _CAPACITY_UNIT
        keys, values = self._buffer(capacity), self._buffer(capacity)
        # The whole of the old buffer: kernels may order tokens in an own way inside each 64 of them.
        keys[:, :, :old] = self.keys
        values[:, :, :old] = self.values
        self.keys, self.values, self._capacity = keys, values, capacity

    def crop(self, length: int) -> None:
        """Forget all but the first `length` tokens; an empty block gives its buffer back."""
        self.length = min(self.length, length)
        if self.length == 0:
            self._capacity = 0
            self.keys = self.values = self._buffer(0)

    def _buffer(self, capacity: int) -> Tensor:
        layers, kv_heads, head_size = self._shape
        dtype, device = self._where
        return torch.empty(layers, kv_heads, capacity, head_size, dtype=dtype, device=device)
