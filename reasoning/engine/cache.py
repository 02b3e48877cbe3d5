"""Key/value caches of blocks, in strips that several blocks share.

Keys are stored rotated at the block's own positions: a block can grow, or move inside a view, without its cache being
touched. Blocks that are read one behind the other for long move together into one strip, where they are read as if
they were one. Knows nothing about views, streams or what the tokens mean.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Final

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    Turn = Callable[[Tensor, int], Tensor]
    """Turns keys [kv heads, tokens, head size] by a number of positions."""

_CAPACITY_UNIT: Final = 64
"""Tokens; the C kernels read keys by so many."""


class Strip:
    """Keys and values of blocks that lie side by side: two tensors [layers, kv heads, capacity, head size]."""

    __slots__ = ("_tenants", "keys", "values")

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        self.keys, self.values = keys, values
        self._tenants: list[weakref.ref[BlockCache]] = []

    @property
    def capacity(self) -> int:
        """Tokens that have room."""
        return self.keys.shape[2]

    @property
    def tenants(self) -> list[BlockCache]:
        """The blocks that lie here, in order."""
        found = [cache for tenant in self._tenants if (cache := tenant()) is not None and cache.strip is self]
        self._tenants = [weakref.ref(cache) for cache in found]
        return found

    def admit(self, cache: BlockCache, start: int) -> None:
        """Let a block lie behind the others."""
        self._tenants.append(weakref.ref(cache))
        cache.strip, cache.start = self, start


class BlockCache:
    """Keys and values of one block, in a strip."""

    __slots__ = ("__weakref__", "_shape", "_where", "length", "origin", "start", "strip", "waited")

    def __init__(self, layers: int, kv_heads: int, head_size: int, dtype: torch.dtype, device: torch.device) -> None:
        self._shape = (layers, kv_heads, head_size)
        self._where = (dtype, device)
        self.length = self.start = 0
        self.origin = 0
        """The position at which the first key is rotated."""
        self.waited = 0
        """Steps in which the block was read behind another one without lying there."""
        self.strip = Strip(self._buffer(0), self._buffer(0))
        self.strip.admit(self, 0)

    @property
    def keys(self) -> Tensor:
        """The strip's keys from the block's first token on."""
        return self.strip.keys[:, :, self.start :]

    @property
    def values(self) -> Tensor:
        """The strip's values from the block's first token on."""
        return self.strip.values[:, :, self.start :]

    def reserve(self, length: int) -> None:
        """Make room for `length` tokens in all, keeping those that are there.

        Where other blocks lie in the way, the smaller part moves away.
        """
        tenants = self.strip.tenants
        behind = tenants[tenants.index(self) + 1 :]
        if behind and self.start + length > behind[0].start:
            if sum(cache.length for cache in behind) <= self.length:
                self._settle(behind, 0)
            else:
                self._settle([self], length - self.length)
        if self.start + length > self.strip.capacity:
            self._settle(self.strip.tenants, length - self.length)

    def crop(self, length: int) -> None:
        """Forget all but the first `length` tokens; an empty block gives its room back."""
        self.length = min(self.length, length)
        if self.length == 0:
            self.origin = self.waited = 0
            self._settle([self], 0)

    def follow(self, before: BlockCache, turn: Turn) -> None:
        """Move behind another block, so that both can be read as one; stay where either has such a neighbour."""
        if self.strip.tenants != [self] or before.strip.tenants[-1] is not before:
            return
        before.reserve(before.length + self.length)
        strip, start = before.strip, before.start + before.length
        origin = before.origin + before.length
        span = slice(start, start + self.length)
        for layer, keys in enumerate(self.keys):
            strip.keys[layer, :, span] = turn(keys[:, : self.length], origin - self.origin)
        strip.values[:, :, span] = self.values[:, :, : self.length]
        self.origin, self.waited = origin, 0
        strip.admit(self, start)

    def _settle(self, tenants: Sequence[BlockCache], more: int) -> None:
        """Move blocks into a strip of their own, side by side, with room for `more` tokens behind them."""
        length = sum(cache.length for cache in tenants)
        capacity = -(-max(length + more, 2 * length if more else 0) // _CAPACITY_UNIT) * _CAPACITY_UNIT
        strip = Strip(self._buffer(capacity), self._buffer(capacity))
        start = 0
        for cache in tenants:
            # Whole units: kernels may order tokens in an own way inside each of them.
            unit_end = -(-cache.length // _CAPACITY_UNIT) * _CAPACITY_UNIT
            if cache.length:
                count = min(unit_end, capacity - start, cache.strip.capacity - cache.start)
                strip.keys[:, :, start : start + count] = cache.keys[:, :, :count]
                strip.values[:, :, start : start + count] = cache.values[:, :, :count]
            strip.admit(cache, start)
            start += cache.length

    def _buffer(self, capacity: int) -> Tensor:
        layers, kv_heads, head_size = self._shape
        dtype, device = self._where
        return torch.empty(layers, kv_heads, capacity, head_size, dtype=dtype, device=device)
