from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from bench.budgets import against_longest, at_most_lost, read_rows, run
from bench.errors import ReportError
from bench.think.items.question import TaskQuestion
from bench.think.kept import KeptSamples
from bench.think.metrics import Sample
from reasoning.options import LoopOptions


def kept(file: Path, *, joules: bool) -> None:
    """Ten questions: those with longer thoughts than the short row has are wrong there, and cost half."""
    rows = {
        name: {"mode": mode, "loop": asdict(LoopOptions(think_tokens=tokens))}
        for name, mode, tokens in (("short", "async", 64), ("whole", "async", 320), ("no", "no-think", 320))
    }
    writes = KeptSamples(file, {"rows": rows})
    for number in range(10):
        item, thought = TaskQuestion("eggs", number, f"How many in {number}?", "4", "number"), 20 * number
        for row, right, spent in (
            ("whole", True, thought),
            ("short", thought <= 64, min(64, thought)),
            ("no", False, 0),
        ):
            sample = Sample(row, item.task, number, item.question, item.answer, right=right)
            sample.tokens = {"thinker": spent, "writer": 10}
            sample.joules = (spent + 10) / 10 if joules else None
            writes.keep(sample)


def test_rows_are_compared_with_the_longest_question_by_question(tmp_path: Path) -> None:
    kept(tmp_path / "a.jsonl", joules=True)
    rows, unit = read_rows(tmp_path / "a.jsonl")
    assert unit == "J"
    assert [row.name for row in rows] == ["whole", "short"]
    (one,) = against_longest(rows)
    assert (one["row"], one["against"]) == ("short", "whole")
    assert one["lost"]["value"] == pytest.approx(0.6)
    assert 0 < one["lost"]["low"] < 0.6 < one["lost"]["high"] <= 1
    # Thoughts 0, 20, 40, 60 and six times 64, and ten tokens each, against 900 and as many.
    assert one["cost"]["value"] == pytest.approx((504 + 100) / 1000)


def test_of_one_row_it_is_told_what_shorter_thoughts_would_at_most_have_lost(tmp_path: Path) -> None:
    kept(tmp_path / "a.jsonl", joules=False)
    rows, unit = read_rows(tmp_path / "a.jsonl")
    assert unit == "tokens"
    found = {one["tokens"]: one for one in at_most_lost(rows[0])}
    assert (found[64]["lost"], found[64]["right"], found[64]["spent"]) == (6, 0.4, pytest.approx(50.4))
    assert found[64]["saved"] == pytest.approx(1 - 504 / 900)
    assert found[192]["lost"] == 0
    assert all(tokens < 64 for one in at_most_lost(rows[1]) for tokens in [one["tokens"]])


def test_the_tables_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept(tmp_path / "a.jsonl", joules=True)
    run(tmp_path / "a.jsonl")
    told = capsys.readouterr().out
    assert "J saved" in told
    assert "6 of 10" in told


def test_what_is_no_kept_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="is not there"):
        read_rows(tmp_path / "none.jsonl")
    KeptSamples(tmp_path / "empty.jsonl", {"rows": {}})
    with pytest.raises(ReportError, match="no row that thinks"):
        read_rows(tmp_path / "empty.jsonl")
