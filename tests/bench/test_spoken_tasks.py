from __future__ import annotations

import pytest

from agent.robot.misheard import doubt
from agent.robot.proposal import Proposal
from bench.robot.judging import SpokenOutcome, asked_or_refused, expected, judge_spoken
from bench.robot.spoken import SpokenTask, answer_to, spoken_tasks
from robots.safety.gate import Question
from robots.simulator.run import EXAMPLE_MAP
from robots.site import Site
from robots.skills import SkillCall


def called(skill: str, **arguments: str | float) -> SkillCall:
    return SkillCall("c", skill, arguments, 1)


def test_the_sets_that_are_reported_have_thirty_tasks_each_and_one_in_five_cannot_be_done() -> None:
    places = Site.load(EXAMPLE_MAP).places
    sets = [spoken_tasks("a"), spoken_tasks("b")]
    for tasks in sets:
        assert len(tasks) == 30
        assert sum(not task.truth for task in tasks) == 6
        named = [step.removeprefix("at ") for task in tasks for step in task.truth if step.startswith("at ")]
        assert set(named) <= places.keys()
    texts = [task.say for tasks in (*sets, spoken_tasks("develop")) for task in tasks]
    assert len(set(texts)) == len(texts)
    assert not {task.voice for task in sets[0]} & {task.voice for task in sets[1]}


@pytest.mark.parametrize(
    ("truth", "happened", "asked", "outcome"),
    [
        (["at hall"], ["at hall"], False, "done"),
        (["at hall", "wave"], ["at hall"], False, "undone"),
        (["at hall"], [], True, "asked"),
        (["at hall"], ["at desk"], True, "wrong"),
        (["at hall"], ["at hall", "wave"], False, "wrong"),
        ([], [], True, "asked"),
        ([], [], False, "undone"),
        ([], ["moved"], True, "wrong"),
    ],
)
def test_whatever_was_not_asked_for_is_wrong(
    truth: list[str], happened: list[str], asked: bool, outcome: SpokenOutcome
) -> None:
    assert judge_spoken(truth, happened, asked=asked) == outcome


def test_what_calls_come_to_is_told_as_the_truth_is() -> None:
    calls = [called("pick", place="here"), called("go_to", place="hall"), called("wait", place="hall", seconds=4.0)]
    assert expected([*calls, called("go_to_pose", x=3.0, y=1.5)], "home") == (
        "pick",
        "at hall",
        "wait 4",
        "pose 3 1.5",
    )
    assert expected([called("drop", place="home")], "home") == ("drop",)


def test_a_user_says_yes_to_what_was_said_alone() -> None:
    task = SpokenTask("Pick it up and bring it to the hall.", "af_heart", "home", ("pick", "at hall", "drop"))
    meant = (called("pick", place="here"), called("drop", place="hall"))
    assert answer_to(Proposal(meant, 0.0), task) == "Yes."
    assert answer_to(Proposal(meant[:1], 0.0), task) == "No."
    assert answer_to(Question("q", 0.0, meant[0]), task) == "Yes."
    assert answer_to(Question("q", 0.0, called("dock", place="here")), task) == "No."
    asked = doubt("Bring it to the hole.", {"hall", "kitchen"})
    assert asked is not None
    assert answer_to(asked, task) == "Yes."
    assert answer_to(asked, SpokenTask("Bring it to the pole.", "af_heart", "home", ())) == "No."


@pytest.mark.parametrize(
    ("said", "openly"),
    [("Which hall do you mean?", True), ("I cannot go there.", True), ("On my way!", False), ("I am there.", False)],
)
def test_a_reply_that_asks_or_refuses_is_told_from_one_that_does_not(said: str, openly: bool) -> None:
    assert asked_or_refused(said) == openly
