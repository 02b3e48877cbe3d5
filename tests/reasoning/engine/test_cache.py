"""Caches that share strips: whatever moves, a block holds what was written into it."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import hypothesis.strategies as st
import torch
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from reasoning.engine.cache import BlockCache

if TYPE_CHECKING:
    from torch import Tensor

LAYERS, KV_HEADS, SIZE = 2, 2, 4


def empty() -> BlockCache:
    return BlockCache(LAYERS, KV_HEADS, SIZE, torch.float64, torch.device("cpu"))


def turned(keys: Tensor, positions: int) -> Tensor:
    """Stands for a rotation: it adds up, and shows in every number."""
    return keys + positions


def write(cache: BlockCache, tokens: list[int]) -> None:
    """Write keys and values that tell token and position."""
    cache.reserve(cache.length + len(tokens))
    for token in tokens:
        cache.keys[:, :, cache.length] = 1000 * token + cache.origin + cache.length
        cache.values[:, :, cache.length] = token
        cache.length += 1


def read(cache: BlockCache) -> list[int]:
    """Give the tokens that keys and values tell, which must agree everywhere."""
    keys, values = cache.keys[:, :, : cache.length], cache.values[:, :, : cache.length]
    positions = torch.arange(cache.origin, cache.origin + cache.length)
    expected = 1000 * values + positions[:, None]
    assert torch.equal(keys, expected)
    found: list[int] = values[0, 0, :, 0].int().tolist()
    assert torch.equal(values, values[:1, :1, :, :1].expand_as(values))
    return found


class Caches(RuleBasedStateMachine):
    """Blocks that grow, shrink, vanish, and move behind each other."""

    def __init__(self) -> None:
        super().__init__()
        self.caches: dict[int, BlockCache] = {}
        self.expected: dict[int, list[int]] = {}

    @rule(number=st.integers(0, 4), tokens=st.lists(st.integers(0, 99), max_size=40))
    def write(self, number: int, tokens: list[int]) -> None:
        write(self.caches.setdefault(number, empty()), tokens)
        self.expected[number] = [*self.expected.get(number, []), *tokens]

    @precondition(lambda self: self.caches)
    @rule(data=st.data(), length=st.integers(0, 60))
    def crop(self, data: st.DataObject, length: int) -> None:
        number = data.draw(st.sampled_from(sorted(self.caches)))
        self.caches[number].crop(length)
        del self.expected[number][length:]

    @precondition(lambda self: len(self.caches) > 1)
    @rule(data=st.data())
    def follow(self, data: st.DataObject) -> None:
        before, behind = data.draw(st.permutations(sorted(self.caches)))[:2]
        self.caches[behind].follow(self.caches[before], turned)

    @precondition(lambda self: self.caches)
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.caches)))
        del self.caches[number], self.expected[number]

    @invariant()
    def nothing_is_lost(self) -> None:
        assert {number: read(cache) for number, cache in self.caches.items()} == self.expected


def test_blocks_keep_what_was_written() -> None:
    run_state_machine_as_test(Caches, settings=settings(max_examples=60, stateful_step_count=25, deadline=None))


def three_in_a_row() -> list[BlockCache]:
    caches = [empty() for _ in range(3)]
    for number, cache in enumerate(caches):
        write(cache, [number] * (number + 2))
    for before, cache in pairwise(caches):
        cache.follow(before, turned)
    return caches


def test_blocks_that_follow_each_other_lie_side_by_side() -> None:
    caches = three_in_a_row()
    assert len({id(cache.strip) for cache in caches}) == 1
    assert [(cache.start, cache.origin) for cache in caches] == [(0, 0), (2, 2), (5, 5)]


def test_the_last_block_grows_where_it_is() -> None:
    first, _, last = three_in_a_row()
    for token in range(500):
        write(last, [token % 100])
        assert last.strip is first.strip
        assert last.start == 5


def test_a_block_that_grows_keeps_its_place_and_sends_away_less_than_itself() -> None:
    first, second, third = three_in_a_row()
    third.crop(1)
    write(second, [7])
    assert second.strip is first.strip
    assert third.strip is not first.strip
    write(first, [8])
    assert first.strip is not second.strip
    assert [read(cache) for cache in (first, second, third)] == [[0, 0, 8], [1, 1, 1, 7], [2]]


def test_a_block_with_a_neighbour_is_left_there() -> None:
    first, second, third = three_in_a_row()
    other = empty()
    write(other, [1])
    third.follow(other, turned)
    other.follow(second, turned)
    assert third.strip is first.strip
    assert other.strip is not first.strip


def test_blocks_that_come_and_go_take_no_more_and_more_room() -> None:
    first, *others = three_in_a_row()
    for _ in range(60):
        others.pop(0).crop(0)
        new = empty()
        write(new, [5] * 100)
        new.follow(others[-1], turned)
        others.append(new)
        assert new.strip is first.strip
    assert first.strip.capacity <= 640
