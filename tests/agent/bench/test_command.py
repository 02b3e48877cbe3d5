from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from agent.bench import summary
from agent.bench.command import Wanted, run
from agent.bench.metrics import Sample
from agent.bench.plots import draw
from agent.commands.invocation import Invocation
from agent.errors import BadQuestion, ConfigError, ReportError

if TYPE_CHECKING:
    from pathlib import Path

FREE = Invocation(None, ())


def wanted(**changes: object) -> Wanted:
    plain: dict[str, object] = {
        "tasks": "chain_sum", "count": 1, "split": "dev", "modes": "async", "rows": (), "batch": 1, "real": 0,
        "costs": None, "json_file": None, "plot": None,
    }  # fmt: skip
    return Wanted(**(plain | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "error", "told"),
    [
        ({"modes": "async,chess"}, BadQuestion, "think-first"),
        ({"modes": " , "}, BadQuestion, "at least one"),
        ({"rows": ("async: loop.grounding=false",)}, BadQuestion, "different names"),
        ({"rows": ("loop.grounding=false",)}, BadQuestion, "write it as name"),
        ({"rows": ("bare: loop.groundng=false",)}, ConfigError, "grounding"),
        ({"rows": ("bare: loop.grounding=perhaps",)}, ConfigError, "loop.grounding"),
        ({"split": "train"}, BadQuestion, "dev and test"),
        ({"tasks": "nowhere.json"}, BadQuestion, "nowhere.json"),
    ],
)
def test_bad_input_is_told_before_anything_is_loaded(
    changes: dict[str, object], error: type[Exception], told: str
) -> None:  # fmt: skip
    with pytest.raises(error, match=told):
        run(FREE, {}, wanted(**changes))


def test_a_report_without_gaining_tasks_cannot_choose_tasks(tmp_path: Path) -> None:
    report = tmp_path / "dev.json"
    report.write_text(json.dumps({"bench": "think", "results": {"compared": {"gaining_tasks": []}}}))
    with pytest.raises(BadQuestion, match="no task"):
        run(FREE, {}, wanted(tasks=str(report)))
    report.write_text(json.dumps({"bench": "engine"}))
    with pytest.raises(BadQuestion, match="not a report"):
        run(FREE, {}, wanted(tasks=str(report)))


def sample(row: str, number: int, *, right: bool, content: float, delay: float, words: int = 10) -> Sample:
    return Sample(
        row, "eggs" if number < 10 else "rows", number, "How many?", "4", spoken="4", thoughts="4", stated="4",
        right=right, first_sound_s=1.0, first_content_s=content, final_correct_s=content + 1 if right else None,
        delay_to_first_s=delay, total_delay_s=delay, words=words, words_until_answer=words, tokens={"writer": 5},
        reason="complete",
    )  # fmt: skip


def outcome() -> dict[str, list[Sample]]:
    rows = {
        "async": [sample("async", i, right=i < 7, content=1.5, delay=1.0, words=6) for i in range(20)],
        "think-first": [sample("think-first", i, right=i < 8, content=8.0, delay=5.0) for i in range(20)],
        "no-think": [sample("no-think", i, right=i < 4, content=1.2, delay=0.5) for i in range(20)],
        "aloud": [sample("aloud", i, right=i < 8, content=3.0, delay=1.0, words=30) for i in range(20)],
    }
    return summary.by_row([of for samples in rows.values() for of in samples])


def test_the_targets_are_those_that_are_asked_for() -> None:
    rows = outcome()
    compared = summary.compare(rows)
    assert compared["gaining_tasks"] == ["eggs"]
    assert compared["gain_kept: async"]["value"] == pytest.approx(0.75)
    assert compared["gain_kept: aloud"]["value"] == pytest.approx(1.0)
    targets = {target.name: target for target in summary.targets(rows, compared)}
    assert targets["accuracy_gain_kept"].value == pytest.approx(0.75)
    assert not targets["accuracy_gain_kept"].met
    assert targets["total_delay_over_think_first"].value == pytest.approx(0.2)
    assert targets["total_delay_over_think_first"].met
    assert targets["words_until_answer_over_aloud"].value == pytest.approx(0.2)
    assert targets["final_correct_over_think_first"].value == pytest.approx(2.5 / 9.0)
    assert targets["first_content_p50_s"].value == 1.5


def test_items_on_which_think_first_is_quick_are_no_comparison_of_promptness() -> None:
    rows = outcome()
    for of in rows["think-first"][:19]:
        of.delay_to_first_s = 3.9
    assert summary.compare(rows)["total_delay: async / think-first"]["items"] == 1


def test_the_table_fits_and_tells_every_row() -> None:
    console = Console(width=80)
    rows = outcome()
    with console.capture() as shown:
        summary.show(console, rows, summary.compare(rows))
    text = shown.get()
    assert "35%" in text
    assert "eggs" in text
    assert max(map(len, text.splitlines())) <= 80


def test_the_plot_is_written_or_the_reason_told(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra 'bench' is not installed")
    draw(outcome(), tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ReportError, match="name another file"):
        draw(outcome(), tmp_path / "curve.doc")
