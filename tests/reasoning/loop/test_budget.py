from __future__ import annotations

from itertools import pairwise
from typing import get_args

import hypothesis.strategies as st
import pytest
from hypothesis import given

from reasoning.events import LoopEvent, TurnDone
from reasoning.loop.budget import GAINS, Gain, thinking_tokens
from reasoning.loop.loop import Loop
from reasoning.options import BudgetName, LoopOptions
from reasoning.policies.choosing import choice_of
from reasoning.prompting.script import Script
from tests.reasoning.loop.test_loop import FAMILY, QUESTION, Model
from tests.reasoning.scripted_engine import END, Mind, ScriptedEngine, Words

CURVE = {"some": (Gain(32, 0.1, 30), Gain(100, 0.5, 60), Gain(320, 0.6, 110))}
PRICES = st.floats(0, 100)


@given(PRICES, st.integers(1, 2000), st.sampled_from(["sums", "plain", "published", "else"]))
def test_fixed_is_what_the_user_has_set(price: float, most: int, policy: str) -> None:
    assert thinking_tokens(LoopOptions(think_tokens=most), policy, price) == most


@given(PRICES, PRICES, st.sampled_from(get_args(BudgetName)), st.sampled_from([*GAINS]))
def test_a_dearer_hour_never_has_longer_thoughts(one: float, other: float, budget: BudgetName, policy: str) -> None:
    options = LoopOptions(budget=budget)
    cheap, dear = sorted((one, other))
    assert thinking_tokens(options, policy, cheap) >= thinking_tokens(options, policy, dear)


@given(PRICES, st.integers(1, 1000), st.integers(1, 1000), st.sampled_from(get_args(BudgetName)))
def test_the_users_floor_and_limit_hold(price: float, most: int, least: int, budget: BudgetName) -> None:
    options = LoopOptions(budget=budget, think_tokens=most, least_think_tokens=least)
    for policy in GAINS:
        assert min(most, least) <= thinking_tokens(options, policy, price) <= most


@pytest.mark.parametrize(("price", "tokens"), [(0.1, 500), (0.35, 500), (0.37, 100), (2.3, 100), (2.5, 32)])
def test_the_length_is_taken_at_which_right_answers_are_worth_most_above_the_thoughts(
    price: float, tokens: int
) -> None:
    # Worth 180 tokens: from 100 to all costs 50 for 0.1, 18 tokens' worth; from 32 to 100 costs 30 for 0.4, 72.
    options = LoopOptions(budget="frugal", think_tokens=500, least_think_tokens=1)
    assert thinking_tokens(options, "some", price, CURVE) == tokens


def test_whoever_is_generous_thinks_as_long_or_longer_and_policies_without_figures_as_long_as_they_may() -> None:
    for price in (0.5, 1.0, 1.2, 3.0):
        for policy in GAINS:
            frugal, generous = (
                thinking_tokens(LoopOptions(budget=name), policy, price) for name in ("frugal", "generous")
            )
            assert frugal <= generous
    assert thinking_tokens(LoopOptions(budget="frugal"), "published", 9.0) == 320


@pytest.mark.parametrize("curve", GAINS.values())
def test_longer_thoughts_cost_more_and_are_no_less_right(curve: tuple[Gain, ...]) -> None:
    assert [*curve] == sorted(curve)
    assert all(one.spent < other.spent and one.right <= other.right for one, other in pairwise(curve))


async def test_the_loop_thinks_as_long_as_the_price_of_the_moment_allows() -> None:
    lines = [f"The number of eggs in row {number} is {number}.\n" for number in range(2, 40)]
    model = Model(thoughts=f"{''.join(lines)}{END}")
    engine = ScriptedEngine(Mind(model.write, model.score_choices, model.steps), Words(), 100_000)
    events: list[LoopEvent] = []
    price = 9.0
    options = LoopOptions(mode="think-first", think_tokens=200, budget="frugal", least_think_tokens=30)
    async with engine.session() as session:
        script, choice = Script(engine.tokenizer, FAMILY), choice_of("sums")
        loop = Loop(
            session, script, options, events.append, engine.clock, context=100_000, choice=choice, price=lambda: price
        )
        await loop.open()
        for each in (9.0, 0.0):
            price = each
            await loop.hear(QUESTION)
            await loop.answer(QUESTION)
            await loop.finish("24 eggs.")
    dear, cheap = (event for event in events if isinstance(event, TurnDone))
    assert (dear.reason, cheap.reason) == ("budget", "budget")
    # What thoughts that are cut off name as their answer comes on top.
    assert 30 <= dear.tokens["thinker"] < 40
    # Where energy is free, the shortest thoughts that were as right as the longest.
    assert 96 <= cheap.tokens["thinker"] < 106
