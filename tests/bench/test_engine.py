from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import torch

from agent.errors import BadQuestion
from bench.engine import contenders as engine_contenders
from bench.engine.cases import (
    CONTEXTS,
    SMALLEST_CONTEXT,
    Case,
    Course,
    crowd,
    joint,
    prefill,
    probed,
    products,
    single,
)
from bench.engine.contenders import KernelsUnavailable, contender
from bench.engine.conversation import BenchConversation, Race, history_sizes
from bench.engine.figures import Figures
from bench.engine.measure import COMPILED, EAGER, LLAMA_CPP, Measured
from bench.engine.show import draw
from bench.engine.worker import EngineBench
from bench.errors import ContenderFailed
from bench.report import read_speed
from reasoning.engine.contract import Sampling
from reasoning.engine.decoder import Decoder
from reasoning.engine.torch_engine import TorchEngine
from reasoning.errors import EngineFailed
from reasoning.formats.gguf import open_gguf
from reasoning.native.library import load
from tests.agent.command_line import Descant, descant, write_babbler
from tests.reasoning.tiny_models import QWEN2, write_tiny

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["descant"]

COURSE = Course(contexts=(256, 1024), steps=4, repeats=3)

# --- what is measured ---


@pytest.mark.parametrize("context", [256, 257, 300, 1024, 1025, 3072, 5000])
def test_a_writer_reads_as_many_tokens_as_the_context_says(context: int) -> None:
    assert SMALLEST_CONTEXT + sum(history_sizes(context)) == context


def test_contexts_share_their_blocks() -> None:
    shorter, longer = history_sizes(1024), history_sizes(3072)
    assert longer[: len(shorter)] == shorter


def test_warming_up_meets_every_kind_of_step_and_one_prefill() -> None:
    course = Course()
    cases = [*course.alone(), *course.together()]
    warm = list(course.warming(iter(cases)))
    assert {case.key for case in cases if case.kind != "prefill"} <= {case.key for case in warm}
    assert [case.key for case in warm if case.kind == "prefill"] == ["prefill 512 @3072"]


def test_every_case_has_a_name_of_its_own() -> None:
    cases = [*Course().alone(), *Course().together()]
    assert len({case.key for case in cases}) == len(cases)
    assert {case.context for case in cases if case.kind != "products"} == set(CONTEXTS)
    assert {case.rows for case in cases if case.context == Course().crowded and case.kind == "decode"} == {1, 2, 4, 8}


def test_contexts_without_room_for_a_conversation_are_refused() -> None:
    for contexts in ((100,), ()):
        with pytest.raises(BadQuestion, match="256"):
            Course(contexts=contexts)


@pytest.fixture(name="engine")
def _engine(tmp_path: Path) -> Iterator[TorchEngine]:
    torch.set_num_threads(1)
    engine = TorchEngine(Decoder(open_gguf(write_tiny(tmp_path / "tiny.gguf", QWEN2)), torch.float32), threads=1)
    yield engine
    engine.close()


async def test_views_are_those_of_the_loop(engine: TorchEngine) -> None:
    one = BenchConversation(engine, QWEN2.vocabulary)
    writer, thinker = await one.writer(300), await one.thinker(300)
    assert sum(map(len, writer)) == 300
    assert writer[: len(thinker)] == thinker


async def test_what_lies_before_a_step_is_there_without_having_been_read(engine: TorchEngine) -> None:
    one = BenchConversation(engine, QWEN2.vocabulary)
    writer = await one.writer(400)
    assert engine.steps == 0
    assert [block.cache.length for block in writer] == [len(block) for block in writer]
    assert all(bool(block.cache.keys.isfinite().all()) for block in writer)
    stream = one.session.generate(writer, Sampling(max_tokens=1))
    (token,) = [token async for token in stream]
    assert sum(token.seen.values()) == 400


