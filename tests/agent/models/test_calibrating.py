from __future__ import annotations

import pytest

from agent.errors import NotMeasured
from agent.models.calibrating import NeedMeasured, dividing, measure_need, need_questions
from reasoning.policies.sums.findings import several_numbers
from reasoning.prompting.profiles.profile import Calibration
from reasoning.prompting.script import FAMILIES, Script
from tests.reasoning.scripted_engine import Mind, ScriptedEngine, Words

ASKED = need_questions()


async def measured(talk: float, problems: float, sums: float, tools: float = 0.0, odd: int = 0) -> NeedMeasured:
    """Measure a model that answers each kind alike, with `odd` problems that look like small talk to it."""

    def score(text: str) -> float:
        assert FAMILIES[0].prompts.need_question in text
        with_tools = tools if "set_lamp" in text else 0.0
        for kind, value in ((ASKED.small_talk, talk), (ASKED.problems[:odd], talk), (ASKED.sums, sums)):
            if any(question in text for question in kind):
                return value + with_tools
        return problems + with_tools

    engine, told = ScriptedEngine(Mind(lambda *_: pytest.fail("nothing is to be written"), score), Words()), []
    found = await measure_need(engine, Script(engine.tokenizer, FAMILIES[0]), "Mine 7B", lambda *at: told.append(at))
    total = 2 * len(ASKED.small_talk) + len(ASKED.problems) + len(ASKED.sums)
    assert told == [(number, total) for number in range(1, total + 1)]
    return found


def test_the_questions_are_what_they_are_called() -> None:
    assert all(several_numbers(question) for question in ASKED.sums)
    assert not any(several_numbers(question) for question in (*ASKED.small_talk, *ASKED.problems))


async def test_the_bias_lies_between_small_talk_and_problems_and_moves_with_tools() -> None:
    found = await measured(talk=-1.0, problems=3.0, sums=3.0, tools=-0.5)
    assert found.calibration == Calibration("Mine 7B", "en", 1.0, 0.0, 0.5)
    assert found.misplaced == 0


@pytest.mark.parametrize(("sums", "bonus"), [(0.5, 0.55), (1.5, 0.0)])
async def test_numbers_count_for_as_much_as_sums_fall_short(sums: float, bonus: float) -> None:
    found = await measured(talk=-1.0, problems=3.0, sums=sums)
    assert (found.calibration.need_of_numbers, found.misplaced) == (bonus, 0)


async def test_sums_that_fall_further_short_are_misplaced() -> None:
    with pytest.raises(NotMeasured, match=r"Mine 7B does not tell .*: 11 of 33 questions"):
        await measured(talk=-1.0, problems=3.0, sums=-3.0)


async def test_odd_questions_are_counted_and_too_many_are_refused() -> None:
    assert (await measured(talk=-1.0, problems=3.0, sums=3.0, odd=3)).misplaced == 3
    with pytest.raises(NotMeasured, match="10 of 33 questions are on the wrong side"):
        await measured(talk=-1.0, problems=3.0, sums=3.0, odd=10)


@pytest.mark.parametrize(
    ("low", "high", "value"),
    [([0.0, 1.0], [3.0, 4.0], 2.0), ([0.0, 2.5], [2.0, 4.0, 5.0], 1.0), ([0.0, 0.0, 9.0], [1.0, 2.0], 0.5)],
)
def test_the_dividing_value_has_the_fewest_on_the_wrong_side(low: list[float], high: list[float], value: float) -> None:
    assert dividing(low, high) == value
