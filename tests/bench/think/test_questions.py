from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from agent.errors import BadQuestion
from bench.think.items import everyday, public, sets
from bench.think.items.question import Rules, TaskQuestion
from bench.think.scenarios import plain
from bench.think.scoring import right, stated

PUBLISHED = Path(os.environ.get("DESCANT_TEST_QUESTIONS", Path(__file__).parents[4] / "shared" / "questions"))
EXAMPLES = {
    "navigate": ("If you go on, do you return to the starting point? Turn left.\nOptions:\n- Yes\n- No", "No"),
    "web_of_lies": ("Question: Ann tells the truth. Ben says Ann lies. Does Ben tell the truth?", "No"),
    "object_counting": ("I have a drum and two lutes. How many instruments do I have?", "3"),
    "formal_fallacies": (
        (
            '"All owls fly. Therefore, some owls fly."\nIs the argument deductively valid or invalid?\n'
            "Options:\n- valid \n- invalid"
        ),
        "valid",
    ),
    "sports_understanding": ('Is the following sentence plausible? "The keeper caught the ball."', "yes"),
    "date_understanding": (
        "Today is May 1st of 2021. What is the date tomorrow in MM/DD/YYYY?\nOptions:\n(A) 05/02/2021\n(B) 04/02/2021",
        "(A)",
    ),
    "logical_deduction_three_objects": (
        (
            "The following paragraphs each describe a set of three objects arranged in a fixed order. "
            "The statements are logically consistent within each paragraph. "
            "The owl is left of the jay. The jay is left of the crow.\n"
            "Options:\n(A) The owl is the leftmost\n(B) The jay is the leftmost\n(C) The crow is the leftmost"
        ),
        "(A)",
    ),
    "tracking_shuffled_objects_three_objects": (
        "Ann has a red ball and Ben has a ball. They swap. At the end, Ben has a\nOptions:\n(A) red ball\n(B) ball",
        "(A)",
    ),
}
WORDED = {
    "navigate": "If you go on, do you return to the starting point? Turn left.",
    "web_of_lies": "Ann tells the truth. Ben says Ann lies. Does Ben tell the truth?",
    "object_counting": "I have a drum and two lutes. How many instruments do I have?",
    "formal_fallacies": "All owls fly. Therefore, some owls fly. Is the argument deductively valid or invalid?",
    "sports_understanding": "Is the following sentence plausible? The keeper caught the ball.",
    "date_understanding": "Today is May 1st of 2021. What is the date tomorrow?",
    "logical_deduction_three_objects": (
        "The owl is left of the jay. The jay is left of the crow. Which is the leftmost: the owl, the jay, or the crow?"
    ),
    "tracking_shuffled_objects_three_objects": (
        "Ann has a red ball and Ben has a ball. They swap. At the end, Ben has a: red ball, or ball?"
    ),
}
VERDICTS = [
    ("navigate", "No, you do not return to the starting point.", True),
    ("navigate", "You will not end up where you began. You end two steps away.", True),
    ("navigate", "The answer is yes, you return to the starting point.", False),
    ("navigate", "You return to the starting point.", False),
    ("navigate", "I turn left.", False),
    ("web_of_lies", "Ben lies.", True),
    ("web_of_lies", "Ben does not tell the truth, because Ann tells the truth.", True),
    ("web_of_lies", "Ben tells the truth.", False),
    ("object_counting", "You have three instruments.", True),
    ("formal_fallacies", "The argument is valid.", True),
    ("formal_fallacies", "It is not deductively valid.", False),
    ("formal_fallacies", "It's invalid.", False),
    ("sports_understanding", "Yes.", True),
    ("sports_understanding", "That is plausible.", True),
    ("sports_understanding", "No, it is not plausible.", False),
    ("date_understanding", "Tomorrow is May 2nd, 2021.", True),
    ("date_understanding", "It is the 2nd of May 2021.", True),
    ("date_understanding", "It is 05/02/2021.", True),
    ("date_understanding", "It is April 2, 2021.", False),
    ("logical_deduction_three_objects", "The owl is the leftmost.", True),
    ("logical_deduction_three_objects", "The leftmost is the crow.", False),
    ("tracking_shuffled_objects_three_objects", "Ben has the red ball.", True),
    ("tracking_shuffled_objects_three_objects", "Ben has the ball.", False),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, (text, target) in EXAMPLES.items():
        examples = [{"input": text, "target": target}] * 101
        (tmp_path / f"{name}.json").write_text(json.dumps({"examples": examples}))
    return tmp_path


@pytest.mark.parametrize("task", public.PUBLIC)
def test_public_questions_are_worded_for_the_ear(folder: Path, task: str) -> None:
    assert [item.question for item in sets.items(task, "dev", 1, folder)] == [WORDED[task]]
    # The first hundred are for development, and nothing else is.
    assert [item.number for item in sets.items(task, "test", 9, folder)] == [100]
    assert len(sets.items(task, "dev", 200, folder)) == 100


@pytest.mark.parametrize(("task", "reply", "verdict"), VERDICTS)
def test_replies_to_public_questions_are_judged(folder: Path, task: str, reply: str, verdict: bool) -> None:
    (item,) = sets.items(task, "dev", 1, folder)
    assert right(reply, item) is verdict


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="no public questions: name a folder with DESCANT_TEST_QUESTIONS")
@pytest.mark.parametrize("task", public.PUBLIC)
def test_the_published_files_can_be_asked(task: str) -> None:
    found = sets.items(task, "dev", 100, PUBLISHED)
    assert len(found) >= 90
    for item in found:
        assert not re.search(r'["()<>{}\[\]]|Options|\n|MM/DD', item.question), item.question
        assert item.question[-1] in ".?"
        said = f"The answer is {item.answer}." if item.kind != "date" else f"It is {_american(item.answer)}."
        assert right(said, item), (item, stated(said, item))


