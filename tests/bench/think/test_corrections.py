from __future__ import annotations

import re

import pytest

pytest.importorskip("reasoning_gym", reason="the extra 'think' of bench is not installed")

from bench.think.items.corrections import CORRECTABLE, correction
from bench.think.items.generated import items


@pytest.mark.parametrize("task", CORRECTABLE)
def test_one_number_is_corrected_and_the_answer_with_it(task: str) -> None:
    asked = items(task, "dev", 20)
    found = [made for item in asked if (made := correction(item, "dev")) is not None]
    assert len(found) > len(asked) // 2
    for made in found:
        new, old = re.findall(r"\d+", made.words)
        changed = re.sub(rf"(?<![\d.,]){old}(?![\d])", new, made.said.question)
        assert changed == made.meant.question
        assert made.said.answer != made.meant.answer
        assert made.said in asked
    again = [correction(item, "dev") for item in asked]
    assert found == [made for made in again if made is not None], "always the same"


@pytest.mark.parametrize("task", ["chain_sum", "products", "basic_arithmetic"])
def test_the_answers_of_formulas_are_right(task: str) -> None:
    signs = {"plus": "+", "minus": "-", "times": "*"}
    for item in items(task, "dev", 20):
        made = correction(item, "dev")
        if made is not None:
            words = made.meant.question.removeprefix("What is ").removesuffix("?").split()
            value = eval(" ".join(signs.get(word, word) for word in words))  # noqa: S307 - a formula of this test
            assert str(value) == made.meant.answer


def test_the_generator_itself_answers_a_corrected_story() -> None:
    (garden,) = [item for item in items("gsm_symbolic", "dev", 60) if "mangos per hectare" in item.question][:1]
    made = correction(garden, "dev")
    assert made is not None
    hectares, mangos, months = map(int, re.findall(r"\d+", made.meant.question))
    assert int(made.meant.answer) == hectares * mangos * (12 // months)


def test_what_cannot_be_worked_out_anew_is_left_out() -> None:
    assert all(correction(item, "dev") is None for item in items("number_sequence", "dev", 3))
