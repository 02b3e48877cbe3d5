"""How prompts begin, computed once: a conversation whose prompt begins like a kept one copies that part.

Only what was handed to `keep` is shared, never what a conversation brought itself: how soon a prompt is read would tell
one client what another's begins with. Runs on the engine's worker.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from reasoning.engine.schedule import Job, TorchBlock

_MOST: Final = 4
"""Prompts that are kept; each takes 28 kB a token with the default model."""
_WORTHWHILE: Final = 16
"""Tokens; fewer are computed as soon as they are copied."""
_UNIT: Final = 64
"""Tokens that kernels may order in an own way: caches are copied by whole ones."""


@dataclass(frozen=True, slots=True)
class _Kept:
    ids: tuple[int, ...]
    keys: Tensor
    values: Tensor
    """Both [layers, kv heads, tokens in whole units, head size]."""


class KeptPrompts:
    """The caches of a few prompts."""

    def __init__(self) -> None:
        self._kept: deque[_Kept] = deque(maxlen=_MOST)
        self.copied = 0
        """Tokens that were copied and not computed."""

    def keep(self, block: TorchBlock) -> None:
        """Keep what is computed of a block that begins its view."""
        count = block.cache.length
        whole = -(-count // _UNIT) * _UNIT
        keys, values = block.cache.keys, block.cache.values
        self._kept.append(_Kept(tuple(block.ids[:count]), keys[:, :, :whole].clone(), values[:, :, :whole].clone()))

    def begin(self, job: Job) -> None:
        """Copy as much as is known of a prompt with which nobody has begun; its last token is left to be computed."""
        block = job.block
        if not self._kept or len(job.view) > 1 or block.cache.length:
            return
        known = max(self._kept, key=lambda kept: _common(kept.ids, block.ids))
        count = min(_common(known.ids, block.ids), len(block.ids) - 1)
        if count < _WORTHWHILE:
            return
        block.cache.reserve(count)
        whole = -(-count // _UNIT) * _UNIT
        block.cache.keys[:, :, :whole] = known.keys[:, :, :whole]
        block.cache.values[:, :, :whole] = known.values[:, :, :whole]
        block.cache.length = count
        self.copied += count


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """Count the tokens with which both begin."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
