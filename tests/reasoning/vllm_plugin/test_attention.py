"""The arithmetic of views against one plain softmax over keys at their places, with each kernel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from reasoning.vllm_plugin.attention import Kernel, Reader, ViewPlan, make_plan, rotate, rotation_table, view_attention
from reasoning.vllm_plugin.paged import CompiledAttend, kernel, torch_attend

HEADS, KEY_HEADS, WIDTH, PAGE, PAGES = 6, 2, 64, 32, 60
SCALE = WIDTH**-0.5


def cos_sin(positions: int = 2048, rotated: int = WIDTH, stretch: float = 1.0) -> Tensor:
    """As a model keeps it; `stretch` is what some kinds of rope multiply it by."""
    angles = torch.arange(positions)[:, None] * 10000.0 ** -(torch.arange(0, rotated, 2) / rotated)
    return stretch * torch.cat((angles.cos(), angles.sin()), -1)


def at(x: Tensor, positions: Tensor, table: Tensor, *, halves: bool = True) -> Tensor:
    """Rotate [tokens, heads, width] to positions, as a model does."""
    cos, sin = table[positions].chunk(2, -1)
    return rotate(x, cos[:, None], sin[:, None], halves=halves)


@dataclass
class Cache:
    """A paged cache, in which blocks lie at random pages, and their keys before rotation."""

    k: Tensor
    v: Tensor
    table: Tensor
    halves: bool
    free: list[int]

    @classmethod
    def make(cls, table: Tensor, *, halves: bool = True, dtype: torch.dtype = torch.float32) -> Cache:
        k = torch.full((PAGES, KEY_HEADS, WIDTH, PAGE), torch.nan, dtype=dtype).permute(0, 3, 1, 2)
        v = torch.full((PAGES, KEY_HEADS, PAGE, WIDTH), torch.nan, dtype=dtype).permute(0, 2, 1, 3)
        return cls(k, v, table, halves, torch.randperm(PAGES).tolist())

    def write(self, length: int) -> tuple[list[int], Tensor, Tensor]:
        """Write a block of random keys; give its pages, its keys without rotation, and its values."""
        keys, values = torch.randn(length, KEY_HEADS, WIDTH), torch.randn(length, KEY_HEADS, WIDTH)
        values = values.to(self.v.dtype).float()
        pages = [self.free.pop() for _ in range(-(-length // PAGE))]
        # What lies behind the end of a block is whatever was there before, but a number.
        rows = torch.randn(len(pages) * PAGE, KEY_HEADS, WIDTH)
        rows[:length] = at(keys, torch.arange(length), self.table, halves=self.halves)
        self.k[pages] = rows.view(-1, PAGE, KEY_HEADS, WIDTH).to(self.k.dtype)
        rows[:length] = values
        self.v[pages] = rows.view(-1, PAGE, KEY_HEADS, WIDTH).to(self.v.dtype)
        return pages, keys, values


def plainly(q: Tensor, k: Tensor, v: Tensor, table: Tensor, *, halves: bool) -> Tensor:
    """Attend with unrotated queries and keys that stand one behind the other, the queries' own at the end."""
    new, total = len(q), len(k)
    positions = torch.arange(total)
    q = at(q, positions[total - new :], table, halves=halves)
    k = at(k, positions, table, halves=halves).repeat_interleave(HEADS // KEY_HEADS, 1)
    scores = torch.einsum("mhd,nhd->hmn", q, k) * SCALE
    scores = scores.masked_fill(positions > positions[total - new :, None], -torch.inf)
    return torch.einsum("hmn,nhd->mhd", scores.softmax(-1), v.repeat_interleave(HEADS // KEY_HEADS, 1))


def readers_of(cache: Cache, shapes: Sequence[tuple[int, int, Sequence[int]]]) -> tuple[ViewPlan, Tensor, Tensor]:
    """Make readers of (new tokens, own tokens, tokens of what is read); give plan, queries in the batch, results."""
    readers, queries, expected, first = [], [], [], 3
    for new, own, read in shapes:
        pages, keys, values = cache.write(own)
        blocks = [cache.write(length) for length in read]
        q = torch.randn(new, HEADS, WIDTH)
        queries.append(at(q, torch.arange(own - new, own), cache.table, halves=cache.halves))
        all_k = torch.cat([*(block_k for _, block_k, _ in blocks), keys])
        all_v = torch.cat([*(block_v for _, _, block_v in blocks), values])
        expected.append(plainly(q, all_k, all_v, cache.table, halves=cache.halves))
        view = [(length, block[0]) for length, block in zip(read, blocks, strict=True)]
        readers.append(Reader(range(first, first + new), own, pages, view))
        first += new + 2
    batch = torch.randn(first, HEADS, WIDTH)
    for reader, q in zip(readers, queries, strict=True):
        batch[reader.tokens.start : reader.tokens.stop] = q
    return make_plan(readers, rotation_table(cache.table)), batch, torch.cat(expected)


def flash_attention(
    *,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    cu_seqlens_q: Tensor,
    seqused_k: Tensor,
    block_table: Tensor,
    **rest: Any,  # noqa: ANN401
) -> tuple[Tensor, Tensor]:
    """What FlashAttention 2 gives: as plain products do, but for +inf where a sequence has no keys."""
    assert q.shape[0] == cu_seqlens_q[-1]
    assert {each.dtype for each in (cu_seqlens_q, seqused_k, block_table)} == {torch.int32}
    assert rest["max_seqlen_q"] >= (cu_seqlens_q[1:] - cu_seqlens_q[:-1]).max()
    assert rest["max_seqlen_k"] >= seqused_k.max()
    assert rest["return_softmax_lse"]
    out, lse = torch_attend(
        q=q, k=k, v=v, cu_seqlens_q=cu_seqlens_q, seqused_k=seqused_k, block_table=block_table, **rest
    )
    return out.to(q.dtype), torch.where(lse == -torch.inf, torch.inf, lse)


KERNELS: list[Kernel] = [torch_attend, flash_attention]
SHAPES: list[list[tuple[int, int, list[int]]]] = [
    [(1, 1, [1])],
    [(1, 40, [333])],
    [(1, 32, [64, 96])],
    [(5, 5, [31]), (1, 77, [200, 33, 1]), (9, 41, [7, 65])],
    [(40, 40, [100])],
]


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("attend", KERNELS, ids=["torch", "flash"])
@pytest.mark.parametrize("halves", [True, False])
def test_a_view_is_one_softmax_over_all_its_blocks(
    attend: Kernel, shapes: list[tuple[int, int, list[int]]], halves: bool
) -> None:
    torch.manual_seed(1)
    cache = Cache.make(cos_sin(), halves=halves)
    plan, batch, expected = readers_of(cache, shapes)
    found = view_attention(attend, batch[plan.tokens], cache.k, cache.v, plan, scale=SCALE, halves=halves)
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-4)


def test_what_a_rope_stretches_is_not_stretched_twice() -> None:
    torch.manual_seed(2)
    cache = Cache.make(cos_sin(stretch=1.25))
    plan, batch, expected = readers_of(cache, [(3, 20, [50, 9])])
    found = view_attention(torch_attend, batch[plan.tokens], cache.k, cache.v, plan, scale=SCALE, halves=True)
    torch.testing.assert_close(found, expected, atol=5e-5, rtol=1e-4)


def test_a_rope_may_turn_a_part_of_the_width() -> None:
    torch.manual_seed(3)
    cache = Cache.make(cos_sin(rotated=32))
    plan, batch, expected = readers_of(cache, [(3, 20, [50, 9])])
    found = view_attention(torch_attend, batch[plan.tokens], cache.k, cache.v, plan, scale=SCALE, halves=True)
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("attend", KERNELS, ids=["torch", "flash"])
def test_rows_without_a_view_come_out_as_they_are(attend: Kernel) -> None:
    """For graphs all rows of a batch take part, with nothing to read where they are ordinary."""
    torch.manual_seed(4)
    cache = Cache.make(cos_sin())
    plan, batch, expected = readers_of(cache, [(1, 50, []), (4, 30, [20]), (2, 2, [])])
    found = view_attention(attend, batch[plan.tokens], cache.k, cache.v, plan, scale=SCALE, halves=True)
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-4)


# --- the kernel in C ---


@pytest.fixture(scope="module")
def compiled() -> CompiledAttend:
    found = kernel()
    if not isinstance(found, CompiledAttend):
        pytest.skip("there is no C compiler")
    return found


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_kernel_in_c_does_what_plain_products_do(
    compiled: CompiledAttend, shapes: list[tuple[int, int, list[int]]], dtype: torch.dtype
) -> None:
    torch.manual_seed(5)
    cache = Cache.make(cos_sin(), dtype=dtype)
    plan, batch, _ = readers_of(cache, shapes)
    one, other = (
        view_attention(each, batch[plan.tokens], cache.k, cache.v, plan, scale=SCALE, halves=True)
        for each in (compiled, torch_attend)
    )
    torch.testing.assert_close(one, other, atol=2e-6, rtol=1e-5)


def test_the_kernel_in_c_survives_scores_of_any_size(compiled: CompiledAttend) -> None:
    torch.manual_seed(6)
    cache = Cache.make(cos_sin())
    plan, batch, _ = readers_of(cache, [(2, 40, [70])])
    for size in (1e-6, 30.0, 1e4):
        found = view_attention(compiled, size * batch[plan.tokens], cache.k, cache.v, plan, scale=SCALE, halves=True)
        exact = view_attention(
            torch_attend, size * batch[plan.tokens], cache.k, cache.v, plan, scale=SCALE, halves=True
        )
        torch.testing.assert_close(found, exact, atol=1e-4, rtol=1e-4)


def test_a_cache_of_another_layout_is_refused(compiled: CompiledAttend) -> None:
    cache = Cache.make(cos_sin())
    plan, batch, _ = readers_of(cache, [(2, 40, [70])])
    with pytest.raises(ValueError, match="no kernel for a cache of"):
        view_attention(compiled, batch[plan.tokens], cache.k.contiguous(), cache.v, plan, scale=SCALE, halves=True)
