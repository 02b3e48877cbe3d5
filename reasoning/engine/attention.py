"""Attention of many streams over shared blocks: one product a stretch of keys, merged by log-sum-exp.

A query is rotated once for each stretch that it reads, by its distance to where that stretch begins, so the score
depends only on distances and the cached keys stay as they are (arXiv 2512.10931, section 3.3). Blocks that lie side by
side are one stretch: `settle` brings those together that are read so for long. All rows that read the same stretch
go through one attention call, whatever stream they belong to; the parts of a row are then joined with weights
exp(log-sum-exp), which is exact.

`plan` is built once a step and used by every layer. Knows nothing about weights or what runs are for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from reasoning.engine.cache import BlockCache, Strip

_PATIENCE: Final = 8
"""Steps for which a block is read behind another one until it moves there: a question is gone by then."""


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive tokens of one stream in one step. They are written at the end of the view's last block."""

    tokens: Sequence[int]
    view: Sequence[BlockCache]
    logits: int
    """After how many of the last tokens logits are wanted."""
    guesses: int = 0
    """How many of the last tokens are drafts: no other run sees them, and the block grows by the others only."""

    @property
    def grown(self) -> int:
        """Length of the written block as the step's other runs see it, and as it is after the step."""
        return self.view[-1].length + len(self.tokens) - self.guesses


@dataclass(frozen=True, slots=True)
class _Write:
    keys: Sequence[Tensor]
    """For each layer, where the keys go: a view [kv heads, rows, head size] into a cache."""
    values: Sequence[Tensor]
    rows: slice
    pairs: slice
    """Pairs of these rows with the stretch that ends in them: there a key turns as far as its query."""


@dataclass(frozen=True, slots=True)
class _Read:
    keys: Sequence[Tensor]
    """For each layer, a view [kv heads, tokens, head size] into a cache."""
    values: Sequence[Tensor]
    causal: bool
    """True: row i of the read sees the keys 0..i. False: every row sees all of them."""
    pairs: slice
    """Which (row, stretch) pairs read this one."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything about a step's attention that is the same in all layers."""

    writes: Sequence[_Write]
    reads: Sequence[_Read]
    turns: tuple[Tensor, Tensor]
    """Cosine and sine [pairs, 1, head size] that turn a query to its distance from where a stretch begins."""
    pair_rows: Tensor | None
    """Row of each pair [pairs]; None where the pairs are the rows."""
    gather: Tensor | None
    """Pairs of each row [rows, most pairs a row has]; None where the pairs are the rows."""
    absent: Tensor | None
    """Where a row has fewer pairs than that [rows, most, 1, 1]; None where none has."""


@dataclass(slots=True)
class _Stretch:
    """Consecutive keys of a strip, and who reads them."""

    strip: Strip
    start: int
    stop: int
    causal: bool
    rows: list[int] = field(default_factory=list)
    distances: list[int] = field(default_factory=list)
    """Of each row from where position 0 of the stretch's keys would be."""


class _Stretches:
    """Collects what the rows of a step read."""

    def __init__(self) -> None:
        self._found: dict[tuple[int, int, int, bool], _Stretch] = {}

    def read(self, strip: Strip, start: int, stop: int, rows: range, distance: int, *, causal: bool = False) -> None:
        """Let consecutive rows read a stretch, the first of them from this distance."""
        stretch = self._found.setdefault((id(strip), start, stop, causal), _Stretch(strip, start, stop, causal))
        stretch.rows.extend(rows)
        stretch.distances.extend(range(distance, distance + len(rows)))

    def all(self) -> list[_Stretch]:
        """Give the stretches."""
        return list(self._found.values())


def settle(runs: Sequence[Run], frequencies: Tensor) -> None:
    """Move blocks that are read one behind the other for long side by side, and make room for the runs' tokens."""
    written = {id(run.view[-1]) for run in runs}
    for run in runs:
        before: BlockCache | None = None
        for cache in run.view:
            if before is not None and cache.strip is not before.strip and id(before) not in written:
                cache.waited += 1
                if cache.waited > _PATIENCE:
                    cache.follow(before, partial(_shifted, frequencies))
            before = cache if cache.length else before
    # In the order of their places: a block may push away those behind it, never those before.
    for run in sorted(runs, key=lambda run: run.view[-1].start):
        run.view[-1].reserve(run.view[-1].length + len(run.tokens))


