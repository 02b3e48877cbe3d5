"""Attention of many streams over shared blocks: one product a block, merged by log-sum-exp.

A query is rotated once for each block that it reads, by its distance to that block's start, so the score depends
only on distances and the cached keys stay as they are (arXiv 2512.10931, section 3.3). All rows that read the same
stretch of a block go through one attention call, whatever stream they belong to; the parts of a row are then joined
with weights exp(log-sum-exp), which is exact.

`plan` is built once a step and used by every layer. Knows nothing about weights or what runs are for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from reasoning.cache import BlockCache


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive tokens of one stream in one step. They are written at the end of the view's last block."""

    tokens: Sequence[int]
    view: Sequence[BlockCache]
    logits: bool
    """Whether the logits after the last token are wanted."""


@dataclass(frozen=True, slots=True)
class _Write:
    cache: BlockCache
    start: int
    """Position in the block of the first row."""
    rows: slice


@dataclass(frozen=True, slots=True)
class _Read:
    cache: BlockCache
    start: int
    stop: int
    causal: bool
    """True: row i of the read sees keys start..start+i. False: every row sees start..stop."""
    pairs: slice
    """Which (row, block) pairs read this stretch."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything about a step's attention that is the same in all layers."""

    writes: Sequence[_Write]
    reads: Sequence[_Read]
    key_turn: tuple[Tensor, Tensor]
    """Cosine and sine [rows, 1, head size] that turn a new key to its block-local position."""
    query_turn: tuple[Tensor, Tensor]
    """Cosine and sine [pairs, 1, head size] that turn a query to its distance from a block's start."""
    pair_rows: Tensor
    """Row of each pair [pairs]."""
    gather: Tensor | None
    """Pairs of each row [rows, most pairs a row has]; where a row has fewer, the index behind the last pair.
    None where every row reads one stretch only."""


def plan(runs: Sequence[Run], cos: Tensor, sin: Tensor) -> Plan:
    """Lay out one step. `cos` and `sin` [positions, head size] are the model's rotation tables.

    Within a step every run sees all new tokens of the others' blocks, and its own causally.
    """
    writes, first = [], 0
    grown = {id(run.view[-1]): run.view[-1].length + len(run.tokens) for run in runs}
    wanted: dict[tuple[int, int, int, bool, int], tuple[BlockCache, list[tuple[int, int]]]] = {}
    for number, run in enumerate(runs):
        own, count = run.view[-1], len(run.tokens)
        writes.append(_Write(own, own.length, slice(first, first + count)))
        start = sum(grown.get(id(cache), cache.length) for cache in run.view[:-1])
        begin = 0
        for cache in run.view[:-1]:
            length = grown.get(id(cache), cache.length)
            if length:
                rows = [(first + i, start + own.length + i - begin) for i in range(count)]
                wanted.setdefault((id(cache), 0, length, False, 0), (cache, []))[1].extend(rows)
            begin += length
        rows = [(first + i, own.length + i) for i in range(count)]
        if count == 1:
            wanted[id(own), 0, own.length + 1, False, number + 1] = (own, rows)
        else:
            if own.length:
                wanted[id(own), 0, own.length, False, number + 1] = (own, rows)
            wanted[id(own), own.length, own.length + count, True, number + 1] = (own, rows)
        first += count
    return _laid_out(writes, wanted, first, cos, sin)


def _laid_out(
    writes: list[_Write],
    wanted: dict[tuple[int, int, int, bool, int], tuple[BlockCache, list[tuple[int, int]]]],
    rows: int,
    cos: Tensor,
    sin: Tensor,
) -> Plan:
    reads: list[_Read] = []
    pair_rows: list[int] = []
    distances: list[int] = []
    of_row: list[list[int]] = [[] for _ in range(rows)]
    for (_, start, stop, causal, _), (cache, pairs) in wanted.items():
        reads.append(_Read(cache, start, stop, causal, slice(len(pair_rows), len(pair_rows) + len(pairs))))
        for row, distance in pairs:
            of_row[row].append(len(pair_rows))
            pair_rows.append(row)
            distances.append(distance)
    most = max(map(len, of_row))
    padded = [pairs + [len(pair_rows)] * (most - len(pairs)) for pairs in of_row]
    device = cos.device
    keys = torch.tensor([w.start + i for w in writes for i in range(w.rows.stop - w.rows.start)], device=device)
    queries = torch.tensor(distances, device=device)
    return Plan(
        writes,
        reads,
        (cos[keys].unsqueeze(1), sin[keys].unsqueeze(1)),
        (cos[queries].unsqueeze(1), sin[queries].unsqueeze(1)),
        torch.tensor(pair_rows, device=device),
        torch.tensor(padded, device=device) if most > 1 else None,
    )


