"""Runs of the benchmark with a small real model: nothing is right, everything is measured."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("reasoning_gym", reason="the extra 'think' of bench is not installed")

from agent.config.invocation import Invocation
from agent.config.settings import load
from bench.think.command import ThinkBenchOptions, run
from bench.think.items.generated import items
from bench.think.scenarios import plain
from bench.think.think import Row, ThinkStage, open_model, simulate
from bench.virtual.stepped import StepCosts
from bench.virtual.timed import Pace
from reasoning.options import EngineOptions, LoopOptions
from tests.reasoning.model_files import model_path

if TYPE_CHECKING:
    from pathlib import Path

    from bench.think.metrics import Sample
    from bench.think.think import BenchMode

MODEL = "smollm2-135m"
COSTS = {0: [(1, 0.03), (32, 0.1)], 1: [(1, 0.05), (32, 0.1)], 2: [(2, 0.055), (32, 0.1)]}
BRIEF: dict[str, object] = {
    "loop.think_tokens": 24, "loop.reply_tokens": 24, "loop.sentence_tokens": 12, "engine.threads": 1,
    "engine.context": 2048, "models.llm": MODEL,
}  # fmt: skip


@pytest.fixture(scope="module")
def stage() -> ThinkStage:
    model = open_model(model_path(MODEL), EngineOptions(threads=1, context=2048))
    return ThinkStage(model, load().settings, Pace())


def row(mode: BenchMode) -> Row:
    return Row(mode, mode, LoopOptions(think_tokens=24, reply_tokens=24, sentence_tokens=12))


def test_a_signal_ends_a_run_with_what_was_measured(stage: ThinkStage) -> None:
    jobs = [(row("no-think"), plain(item)) for item in items("chain_sum", "dev", 6)]
    over: list[Sample] = []

    def done(sample: Sample) -> None:
        over.append(sample)
        if len(over) == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    found = simulate(stage, jobs, StepCosts(COSTS), batch=2, done=done)
    assert 2 <= len(found.samples) < 6
    for sample in found.samples.values():
        # An estimate: one core at 3.5 W for the steps, which take 0.03 s at least each.
        assert sample.joules is not None
        assert 0.03 * 3.5 * sum(sample.tokens.values()) / 8 < sample.joules < 3.5 * 20
    assert set(found.samples) <= {(job.name, plan) for job, plan in jobs}
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    (name, plan), sample = next(iter(found.samples.items()))
    again = simulate(stage, [(row("no-think"), plan)], StepCosts(COSTS), batch=1, done=lambda _: None)
    assert again.samples[name, plan].timeline == sample.timeline


def reported(folder: Path, **changes: object) -> dict[str, Any]:
    model_path(MODEL)
    costs, report = folder / "costs.json", folder / "report.json"
    earlier = {"bench": "think", "settings": {"step_costs_s": COSTS, "pace": {}}}
    costs.write_text(json.dumps(earlier), encoding="utf-8")
    wanted: dict[str, Any] = {
        "tasks": "chain_sum", "questions": None, "count": 1, "split": "dev", "modes": "async,no-think", "batch": 4,
        "real": 0, "speech": 0,
        "rows": ("bare: policies.readout=false",), "scenarios": "correction,barge-in", "scenario_count": 2,
        "listening": "", "keep": None, "costs": costs, "json_file": report, "plot": None,
    }  # fmt: skip
    run(Invocation(None, ()), BRIEF, ThinkBenchOptions(**(wanted | changes)))
    found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return found


def test_a_run_reports_rows_ablation_and_scenarios(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = reported(tmp_path)
    results = report["results"]
    assert results["complete"]
    assert {name: of["items"] for name, of in results["rows"].items()} == {"async": 1, "no-think": 1, "bare": 1}
    assert list(results["ablation"]) == ["bare"]
    assert {row: of["items"] for row, of in results["scenarios"]["correction"].items()} == {
        "async": 2, "no-think": 2, "bare": 2,
    }  # fmt: skip
    there = [sample for sample in results["other_samples"] if sample["scenario"] == "correction"]
    assert all("Sorry, I meant" in sample["question"] for sample in there)
    assert any(sample["interrupted"] for sample in there)
    asked = {target["name"] for target in report["targets"]}
    assert asked == {
        "items", "tasks", "accuracy_gain_kept", "accuracy_gain_kept_low", "first_sound_p50_s", "first_content_p50_s",
        "total_delay_over_think_first", "words_until_answer_over_aloud", "longest_silence_p95_s", "contradictions",
        "contradictions_unrepaired", "final_correct_over_think_first", "correction_tokens_over_restart",
    }  # fmt: skip
    told = capsys.readouterr().out
    assert "less async" in told
    assert "tokens / anew" in told


def test_scenarios_run_without_plain_questions(tmp_path: Path) -> None:
    results = reported(tmp_path, count=0, rows=(), modes="async", scenarios="interruption", scenario_count=1)["results"]
    assert results["rows"] == {}
    assert results["scenarios"]["interruption"]["async"]["items"] == 1
