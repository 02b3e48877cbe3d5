from __future__ import annotations

import io
import json
import math
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from agent import __version__
from bench.errors import ReportError
from bench.report import Report, Target

if TYPE_CHECKING:
    from pathlib import Path


def test_the_document_has_the_common_frame(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    target = Target("joint_step_over_single", 1.19, at_most=1.25)
    Report("engine", {"threads": 2, "cache": tmp_path}, {"samples": [1.0, math.nan]}, [target]).write(file)
    found = json.loads(file.read_text())
    assert list(found) == ["bench", "version", "commit", "machine", "settings", "results", "targets"]
    assert (found["bench"], found["version"]) == ("engine", __version__)
    assert found["machine"].keys() == {"cpu", "cores", "memory_gb", "read_gb_s"}
    assert found["machine"]["read_gb_s"] > 0.1
    assert found["settings"]["cache"] == str(tmp_path)
    assert found["results"]["samples"] == [1.0, None]
    assert found["targets"] == [{"name": "joint_step_over_single", "value": 1.19, "at_most": 1.25, "met": True}]
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(
    ("target", "met"),
    [
        (Target("a", 1.0, at_most=1.0), True),
        (Target("a", 1.1, at_most=1.0), False),
        (Target("a", 0.9, at_least=1.0), False),
        (Target("a", 1.0, at_least=1.0), True),
        (Target("a", None, at_most=1.0), False),
        (Target("a", math.nan, at_least=0.0), False),
    ],
)
def test_targets(target: Target, met: bool) -> None:
    assert target.met is met


def test_a_report_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="name another file"):
        Report("engine", {}, {}).write(tmp_path / "missing" / "report.json")


def test_a_missing_figure_is_shown_as_missing() -> None:
    console = Console(width=80, record=True, file=io.StringIO())
    Report("engine", {}, {}, [Target("speed", None, at_least=2)]).show_targets(console)
    assert "not measured" in console.export_text()