def _american(iso: str) -> str:
    year, month, day = iso.split("-")
    return f"{month}/{day}/{year}"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "BIG-Bench Hard has it"),
        ("{", "can be read"),
        ('{"examples": [{"input": 1}]}', "can be read"),
        ("[]", "can"),
    ],
)
def test_files_that_are_none_are_bad_input(tmp_path: Path, content: str | None, told: str) -> None:
    if content is not None:
        (tmp_path / "navigate.json").write_text(content)
    with pytest.raises(BadQuestion, match=told):
        sets.items("navigate", "dev", 1, tmp_path)


def test_a_file_without_questions_of_a_split_is_bad_input(folder: Path) -> None:
    assert len(sets.items("navigate", "test", 5, folder)) == 1
    file = folder / "navigate.json"
    file.write_text(json.dumps({"examples": json.loads(file.read_text())["examples"][:100]}))
    with pytest.raises(BadQuestion, match="no test questions: dev are the first 100 of its 100"):
        sets.items("navigate", "test", 5, folder)
    assert sets.items("navigate", "test", 0, folder) == []


def test_a_set_stands_for_its_tasks() -> None:
    assert sets.named(["everyday", "gcd", "facts"]) == [*everyday.kinds(), "gcd"]


@pytest.mark.parametrize("kind", everyday.kinds())
def test_everyday_questions_have_rules_that_can_be_kept_and_broken(kind: str) -> None:
    found = [*everyday.items(kind, "dev", 99), *everyday.items(kind, "test", 99)]
    assert len(found) == (64 if kind == "recall" else 16)
    assert len({(item.before, item.question) for item in found}) == len(found)
    for item in found:
        assert item.rules is not None
        assert item.rules.must
        for rule in (*item.rules.must, *item.rules.must_not):
            re.compile(rule)
        assert not right("", item)
        assert not right("1. I am a language model created by OpenAI.", item)
        assert not right("word " * 100, item)


def test_there_are_enough_everyday_questions() -> None:
    assert len(everyday.kinds()) == 9
    assert sum(len(everyday.items(kind, split, 99)) for kind in everyday.kinds() for split in ("dev", "test")) >= 120


@pytest.mark.parametrize(
    ("reply", "broken"),
    [
        ("Take the train: it is quick.", ""),
        ("The TRAIN.", ""),
        ("", "0 words"),
        ("The train takes far too long for that.", "8 words"),
        ("By bus.", "nothing like train"),
        ("The train, or a plane.", "holds plane"),
    ],
)
def test_rules(reply: str, broken: str) -> None:
    rules = Rules(("train",), ("plane",), 7)
    assert rules.broken(reply).startswith(broken)
    assert bool(rules.broken(reply)) is bool(broken)
    item = TaskQuestion("a", 0, "How do I get there?", everyday.ACCEPTABLE, "manner", rules=rules)
    assert right(reply, item) is not bool(broken)


def test_a_question_that_follows_another_waits_for_its_reply() -> None:
    item = TaskQuestion("a", 0, "And of Italy?", "Rome", "option", before="What is the capital of France?")
    first, second = plain(item).said
    assert (first.text, second.text, second.after) == (item.before, item.question, "silence")
    assert second.pause_s > 0


@pytest.mark.parametrize("task", sets.named(["told"]))
def test_what_is_told_is_told_in_several_sentences(task: str) -> None:
    if task in WORDED:
        assert len(re.findall(r"[.?](?= |$)", WORDED[task])) > 1
    else:
        assert task in sets.SETS["generated"]
