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
from typing import TYPE_CHECKING, Final, Protocol

import torch

from reasoning.engine.device import CPU, carried

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from reasoning.engine.cache import BlockCache, Strip

_PATIENCE: Final = 8
"""Steps for which a block is read behind another one until it moves there: a question is gone by then."""
_SMALL: Final = 64
"""Tokens up to which stretches count as equally long."""


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
    """One stretch, or several that go through one product, all filled up to as many keys and pairs."""

    keys: Sequence[Sequence[Tensor]]
    """For each layer, side by side: views [kv heads, tokens, head size] into caches, and what fills them up."""
    values: Sequence[Sequence[Tensor]]
    causal: bool
    """True: row i of the read sees the keys 0..i. False: every row sees all of them."""
    pairs: slice
    """Which (row, stretch) pairs read this."""
    count: int
    """Stretches."""
    beyond: Tensor | None
    """Of several stretches: where they have no key [stretches, 1, tokens]."""


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
    ends: Tensor
    """Rows after which logits are wanted."""
    portable: bool
    """Whether only such operations may be used as every device has."""


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

    def all(self, *, together: bool) -> list[list[_Stretch]]:
        """Give the stretches; `together`: those of about the same size in one batch, else each alone."""
        if not together:
            return [[stretch] for stretch in self._found.values()]
        batches: dict[tuple[int, ...], list[_Stretch]] = {}
        for stretch in self._found.values():
            size = (max(_SMALL, stretch.stop - stretch.start) - 1).bit_length(), (len(stretch.rows) - 1).bit_length()
            batches.setdefault((len(batches), -1) if stretch.causal else size, []).append(stretch)
        return list(batches.values())


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


