"""The arithmetic of a view: attention over several paged caches, each at its own distance. Knows no vLLM.

Every block has its keys rotated at positions 0, 1, … of its own. In a view, block i begins at the sum of the lengths
before it. A query that stands at position p of its own block sees that block as it is, and an earlier one as if it
stood `distance` further on, the number of tokens from that block's beginning to the own block's. So it is rotated once
more per earlier block; each block is one attention, and their results are merged by their log-sum-exps
(arXiv 2512.10931, section 3.3; arXiv 2501.01005, section 2.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Kernel(Protocol):
    """Attention over a paged cache, with the signature of `flash_attn_varlen_func`."""

    def __call__(
        self,
        *,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        max_seqlen_q: int,
        cu_seqlens_q: Tensor,
        max_seqlen_k: int,
        seqused_k: Tensor,
        block_table: Tensor,
        softmax_scale: float,
        causal: bool,
        return_softmax_lse: bool,
    ) -> tuple[Tensor, Tensor]:
        """Give results [tokens, heads, width] and natural log-sum-exps [heads, tokens].

        q: [tokens, heads, width]; k, v: [pages, page, heads of the cache, width]. Sequence i has the query tokens
        `cu_seqlens_q[i]` to `cu_seqlens_q[i + 1]` and the first `seqused_k[i]` keys of the pages `block_table[i]`;
        causal: its last query token sees the last key. Without any key a log-sum-exp is infinite, of either sign.
        """
        ...


@dataclass(frozen=True, slots=True)
class Reader:
    """One row of a batch that reads other blocks."""

    tokens: range
    """Which of the batch's tokens are its."""
    length: int
    """Keys of its own block, those of this step included."""
    pages: Sequence[int]
    """Where these lie."""
    view: Sequence[tuple[int, Sequence[int]]]
    """Length and pages of each block that it reads, in order."""


@dataclass(frozen=True, slots=True)
class ViewPlan:
    """What the attention of one step needs, the same for all layers. Views of unequal depth are padded with nothing.

    With R readers of M tokens together and a depth of D blocks.
    """

    tokens: Tensor
    """[M]: their places in the batch."""
    starts: Tensor
    """[R + 1], int32: where each reader's tokens begin among the M."""
    lengths: Tensor
    """[R], int32."""
    pages: Tensor
    """[R, pages], int32."""
    view_starts: Tensor
    """[D·R + 1]: the same for the D·R pairs of a block read and its reader, block by block."""
    view_lengths: Tensor
    view_pages: Tensor
    cos: Tensor
    """[D, M, 1, half of the rotated width], float32: the additional rotation."""
    sin: Tensor
    longest_query: int
    longest: int
    """Keys of the longest block."""


def make_plan(readers: Sequence[Reader], table: Tensor, device: torch.device | str = "cpu") -> ViewPlan:
    """Lay out one step. `table`: rotations [positions, 2, half width] as `rotation_table` gives them."""
    depth = max(len(reader.view) for reader in readers)
    width = max(len(pages) for reader in readers for pages in (reader.pages, *(pages for _, pages in reader.view)))
    counts = [len(reader.tokens) for reader in readers]
    view_lengths, distances = [[0] * len(readers) for _ in range(depth)], [[0] * len(readers) for _ in range(depth)]
    view_pages = torch.zeros(depth, len(readers), width, dtype=torch.int32)
    pages = torch.zeros(len(readers), width, dtype=torch.int32)
    for row, reader in enumerate(readers):
        pages[row, : len(reader.pages)] = torch.tensor(reader.pages, dtype=torch.int32)
        distance = sum(length for length, _ in reader.view)
        for level, (length, where) in enumerate(reader.view):
            view_lengths[level][row], distances[level][row] = length, distance
            view_pages[level, row, : len(where)] = torch.tensor(where, dtype=torch.int32)
            distance -= length
    turns = table[torch.tensor(distances)].repeat_interleave(torch.tensor(counts), dim=1)

    def numbers(values: Sequence[object]) -> Tensor:
        return torch.tensor(values, dtype=torch.int32, device=device)

    return ViewPlan(
        tokens=torch.tensor([token for reader in readers for token in reader.tokens], device=device),
        starts=numbers([0, *counts]).cumsum(0, dtype=torch.int32),
        lengths=numbers([reader.length for reader in readers]),
        pages=pages.to(device),
        view_starts=numbers([0, *counts * depth]).cumsum(0, dtype=torch.int32),
        view_lengths=numbers(view_lengths).flatten(),
        view_pages=view_pages.flatten(0, 1).to(device),
        cos=turns[:, :, None, 0].to(device),
        sin=turns[:, :, None, 1].to(device),
        longest_query=max(counts),
        longest=max(length for reader in readers for length in (reader.length, *(length for length, _ in reader.view))),
    )


def rotation_table(cos_sin: Tensor) -> Tensor:
    """Make a table of rotations by a distance from a model's own [positions, width], cosines before sines.

    Some kinds of rope stretch what they rotate; that is part of the cached keys already, and is taken out again.
    """
    turns = torch.stack(cos_sin.float().chunk(2, dim=-1), dim=1)
    return turns / turns[0, 0]


def rotate(q: Tensor, cos: Tensor, sin: Tensor, *, halves: bool) -> Tensor:
    """Rotate [..., heads, width] once more; `halves`: pairs are i and i + half, else neighbours."""
    width = 2 * cos.shape[-1]
    turned = q[..., :width]
    a, b = turned.chunk(2, dim=-1) if halves else (turned[..., ::2], turned[..., 1::2])
    pairs = (a * cos - b * sin, b * cos + a * sin)
    turned = torch.cat(pairs, -1) if halves else torch.stack(pairs, -1).flatten(-2)
    if width == q.shape[-1]:
        return turned
    return torch.cat((turned, q[..., width:].expand(*turned.shape[:-1], -1)), -1)


def view_attention(
    kernel: Kernel, q: Tensor, k: Tensor, v: Tensor, plan: ViewPlan, *, scale: float, halves: bool
) -> Tensor:
    """Attend [M, heads, width] over the readers' own blocks and all that they read; of fixed shapes, for graphs."""
    own, own_lse = kernel(
        q=q,
        k=k,
        v=v,
        max_seqlen_q=plan.longest_query,
        cu_seqlens_q=plan.starts,
        max_seqlen_k=plan.longest,
        seqused_k=plan.lengths,
        block_table=plan.pages,
        softmax_scale=scale,
        causal=True,
        return_softmax_lse=True,
    )
    depth = plan.cos.shape[0]
    turned = rotate(q.float(), plan.cos, plan.sin, halves=halves).to(q.dtype)
    read, read_lse = kernel(
        q=turned.flatten(0, 1),
        k=k,
        v=v,
        max_seqlen_q=plan.longest_query,
        cu_seqlens_q=plan.view_starts,
        max_seqlen_k=plan.longest,
        seqused_k=plan.view_lengths,
        block_table=plan.view_pages,
        softmax_scale=scale,
        causal=False,
        return_softmax_lse=True,
    )
    heads, tokens = own_lse.shape
    lse = torch.cat((own_lse[:, None], read_lse.view(heads, depth, tokens)), 1)
    # FlashAttention 2 gives +inf where there was no key, version 3 gives -inf.
    weights = torch.where(lse == torch.inf, -torch.inf, lse).softmax(1)
    parts = torch.cat((own[None], read.view(depth, *own.shape)))
    return torch.einsum("hdt,dthw->thw", weights.to(parts.dtype), parts)
