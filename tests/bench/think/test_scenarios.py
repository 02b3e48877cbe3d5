from __future__ import annotations

from dataclasses import replace

import pytest
from rich.console import Console

from audio.options import EarsOptions
from bench.think import summary, tables
from bench.think.items.question import TaskQuestion
from bench.think.metrics import Sample
from bench.think.scenario_figures import figures
from bench.think.scenarios import BENCH_SCENARIOS, Pair, ScenarioPlan, pairs, plain, shards
from bench.virtual.timed import Utterance

STORY = TaskQuestion(
    "gsm_symbolic", 0, "Ann has 5 boxes. Each holds 6 apples. How many apples are there?", "30", "number"
)
SUM = TaskQuestion("chain_sum", 0, "What is 1 plus 2?", "3", "number")


@pytest.mark.parametrize(
    ("question", "pieces"),
    [
        (STORY.question, ["Ann has 5 boxes.", "Each holds 6 apples.", "How many apples are there?"]),
        ("If 3 times x equals 12, what is x?", ["If 3 times x equals 12,", "what is x?"]),
        ("What is 1 plus 2?", ["What is 1 plus 2?"]),
        ("A is 1. B is 2. C is 3. D is 4. E is 5. What is it?",
         ["A is 1. B is 2.", "C is 3.", "D is 4.", "E is 5.", "What is it?"]),
    ],
)  # fmt: skip
def test_a_question_is_cut_at_sentences_else_at_clauses(question: str, pieces: list[str]) -> None:
    assert shards(question) == pieces


@pytest.mark.parametrize("scenario", [name for name in BENCH_SCENARIOS if "correction" not in name])
def test_every_scenario_ends_with_what_starting_anew_asks(scenario: str) -> None:
    for pair in pairs(scenario, [STORY, SUM], "dev"):
        assert pair.there.scenario == scenario
        assert pair.anew == plain(pair.there.item)
        assert len(pair.there.said) > 1
        assert pair.there.asked.answer == pair.there.item.answer


def test_pieces_are_the_question() -> None:
    (pair,) = pairs("shards", [STORY, SUM], "dev")
    assert pair.there.asked.question == STORY.question
    (short,) = pairs("pauses", [STORY, SUM], "dev")
    assert [said.text for said in short.there.said] == [said.text for said in pair.there.said]
    ears = EarsOptions()
    assert max(said.pause_s for said in short.there.said) < ears.hard_end_ms / 1000
    assert pair.there.said[1].pause_s > ears.unfinished_end_ms / 1000


def test_another_question_is_one_of_another_kind_and_judged_alone() -> None:
    first, second = pairs("barge-in", [STORY, SUM], "dev")
    assert (first.there.item, second.there.item) == (SUM, STORY)
    assert first.first is None
    assert pairs("second-question", [STORY, SUM], "dev")[0].first == STORY
    assert first.there.said[1].after == "reply"


def test_a_correction_ends_with_what_was_meant() -> None:
    pytest.importorskip("reasoning_gym", reason="the extra 'think' of bench is not installed")
    from bench.think.items.generated import items  # noqa: PLC0415 - optional

    for pair in pairs("correction", items("products", "dev", 3), "dev"):
        asked, corrected = pair.there.said
        assert corrected.text.startswith("Sorry, I meant")
        assert asked.text != pair.anew.said[0].text
        assert pair.there.item.question == pair.anew.said[0].text


def answered(plan: ScenarioPlan, *, right: bool, tokens: int, seconds: float, cut: bool = False) -> Sample:
    return Sample(
        "async", plan.item.task, plan.item.number, plan.item.question, plan.item.answer, plan.scenario,
        spoken=f"It is {plan.item.answer if right else 0}.", right=right, interrupted=cut, words_until_answer=3,
        first_content_s=seconds, final_correct_s=seconds if right else None, tokens_to_answer=tokens if right else None,
    )  # fmt: skip


def test_the_cost_of_a_correction_is_compared_where_both_are_right_and_a_reply_was_cut() -> None:
    words = (Utterance(STORY.question), Utterance("Sorry, I meant 7, not 5.", 0.6, after="reply"))
    made, samples = [], {}
    for number in range(4):
        meant = replace(STORY, number=number, answer="42")
        pair = Pair(ScenarioPlan(meant, words, "correction"), plain(meant))
        made.append(pair)
        samples["async", pair.there] = answered(pair.there, right=number > 0, tokens=10, seconds=2.0, cut=number > 1)
        samples["async", pair.anew] = answered(pair.anew, right=True, tokens=40, seconds=4.0)
    of = figures({"correction": made}, ["async"], samples)["correction"]["async"]
    assert of["items"] == 4
    assert of["accuracy"] == 0.75
    assert of["anew_accuracy"] == 1.0
    assert of["accuracy_difference"]["value"] == -0.25
    assert of["tokens_to_answer"]["value"] == 0.25
    assert of["tokens_to_answer"]["items"] == 2
    assert of["final_correct_s"]["value"] == 0.5
    assert of["first_answered"] is None
    target = summary.targets({}, {}, {"correction": {"async": of}})[-1]
    assert target.name == "correction_tokens_over_restart"
    assert target.met
    console = Console(width=80)
    with console.capture() as shown:
        tables.show_scenarios(console, {"correction": {"async": of}})
    assert "0.25 (0.25…0.25)" in shown.get()


def test_the_first_question_is_answered_by_any_sentence() -> None:
    (pair, *_) = pairs("second-question", [SUM, STORY], "dev")
    there = answered(pair.there, right=True, tokens=1, seconds=1.0, cut=True)
    samples = {("async", pair.there): there, ("async", pair.anew): answered(pair.anew, right=True, tokens=1, seconds=1)}
    found = figures({"second-question": [pair]}, ["async"], samples)["second-question"]["async"]
    assert found["first_answered"] == 0.0
    there.before = "1 plus 2 is 3. And"
    found = figures({"second-question": [pair]}, ["async"], samples)["second-question"]["async"]
    assert found["first_answered"] == 1.0


def test_a_pair_that_was_not_measured_as_a_whole_does_not_count() -> None:
    (pair,) = pairs("shards", [STORY], "dev")
    samples = {("async", pair.there): answered(pair.there, right=True, tokens=1, seconds=1.0)}
    assert figures({"shards": [pair]}, ["async"], samples) == {}