def plan(runs: Sequence[Run], frequencies: Tensor, device: torch.device = CPU, *, portable: bool = False) -> Plan:
    """Lay out one step for a device; see `rotary_frequencies`. The caches have room for the tokens.

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
    # Where each operation is given out on its own, hundreds of small ones would take longer than they compute.
    batches = stretches.all(together=portable)
    spans, writes, indices, distances = _laid_out(runs, batches)
    # Computed here in float64, which not every device has, and carried over in one piece; so are the indices.
    cos, sin = carried(torch.stack(turns(torch.tensor(distances), frequencies)), device).unsqueeze(2)
    pair_rows, gather, absent, ends, lengths = indices.carried(device)
    of_each = torch.split(lengths, [len(batch) for batch in batches])
    reads = [_read(batch, pairs, length) for batch, pairs, length in zip(batches, spans, of_each, strict=True)]
    return Plan(writes, reads, (cos, sin), pair_rows, gather, absent, ends, portable)


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


def _laid_out(
    runs: Sequence[Run], batches: Sequence[Sequence[_Stretch]]
) -> tuple[list[slice], list[_Write], _Indices, list[int]]:
    """Give the pairs that read each batch, what is written, and the distance of each pair."""
    spans: list[slice] = []
    pair_rows: list[int] = []
    distances: list[int] = []
    pairs_of: list[list[int]] = [[] for _ in range(sum(len(run.tokens) for run in runs))]
    own_pair: dict[tuple[int, int, int], int] = {}
    for batch in batches:
        first, most = len(pair_rows), max(len(stretch.rows) for stretch in batch)
        for stretch in batch:
            for row in stretch.rows:
                own_pair.setdefault((id(stretch.strip), stretch.stop, row), len(pair_rows))
                pairs_of[row].append(len(pair_rows))
                pair_rows.append(row)
            # Pairs that fill up are nobody's: what they read is not looked at.
            lacking = most - len(stretch.rows)
            pair_rows.extend(stretch.rows[:1] * lacking)
            distances.extend((*stretch.distances, *stretch.distances[:1] * lacking))
        spans.append(slice(first, len(pair_rows)))
    writes, first, ends = [], 0, list[int]()
    for run in runs:
        own, count = run.view[-1], len(run.tokens)
        start = own.start + own.length
        pair = own_pair[id(own.strip), start + count, first]
        span = slice(start, start + count)
        keys, values = own.strip.keys[:, :, span].unbind(), own.strip.values[:, :, span].unbind()
        writes.append(_Write(keys, values, slice(first, first + count), slice(pair, pair + count)))
        first += count
        ends.extend(range(first - run.logits, first))
    lengths = [stretch.stop - stretch.start for batch in batches for stretch in batch]
    return spans, writes, _Indices(pair_rows, pairs_of, ends, lengths), distances


def _read(batch: Sequence[_Stretch], pairs: slice, lengths: Tensor) -> _Read:
    """Put stretches side by side; `lengths` [stretches] are theirs, on the device."""
    most = max(stretch.stop - stretch.start for stretch in batch)
    nothing = batch[0].strip.keys.new_zeros(*batch[0].strip.keys.shape[:2], most if len(batch) > 1 else 0, 1)
    nothing = nothing.expand(-1, -1, -1, batch[0].strip.keys.shape[3])
    keys: list[Sequence[Tensor]] = []
    values: list[Sequence[Tensor]] = []
    for stretch in batch:
        span, lacking = slice(stretch.start, stretch.stop), most - (stretch.stop - stretch.start)
        keys.append(stretch.strip.keys[:, :, span].unbind())
        values.append(stretch.strip.values[:, :, span].unbind())
        if lacking:
            filling = nothing[:, :, :lacking].unbind()
            keys.append(filling)
            values.append(filling)
    beyond = (torch.arange(most, device=lengths.device) >= lengths[:, None, None]) if len(batch) > 1 else None
    of_layers = list(zip(*keys, strict=True)), list(zip(*values, strict=True))
    return _Read(of_layers[0], of_layers[1], batch[0].causal, pairs, len(batch), beyond)


@dataclass(frozen=True, slots=True)
class _Indices:
    """The numbers of a plan that a step indexes with."""

    pair_rows: Sequence[int]
    pairs_of: Sequence[list[int]]
    ends: Sequence[int]
    lengths: Sequence[int]
    """Of the stretches."""

    def carried(self, device: torch.device) -> tuple[Tensor | None, Tensor | None, Tensor | None, Tensor, Tensor]:
        """Give `pair_rows`, `gather`, `absent` and `ends` of a `Plan`, and the lengths, brought over in one piece."""
        rows, most = len(self.pairs_of), max(map(len, self.pairs_of))
        gather = [pair for found in self.pairs_of for pair in (*found, *(found[:1] * (most - len(found))))]
        lacking = [i >= len(found) for found in self.pairs_of for i in range(most)]
        lists = (self.pair_rows, gather, lacking, self.ends, self.lengths)
        whole = carried(torch.tensor([number for numbers in lists for number in numbers]), device)
        pair_rows, gathered, lacks, ends, lengths = torch.split(whole, [len(numbers) for numbers in lists])
        if list(self.pair_rows) == list(range(rows)):
            return None, None, None, ends, lengths
        absent = lacks.view(rows, most, 1, 1).bool() if any(lacking) else None
        return pair_rows, gathered.view(rows, most), absent, ends, lengths


def rotary_frequencies(size: int, base: float, scale: float = 1.0, factors: Tensor | None = None) -> Tensor:
    """Radians a position by which each rotary pair turns, float64 [size / 2]; `factors` [size / 2] divide them."""
    frequencies = base ** (-torch.arange(0, size, 2, dtype=torch.float64) / size) / scale
    return frequencies if factors is None else frequencies / factors.double()


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
    cos, sin = carried(torch.stack(turns(torch.tensor([positions]), frequencies)), keys.device)
    return turn(keys, (cos, sin))


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
    softmax_part = _portable_softmax_part if step.portable else _softmax_part
    parts = [_part(softmax_part, q[:, read.pairs], layer, read) for read in step.reads]
    out, weight = parts[0] if len(parts) == 1 else map(partial(torch.cat, dim=1), zip(*parts, strict=True))
    out = out.transpose(0, 1)
    if step.gather is not None:
        weight = weight.transpose(0, 1)[step.gather]
        if step.absent is not None:
            weight = weight.masked_fill(step.absent, -torch.inf)
        share = torch.softmax(weight, dim=1).unsqueeze(-1)
        out = (out[step.gather] * share).sum(dim=1).to(v.dtype)
    return out.flatten(1)


def _part(softmax_part: _SoftmaxPart, q: Tensor, layer: int, read: _Read) -> tuple[Tensor, Tensor]:
    """Attention over what is read and the log-sum-exp of its scores.

    Shapes: `q` and the result [kv heads, pairs, group, head size], the log-sum-exp [kv heads, pairs, group].
    """
    kv_heads, pairs, group, size = q.shape
    if read.count > 1:
        k, v = torch.cat(list(read.keys[layer]), dim=1), torch.cat(list(read.values[layer]), dim=1)
        batch = kv_heads, read.count, -1, size
        out, lse = _portable_softmax_part(
            q.reshape(batch), k.view(batch), v.view(batch), causal=False, beyond=read.beyond
        )
        return out.view(q.shape), lse.view(kv_heads, pairs, group)
    (k,), (v,) = read.keys[layer], read.values[layer]
    if read.causal:
        shape = (-1, group, -1, -1)
        out, lse = softmax_part(
            q.transpose(1, 2), k.unsqueeze(1).expand(shape), v.unsqueeze(1).expand(shape), causal=True
        )
        return out.transpose(1, 2), lse.transpose(1, 2)
    # All query heads of a kv head become rows of one product.
    out, lse = softmax_part(q.flatten(1, 2).unsqueeze(0), k.unsqueeze(0), v.unsqueeze(0), causal=False)
    return out[0].view(kv_heads, pairs, group, -1), lse[0].view(kv_heads, pairs, group)


class _SoftmaxPart(Protocol):
    def __call__(self, q: Tensor, k: Tensor, v: Tensor, *, causal: bool) -> tuple[Tensor, Tensor]:
        """Give attention and the log-sum-exp of its scores; all [batch, heads, length, head size]."""
        ...


def _softmax_part(q: Tensor, k: Tensor, v: Tensor, *, causal: bool) -> tuple[Tensor, Tensor]:
    """Do so by torch's kernel for processors."""
    part, lse = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(q, k, v, is_causal=causal)
    return part, lse


def _portable_softmax_part(
    q: Tensor, k: Tensor, v: Tensor, *, causal: bool, beyond: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Do so on any device, with scores in float32: rounded ones would move the odds by percents.

    `beyond` [heads, 1, length]: where a head has no key.
    """
    scores = (q.float() @ k.float().transpose(-1, -2)) * q.shape[-1] ** -0.5
    if causal:
        later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu(1)
        scores = scores.masked_fill(later, -torch.inf)
    if beyond is not None:
        scores = scores.masked_fill(beyond, -torch.inf)
    return torch.softmax(scores, dim=-1).to(v.dtype) @ v, scores.logsumexp(dim=-1)
