from __future__ import annotations

import os
import random
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from agent.cli.tools import tools_of
from agent.conversation.timeline import Probe, ReplyText, StateChanged, Thought, TurnDone, TurnEnded, read_timeline
from agent.models.registry import load_engine
from audio.io.sound_files import WavWriter
from reasoning.errors import ReasoningError
from reasoning.options import EngineOptions
from tests.agent.command_line import Descant, descant, write_babbler

__all__ = ["descant"]


@pytest.mark.parametrize("text", ["", " ", "\n\t"])
def test_an_empty_question_is_bad_input(descant: Descant, text: str) -> None:
    done = descant("ask", text)
    assert done.code == 2
    assert "empty" in done.line
    assert done.out == ""


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (["--mode", "asink"], 2, "async"),
        (["--model", "qwen2.5-coder-1.5"], 2, "qwen2.5-coder-1.5b"),
        (["--model", "zzz"], 2, "unknown model 'zzz'"),
        (["--model", "whisper-tiny.en"], 2, "not a language model"),
        (["--model", "./none.gguf"], 2, "./none.gguf"),
        ([], 1, "qwen2.5-coder-1.5b"),
    ],
)
def test_what_is_wrong_is_one_line(descant: Descant, options: list[str], code: int, told: str) -> None:
    done = descant("ask", "why?", *options)
    assert (done.code, done.out) == (code, "")
    assert told in done.line


def test_a_timeline_is_not_touched_when_there_is_no_model(descant: Descant) -> None:
    old = descant.home / "old.jsonl"
    old.write_text("kept")
    assert descant("ask", "why?", "--timeline", str(old)).code == 1
    assert old.read_text() == "kept"


def test_a_timeline_that_cannot_be_written_is_one_line(descant: Descant) -> None:
    model = write_babbler(descant.home / "babbler.gguf")
    done = descant("ask", "why?", "--model", str(model), "--timeline", "no/such/place.jsonl")
    assert (done.code, done.out) == (2, "")
    assert "no/such/place.jsonl" in done.line


