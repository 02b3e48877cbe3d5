from __future__ import annotations

import pytest

from languages.english import ENGLISH
from reasoning.policies.sums.findings import (
    finds,
    objection_to_result,
    objection_to_step,
    run_on,
    several_numbers,
    tells_result,
)
from reasoning.policies.sums.sums import Sums


@pytest.mark.parametrize(
    ("step", "found"),
    [
        ("6 * 4 = 24.", True),
        ("So there are twenty-four eggs.", True),
        ("There are 6 rows.", False),
        ("1. There are six rows.", False),
        ("Next, multiply the rows by the eggs.", False),
        ("What is left?", False),
        ("Paris lies in France.", True),
    ],
)
def test_a_finding_tells_what_was_not_known(step: str, *, found: bool) -> None:
    assert finds(step, "A box has 6 rows of 4 eggs.") == found


STEPS = ["12 chickens * 2 eggs per chicken = 24 eggs per day", "24 eggs per day * 5 days = 120 eggs"]
USER = "A farmer has 12 chickens, each lays 2 eggs a day, how many eggs in 5 days?"


@pytest.mark.parametrize(
    ("sentence", "said", "objection"),
    [
        ("The chickens lay 24 eggs a day.", "", ""),
        ("In five days he collects one hundred and twenty eggs.", "", ""),
        ("The eggs laid in 5 days by 12 chickens are 24.", "", "no single step says so"),
        ("The chickens lay 24 eggs a day.", "Each day they lay 24.", "nothing new"),
        ("You multiplied the chickens by the eggs.", "", "nothing new"),
        ("Each chicken lays 2 eggs.", "", "nothing new"),
    ],
)
def test_a_spoken_step_tells_one_finished_step(sentence: str, said: str, objection: str) -> None:
    assert objection_to_step(sentence, USER, STEPS, said) == objection


def test_a_number_that_was_found_does_not_answer_the_open_question() -> None:
    # Only the first step is finished: what five days make is not known yet.
    assert objection_to_step("The eggs in 5 days are 24.", USER, STEPS[:1], "") == "no single step says so"


def test_a_sentence_about_the_working_is_not_spoken() -> None:
    steps = ["Wednesday plus 3 days is Saturday."]
    assert objection_to_step("The last finished step is Saturday, 3 days on.", "What day is it in 10 days?", steps, "")
    assert not objection_to_step("3 days on it is Saturday.", "What day is it in 10 days?", steps, "")


def test_a_step_is_not_called_the_answer() -> None:
    steps = ["84 - 12 = 72"]
    assert (
        objection_to_step("The answer is 72.", "What is 84 minus 12 minus 92?", steps, "") == "calls a step the answer"
    )
    assert not objection_to_step("84 minus 12 is 72.", "What is 84 minus 12 minus 92?", steps, "")
    assert not objection_to_step("The answer is 72.", "What is 84 minus 12?", ["Answer: 72"], "")


@pytest.mark.parametrize("bare", ["5:15 pm.", "5:15.", "It's 5:15 pm."])
def test_a_bare_value_sounds_like_the_answer(bare: str) -> None:
    steps = ["3:45 pm + 90 minutes = 5:15 pm"]
    asked = "I have a meeting at 3:45 pm that lasts 90 minutes, then a 25 minute walk. When am I home?"
    assert objection_to_step(bare, asked, steps, "") == "sounds like the answer"
    assert not objection_to_step("The meeting ends at 5:15 pm.", asked, steps, "")
    assert not objection_to_step("30 plus 20 is 50.", "What is 30 plus 20 minus 8?", ["30 + 20 = 50"], "")


def test_a_step_is_not_worded_as_the_answer() -> None:
    asked = "I have a meeting at 3:45 that lasts 90 minutes, then a 25 minute walk. When am I home?"
    steps = ["3:45 + 90 minutes = 5:15"]
    assert objection_to_step("I am home at 5:15.", asked, steps, "") == "sounds like the answer"
    assert not objection_to_step("The meeting ends at 5:15.", asked, steps, "")


DAYS = [
    "- 9 days before Sunday, December 18, 2022 is Saturday, December 11, 2022.",
    "Answer: Thursday, December 8, 2022",
]


@pytest.mark.parametrize(
    ("sentence", "steps", "tells", "objection"),
    [
        # The last number alone would call this the same.
        ("We find that the day is Saturday, December 11, 2022.", DAYS, False, True),
        ("It is Thursday, December 8, 2022.", DAYS, True, False),
        ("It is Saturday.", ["It is 9 days until Sunday.", "Answer: Thursday"], False, True),
        ("Thursday is the day.", ["It is 9 days until Sunday.", "Answer: Thursday"], True, False),
        ("That leaves 9.", ["It is 9 days until Sunday.", "Answer: Thursday"], False, False),
        ("It takes 3 hours.", ["Result: 3 hours and 15 minutes"], False, True),
        ("4 tickets cost 36 dollars.", ["Answer: 4 * 9 = 36"], True, False),
        ("You pay 36 dollars for 4 tickets.", ["4 * 9 = 36"], False, False),
        ("I'm sorry, I could not work that out.", ["4 * 9 = 36"], False, False),
        ("It is 36.", [], False, False),
    ],
)
def test_a_reply_ends_with_all_that_the_thoughts_call_the_answer(
    sentence: str, steps: list[str], tells: bool, objection: bool
) -> None:
    assert tells_result(sentence, steps) is tells
    assert bool(objection_to_result(sentence, steps)) is objection


@pytest.mark.parametrize(
    ("words", "several"),
    [
        ("What is two plus two?", True),
        ("If May 1st is a Friday, what day is the 8th?", True),
        ("Tell me twenty-four jokes.", False),
        ("How are you?", False),
    ],
)
def test_numbers_are_counted_as_often_as_they_are_said(words: str, several: bool) -> None:
    assert several_numbers(words) is several


def test_steps_that_only_grow_lead_nowhere() -> None:
    growing = [f"{2**power} * 2 = {2 ** (power + 1)}" for power in range(10)]
    assert [Sums().found(growing[at], growing[:at], "Double it.", ENGLISH) for at in range(7)] == [
        *[True] * 5,
        False,
        False,
    ]
    assert not Sums().circling(growing[:9])
    assert Sums().circling(growing)
    assert not run_on([*growing[:5], "Answer: 32 ounces"], 6)
