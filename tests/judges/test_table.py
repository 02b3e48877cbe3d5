"""The judges' pages: what a report says, what counts as a gap, and a floor that only rises."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.judges import table
from tests.judges.run import gaps, read_voicebench


def turn(name: str, **others: object) -> dict[str, Any]:
    empty: dict[str, object] = {
        "responded": True,
        "response_latency_ms": None,
        "stop_latency_ms": None,
        "passed": True,
        "notes": [],
    }
    return {"id": name, "expect": "respond", **empty, **others}


REPORT = {
    "sessions": [
        {
            "turns": [
                turn("hello", response_latency_ms=900.0),
                turn("question", response_latency_ms=2100.0),
                turn("stop", expect="stop", stop_latency_ms=340.0, passed=False, notes=["kept talking"]),
            ],
            "agent_segments": [[2.0, 3.0], [4.4, 5.0], [8.0, 9.0]],
            "user_segments": [[0.0, 1.0], [5.5, 7.0]],
        }
    ],
    "assertions": [{"key": "max_response_latency_ms", "limit": 2000, "actual": 2100.0, "passed": False}],
}


def results(passed: int) -> dict[str, Any]:
    one = {
        "name": "a",
        "turns": 4,
        "passed": passed,
        "responses_ms": [900.0],
        "stops_ms": [],
        "gaps_s": [1.4],
        "asserted": {"max_wer": False},
    }
    return {"judge": "voicebench", "machine": "M", "repeat": 1, "scenarios": [one]}


def test_a_report_is_read_by_the_judges_own_words() -> None:
    one = read_voicebench("a", REPORT)
    assert (one.turns, one.passed) == (3, 2)
    assert (one.responses_ms, one.stops_ms) == ([900.0, 2100.0], [340.0])
    assert one.gaps_s == [1.4]
    assert one.notes == ["stop: kept talking"]
    assert one.asserted == {"max_response_latency_ms": False}


def test_a_silence_into_which_the_caller_speaks_is_no_gap() -> None:
    assert gaps([[0, 1], [3, 4]], [[1.5, 2]]) == []
    assert gaps([[0, 1], [3, 4]], [[0.5, 0.9]]) == [2.0]


@pytest.fixture
def pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("PAGE", "README"):
        file = tmp_path / name
        file.write_text("# A page\n<!-- voicebench: begin -->\n<!-- voicebench: end -->\nthe end\n")
        monkeypatch.setattr(table, name, file)
    monkeypatch.setattr(table, "FLOORS", tmp_path / "FLOORS")
    (tmp_path / "FLOORS").write_text('{"another": [1, 2]}')
    return tmp_path


def test_the_floor_only_rises(pages: Path) -> None:
    for passed in (2, 3, 3):
        table.record(results(passed))
        page = (pages / "PAGE").read_text()
        assert f"**{passed} of 4**" in page
        assert f"{passed} of 4 | 0 of 1 |" in page
        assert "| 1.4 s in 95 %, n = 1 |" in page
        assert "M, one session of each scenario" in page
        assert page.endswith("the end\n")
        assert f"voicebench: {passed} of 4 turns passed (M)" in (pages / "README").read_text()
        assert json.loads((pages / "FLOORS").read_text()) == {"another": [1, 2], "voicebench": [passed, 4]}
    with pytest.raises(SystemExit, match="2 of 4 turns passed, where 3 of 4 did before"):
        table.record(results(2))
    assert (pages / "PAGE").read_text() == page
    assert json.loads((pages / "FLOORS").read_text())["voicebench"] == [3, 4]


def test_a_part_of_the_items_sets_no_floor_and_takes_the_place_of_none(pages: Path) -> None:
    for part, passed, told in (("1 of 9", 4, "4 of 4"), ("", 3, "**3 of 4**"), ("1 of 9", 4, "**3 of 4**")):
        table.record({**results(passed), "part": part})
        assert f"| all | {told} |" in (pages / "PAGE").read_text()
    assert json.loads((pages / "FLOORS").read_text())["voicebench"] == [3, 4]


def test_the_pages_tell_the_best_scores() -> None:
    page, readme = table.PAGE.read_text(), table.README.read_text()
    for judge, (passed, turns) in json.loads(table.FLOORS.read_text()).items():
        within = page.partition(f"<!-- {judge}: begin -->")[2].partition(f"<!-- {judge}: end -->")[0]
        assert f"| **{passed} of {turns}** |" in within
        assert f"\n{table.scored(judge, passed, turns)} (" in readme