def test_a_broken_model_is_one_line(descant: Descant) -> None:
    whole = write_babbler(descant.home / "whole.gguf").read_bytes()
    broken = descant.home / "broken.gguf"
    for data in (b"", b"GGUF", whole[:100], whole[: len(whole) // 2], whole[:-1], b"RIFF" + whole[4:], b"text\n" * 99):
        broken.write_bytes(data)
        done = descant("ask", "why?", "--model", str(broken), "--timeline", "t.jsonl")
        assert (done.code, done.out) == (2, "")
        assert "broken.gguf" in done.line
        assert not (descant.home / "t.jsonl").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card")
def test_a_device_that_is_not_there_is_one_line(descant: Descant) -> None:
    model = write_babbler(descant.home / "babbler.gguf")
    done = descant("--set", "engine.device=cuda", "ask", "why?", "--model", str(model))
    assert (done.code, done.out) == (2, "")
    assert "engine.device is cuda" in done.line
    done = descant("--set", "engine.device=tpu", "ask", "why?", "--model", str(model))
    assert done.code == 2
    assert "'cpu', 'cuda' or 'mps'" in done.line


def test_a_model_that_was_changed_anywhere_loads_or_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    whole = write_babbler(tmp_path / "whole.gguf").read_bytes()
    head = whole.index(b"token_embd.weight") + 1500
    options = EngineOptions(native="off")
    refused: list[tuple[ReasoningError, Path]] = []
    for seed in range(60):
        chance = random.Random(seed)
        data = bytearray(whole)
        for _ in range(chance.choice([1, 1, 2, 8])):
            data[chance.randrange(head)] = chance.randrange(256)
        path = tmp_path / f"{seed}.gguf"
        path.write_bytes(data[: chance.choice([None, None, None, chance.randrange(len(data))])])
        try:
            engine, _ = load_engine(path, options)
        except ReasoningError as error:
            refused.append((error, path))
        else:
            engine.close()
        path.unlink()
    assert len(refused) > 10
    for refusal, path in refused:
        assert refusal.exit_code == 2, refusal
        assert "\n" not in str(refusal)
        assert str(path) in str(refusal) or "template" in str(refusal), refusal


@pytest.mark.parametrize("mode", ["async", "think-first", "no-think"])
def test_a_whole_turn_ends_with_a_timeline(descant: Descant, mode: str) -> None:
    model = write_babbler(descant.home / "babbler.gguf")
    budget = ["--set", "loop.think_tokens=40", "--set", "loop.reply_tokens=40", "--set", "loop.direct_replies=false"]
    done = descant(*budget, "ask", "why?", "--mode", mode, "--model", str(model), "--timeline", "t.jsonl")
    assert (done.code, done.err) == (0, "")
    events = [entry.event for entry in read_timeline(descant.home / "t.jsonl")]
    assert events.count(TurnEnded("why?")) == 1
    assert any(isinstance(event, ReplyText) for event in events)
    assert isinstance(events[-2], TurnDone)
    assert events[-1] == StateChanged("listening")
    assert sum(isinstance(event, TurnDone) for event in events) == 1
    assert any(isinstance(event, Thought) for event in events) == (mode != "no-think")
    times = [entry.t_ms for entry in read_timeline(descant.home / "t.jsonl")]
    assert times == sorted(times)


def test_a_question_ends_with_what_it_cost_if_that_is_asked(descant: Descant) -> None:
    model = write_babbler(descant.home / "babbler.gguf")
    budget = ["--set", "loop.think_tokens=40", "--set", "loop.reply_tokens=40", "--set", "loop.direct_replies=false"]
    asked = ("ask", "why?", "--model", str(model))
    before_s = kernel_s()
    last = descant(*budget, "--set", "costs.site=spain", *asked, "--timeline", "t.jsonl", "--cost").out.splitlines()[-1]
    told = re.fullmatch(
        r"cost of 1 turn: (\d+\.\d) s of processor, tokens: (.*); \d+\.\d J \(.*\); "
        r"spain: \S+ g CO2e, \S+ mL water, \S+ EUR",
        last,
    )
    assert told is not None
    assert float(told[1]) <= kernel_s() - before_s + 0.1
    (done,) = (entry.event for entry in read_timeline(descant.home / "t.jsonl") if isinstance(entry.event, TurnDone))
    assert {role: int(count) for count, role in (part.split() for part in told[2].split(", "))} == {
        role: count for role, count in done.tokens.items() if count
    }
    assert done.tokens["thinker"] > 0
    assert "cost of" not in descant(*budget, *asked).out
    refused = descant("--set", "costs.site=atlantis", *asked, "--cost")
    assert (refused.code, "atlantis" in refused.line) == (2, True)
    refused = descant("ask", "why?", "--server", "http://127.0.0.1:1", "--cost")
    assert (refused.code, "--cost" in refused.line) == (2, True)


def kernel_s() -> float:
    """Seconds of processor of this process, as the kernel has them: fields 14 and 15 of its `stat`."""
    fields = Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_thoughts_can_be_left_out(descant: Descant) -> None:
    model = write_babbler(descant.home / "babbler.gguf")
    budget = ["--set", "loop.think_tokens=40", "--set", "loop.reply_tokens=40", "ask", "why?", "--model", str(model)]
    with_thoughts = descant(*budget, "--mode", "think-first").out
    without = descant(*budget, "--mode", "think-first", "--no-thoughts").out
    assert without.strip()
    assert len(without) < len(with_thoughts)


# --- tools ---

TOOLS = """
import descant

@descant.tool
async def weather(city: str) -> str:
    \"\"\"Tell the weather of a city.\"\"\"
    return "rain"

@descant.tool
async def clock() -> str:
    \"\"\"Tell the time.\"\"\"
    return "noon"

both, other, seven = [weather, clock], descant.tool, 7
"""


def names(*wanted: str) -> list[str]:
    return [tool.name for tool in tools_of(wanted)]


@pytest.fixture
def written(descant: Descant, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a module in the current folder."""
    monkeypatch.setattr("sys.path", list(sys.path))
    (descant.home / "own_tools.py").write_text(TOOLS)
    (descant.home / "broken_tools.py").write_text("import descant\n1 / 0")
    (descant.home / "untyped_tools.py").write_text("import descant\n@descant.tool\ndef f(a):\n  'Do it.'")
    (descant.home / "no_tools.py").write_text("seven = 7")
    yield "own_tools"
    for name in ("own_tools", "broken_tools", "untyped_tools", "no_tools"):
        sys.modules.pop(name, None)


def test_tools_are_named_one_by_one_in_lists_or_by_module(written: str) -> None:
    assert names(f"{written}:clock") == ["clock"]
    assert names(f"{written}:both") == ["weather", "clock"]
    assert names(written) == ["weather", "clock"]
    assert names(f"{written}:clock", f"{written}:weather") == ["clock", "weather"]
    assert names() == []


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (["nowhere"], "'nowhere' cannot be imported: ModuleNotFoundError"),
        (["broken_tools"], "'broken_tools' cannot be imported: ZeroDivisionError"),
        (["untyped_tools"], "parameter 'a': give it a type"),
        (["no_tools"], "'no_tools' has no tools"),
        (["own_tools:none"], "'own_tools' has no 'none'"),
        (["own_tools:seven"], "'seven' holds int, no tool"),
        (["own_tools:both", "own_tools:clock"], "2 tools are called 'clock'"),
        ([":"], "cannot be imported"),
    ],
)
@pytest.mark.usefixtures("written")
def test_tools_that_cannot_be_used_are_bad_input(descant: Descant, wanted: list[str], told: str) -> None:
    done = descant("ask", "why?", *[part for name in wanted for part in ("--tools", name)])
    assert (done.code, done.out) == (2, "")
    assert told in done.line


def test_tools_of_this_machine_do_not_go_with_a_server(descant: Descant) -> None:
    done = descant("ask", "why?", "--server", "ws://127.0.0.1:1", "--tools", "x")
    assert done.code == 2
    assert "--tools" in done.line


@pytest.mark.usefixtures("written")
def test_a_question_is_asked_with_tools(descant: Descant) -> None:
    model = write_babbler(descant.home / "babbler.gguf")
    budget = ["--set", "loop.think_tokens=40", "--set", "loop.reply_tokens=40"]
    done = descant(*budget, "ask", "why?", "--model", str(model), "--tools", "own_tools", "--timeline", "t.jsonl")
    assert (done.code, done.err) == (0, "")
    probes = [entry.event for entry in read_timeline(descant.home / "t.jsonl") if isinstance(entry.event, Probe)]
    assert any(probe.question == "act" for probe in probes)


@pytest.mark.usefixtures("written")
def test_a_recording_is_asked_with_tools_that_are_looked_at_first(descant: Descant) -> None:
    with WavWriter(descant.home / "question.wav", 16_000) as wav:
        wav.write(np.zeros(16_000, np.int16))
    asked = ["talk", "--input", "question.wav", "--output", "answer.wav", "--tools"]
    assert "'nowhere' cannot be imported" in descant(*asked, "nowhere").line
    # With tools that are there, it goes on to the models, which are not.
    assert "qwen2.5-coder-1.5b" in descant(*asked, "own_tools:both").line
