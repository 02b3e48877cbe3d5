"""The slow, obvious decoder that the fast one is tested against: float32, one query at a time.

Keys lie unrotated beside their values. For every token each key of its view is rotated to its global position from
scratch, everything is joined into one plain softmax, and nothing is remembered between steps but keys and values.
Shares the weights with `reasoning.engine.decoder`, and none of its attention, caches or rotation tables: here llama
files are rotated in their own interleaved order.

Knows nothing about streams, sampling or text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache, partial
from typing import TYPE_CHECKING

import torch

from reasoning.engine.decoder import DecoderConfig
from reasoning.engine.weights import Linear, Weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from reasoning.formats.model_file import ModelFile


@dataclass(eq=False, slots=True)
class ReferenceBlock:
    """A run of tokens: for each layer the unrotated keys and the values [tokens, kv heads, head size]."""

    keys: list[Tensor] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.keys[0]) if self.keys else 0

    def crop(self, length: int) -> None:
        """Forget all but the first `length` tokens."""
        self.keys = [layer[:length] for layer in self.keys]
        self.values = [layer[:length] for layer in self.values]


class _Layer:
    def __init__(self, number: int, weights: Weights) -> None:
        def linear(part: str) -> Linear:
            return weights.linear([f"blk.{number}.{part}.weight"])

        def vector(part: str) -> Tensor | None:
            return weights.vector(f"blk.{number}.{part}.weight")

        self.attention_norm, self.feed_forward_norm = vector("attn_norm"), vector("ffn_norm")
        self.q, self.k, self.v = linear("attn_q"), linear("attn_k"), linear("attn_v")
        self.q_norm, self.k_norm = vector("attn_q_norm"), vector("attn_k_norm")
        self.output = linear("attn_output")
        self.gate, self.up, self.down = linear("ffn_gate"), linear("ffn_up"), linear("ffn_down")


class Reference:
    """The same models as `reasoning.engine.decoder`, in float32 on the processor."""

    def __init__(self, gguf: ModelFile, *, kept: bool = True) -> None:
        """Read a model. Unless they are `kept`, a layer's weights are in memory only while it is computed."""
        self.config = DecoderConfig.from_gguf(gguf)
        weights = Weights(gguf, torch.float32, torch.device("cpu"), None)
        self._embed = weights.rows("token_embd.weight")
        self._layer = cache(partial(_Layer, weights=weights)) if kept else partial(_Layer, weights=weights)
        self._norm = weights.vector("output_norm.weight")
        tied = "output.weight" not in gguf.tensors
        self._head = weights.linear(["token_embd.weight" if tied else "output.weight"])
        self._factors = weights.vector("rope_freqs.weight")

    @torch.inference_mode()
    def step(self, runs: Sequence[tuple[Sequence[int], Sequence[ReferenceBlock]]]) -> list[Tensor]:
        """Write each run's tokens at the end of its view's last block; give logits [tokens, vocabulary] of each run.

        Every run sees all new tokens of the others' blocks, and its own causally.
        """
        xs = [self._embed(tokens) for tokens, _ in runs]
        for number in range(self.config.layers):
            layer = self._layer(number)
            queries = [self._written(number, layer, x, view[-1]) for x, (_, view) in zip(xs, runs, strict=True)]
            for i, (_, view) in enumerate(runs):
                x = xs[i] + layer.output(self._attended(number, queries[i], view))
                normed = self._normed(x, layer.feed_forward_norm)
                inner = torch.nn.functional.silu(layer.gate(normed)) * layer.up(normed)
                xs[i] = x + layer.down(inner)
        return [self._head(self._normed(x, self._norm)) for x in xs]

    def _written(self, number: int, layer: _Layer, x: Tensor, block: ReferenceBlock) -> Tensor:
        """Put keys and values of the rows into the block and give their queries [rows, heads, head size]."""
        x = self._normed(x, layer.attention_norm)
        q, k, v = (part(x).view(len(x), -1, self.config.head_size) for part in (layer.q, layer.k, layer.v))
        if layer.q_norm is not None:
            q, k = self._normed(q, layer.q_norm), self._normed(k, layer.k_norm)
        if len(block.keys) == number:
            block.keys.append(k[:0])
            block.values.append(v[:0])
        block.keys[number] = torch.cat((block.keys[number], k))
        block.values[number] = torch.cat((block.values[number], v))
        return q

    def _attended(self, number: int, queries: Tensor, view: Sequence[ReferenceBlock]) -> Tensor:
        """Attention [rows, heads * head size] of the last tokens of a view over all that precedes each of them."""
        keys = torch.cat([block.keys[number] for block in view if block.keys])
        values = torch.cat([block.values[number] for block in view if block.keys])
        positions = torch.arange(len(keys))
        group = self.config.heads // self.config.kv_heads
        keys = self._rotated(keys, positions).repeat_interleave(group, dim=1)
        values = values.repeat_interleave(group, dim=1)
        queries = self._rotated(queries, positions[len(keys) - len(queries) :])
        rows = []
        for query, last in zip(queries, positions[len(keys) - len(queries) :].tolist(), strict=True):
            scores = (keys[: last + 1] * query).sum(dim=-1) / self.config.head_size**0.5
            share = torch.softmax(scores, dim=0)
            rows.append((share.unsqueeze(-1) * values[: last + 1]).sum(dim=0).flatten())
        return torch.stack(rows)

    def _rotated(self, x: Tensor, positions: Tensor) -> Tensor:
        """Rotate [tokens, heads, head size], each token to its position, pair by pair, as complex numbers."""
        size = self.config.head_size
        frequencies = self.config.rope_base ** (-torch.arange(0, size, 2, dtype=torch.float64) / size)
        frequencies = frequencies / self.config.rope_scale
        if self._factors is not None:
            frequencies = frequencies / self._factors.double()
        angles = torch.outer(positions.double(), frequencies)
        turn = torch.polar(torch.ones_like(angles), angles).to(torch.complex64).unsqueeze(1)
        if self.config.architecture == "llama":
            pairs = torch.view_as_complex(x.reshape(*x.shape[:-1], -1, 2).contiguous())
            return torch.view_as_real(pairs * turn).reshape(x.shape)
        real, imaginary = x.chunk(2, dim=-1)
        turned = torch.complex(real.contiguous(), imaginary.contiguous()) * turn
        return torch.cat((turned.real, turned.imag), dim=-1)

    def _normed(self, x: Tensor, weight: Tensor | None) -> Tensor:
        scaled = x * torch.rsqrt((x * x).mean(dim=-1, keepdim=True) + self.config.norm_epsilon)
        return scaled if weight is None else scaled * weight
