"""Holds freshly loaded kernels against plain products, so that a wrong compiler cannot make a wrong model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from reasoning.errors import NativeUnavailable
from reasoning.formats.quants import BLOCKS, GgmlType, dequantize
from reasoning.native.linear import KINDS, NativeLinear, packed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from reasoning.native.library import Library

_ROWS: Final = 40
_COLUMNS: Final = 512
_WORST: Final = 0.01
"""Root mean square of the error, relative; int8 activations cost 0.005."""

_HALVES: Final = {GgmlType.Q4_K: (0, 2), GgmlType.Q5_K: (0, 2), GgmlType.Q6_K: (208,), GgmlType.Q4_1: (0, 2)}
"""Where half precision numbers lie in a block; elsewhere at its start."""


class WrongProducts(NativeUnavailable):
    """Kernels that were compiled compute something else."""


def check(library: Library) -> None:
    """Raise `WrongProducts` where any format's product is wrong."""
    rng = np.random.default_rng(1)
    for kind in KINDS:
        raw = random_tensor(rng, kind, _ROWS, _COLUMNS)
        linear = NativeLinear(library, [packed(library, raw, kind, (_ROWS, _COLUMNS))])
        x = rng.standard_normal((11, _COLUMNS), dtype=np.float32)
        expected = x @ dequantize(raw, kind, (_ROWS, _COLUMNS)).T
        error = np.sqrt(np.square(linear.multiply(x, threads=2) - expected).mean() / np.square(expected).mean())
        if not error <= _WORST:
            raise WrongProducts(f"the compiled product of {kind.name} weights is wrong (relative error {error:.3g})")


def random_tensor(rng: np.random.Generator, kind: GgmlType, rows: int, columns: int) -> NDArray[np.uint8]:
    """Bytes of a tensor with random weights of ordinary size."""
    weights, size = BLOCKS[kind]
    raw = rng.integers(0, 256, (rows * columns // weights, size), dtype=np.uint8)
    for at in _HALVES.get(kind, (0,)):
        numbers = (rng.random(len(raw)) * 0.01 + 0.001).astype(np.float16)
        raw[:, at : at + 2] = numbers.view(np.uint8).reshape(-1, 2)
    return raw.reshape(-1)
