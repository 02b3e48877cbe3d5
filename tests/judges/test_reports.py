"""What the judges say, read: their own counts, and the items of a long run that goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.judges import big_bench_audio, judge_pipecat, judge_tau_voice
from tests.judges.scenario import checkout

SUITE = "tests/test_provider_suite.py"


def test_the_tests_of_tau_voice_are_counted_by_what_they_test() -> None:
    well: dict[str, Any] = {"note": "", "late_ms": []}
    reports: list[dict[str, Any]] = [
        {"test": f"{SUITE}::TestBargeIn::test_baseline[openai]", "outcome": "passed", **well},
        {"test": f"{SUITE}::TestBargeIn::test_yields[openai]", "outcome": "failed", "note": "3 ticks", "late_ms": []},
        {"test": f"{SUITE}::TestToolCall::test_round_trip[openai]", "outcome": "passed", **well, "late_ms": [301, 340]},
    ]
    barge_in, tool = judge_tau_voice.read(reports)
    assert (barge_in.name, barge_in.turns, barge_in.passed) == ("barge in", 2, 1)
    assert barge_in.notes == ["test_yields[openai]: 3 ticks"]
    assert sum(barge_in.asserted.values()) == 1
    # As the judge says it, and but for its clock.
    assert (tool.name, tool.turns, tool.passed, list(tool.asserted.values())) == ("tool call", 1, 0, [True])
    assert tool.notes == ["test_round_trip[openai]: 2 ticks took more than the judge allows, 340 ms"]


def test_a_turn_that_pipecat_did_not_come_to_has_not_passed() -> None:
    turns = [
        {"status": "passed", "notes": []},
        {"status": "failed", "notes": ["turn 1 expectation 0 (response): no Berlin"]},
        {"status": "not_run", "notes": []},
    ]
    one = judge_pipecat.read({"scenario": "capital_question", "turns": turns, "failures": []})
    assert (one.turns, one.passed) == (3, 1)
    assert one.notes == ["capital_question: turn 1 expectation 0 (response): no Berlin"]


def test_a_bot_that_never_listened_is_told() -> None:
    told = {"scenario": "a", "turns": [{"status": "not_run", "notes": []}], "failures": ["failed to connect"]}
    one = judge_pipecat.read(told)
    assert (one.turns, one.passed, one.notes) == (1, 0, ["a: failed to connect"])


def test_a_checkout_is_named_and_is_the_one_that_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TAU2", raising=False)
    with pytest.raises(SystemExit, match="TAU2 names no checkout"):
        checkout("TAU2", Path("a.py"))
    monkeypatch.setenv("TAU2", str(tmp_path))
    with pytest.raises(SystemExit, match=r"has no a\.py"):
        checkout("TAU2", Path("a.py"))
    (tmp_path / "a.py").touch()
    assert checkout("TAU2", Path("a.py")) == tmp_path


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    examples = {
        "formal_fallacies": ('"All cats purr."\nOptions:\n- valid \n- invalid', "valid"),
        "navigate": ("Do you return?\nOptions:\n- Yes\n- No", "No"),
        "object_counting": ("I have two cats. How many animals do I have?", "2"),
        "web_of_lies": ("Question: Ann lies. Does Ann tell the truth?", "No"),
    }
    for task, (text, target) in examples.items():
        told = {"examples": [{"input": f"{text}", "target": target}] * 120}
        (tmp_path / f"{task}.json").write_text(json.dumps(told))
    return tmp_path


def test_categories_take_turns_and_each_is_asked_by_every_voice(questions: Path) -> None:
    asked = big_bench_audio.asked(questions, 40)
    assert [item.task for item, _ in asked[:4]] == list(big_bench_audio.TASKS)
    assert len(asked) == 160
    assert max(item.number for item, _ in asked) < 100
    by_task = {task: {voice for item, voice in asked if item.task == task} for task in big_bench_audio.TASKS}
    assert all(len(voices) == len(big_bench_audio.VOICES) for voices in by_task.values())


def test_items_that_are_kept_are_not_asked_again_and_a_line_cut_off_is(tmp_path: Path) -> None:
    file = tmp_path / "items.jsonl"
    assert big_bench_audio.kept(file) == {}
    file.write_text('{"task": "navigate", "number": 0}\n{"task": "navigate", "num')
    assert list(big_bench_audio.kept(file)) == [("navigate", 0)]


def test_an_item_is_right_as_it_is_heard() -> None:
    line = {"task": "navigate", "right": True, "right_by_ear": False, "first_content_s": None}
    heard = {**line, "right_by_ear": True, "first_content_s": 2.5}
    one = next(told for told in big_bench_audio.scenarios([line, heard]) if told.turns)
    assert (one.name, one.turns, one.passed, one.responses_ms) == ("navigate", 2, 1, [2500.0])
