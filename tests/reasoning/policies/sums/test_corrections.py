from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasoning.policies.sums.corrections import exchanges, restated, standing

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
    assert {exchange.old for exchange in exchanges(told, words)} == numbers


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


def test_only_calculations_are_kept_where_something_falls() -> None:
    steps = ["1. There are two tickets", "2. Each drink costs 4 dollars", "So I must multiply", "4. Drinks: 3 * 4 = 12"]
    assert standing(steps, TWO, "Sorry, five tickets.") == ["Drinks: 3 * 4 = 12"]
    assert standing(steps, TWO, "Sorry, what?") == steps


@pytest.mark.parametrize(
    ("told", "words", "meant"),
    [
        (TICKETS, "Sorry, I meant six tickets.", TICKETS.replace("four", "six")),
        (TICKETS, "No, I pay with 60 dollars.", TICKETS.replace("50", "60")),
        (TICKETS, "I said twenty five, not four.", TICKETS.replace("four", "twenty five")),
        (TICKETS, "Twenty-five instead of four.", TICKETS.replace("four", "Twenty-five")),
        ("It takes twenty five days and five nights.", "No, six nights.", "It takes twenty five days and six nights."),
        ("It takes twenty five days and five nights.", "No, six days.", "It takes six days and five nights."),
        ("It has 1,200 rooms, 5 doors.", "Sorry, 1,300 rooms.", "It has 1,300 rooms, 5 doors."),
        (APPLES, "No, seven boxes, she sells ten apples.", APPLES.replace("five", "seven").replace("twelve", "ten")),
        (TICKETS, "And two more tickets.", ""),
        (TICKETS, "What is fifteen plus twenty seven?", ""),
        (TICKETS, "Can you say that again?", ""),
        ("Two eggs, two eggs.", "No, three eggs.", ""),
    ],
)
def test_what_is_meant_is_told_anew_where_that_is_certain(told: str, words: str, meant: str) -> None:
    assert restated(told, words) == meant


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
