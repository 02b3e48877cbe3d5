"""The check for graphics cards, on the processor: its models, its comparison, its time limit, its errors."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic
from typing import Any, Final

import pytest
import torch

from bench.gpu import command
from bench.gpu.agreement import checks
from bench.gpu.shapes import SHAPES, RandomModel
from bench.gpu.steps import measured
from reasoning.engine.decoder import DecoderConfig
from reasoning.engine.device import CPU, Placement
from reasoning.formats.quants import BLOCKS, dequantize

ROOT: Final = Path(__file__).parents[2]
HERE: Final = Placement(CPU, torch.bfloat16)


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def check(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench.gpu", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(("name", "weights"), [("1.5b", 1.54e9), ("8b", 8.19e9)])
def test_a_random_model_has_the_size_of_the_real_one(name: str, weights: float) -> None:
    for model in (RandomModel(name, "4-bit"), RandomModel(name, "16-bit")):
        config = DecoderConfig.from_gguf(model)
        found = sum(info.nbytes // BLOCKS[info.type][1] * BLOCKS[info.type][0] for info in model.tensors.values())
        assert found == pytest.approx(weights, rel=0.01)
        assert config.vocabulary == SHAPES[name].vocabulary
    table = SHAPES[name].vocabulary * SHAPES[name].width
    read = found - (0 if SHAPES[name].tied else table)
    assert model.step_bytes(four_bit=True) == pytest.approx(2 * read, rel=0.001)
    assert 0.3 < RandomModel(name, "4-bit").step_bytes(four_bit=True) / model.step_bytes(four_bit=True) < 0.7


@pytest.mark.parametrize("bits", ["4-bit", "16-bit"])
def test_random_weights_have_a_sound_size_and_no_mean(bits: Any) -> None:  # noqa: ANN401 - a literal
    model = RandomModel("tiny", bits)
    for info in (info for info in model.tensors.values() if len(info.shape) == 2):
        numbers = dequantize(model.raw(info.name), info.type, info.shape)
        assert 0.005 < numbers.std() < 0.2
        assert abs(numbers.mean()) < 0.1 * numbers.std()


def test_on_the_processor_everything_agrees() -> None:
    found = dict(checks(HERE))
    assert [name for name, one in found.items() if one.get("ok") is False] == []
    assert sum(one.get("ok", False) for one in found.values()) == 5


def test_a_device_that_computes_otherwise_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = torch.softmax
    monkeypatch.setattr(torch, "softmax", lambda x, dim: right(1.5 * x, dim=dim))
    found = dict(checks(HERE))
    assert found["float32 logits"]["ok"] is False


async def test_steps_are_timed_from_one_stream_up() -> None:
    found = {name: one async for name, one in measured("tiny", "4-bit", HERE, quick=True)}
    assert list(found) == ["model", "launches", "one stream", "thinker + writer", "2 conversations"]
    for name, rows in (("one stream", 1), ("thinker + writer", 2), ("2 conversations", 4)):
        assert found[name]["tokens_s"] == pytest.approx(rows / found[name]["step_s"])


def test_the_check_runs_as_a_whole_and_prints_one_document() -> None:
    done = check("--device", "cpu", "--quick")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["ok"] is True
    assert found["contract"] == {"run": True, "ok": True, "passed": 1, "wrong": []}
    assert 0 < found["tiny 4-bit"]["one stream"]["of_copy"] < 2
    assert set(found) >= {"card", "agreement", "date"}


def test_it_ends_when_its_time_is_over_and_prints_what_it_has() -> None:
    start = monotonic()
    done = check("--device", "cpu", "--quick", "--budget-s", "0.5")
    assert monotonic() - start < 20
    assert json.loads(done.stdout)["ended"] == "the time was over in 'card'"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_prints_what_it_has(number: signal.Signals) -> None:
    command_line = [sys.executable, "-m", "bench.gpu", "--device", "cpu", "--quick"]
    with subprocess.Popen(command_line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        assert "agreement" in running.stderr.readline()
        running.send_signal(number)
        found = json.loads(running.communicate()[0])
    assert found["ended"] == "interrupted"
    assert found["card"]["copy_gb_s"] > 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card")
def test_without_a_card_it_is_one_clear_line() -> None:
    done = check()
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "check-gpu: no NVIDIA card: engine.device is cuda, and torch finds only: cpu\n"


def test_it_needs_little_beside_torch() -> None:
    program = "import bench.gpu.worker, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert loaded.isdisjoint({"pydantic", "typer", "rich", "tokenizers", "faster_whisper", "llguidance", "httpx"})
    assert {"torch", "numpy", "platformdirs"} <= loaded


@pytest.mark.parametrize(
    ("document", "ok"),
    [
        ({"card": {}, "agreement": {"a": {"ok": True}}}, True),
        ({"agreement": {"a": {"ok": True}, "b": {"ok": False}}}, False),
        ({"contract": {"run": True, "ok": False}}, False),
        ({"contract": {"run": False, "why": "no pytest"}}, True),
        ({"8b 16-bit": {"model": {"failed": "CUDA out of memory. Tried"}}}, True),
        ({"8b 16-bit": {"one stream": {"failed": "an illegal memory access"}}}, False),
        ({"8b 16-bit": {"failed": "the process ended with -11"}}, False),
    ],
)
def test_what_is_wrong_makes_the_whole_wrong_and_what_does_not_fit_does_not(document: dict[str, Any], ok: bool) -> None:
    assert command._ok(document) is ok
