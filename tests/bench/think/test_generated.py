from __future__ import annotations

import re

import pytest

from agent.errors import BadQuestion
from bench.think.items.generated import SEEDS, TASKS, formula, items, prose
from bench.think.scoring import right

pytest.importorskip("reasoning_gym", reason="the extra 'think' of bench is not installed")


@pytest.mark.parametrize("task", TASKS)
def test_questions_can_be_spoken_and_are_always_the_same(task: str) -> None:
    found = items(task, "dev", 25)
    assert found == items(task, "dev", 25)
    assert len({item.question for item in found}) == 25
    for item in found:
        assert not re.search(r"[*=+<>#\[\]{}|_`\\^€$£%°\n]|--", item.question), item.question
        assert not re.search(
            r"\b(?:answer with|respond|format|final answer|units|HH:MM)\b", item.question, re.IGNORECASE
        )
        assert item.question[-1] in ".?"
        assert right(f"The answer is {_spoken(item.answer, item.kind)}.", item)


def _spoken(answer: str, kind: str) -> str:
    return f"{answer} minutes" if kind == "duration" else answer


@pytest.mark.parametrize("task", TASKS)
def test_no_test_item_is_a_development_item(task: str) -> None:
    dev = {item.question for item in items(task, "dev", 40)}
    test = {item.question for item in items(task, "test", 25)}
    assert len(test) == 25
    assert not dev & test


def test_the_splits_draw_from_seeds_far_apart() -> None:
    assert abs(SEEDS["dev"] - SEEDS["test"]) > 100_000


def test_an_unknown_task_is_bad_input() -> None:
    with pytest.raises(BadQuestion, match="gsm_symbolic"):
        items("chess", "dev", 1)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("4*x - 3 = 9", "4 times x minus 3 equals 9"),
        ("56 - 98*e = -1218", "56 minus 98 times e equals minus 1218"),
        ("60 + 93 - 16", "60 plus 93 minus 16"),
        ("-4, 4, -20", "minus 4, 4, minus 20"),
    ],
)
def test_formulas_are_spoken(written: str, said: str) -> None:
    assert formula(written) == said


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (
            "It costs $5 or €1.\nGive the result as your final answer. Do not include units.",
            "It costs 5 dollars or 1 euro.",
        ),
        ("30% of 48.0° is", "30 percent of 48 degrees is"),
    ],
)
def test_prose_has_no_signs(written: str, said: str) -> None:
    assert prose(written) == said