def plan(runs: Sequence[Run], frequencies: Tensor) -> Plan:
    """Lay out one step; see `rotary_frequencies`. The caches have room for the tokens.

    Within a step every run sees all new tokens of the others' blocks but their drafts, and its own causally.
    """
    stretches, first = _Stretches(), 0
    grown = {id(run.view[-1]): run.grown for run in runs}
    for run in runs:
        own, count = run.view[-1], len(run.tokens)
        rows = range(first, first + count)
        position = sum(grown.get(id(cache), cache.length) for cache in run.view[:-1]) + own.length
        begin = 0
        for strip, start, length, origin in _side_by_side(run, {**grown, id(own): own.length + count}):
            distance = position - begin + origin
            begin += length
            if begin <= position or count == 1:
                stretches.read(strip, start, start + length, rows, distance)
                continue
            before = length - count
            if before:
                stretches.read(strip, start, start + before, rows, distance)
            stretches.read(strip, start + before, start + length, rows, distance, causal=True)
        first += count
    return _laid_out(runs, stretches.all(), frequencies)


def _side_by_side(run: Run, grown: dict[int, int]) -> list[tuple[Strip, int, int, int]]:
    """Give the stretches of a view: strip, first slot, tokens, and the position at which the first key is rotated."""
    found: list[tuple[Strip, int, int, int]] = []
    for cache in run.view:
        length = grown.get(id(cache), cache.length)
        if found:
            strip, start, before, origin = found[-1]
            if (cache.strip, cache.start, cache.origin) == (strip, start + before, origin + before):
                found[-1] = (strip, start, before + length, origin)
                continue
        if length:
            found.append((cache.strip, cache.start, length, cache.origin))
    return found


def _laid_out(runs: Sequence[Run], stretches: Sequence[_Stretch], frequencies: Tensor) -> Plan:
    reads: list[_Read] = []
    pair_rows: list[int] = []
    distances: list[int] = []
    pairs_of: list[list[int]] = [[] for _ in range(sum(len(run.tokens) for run in runs))]
    own_pair: dict[tuple[int, int, int], int] = {}
    for stretch in stretches:
        span = slice(stretch.start, stretch.stop)
        pairs = slice(len(pair_rows), len(pair_rows) + len(stretch.rows))
        keys, values = stretch.strip.keys[:, :, span].unbind(), stretch.strip.values[:, :, span].unbind()
        reads.append(_Read(keys, values, stretch.causal, pairs))
        for row in stretch.rows:
            own_pair.setdefault((id(stretch.strip), stretch.stop, row), len(pair_rows))
            pairs_of[row].append(len(pair_rows))
            pair_rows.append(row)
        distances.extend(stretch.distances)
    writes, first = [], 0
    for run in runs:
        own, count = run.view[-1], len(run.tokens)
        start = own.start + own.length
        pair = own_pair[id(own.strip), start + count, first]
        span = slice(start, start + count)
        keys, values = own.strip.keys[:, :, span].unbind(), own.strip.values[:, :, span].unbind()
        writes.append(_Write(keys, values, slice(first, first + count), slice(pair, pair + count)))
        first += count
    device = frequencies.device
    cos, sin = turns(torch.tensor(distances, device=device), frequencies)
    step = partial(Plan, writes, reads, (cos.unsqueeze(1), sin.unsqueeze(1)))
    if pair_rows == list(range(first)):
        return step(None, None, None)
    most = max(map(len, pairs_of))
    gather = torch.tensor([pairs + pairs[:1] * (most - len(pairs)) for pairs in pairs_of], device=device)
    lacking = torch.tensor([[i >= len(pairs) for i in range(most)] for pairs in pairs_of], device=device)
    absent = lacking[:, :, None, None] if len(pair_rows) < first * most else None
    return step(torch.tensor(pair_rows, device=device), gather, absent)