async def test_streams_that_end_too_soon_are_not_waited_for(engine: TorchEngine) -> None:
    one = BenchConversation(engine, QWEN2.vocabulary)
    writer = await one.writer(256)
    views, race = [writer, writer[:-2]], Race()
    async with race.running([one.session.generate(view, Sampling(max_tokens=3)) for view in views]):
        await race.until(lambda: bool(race.whole()))
        with pytest.raises(EngineFailed, match="a stream ended before"):
            await race.until(lambda: len(race.arrivals) > 99)


def test_reading_speed_is_positive() -> None:
    assert read_speed(2, repeats=1) > 1e8


# --- what follows from it ---


def filled(seconds: dict[tuple[str, Case], list[float]]) -> Measured:
    measured = Measured(read_bytes_s=[1e9, 2e9, 1.5e9])
    for (name, case), samples in seconds.items():
        measured.seconds.setdefault(name, {})[case.key] = samples
    for name in (COMPILED, EAGER, LLAMA_CPP):
        measured.facts[name] = {"weight_bytes": 10**9, "token_bytes": 1000, "probe_tokens": 30, "probe_steps": 4}
        measured.loads[name] = {"warm_s": [2.0, 9.0, 2.5], "start_s": [1.0]}
        measured.peaks[name] = {"one_conversation": 1_500_000_000, "all": 1_900_000_000}
    return measured


def test_ratios_are_taken_round_by_round_and_targets_take_the_worst_context() -> None:
    seconds: dict[tuple[str, Case], list[float]] = {}
    for context, slower in ((256, 1.0), (1024, 1.5)):
        # The second round meets a slow minute, which both sides of each ratio share.
        seconds[LLAMA_CPP, single(context, 4)] = [0.03, 0.3, 0.03]
        seconds[COMPILED, single(context, 4)] = [0.03, 0.3, 0.03]
        seconds[COMPILED, joint(context, 4)] = [0.036 * slower, 0.36 * slower, 0.036 * slower]
        seconds[COMPILED, crowd(context, 4)] = [0.08, 0.8, 0.08]
        seconds[COMPILED, prefill(context, 512)] = [4.0, 40.0, 4.0]
        seconds[LLAMA_CPP, prefill(context, 512)] = [2.0, 20.0, 2.0]
    figures = Figures(filled(seconds), COURSE, 2)
    found = figures.of(COMPILED)
    assert found["single_over_llama_cpp"] == pytest.approx(1.0)
    assert found["joint_step_over_single"] == pytest.approx(1.8)
    assert found["joint_tokens_over_llama_cpp"] == pytest.approx(2 / 1.8)
    assert found["eight_streams_tokens_over_llama_cpp"] == pytest.approx(3.0)
    assert found["joint_step_long_over_short"] == pytest.approx(1.5)
    assert found["prefill_over_llama_cpp"] == pytest.approx(0.5)
    assert found["warm_load_s"] == 2.5
    assert found["peak_resident_gb"] == 1.5
    rows = {target.name: target for target in figures.targets()}
    assert rows["single_over_llama_cpp.compiled"].met
    assert not rows["joint_step_over_single.compiled"].met
    assert rows["eight_streams_tokens_over_llama_cpp.compiled"].at_least == 2.8
    assert rows["single_over_llama_cpp.eager"].value is None
    assert len(rows) == 18


def test_probes_cost_what_they_add_to_the_steps_that_carry_them() -> None:
    seconds = {(EAGER, joint(256, 4)): [0.04] * 3, (EAGER, probed(256)): [0.055] * 3}
    measured = filled(seconds)
    measured.turns[EAGER] = [{"turn_s": 10.0, "probes": 4, "probe_tokens": 150}]
    # 150 tokens are 5 probes of 4 steps, and each step takes 15 ms longer.
    assert Figures(measured, COURSE, 2).probe_share(EAGER) == pytest.approx(5 * 4 * 0.015 / 10)
    assert Figures(filled(seconds), COURSE, 2).probe_share(EAGER) is None


