from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from reasoning.vllm_plugin.blocks import Blocks, PluginLimits, SharedBlock
from reasoning.vllm_plugin.names import RequestedView, RequestRefused

LIMITS = PluginLimits(blocks=6, view=3)


def add(blocks: Blocks, request: str, *view: str, session: str = "s") -> SharedBlock:
    return blocks.add(request, RequestedView(session, request, view))


def test_a_block_that_nobody_reads_goes_with_its_request() -> None:
    blocks = Blocks(LIMITS)
    thinker = add(blocks, "t")
    assert blocks.end(thinker) == [thinker]
    assert len(blocks) == 0


def test_a_block_that_is_read_stays_until_its_last_reader_ends() -> None:
    blocks = Blocks(LIMITS)
    thinker = add(blocks, "t")
    writer, probe = add(blocks, "w", "t"), add(blocks, "p", "t", "w")
    assert blocks.end(thinker) == []
    assert blocks.pinned == [thinker]
    assert blocks.end(writer) == []
    assert blocks.end(probe) == [probe, thinker, writer]
    assert len(blocks) == 0


def test_an_ended_block_can_be_read_while_somebody_reads_it() -> None:
    blocks = Blocks(LIMITS)
    thinker = add(blocks, "t")
    add(blocks, "w", "t")
    blocks.end(thinker)
    assert add(blocks, "p", "t").view == (thinker,)


def test_names_are_of_a_session() -> None:
    blocks = Blocks(LIMITS)
    mine = add(blocks, "t")
    other = blocks.add("t2", RequestedView("other", "t", ()))
    assert blocks.add("w", RequestedView("other", None, ("t",))).view == (other,)
    assert not mine.readers


def test_what_a_session_does_not_have_is_told_in_the_same_words_whoever_has_it() -> None:
    blocks = Blocks(LIMITS)
    add(blocks, "t", session="other")
    told = set()
    for name in ("t", "nobody"):
        with pytest.raises(RequestRefused) as refused:
            blocks.add("w", RequestedView("mine", None, (name,)))
        told.add(str(refused.value).replace(repr(name), "…"))
        assert refused.value.status == 404
    assert len(told) == 1
    assert len(blocks) == 1


def test_a_name_is_taken_once() -> None:
    blocks = Blocks(LIMITS)
    thinker = add(blocks, "t")
    with pytest.raises(RequestRefused, match="has a block 't' already"):
        blocks.add("again", RequestedView("s", "t", ()))
    blocks.end(thinker)
    add(blocks, "t")


def test_a_session_has_so_many_blocks_and_no_more() -> None:
    blocks = Blocks(LIMITS)
    for number in range(6):
        blocks.add(f"r{number}", RequestedView("s", None if number else "t", ("t",) if number else ()))
    with pytest.raises(RequestRefused, match="has 6 blocks already"):
        blocks.add("r6", RequestedView("s", None, ("t",)))
    add(blocks, "r7", session="other")


class Lifetimes(RuleBasedStateMachine):
    """Requests come and end in any order; memory is held exactly by those that run or are read by one that runs."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = Blocks(PluginLimits(blocks=8, view=3))
        self.running: dict[str, SharedBlock] = {}
        self.held: set[SharedBlock] = set()
        self.count = 0

    @rule(data=st.data(), session=st.sampled_from("ab"))
    def begin(self, data: st.DataObject, session: str) -> None:
        mine = [block.name for block in self.held if block.session == session]
        view = data.draw(st.lists(st.sampled_from(sorted(map(str, mine))), max_size=3, unique=True)) if mine else []
        self.count += 1
        try:
            block = self.blocks.add(f"r{self.count}", RequestedView(session, f"n{self.count}", tuple(view)))
        except RequestRefused:
            assert len(mine) == 8
            return
        self.running[block.request_id] = block
        self.held.add(block)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        block = self.running.pop(data.draw(st.sampled_from(sorted(self.running))))
        gone = self.blocks.end(block)
        assert self.held.issuperset(gone)
        assert len(set(gone)) == len(gone)
        self.held.difference_update(gone)

    @invariant()
    def exactly_what_is_needed_is_held(self) -> None:
        needed = set(self.running.values())
        needed |= {read for block in self.running.values() for read in block.view}
        assert self.held == needed
        assert len(self.blocks) == len(needed)

    def teardown(self) -> None:
        while self.running:
            _, block = self.running.popitem()
            self.blocks.end(block)
        assert len(self.blocks) == 0


TestLifetimes: Any = Lifetimes.TestCase
TestLifetimes.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
