"""4-bit weights on a graphics processor: torch's kernel for tiles of them, taken only where it proves itself.

The kernel has no counterpart on the processor, so what is written here has not been run; docs/gpu.md.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING, Final

import torch

from reasoning.engine.device import carried

if TYPE_CHECKING:
    from torch import Tensor

GROUP: Final = 32
"""Columns that share a scale and a zero."""
_TILE: Final = 16
"""Columns of a tile; the kernel takes 2, 4 or 8 of them at a time."""
_WRONG: Final = 0.02
"""Relative error that the first product must stay below: bfloat16 rounds to 0.4 %."""
_logger: Final = logging.getLogger(__name__)


class TiledAffine4Linear:
    """Weights in groups of 32 columns: (q - 8) * scale + zero, with q in 0..15, in the tiles of torch's kernel."""

    def __init__(self, q: Tensor, scales: Tensor, bias: Tensor | None, device: torch.device) -> None:
        """Bring them to the device. `q` [rows, columns] and `scales` [groups, rows, 2] are the processor's."""
        columns = q.shape[1]
        at_a_time = next(count for count in (8, 4, 2) if columns % (_TILE * count) == 0)
        # Two to a byte, the first of them in its upper half.
        bytes_ = (q[:, ::2].to(torch.uint8) << 4) | q[:, 1::2].to(torch.uint8)
        self.tiles: Tensor = torch.ops.aten._convert_weight_to_int4pack(bytes_.to(device), at_a_time)
        self.scales, self.bias = scales.to(device), bias

    def __call__(self, x: Tensor) -> Tensor:
        """Map [rows, columns] to [rows, outputs]."""
        y: Tensor = torch.ops.aten._weight_int4pack_mm(x, self.tiles, GROUP, self.scales)
        return y if self.bias is None else y.add_(self.bias)


@cache
def tiles_work(device: torch.device) -> bool:
    """Say whether the kernel is there and computes what it should; only cards of CUDA are known to have it."""
    if device.type != "cuda":
        return False
    rows, columns = 64, 256
    draw = torch.Generator().manual_seed(1)
    q = torch.randint(0, 16, (rows, columns), generator=draw)
    scales = torch.rand(columns // GROUP, rows, 2, generator=draw).to(torch.bfloat16)
    x = torch.randn(5, columns, generator=draw).to(torch.bfloat16)
    try:
        found = TiledAffine4Linear(q, scales, None, device)(carried(x, device)).float().cpu()
    except (RuntimeError, NotImplementedError, AttributeError) as error:
        _logger.info("4-bit weights are unpacked: %s", error)
        return False
    expected = x.float() @ plain(q, scales).T
    wrong = float((found - expected).norm() / expected.norm())
    if not wrong < _WRONG:
        _logger.warning("4-bit weights are unpacked: torch's kernel computes wrong products (error %.2g)", wrong)
    return wrong < _WRONG


def plain(q: Tensor, scales: Tensor) -> Tensor:
    """Give the weights [rows, columns] that groups mean, float32."""
    scale, zero = scales.float().transpose(0, 1).repeat_interleave(GROUP, dim=1).unbind(dim=-1)
    return (q.float() - 8) * scale + zero
