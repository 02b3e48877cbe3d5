"""Models of random weights: real shapes and real formats, without a file.

What a step costs depends on neither. Knows no device.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, cast

import numpy as np

from reasoning.engine.weights import FOUR_BIT
from reasoning.errors import BadModel
from reasoning.formats.gguf import TensorInfo
from reasoning.formats.quants import BLOCKS, GgmlType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from reasoning.formats.model_file import Kind

Bits = Literal["4-bit", "16-bit"]
"""Formats of the matrices: those of a usual 4-bit file (Q4_K, in part Q6_K), or bfloat16."""
_SCALES: Final = {GgmlType.Q4_K: 2e-4, GgmlType.Q6_K: 4e-5}
"""Of a block: with random numbers in it, its weights are some hundredths."""
_Q4_MEAN: Final = 7.5
"""Of random 4-bit numbers; so much the minimum counts that weights have no mean."""

_DRAWN: Final = 99_991
"""Blocks that are drawn; a prime, so that rows differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """What a file says of a model's size."""

    architecture: str
    layers: int
    width: int
    heads: int
    kv_heads: int
    head_size: int
    inner: int
    vocabulary: int
    tied: bool
    """Whether the output head is the table of embeddings."""
    context: int = 8192


SHAPES: Final = {
    # Qwen2.5-1.5B
    "1.5b": ModelShape(
        architecture="qwen2", layers=28, width=1536, heads=12, kv_heads=2, head_size=128, inner=8960,
        vocabulary=151_936, tied=True,
    ),
    # Qwen3-8B
    "8b": ModelShape(
        architecture="qwen3", layers=36, width=4096, heads=32, kv_heads=8, head_size=128, inner=12_288,
        vocabulary=151_936, tied=False,
    ),
    # For the test of the check itself.
    "tiny": ModelShape(
        architecture="qwen2", layers=2, width=256, heads=4, kv_heads=2, head_size=64, inner=512,
        vocabulary=512, tied=True,
    ),
}  # fmt: skip


class RandomModel:
    """A `ModelFile` whose bytes are drawn when they are asked for; tensors of one size have the same."""

    def __init__(self, name: str, bits: Bits) -> None:
        """`name`: one of `SHAPES`."""
        self.shape, self.path = SHAPES[name], Path(f"random-{name}-{bits}")
        self.architecture = self.shape.architecture
        self.tensors = {
            name: TensorInfo(name, kind, shape, 0, int(np.prod(shape)) // BLOCKS[kind][0] * BLOCKS[kind][1])
            for name, kind, shape in _tensors(self.shape, bits)
        }
        self._drawn: dict[tuple[GgmlType, int], NDArray[np.uint8]] = {}

    def raw(self, name: str) -> NDArray[np.uint8]:
        """Give random blocks with scales of a sound size; norms are ones."""
        info = self.tensors[name]
        if info.type is GgmlType.F32:
            return np.ones(info.shape, np.float32).view(np.uint8).reshape(-1)
        key = info.type, info.nbytes
        if key not in self._drawn:
            self._drawn[key] = _blocks(info.type, info.nbytes)
        return self._drawn[key]

    def value(self, key: str, kind: type[Kind], default: Kind | None = None) -> Kind:  # noqa: ARG002 - of the protocol
        """Give what a file of this shape says under `key`."""
        shape = self.shape
        known: dict[str, int | float] = {
            "block_count": shape.layers,
            "embedding_length": shape.width,
            "feed_forward_length": shape.inner,
            "context_length": shape.context,
            "attention.head_count": shape.heads,
            "attention.head_count_kv": shape.kv_heads,
            "attention.key_length": shape.head_size,
            "attention.layer_norm_rms_epsilon": 1e-6,
            "rope.freq_base": 1e6,
        }
        found = known.get(key.removeprefix(f"{self.architecture}."), default)
        if found is None:
            raise BadModel(f"{self.path}: there is no {key!r}")
        return cast("Kind", found)

    def give_back(self) -> None:
        """Forget what was drawn."""
        self._drawn.clear()

    def step_bytes(self, *, four_bit: bool) -> int:
        """Count the bytes of weights that a step reads; `four_bit`: 4-bit matrices stay so, all others have 16 bits."""
        total = 0
        for name, info in self.tensors.items():
            rows, *columns = info.shape
            if not columns or (name == "token_embd.weight" and not self.shape.tied):
                continue
            weights = rows * columns[0]
            # Half a byte each, and two 16-bit numbers for each 32.
            total += weights * 5 // 8 if four_bit and info.type in FOUR_BIT else weights * 2
        return total


def _tensors(shape: ModelShape, bits: Bits) -> Iterator[tuple[str, GgmlType, tuple[int, ...]]]:
    q, kv = shape.heads * shape.head_size, shape.kv_heads * shape.head_size
    plain = GgmlType.BF16 if bits == "16-bit" else GgmlType.Q4_K
    finer = GgmlType.BF16 if bits == "16-bit" else GgmlType.Q6_K
    yield "token_embd.weight", finer, (shape.vocabulary, shape.width)
    yield "output_norm.weight", GgmlType.F32, (shape.width,)
    if not shape.tied:
        yield "output.weight", finer, (shape.vocabulary, shape.width)
    for number in range(shape.layers):
        # As usual 4-bit files: the first and last eighth of the layers, and a third of the others, are finer.
        eighth = shape.layers // 8
        inside = eighth <= number < 7 * shape.layers // 8
        mixed = plain if inside and (number - eighth) % 3 != 2 else finer
        for name, kind, size in (
            ("attn_q", plain, (q, shape.width)),
            ("attn_k", plain, (kv, shape.width)),
            ("attn_v", mixed, (kv, shape.width)),
            ("attn_output", plain, (shape.width, q)),
            ("ffn_gate", plain, (shape.inner, shape.width)),
            ("ffn_up", plain, (shape.inner, shape.width)),
            ("ffn_down", mixed, (shape.width, shape.inner)),
        ):
            yield f"blk.{number}.{name}.weight", kind, size
            if shape.architecture == "qwen2" and name in {"attn_q", "attn_k", "attn_v"}:
                yield f"blk.{number}.{name}.bias", GgmlType.F32, size[:1]
        norms = {"attn_norm": shape.width, "ffn_norm": shape.width}
        if shape.architecture == "qwen3":
            norms |= {"attn_q_norm": shape.head_size, "attn_k_norm": shape.head_size}
        for name, length in norms.items():
            yield f"blk.{number}.{name}.weight", GgmlType.F32, (length,)


def _blocks(kind: GgmlType, size: int) -> NDArray[np.uint8]:
    """Draw some blocks and repeat them: gigabytes of random numbers would take longer than what is timed."""
    draw, block = np.random.default_rng(size), BLOCKS[kind][1]
    count = min(_DRAWN, size // block)
    if kind is GgmlType.BF16:
        numbers = (0.03 * draw.standard_normal(count, np.float32)).view(np.uint32) >> 16
        return np.resize(numbers.astype(np.uint16), size // block).view(np.uint8)
    blocks = draw.integers(0, 256, (count, block), np.uint8)
    scale = np.array([_SCALES[kind]], np.float16)
    if kind is GgmlType.Q4_K:
        blocks[:, 0:4] = np.concatenate((scale, np.float16(_Q4_MEAN) * scale)).view(np.uint8)
    else:
        blocks[:, 208:210] = scale.view(np.uint8)
    return np.resize(blocks, (size // block, block)).reshape(-1)