def test_the_roofline_counts_weights_once_and_each_cache_once() -> None:
    figures = Figures(filled({}), COURSE, 2)
    weights = 10**9 / 2e9
    assert figures.roofline_s(COMPILED, joint(256, 4)) == pytest.approx(weights + 256 * 1000 / 2e9)
    assert figures.roofline_s(COMPILED, crowd(256, 4)) == pytest.approx(weights + 4 * 256 * 1000 / 2e9)
    assert figures.roofline_s(LLAMA_CPP, crowd(256, 4)) == pytest.approx(weights + 8 * 256 * 1000 / 2e9)


def test_the_plot_is_drawn_with_and_without_llama_cpp(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    seconds = {(name, case): [0.03, 0.04] for name in (EAGER, LLAMA_CPP) for case in COURSE.alone()}
    for left_out in (COMPILED, LLAMA_CPP):
        measured = filled(seconds)
        del measured.facts[left_out]
        measured.facts.pop(COMPILED, None)
        path = tmp_path / f"{left_out}.png"
        draw(Figures(measured, COURSE, 2), path)
        assert path.read_bytes().startswith(b"\x89PNG")


# --- processes ---

READY = "print('{\"ready\": true}', flush=True); import sys; "


def alive(process: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(process, 0)
        return True
    return False


def command(code: str) -> list[str]:
    return [sys.executable, "-c", READY + code]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("sys.stdin.readline(); sys.exit('no memory left')", "no memory left"),
        ("sys.stdin.readline()", "said nothing"),
        ('sys.stdin.readline(); print(\'{"error": "too wide"}\', flush=True); sys.stdin.read()', "too wide"),
        ("sys.stdin.readline(); import time; time.sleep(99)", "no answer in"),
    ],
)
async def test_a_process_that_fails_is_named_and_ended(code: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_ANSWER_S", "_QUIT_S"):
        monkeypatch.setattr(engine_contenders, name, 1.0)
    with pytest.raises(ContenderFailed, match=f"eager.*{words}"):
        async with contender("eager", command(code)) as one:
            await one.ask(do="memory")
    assert not alive(one.process_id)


async def test_missing_kernels_are_told_from_failures() -> None:
    code = 'sys.stdin.readline(); print(\'{"error": "F32", "kind": "NativeUnavailable"}\', flush=True)'
    with pytest.raises(KernelsUnavailable, match="F32"):
        async with contender("compiled", command(code)) as one:
            await one.ask(do="load")


# --- the command ---


def test_a_whole_run(descant: Descant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    model = write_babbler(tmp_path / "babbler.gguf")
    report = tmp_path / "engine.json"
    small = ("--contexts", "256", "--repeats", "2", "--loads", "1")
    done = descant("bench", "engine", "--model", str(model), "--threads", "1", *small, "--json", str(report))
    assert done.code == 0, done.err
    # Without a compiler there are no kernels, which is no reason to measure nothing.
    assert "left out: compiled" in done.err
    assert "joint step over single step" in done.out
    found = json.loads(report.read_text())
    assert found["bench"] == "engine"
    samples = found["results"]["samples_s"]
    assert set(samples) == {"eager"}
    course = Course(contexts=(256,))
    # Only the layers of our own kernels are timed alone.
    timed = [case for case in (*course.alone(), *course.together()) if case.kind != "products"]
    assert set(samples["eager"]) == {case.key for case in timed}
    assert all(len(each) == 2 and min(each) > 0 for each in samples["eager"].values())
    assert len(found["results"]["turns"]["eager"]) == 3
    rows = {row["name"]: row for row in found["targets"]}
    assert rows["joint_step_over_single.eager"]["value"] > 0
    assert rows["single_over_llama_cpp.eager"]["value"] is None
    assert not list((tmp_path / ".cache" / "descant").glob("bench-*"))


async def test_linear_layers_are_timed_alone(tmp_path: Path) -> None:
    if load() is None:
        pytest.skip("no kernels here")
    model = write_babbler(tmp_path / "babbler.gguf", "Q8_0")
    bench = EngineBench({"model": model, "packed": tmp_path / "packed", "threads": 1, "native": "auto"})
    facts = await bench.loaded()
    config = bench.decoder.config
    layer = config.width * (config.heads + 2 * config.kv_heads) * config.head_size
    layer += config.heads * config.head_size * config.width + 3 * config.width * config.feed_forward
    weights = config.layers * layer + config.width * config.vocabulary
    # 32 weights in 34 bytes; rows come in blocks of 16.
    assert 34 / 32 <= facts["product_bytes"] / weights < 1.3
    assert await bench.run(products(1)) > 0


def start(tmp_path: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start a benchmark of a thousand rounds, in a process group of its own."""
    model = write_babbler(tmp_path / "babbler.gguf")
    program = [
        sys.executable,
        "-c",
        "from agent.cli.main import main; main()",
        "bench",
        "engine",
        "--model",
        str(model),
    ]
    long = ["--threads", "1", "--contexts", "256", "--repeats", "1000", "--loads", "1"]
    return subprocess.Popen(
        [*program, *long, "--json", str(tmp_path / "engine.json"), *arguments],
        env={**os.environ, "HOME": str(tmp_path), "CC": "no-such-compiler", "XDG_CACHE_HOME": str(tmp_path / "cache")},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def told_early(process: subprocess.Popen[str], tmp_path: Path) -> dict[str, Any]:
    """Give the results of a run that has ended, of which nothing is left behind."""
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    assert not list((tmp_path / "cache" / "descant").glob("bench-*"))
    results: dict[str, Any] = json.loads((tmp_path / "engine.json").read_text())["results"]
    assert results["complete"] is False
    return results


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_run_that_is_ended_tells_what_it_has_and_leaves_nothing_behind(
    number: signal.Signals, tmp_path: Path
) -> None:
    with start(tmp_path) as process:
        assert process.stderr is not None
        assert any("round 2 of 1000" in line for line in process.stderr)
        process.send_signal(number)
        process.stderr.read()
        assert process.wait() == 128 + number
    results = told_early(process, tmp_path)
    assert results["ended"] == number.name
    assert results["rounds"] >= 1
    assert all(results["samples_s"]["eager"].values())


def test_a_run_ends_when_its_time_is_over(tmp_path: Path) -> None:
    with start(tmp_path, "--budget-s", "1") as process:
        assert process.stderr is not None
        process.stderr.read()
        assert process.wait() == 0
    assert told_early(process, tmp_path)["ended"] == "1 s are over"


async def test_a_process_ends_at_once_when_nobody_asks_any_more(tmp_path: Path) -> None:
    model = write_babbler(tmp_path / "babbler.gguf")
    async with contender(EAGER, engine_contenders.embedded()) as one:
        await one.ask(do="load", model=str(model), threads=1, packed=str(tmp_path), native="off")
        case = single(256, 400).document()
        asked = asyncio.create_task(one.ask(do="run", case=case))
        await asyncio.sleep(0)
    with pytest.raises(ContenderFailed, match="ended unexpectedly"):
        await asked
    assert not alive(one.process_id)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--vs", "llama.cpp"), 1, "make llama-cpp"),
        (("--vs", "vllm"), 2, "vllm"),
        (("--contexts", "12,many"), 2, "--contexts"),
        (("--contexts", "12"), 2, "256"),
    ],
)
def test_what_cannot_be_measured_is_said_at_once(
    arguments: tuple[str, ...],
    code: int,
    words: str,
    descant: Descant,
    tmp_path: Path,
) -> None:
    model = write_babbler(tmp_path / "babbler.gguf")
    done = descant("bench", "engine", "--model", str(model), *arguments)
    assert done.code == code
    assert words in done.line
