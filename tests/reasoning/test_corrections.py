from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasoning.corrections import replaced, standing

TICKETS = "I buy four tickets for nine dollars each and pay with $50. How much change do I get?"
EGGS = "A farmer has twelve chickens. Each chicken lays two eggs a day. How many eggs does he collect in five days?"
APPLES = "Maria has five boxes with six apples in each box. She sells twelve apples. How many are left?"


@pytest.mark.parametrize(
    ("told", "words", "numbers"),
    [
        (TICKETS, "Sorry, I meant six tickets.", {4}),
        (TICKETS, "No, I pay with 60 dollars.", {50}),
        (TICKETS, "Sorry, they cost seven dollars each.", {9}),
        (TICKETS, "I said five, not four.", {4}),
        (TICKETS, "Three instead of four.", {4}),
        (EGGS, "I mean three eggs a day.", {2}),
        (EGGS, "10 days!", {5}),
        (EGGS, "No, 15 chickens.", {12}),
        (APPLES, "No, she sells ten apples.", {12}),
        (APPLES, "Sorry, seven boxes.", {5}),
        (APPLES, "There are eight apples in each box.", {6}),
        (APPLES, "No, seven boxes, and she sells nine apples.", {5, 12}),
        (TICKETS, "No, twenty.", set()),
        (TICKETS, "What is fifteen plus twenty seven?", set()),
    ],
)
def test_numbers_are_replaced_by_others_of_the_same_thing(told: str, words: str, numbers: set[float]) -> None:
    assert replaced(told, words) == numbers


TWO = "I buy two tickets for nine dollars each and three drinks for four dollars each. How much do I pay?"
STEPS = ["2 tickets * 9 dollars = 18 dollars", "3 drinks * 4 dollars = 12 dollars", "18 + 12 = 30 dollars"]


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ("Sorry, five tickets.", [1]),
        ("No, four drinks.", [0]),
        ("Sorry, can you say that again?", [0, 1, 2]),
        ("And two more tickets.", [0, 1, 2]),
        ("What is fifteen plus twenty seven?", []),
        ("No, five tickets and four drinks.", []),
    ],
)
def test_what_rests_on_a_replaced_number_falls_and_the_rest_stands(words: str, kept: list[int]) -> None:
    assert standing(STEPS, TWO, words) == [STEPS[index] for index in kept]


def test_a_fact_of_a_replaced_number_falls() -> None:
    steps = ["There are two tickets", "Each costs 9 dollars", "So I must multiply"]
    assert standing(steps, TWO, "Sorry, five tickets.") == ["Each costs 9 dollars"]


NUMBERS = st.integers(2, 9)


@given(NUMBERS, NUMBERS, NUMBERS, st.integers(10, 40))
def test_no_step_that_stands_uses_the_replaced_number_or_its_results(a: int, b: int, c: int, new: int) -> None:
    told = f"There are {a} rows of {b} chairs, and {c} tables."
    steps = [f"{a} * {b} = {a * b}", f"{c} * 2 = {c * 2}", f"{a * b} + {c * 2} = {a * b + c * 2}"]
    kept = standing(steps, told, f"Sorry, {new} rows.")
    assert steps[0] not in kept
    assert steps[2] not in kept
    if len({a, b, c, 2, a * b, c * 2}) == 6:
        assert kept == [steps[1]]