def rotary_frequencies(size: int, base: float, scale: float = 1.0, factors: Tensor | None = None) -> Tensor:
    """Radians a position by which each rotary pair turns, float64 [size / 2]; `factors` [size / 2] divide them."""
    frequencies = base ** (-torch.arange(0, size, 2, dtype=torch.float64) / size) / scale
    return frequencies if factors is None else frequencies / factors.double().cpu()


def turns(positions: Tensor, frequencies: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and signed sine [positions, head size] for `turn`, float32."""
    angles = torch.outer(positions.double(), frequencies)
    cos, sin = angles.cos().float(), angles.sin().float()
    return torch.cat((cos, cos), dim=-1), torch.cat((-sin, sin), dim=-1)


def turn(x: Tensor, cos_sin: tuple[Tensor, Tensor]) -> Tensor:
    """Rotate [rows, heads, head size] by half-split rotary position embedding (RoFormer, section 3.4)."""
    cos, sin = cos_sin
    half = x.shape[-1] // 2
    swapped = torch.cat((x[..., half:], x[..., :half]), dim=-1)
    # `sin` carries the sign of the first half, so one swap and two products are enough.
    return torch.addcmul(x * cos, swapped, sin).to(x.dtype)


def _shifted(frequencies: Tensor, keys: Tensor, positions: int) -> Tensor:
    """Rotate keys further, all by as many positions."""
    return turn(keys, turns(torch.tensor([positions], device=keys.device), frequencies))


def attend(layer: int, step: Plan, q_k: Tensor, v: Tensor) -> Tensor:
    """Write the step's keys and values and give each row's attention over its view.

    Shapes: `q_k` [rows, heads + kv heads, head size] with queries first, `v` [rows, kv heads, head size]; the result
    [rows, heads * head size].
    """
    heads, kv_heads = q_k.shape[1] - v.shape[1], v.shape[1]
    turned = turn(q_k if step.pair_rows is None else q_k[step.pair_rows], step.turns)
    for write in step.writes:
        write.keys[layer].copy_(turned[write.pairs, heads:].transpose(0, 1))
        write.values[layer].copy_(v[write.rows].transpose(0, 1))
    # The query heads of a kv head lie together, so that keys are never repeated: [kv heads, pairs, group, head size].
    grouped = turned[:, :heads].view(len(turned), kv_heads, -1, turned.shape[-1])
    q = grouped.transpose(0, 1).contiguous()
    parts = [_part(q[:, read.pairs], read.keys[layer], read.values[layer], causal=read.causal) for read in step.reads]
    out, weight = parts[0] if len(parts) == 1 else map(partial(torch.cat, dim=1), zip(*parts, strict=True))
    out = out.transpose(0, 1)
    if step.gather is not None:
        weight = weight.transpose(0, 1)[step.gather]
        if step.absent is not None:
            weight = weight.masked_fill(step.absent, -torch.inf)
        share = torch.softmax(weight, dim=1).unsqueeze(-1)
        out = (out[step.gather] * share).sum(dim=1).to(v.dtype)
    return out.flatten(1)


def _part(q: Tensor, k: Tensor, v: Tensor, *, causal: bool) -> tuple[Tensor, Tensor]:
    """Attention over one stretch and the log-sum-exp of its scores.

    Shapes: `q` and the result [kv heads, pairs, group, head size], `k` and `v` [kv heads, tokens, head size], the
    log-sum-exp [kv heads, pairs, group].
    """
    kv_heads, pairs, group, _ = q.shape
    if causal:
        shape = (-1, group, -1, -1)
        out, lse = _softmax_part(
            q.transpose(1, 2), k.unsqueeze(1).expand(shape), v.unsqueeze(1).expand(shape), causal=True
        )
        return out.transpose(1, 2), lse.transpose(1, 2)
    # All query heads of a kv head become rows of one product.
    out, lse = _softmax_part(q.flatten(1, 2).unsqueeze(0), k.unsqueeze(0), v.unsqueeze(0), causal=False)
    return out[0].view(kv_heads, pairs, group, -1), lse[0].view(kv_heads, pairs, group)


def _softmax_part(q: Tensor, k: Tensor, v: Tensor, *, causal: bool) -> tuple[Tensor, Tensor]:
    """Attention and the log-sum-exp of its scores; all [batch, heads, length, head size]."""
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
