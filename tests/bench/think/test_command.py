from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from agent.config.invocation import Invocation
from agent.errors import BadQuestion, ConfigError
from bench.errors import ReportError
from bench.plots import draw
from bench.think import listening, summary, tables
from bench.think.command import ThinkBenchOptions, run, spread
from bench.think.items.question import TaskQuestion
from bench.think.metrics import Sample
from bench.virtual.simulation import StreamPace

if TYPE_CHECKING:
    from pathlib import Path

FREE = Invocation(None, ())


def wanted(**changes: object) -> ThinkBenchOptions:
    plain: dict[str, object] = {
        "tasks": "chain_sum", "questions": None, "count": 1, "split": "dev", "modes": "async", "listening": "",
        "rows": (), "batch": 1, "real": 0, "scenarios": "", "scenario_count": 1, "speech": 0, "costs": None,
        "keep": None, "json_file": None, "plot": None,
    }  # fmt: skip
    return ThinkBenchOptions(**(plain | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "error", "told"),
    [
        ({"modes": "async,chess"}, BadQuestion, "think-first"),
        ({"modes": " , "}, BadQuestion, "at least one"),
        ({"listening": "off,closely"}, BadQuestion, "off, questions, heads, thoughts"),
        ({"listening": "off,off"}, BadQuestion, "different names"),
        ({"rows": ("async: policies.grounding=false",)}, BadQuestion, "different names"),
        ({"rows": ("policies.grounding=false",)}, BadQuestion, "write it as name"),
        ({"rows": ("bare: loop.led_s=1",)}, ConfigError, "lead_s"),
        ({"rows": ("bare: policies.groundng=false",)}, BadQuestion, "policies.grounding"),
        ({"rows": ("bare: loop.lead_s=perhaps",)}, ConfigError, "loop.lead_s"),
        ({"rows": ("bare: policies.grounding=perhaps",)}, BadQuestion, "true or false"),
        ({"split": "train"}, BadQuestion, "dev and test"),
        ({"tasks": "chess"}, BadQuestion, "everyday: small_talk"),
        ({"tasks": "navigate"}, BadQuestion, "--questions"),
        ({"tasks": "nowhere.json"}, BadQuestion, "nowhere.json"),
        ({"count": 0}, BadQuestion, "needs --scenarios"),
        ({"count": 0, "scenarios": "shards", "speech": 1}, BadQuestion, "at least 1"),
        ({"scenarios": "chess"}, BadQuestion, "second-question"),
        ({"scenarios": "correction", "modes": "aloud"}, BadQuestion, "row of the loop"),
        ({"scenarios": "correction", "tasks": "number_sequence"}, BadQuestion, "gsm_symbolic"),
    ],
)
def test_bad_input_is_told_before_anything_is_loaded(
    changes: dict[str, object], error: type[Exception], told: str
) -> None:  # fmt: skip
    if "correction" in changes.values():
        pytest.importorskip("reasoning_gym", reason="the extra 'think' of bench is not installed")
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
    return {
        "async": [sample("async", i, right=i < 7, content=1.5, delay=1.0, words=6) for i in range(20)],
        "think-first": [sample("think-first", i, right=i < 8, content=8.0, delay=5.0) for i in range(20)],
        "no-think": [sample("no-think", i, right=i < 4, content=1.2, delay=0.5) for i in range(20)],
        "aloud": [sample("aloud", i, right=i < 8, content=3.0, delay=1.0, words=30) for i in range(20)],
    }


def test_the_targets_are_those_that_are_asked_for() -> None:
    rows = outcome()
    compared = summary.compare(rows)
    assert compared["gaining_tasks"] == ["eggs"]
    assert compared["gain_kept: async"]["value"] == pytest.approx(0.75)
    assert compared["gain_kept: aloud"]["value"] == pytest.approx(1.0)
    targets = {target.name: target for target in summary.targets(rows, compared, {})}
    assert targets["items"].value == 20
    assert targets["tasks"].value == 2
    assert targets["correction_tokens_over_restart"].value is None
    assert targets["accuracy_gain_kept"].value == pytest.approx(0.75)
    assert not targets["accuracy_gain_kept"].met
    assert targets["total_delay_over_think_first"].value == pytest.approx(0.2)
    assert targets["total_delay_over_think_first"].met
    assert targets["words_until_answer_over_aloud"].value == pytest.approx(0.2)
    assert targets["final_correct_over_think_first"].value == pytest.approx(2.5 / 9.0)
    assert targets["first_content_p50_s"].value == 1.5


