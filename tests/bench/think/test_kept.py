from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.errors import ReportError
from bench.think.items.question import TaskQuestion
from bench.think.kept import KeptSamples, kept_lines
from bench.think.metrics import Sample
from bench.think.scenarios import ScenarioPlan, plain
from bench.think.summary import by_task, false_noes, spoiled
from bench.think.think import Row
from bench.virtual.simulation import StreamPace
from reasoning.options import LoopOptions

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = {"pace": {"final_s": 0.3}, "rows": {"async": ("a", 1)}}
ROWS = [Row("async", "async", LoopOptions()), Row("no-think", "no-think", LoopOptions())]
PLANS = [plain(TaskQuestion("eggs", number, f"How many in {number}?", "4", "number")) for number in range(3)]
JOBS = [(row, plan) for plan in PLANS for row in ROWS]


def measured(row: Row, plan: ScenarioPlan) -> Sample:
    item = plan.asked
    return Sample(
        row.name, item.task, item.number, item.question, item.answer, plan.scenario, spoken="4 – five", right=True,
        tokens={"writer": 5}, paces={"writer": StreamPace(3, 2, 0.5)}, timeline=[(1.0, "content", "4")],
    )  # fmt: skip


def test_a_run_that_is_begun_again_has_what_was_finished(tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    kept = KeptSamples(file, SETTINGS)
    assert kept.found(JOBS) == {}
    for row, plan in JOBS[:3]:
        kept.keep(measured(row, plan))
    with file.open("a", encoding="utf-8") as cut:
        cut.write('{"row": "no-think", "task": "eg')
    again = KeptSamples(file, SETTINGS)
    found = again.found(JOBS)
    assert list(found) == [(row.name, plan) for row, plan in JOBS[:3]]
    first = found["async", PLANS[0]]
    assert first.paces == {"writer": StreamPace(3, 2, 0.5)}
    assert first.spoken == "4 – five"


def test_what_is_kept_behind_a_line_that_was_cut_off_is_read(tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    KeptSamples(file, SETTINGS).keep(measured(*JOBS[0]))
    with file.open("a", encoding="utf-8") as cut:
        cut.write('{"row": "no-think", "task": "eg')
    KeptSamples(file, SETTINGS).keep(measured(*JOBS[1]))
    assert len(KeptSamples(file, SETTINGS).found(JOBS)) == 2


def test_another_question_or_scenario_is_not_taken_for_one_that_was_kept(tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    KeptSamples(file, SETTINGS).keep(measured(*JOBS[0]))
    other = plain(TaskQuestion("eggs", 0, "How many in all?", "4", "number"))
    scenario = ScenarioPlan(PLANS[0].item, PLANS[0].said, "pauses")
    assert KeptSamples(file, SETTINGS).found([(ROWS[0], other), (ROWS[0], scenario), (ROWS[1], PLANS[0])]) == {}


def test_conversations_of_other_settings_or_no_conversations_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    KeptSamples(file, SETTINGS)
    with pytest.raises(ReportError, match="pace"):
        KeptSamples(file, SETTINGS | {"pace": {"final_s": 0.4}})
    file.write_text("notes of mine\n", encoding="utf-8")
    with pytest.raises(ReportError, match="no kept conversations"):
        kept_lines(file)
    with pytest.raises(ReportError, match="cannot be"):
        KeptSamples(tmp_path, SETTINGS)
    assert file.read_text(encoding="utf-8") == "notes of mine\n"


def test_the_kinds_that_are_spoiled_and_the_false_noes_are_named() -> None:
    rows = {name: [measured(ROWS[0], plan) for plan in PLANS] for name in ("async", "think-first", "no-think")}
    rows["async"][1].right = False
    assert spoiled(rows) == ["eggs"]
    assert [sample.number for sample in false_noes(rows)] == [1]
    rows["async"][1].thoughts = "2 + 2 = 5"
    assert false_noes(rows) == []
    rows["no-think"][0].right = False
    assert spoiled(rows) == []
    assert by_task(rows["async"])["eggs"] == {
        "items": 3, "right": 2, "first_content_s": None, "longest_silence_s": 0.0, "tokens": 5.0,
    }  # fmt: skip
