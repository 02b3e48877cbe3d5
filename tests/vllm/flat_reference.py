"""What live views must give, by the slowest way: keys are kept unrotated, put at their places in the view, and attended
to in one softmax. No second rotation and no merging, so that it shares nothing with the plugin but the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM
from transformers.models.llama.modeling_llama import rotate_half

from tests.vllm.staged import Row


class Reference:
    """A model of the Llama family in float32, and the keys and values of each block."""

    def __init__(self, folder: Path) -> None:
        model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        self._model, self._layers = model.eval(), model.model.layers
        self._heads = model.config.num_attention_heads
        self._key_heads = model.config.num_key_value_heads
        self._width = self._layers[0].self_attn.head_dim
        self._cache: dict[str, list[tuple[Tensor, Tensor]]] = {}

    def replay(self, steps: Sequence[Sequence[Row]], views: Mapping[str, Sequence[str]]) -> dict[str, Difference]:
        """Compute every step of a trace again; give by request how far its logits are from these."""
        self._cache.clear()
        found: dict[str, Difference] = {}
        for step in steps:
            for row in step:
                self._make_room(row)
            for row, logits in zip(step, self._step(step, views), strict=True):
                found.setdefault(row.request, Difference()).note(row.logits, logits.numpy())
        return found

    def _make_room(self, row: Row) -> None:
        """Go back to where the server goes on after a preemption. No prompt is used twice, so it is never ahead."""
        cache = self._cache.get(row.request, [])
        assert row.first <= (len(cache[0][0]) if cache else 0), "what has not been computed was taken from elsewhere"
        self._cache[row.request] = [(k[: row.first], v[: row.first]) for k, v in cache]

    @torch.no_grad()
    def _step(self, step: Sequence[Row], views: Mapping[str, Sequence[str]]) -> list[Tensor]:
        """One forward pass: all keys of a layer are there before anybody attends, so each sees the others' new ones."""
        hidden = [self._model.model.embed_tokens(torch.tensor(row.tokens)) for row in step]
        for number, layer in enumerate(self._layers):
            queries = []
            for row, x in zip(step, hidden, strict=True):
                normed, attention = layer.input_layernorm(x), layer.self_attn
                q, k, v = (
                    project(normed).view(len(x), -1, self._width)
                    for project in (attention.q_proj, attention.k_proj, attention.v_proj)
                )
                queries.append(q)
                cache = self._cache[row.request]
                if len(cache) == number:
                    cache.append((k, v))
                else:
                    old_k, old_v = cache[number]
                    cache[number] = (torch.cat((old_k, k)), torch.cat((old_v, v)))
            for index, (row, q) in enumerate(zip(step, queries, strict=True)):
                blocks = [self._cache[name][number] for name in (*views[row.request], row.request)]
                attended = self._attend(q, torch.cat([k for k, _ in blocks]), torch.cat([v for _, v in blocks]))
                x = hidden[index] + layer.self_attn.o_proj(attended)
                hidden[index] = x + layer.mlp(layer.post_attention_layernorm(x))
        return [self._model.lm_head(self._model.model.norm(x[-1])) for x in hidden]

    def _attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        new, total = len(q), len(k)
        positions = torch.arange(total)
        group = self._heads // self._key_heads
        k = self._rotate(k, positions).repeat_interleave(group, 1)
        q = self._rotate(q, positions[total - new :])
        scores = torch.einsum("mhd,nhd->hmn", q, k) * self._width**-0.5
        scores = scores.masked_fill(positions > positions[total - new :, None], -torch.inf)
        attended = torch.einsum("hmn,nhd->mhd", scores.softmax(-1), v.repeat_interleave(group, 1))
        return attended.reshape(new, -1)

    def _rotate(self, x: Tensor, positions: Tensor) -> Tensor:
        cos, sin = self._model.model.rotary_emb(x[None], positions[None])
        rotated: Any = x * cos[0][:, None] + rotate_half(x) * sin[0][:, None]  # type: ignore[no-untyped-call]
        turned: Tensor = rotated
        return turned


class Difference:
    """How far one request's logits are from the reference's."""

    def __init__(self) -> None:
        self.largest = 0.0
        self.rows = self.same_first = 0

    def note(self, found: npt.NDArray[np.float32], expected: npt.NDArray[np.float32]) -> None:
        self.largest = max(self.largest, float(np.abs(found - expected).max()))
        self.rows += 1
        self.same_first += int(found.argmax() == expected.argmax())

    def __repr__(self) -> str:
        return f"{self.largest:.1e} over {self.rows} rows"
