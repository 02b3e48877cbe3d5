from __future__ import annotations

import pytest

from reasoning.policies.policy import Contradicted
from reasoning.policies.sums.consistency import contradicted

THOUGHTS = ["6 * 4 = 25 eggs", "25 - 3 = 22"]


@pytest.mark.parametrize(
    ("said", "later", "instead"),
    [
        ("6 times 4 is 25 eggs.", "Wait, 6 * 4 = 24 eggs", "6 times 4 is 24 eggs."),
        ("Four times six is twenty-five.", "6 * 4 = 24 eggs", "6 times 4 is 24 eggs."),
        ("25 minus 3 is 22.", "No, 25 - 3 = 21", "25 minus 3 is 21."),
        ("The answer is 22 eggs.", "Answer: 21 eggs", "The answer is 21 eggs."),
        ("So the answer is 22.", "The answer is (6 - 2) * x: 21", None),
    ],
)
def test_the_same_thing_with_another_result_is_a_contradiction(said: str, later: str, instead: str | None) -> None:
    found = contradicted(["The eggs are fresh.", said], [*THOUGHTS, later])
    if instead is None:
        assert found is None
    else:
        assert found == Contradicted(said, instead)


@pytest.mark.parametrize(
    ("said", "later"),
    [
        ("6 times 4 is 25 eggs.", "6 * 5 = 30"),
        ("25 minus 3 is 22.", "3 - 25 = -22"),
        ("6 times 4 is 25 eggs.", "6 + 4 = 10"),
        ("The answer is 22 eggs.", "Answer: 9 dollars"),
        ("The answer is 22.", "Answer: 22 eggs"),
        ("There are 25 eggs in it.", "6 * 4 = 24"),
        ("What is 6 times 4?", "6 * 4 = 24"),
    ],
)
def test_what_is_not_the_same_thing_for_certain_stands(said: str, later: str) -> None:
    assert contradicted([said], [*THOUGHTS, later]) is None


def test_what_the_newest_step_says_counts() -> None:
    assert contradicted(["6 times 4 is 24."], ["6 * 4 = 25", "6 * 4 = 24"]) is None
    assert contradicted(["6 times 4 is 24."], ["6 * 4 = 24", "6 * 4 = 25"]) is not None
    assert contradicted([], THOUGHTS) is None
    assert contradicted(["6 times 4 is 24."], []) is None
