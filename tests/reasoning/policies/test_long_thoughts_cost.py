"""What policies read of long thoughts when another step comes: the new step alone, not all of them again."""

from __future__ import annotations

import pytest

from languages.english import ENGLISH
from reasoning.policies import grounding
from reasoning.policies.plain import Plain
from reasoning.policies.policy import Evidence, Policy
from reasoning.policies.published import Published
from reasoning.policies.sums.prose import Prose
from reasoning.policies.sums.sums import Sums

ASKED = "The store gets and sends goods all week. How many are left at the end?"
STEPS = [f"Boxes of {one} on {one + 3} shelves: {one} * {one + 3} = {one * (one + 3)}" for one in range(1000, 1200)]
SENTENCE = f"1199 times 1202 is {1199 * 1202}."


@pytest.mark.parametrize("policy", [Sums(), Prose(), Plain(), Published()], ids=lambda policy: policy.name)
def test_a_step_of_long_thoughts_costs_no_more_than_one_of_short_ones(policy: Policy) -> None:
    grounding.remembered.cache_clear()
    reads: list[int] = []
    for count in range(1, len(STEPS) + 1):
        before = grounding.remembered.cache_info().misses
        steps = STEPS[:count]
        policy.found(steps[-1], steps[:-1], ASKED, ENGLISH)
        evidence = Evidence(ASKED, ASKED, steps, said=(SENTENCE,))
        policy.objection(SENTENCE, "step", evidence)
        policy.tells_result(SENTENCE, evidence)
        policy.contradicted([SENTENCE], steps, ENGLISH)
        reads.append(grounding.remembered.cache_info().misses - before)
    assert max(reads[1:]) <= 2


@pytest.mark.parametrize("long", [1, 100], ids=["remembered", "too long to be remembered"])
def test_what_is_remembered_of_a_line_is_what_stands_in_it(long: int) -> None:
    line = "Ann has twenty five, not 5,000, of Bob's. " * long
    for _ in range(2):
        assert grounding.numbers(f"{line}\n7", ENGLISH) == {25.0, 5000.0, 7.0}
        assert grounding.last_number(f"{line}\nnone", ENGLISH) == 5000.0
        assert grounding.ungrounded("Then Bob, Dora and 26.", line) == ["26", "dora"]
