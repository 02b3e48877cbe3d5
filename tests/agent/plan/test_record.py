from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from agent.errors import ForeignRecord
from agent.plan.choice import MachineMeasures
from agent.plan.machine import PlanKey
from agent.plan.record import any_kept, file_of, keep, recall

if TYPE_CHECKING:
    from pathlib import Path

KEY = PlanKey("a processor", 2, "avx2", "ab12", "ears", "voice", 0, "0.1.0")
MEASURED = MachineMeasures(2, tuple(0.08 + 0.01 * n for n in range(8)), 0.018, 0.2, 0.25)


def test_what_was_kept_is_recalled(tmp_path: Path) -> None:
    folder = tmp_path / "plans"
    assert recall(folder, KEY) is None
    assert not any_kept(folder)
    for measured in (MEASURED, replace(MEASURED, busy=True)):
        keep(folder, KEY, measured)
        assert recall(folder, KEY) == measured
    assert any_kept(folder)
    assert [path.name for path in folder.iterdir()] == [file_of(folder, KEY).name]


@pytest.mark.parametrize(
    "change",
    [{"processor": "another"}, {"cores": 4}, {"kernels": "generic"}, {"model": "cd"}, {"threads": 1}, {"descant": "9"}],
)
def test_another_machine_model_or_version_is_measured_anew(tmp_path: Path, change: dict[str, Any]) -> None:
    keep(tmp_path, KEY, MEASURED)
    assert recall(tmp_path, replace(KEY, **change)) is None


def test_a_file_that_was_put_there_for_another_machine_is_refused(tmp_path: Path) -> None:
    other = replace(KEY, processor="another")
    keep(tmp_path, other, MEASURED)
    file_of(tmp_path, other).replace(file_of(tmp_path, KEY))
    with pytest.raises(ForeignRecord, match="another machine or model"):
        recall(tmp_path, KEY)


@pytest.mark.parametrize("cut", [0, 1, 40, 200])
def test_a_torn_file_is_refused(tmp_path: Path, cut: int) -> None:
    keep(tmp_path, KEY, MEASURED)
    file = file_of(tmp_path, KEY)
    file.write_text(file.read_text()[:cut])
    with pytest.raises(ForeignRecord):
        recall(tmp_path, KEY)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps_s", [0.1] * 7),
        ("steps_s", [0.2, 0.1] + [0.2] * 6),
        ("steps_s", [0.0] * 8),
        ("steps_s", [-1.0] * 8),
        ("steps_s", [1e9] * 8),
        ("steps_s", ["x"] * 8),
        ("steps_s", None),
        ("token_s", True),
        ("token_s", float("nan")),
        ("decode_s", float("inf")),
        ("decode_s", 10**400),
        ("threads", 0),
        ("threads", 2.5),
        ("busy", "no"),
    ],
)
def test_a_file_that_holds_what_cannot_be_is_refused(tmp_path: Path, name: str, value: object) -> None:
    keep(tmp_path, KEY, MEASURED)
    file = file_of(tmp_path, KEY)
    document = json.loads(file.read_text())
    document["measured"][name] = value
    file.write_text(json.dumps(document))
    with pytest.raises(ForeignRecord):
        recall(tmp_path, KEY)


@pytest.mark.parametrize("text", ["[]", "1", "null", "{}", "\x00"])
def test_a_file_of_something_else_is_refused(tmp_path: Path, text: str) -> None:
    file = file_of(tmp_path, KEY)
    file.write_text(text)
    with pytest.raises(ForeignRecord):
        recall(tmp_path, KEY)


def test_a_cache_that_cannot_be_written_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "plans").write_text("a file where the folder should be")
    keep(tmp_path / "plans", KEY, MEASURED)
    assert (tmp_path / "plans").is_file()