def test_streams_are_as_quick_as_all_their_tokens_over_all_their_time() -> None:
    samples = outcome()["async"][:3]
    samples[0].paces = {"writer": StreamPace(30, 20, 2.0), "thinker": StreamPace(10, 10, 1.0)}
    samples[1].paces = {"writer": StreamPace(), "thinker": StreamPace(5, 5, 0.2)}
    figures = summary.summarise(samples)
    assert figures["writer_tokens_per_step"] == 1.5
    assert figures["writer_tokens_per_s"] == 15.0
    assert figures["thinker_tokens_per_step"] == 1.0
    assert figures["thinker_tokens_per_s"] == pytest.approx(12.5)
    assert summary.summarise(samples[2:])["writer_tokens_per_s"] is None


def test_items_on_which_think_first_is_quick_are_no_comparison_of_promptness() -> None:
    rows = outcome()
    for of in rows["think-first"][:19]:
        of.delay_to_first_s = 3.9
    assert summary.compare(rows)["total_delay: async / think-first"]["items"] == 1


def test_the_table_fits_and_tells_every_row() -> None:
    console = Console(width=80)
    rows = outcome()
    with console.capture() as shown:
        tables.show(console, rows, summary.compare(rows))
    text = shown.get()
    assert "35%" in text
    assert "eggs" in text
    assert max(map(len, text.splitlines())) <= 80


def test_the_plot_is_written_or_the_reason_told(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra 'think' of bench is not installed")
    draw(outcome(), tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ReportError, match="name another file"):
        draw(outcome(), tmp_path / "curve.doc")


def test_a_reply_without_content_counts_as_one_whose_content_never_came() -> None:
    samples = outcome()["async"]
    for of in samples[:9]:
        of.first_content_s = None
    assert summary.summarise(samples)["first_content_s"]["p50"] == 1.5
    for of in samples[:11]:
        of.first_content_s = None
    assert summary.summarise(samples)["first_content_s"]["p50"] is None


def test_the_ablation_table_tells_what_another_setting_changes() -> None:
    rows = outcome()
    rows["slow"] = [sample("slow", i, right=i < 5, content=2.5, delay=3.0, words=9) for i in range(20)]
    found = summary.ablation(rows, ["slow"])
    assert found["slow"]["right"]["value"] == pytest.approx(-0.1)
    assert found["slow"]["right"]["low"] < -0.1 < found["slow"]["right"]["high"]
    assert found["slow"]["first_content_s"]["value"] == pytest.approx(1.0)
    assert found["slow"]["words_until_answer"]["value"] == pytest.approx(3.0)
    assert found["slow"]["spent"]["value"] == 0
    console = Console(width=80)
    with console.capture() as shown:
        tables.show_ablation(console, found)
    assert "-10.0 (" in shown.get()
    assert "+1.0 (+1.0…+1.0)" in shown.get()


def test_a_few_items_are_taken_from_all_tasks() -> None:
    items = [TaskQuestion(task, number, "?", "1", "number") for task in ("a", "b", "c") for number in range(3)]
    assert [(item.task, item.number) for item in spread(items, 4)] == [("a", 0), ("b", 0), ("c", 0), ("a", 1)]


def test_ways_to_listen_are_compared_question_by_question() -> None:
    first = [sample("off", n, right=n < 6, content=5.0 + n, delay=3.0) for n in range(9)]
    other = [sample("thoughts", n, right=n < 6, content=4.5 + n, delay=3.0) for n in range(9)]
    for here, there in zip(first, other, strict=True):
        here.paces, there.paces = {"thinker": StreamPace(40, 30, 1.0)}, {"thinker": StreamPace(40, 22, 1.0)}
        there.tokens = {"writer": 5, "early": 20}
    other[0].first_content_s, other[1].spoken = None, "5"
    found = listening.against_first({"off": first, "thoughts": other})
    assert found.keys() == {"thoughts"}
    of = found["thoughts"]
    assert of["first_content_s"] == {"items": 8, "value": -0.5, "low": -0.5, "high": -0.5}
    assert of["final_correct_s"]["items"] == 6
    assert (of["right"]["value"], of["same_words"]) == (0.0, pytest.approx(8 / 9))
    assert (of["early_tokens"], of["steps_spared"]) == (20.0, 8.0)
    console = Console(record=True, width=100)
    tables.show_listening(console, found, "off")
    shown = console.export_text()
    assert "less off" in shown
    assert "-0.50 (-0.50…-0.50)" in shown