def turn_tables(
    positions: int, size: int, base: float, scale: float = 1.0, factors: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Tables of cosine and signed sine [positions, size] for `turn`; `factors` [size / 2] divide the frequencies."""
    frequencies = base ** (-torch.arange(0, size, 2, dtype=torch.float64) / size) / scale
    if factors is not None:
        frequencies = frequencies / factors.double().cpu()
    angles = torch.outer(torch.arange(positions, dtype=torch.float64), frequencies)
    cos, sin = angles.cos(), angles.sin()
    return torch.cat((cos, cos), dim=-1).float(), torch.cat((-sin, sin), dim=-1).float()


def turn(x: Tensor, cos_sin: tuple[Tensor, Tensor]) -> Tensor:
    """Rotate [rows, heads, head size] by half-split rotary position embedding (RoFormer, section 3.4)."""
    cos, sin = cos_sin
    half = x.shape[-1] // 2
    swapped = torch.cat((x[..., half:], x[..., :half]), dim=-1)
    # `sin` carries the sign of the first half, so one swap and two products are enough.
    return torch.addcmul(x * cos, swapped, sin).to(x.dtype)


def attend(layer: int, step: Plan, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Write the step's keys and values and give each row's attention over its view.

    Shapes: `q` [rows, heads, head size], `k` and `v` [rows, kv heads, head size]; the result is like `q`.
    """
    k = turn(k, step.key_turn)
    for write in step.writes:
        stop = write.start + write.rows.stop - write.rows.start
        write.cache.keys[layer, :, write.start : stop] = k[write.rows].transpose(0, 1)
        write.cache.values[layer, :, write.start : stop] = v[write.rows].transpose(0, 1)
    turned = turn(q[step.pair_rows], step.query_turn)
    pairs, heads, size = turned.shape
    out = turned.new_empty(pairs + 1, heads, size)
    weight = torch.full((pairs + 1, heads), -torch.inf, device=q.device)
    for read in step.reads:
        part = _causal if read.causal else _full
        part(layer, read, turned[read.pairs], out[read.pairs], weight[read.pairs])
    if step.gather is None:
        return out[:-1]
    out[-1] = 0
    share = torch.softmax(weight[step.gather], dim=1).to(out.dtype)
    return (out[step.gather] * share.unsqueeze(-1)).sum(dim=1)


def _full(layer: int, read: _Read, q: Tensor, out: Tensor, weight: Tensor) -> None:
    # All query heads of a kv head become rows of one product, so keys are never repeated.
    count, _, size = q.shape
    keys = read.cache.keys[layer, None, :, read.start : read.stop]
    values = read.cache.values[layer, None, :, read.start : read.stop]
    kv_heads = keys.shape[1]
    grouped = q.view(count, kv_heads, -1, size).transpose(0, 1).reshape(1, kv_heads, -1, size)
    part, lse = _softmax_part(grouped, keys, values, causal=False)
    out.view(count, kv_heads, -1, size).copy_(part.reshape(kv_heads, count, -1, size).transpose(0, 1))
    weight.view(count, kv_heads, -1).copy_(lse.reshape(kv_heads, count, -1).transpose(0, 1))


def _causal(layer: int, read: _Read, q: Tensor, out: Tensor, weight: Tensor) -> None:
    keys = read.cache.keys[layer, :, read.start : read.stop]
    values = read.cache.values[layer, :, read.start : read.stop]
    group = q.shape[1] // keys.shape[0]
    part, lse = _softmax_part(
        q.transpose(0, 1).unsqueeze(0),
        keys.repeat_interleave(group, dim=0).unsqueeze(0),
        values.repeat_interleave(group, dim=0).unsqueeze(0),
        causal=True,
    )
    out.copy_(part[0].transpose(0, 1))
    weight.copy_(lse[0].transpose(0, 1))


def _softmax_part(q: Tensor, k: Tensor, v: Tensor, *, causal: bool) -> tuple[Tensor, Tensor]:
    """Attention over one stretch and the log-sum-exp of its scores; all [1, heads, length, head size]."""
    if q.device.type != "cpu":
        return _plain_softmax_part(q, k, v, causal=causal)
    part, lse = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(q, k, v, is_causal=causal)
    return part, lse


def _plain_softmax_part(q: Tensor, k: Tensor, v: Tensor, *, causal: bool) -> tuple[Tensor, Tensor]:
    """Do the same on any device."""
    scores = (q @ k.transpose(-1, -2)).float() * q.shape[-1] ** -0.5
    if causal:
        later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu(1)
        scores = scores.masked_fill(later, -torch.inf)
    return torch.softmax(scores, dim=-1).to(v.dtype) @ v, scores.logsumexp(dim=-1)
