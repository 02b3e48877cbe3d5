"""`--engine vllm` from the command line, over a stand-in for the server that computes with a tiny model file."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from reasoning.formats.gguf import open_gguf
from reasoning.prompting.tokenizer import Tokenizer
from tests.agent.command_line import Descant, descant, write_babbler
from tests.reasoning.toy_vllm import ToyServer, ToyVllm, babbling, computed_by

__all__ = ["descant"]

ROOM = ("--set", "engine.context=2000", "--set", "loop.think_tokens=20", "--set", "loop.reply_tokens=20")


@contextmanager
def served(
    file: Path, *, tokenize: bool = True, max_model_len: int = 2100, babble: bool = False, live: bool = False
) -> Iterator[ToyServer]:
    """Serve a model from another thread, as another process would."""
    gguf = open_gguf(file)
    tokenizer = Tokenizer.from_gguf(gguf)
    begin = babbling(tokenizer.vocab_size) if babble else computed_by(gguf)
    model = ToyVllm(begin, max_model_len=max_model_len, tokenize=tokenizer.encode if tokenize else None, live=live)
    toy, loop = ToyServer(model), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(toy.start(), loop).result()
        yield toy
    finally:
        asyncio.run_coroutine_threadsafe(toy.stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture
def model(descant: Descant) -> Path:
    return write_babbler(descant.home / "babbler.gguf")


def test_a_question_is_answered_by_a_server(descant: Descant, model: Path) -> None:
    key = descant.home / "key"
    key.write_text("0123456789abcdef\n")
    with served(model) as toy:
        there = ("--engine", "vllm", "--server", f"{toy.url}/v1, {toy.url}", "--api-key-file", str(key))
        done = descant(*ROOM, "ask", "Why is the sky so blue?", "--model", str(model), *there)
        assert done.code == 0, done.err
        assert done.out.strip()
        assert set(toy.keys) == {"Bearer 0123456789abcdef"}
        assert len(toy.model.asked) > 1


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (["--engine", "vllm"], 2, "vllm.servers"),
        (["--engine", "vllm", "--server", "somewhere:80"], 2, "http://127.0.0.1:8000"),
        (["--engine", "vllm", "--server", "http://127.0.0.1:1"], 1, "no language model server answers"),
        (["--engine", "cuda"], 2, "engine.kind"),
    ],
)
def test_what_is_wrong_is_one_line(descant: Descant, model: Path, options: list[str], code: int, told: str) -> None:
    done = descant("ask", "Why?", "--model", str(model), *options)
    assert (done.code, done.out) == (code, "")
    assert told in done.line


def test_a_server_that_reads_less_than_is_set_is_refused(descant: Descant, model: Path) -> None:
    with served(model, max_model_len=2000) as toy:
        done = descant(*ROOM, "ask", "Why?", "--model", str(model), "--engine", "vllm", "--server", toy.url)
        assert done.code == 1
        assert "set engine.context to 1999" in done.line


def test_another_vocabulary_is_refused(descant: Descant, model: Path) -> None:
    with served(model) as toy:
        toy.model.tokenize = lambda text: [ord(character) % 200 for character in text]
        done = descant(*ROOM, "ask", "Why?", "--model", str(model), "--engine", "vllm", "--server", toy.url)
        assert done.code == 2
        assert "is not the vocabulary" in done.line


@pytest.mark.parametrize("tokenize", [True, False])
def test_the_doctor_looks_at_servers(
    descant: Descant, model: Path, tokenize: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    with served(model, tokenize=tokenize) as toy:
        servers = f"{toy.url},http://127.0.0.1:1"
        done = descant(*ROOM, "doctor", "--engine", "vllm", "--server", servers, "--model", str(model))
    (good,) = (line for line in done.out.splitlines() if toy.url in line)
    assert "toy, 2100 tokens, answers in token ids" in good
    (bad,) = (line for line in done.out.splitlines() if "http://127.0.0.1:1 " in line)
    assert "wrong" in bad
    assert "on, in blocks of 16 tokens" in done.out
    assert ("is the served model's" in done.out) == tokenize
    assert done.code == 1


def test_the_doctor_says_nothing_of_servers_that_are_not_used(descant: Descant) -> None:
    assert "server" not in descant("doctor").out


@pytest.mark.parametrize("live", [False, True])
def test_the_fleet_is_measured_and_a_graphics_processor_calculated(descant: Descant, model: Path, live: bool) -> None:
    written, drawn = descant.home / "fleet.json", descant.home / "fleet.png"
    plot = ("--plot", str(drawn)) if find_spec("matplotlib") else ()
    with served(model, babble=True, live=live) as toy:
        there = ("--server", toy.url, "--model", str(model))
        done = descant(*ROOM, "bench", "fleet", "--quick", *there, "--json", str(written), *plot)
        assert done.code == 0, done.err
        generated = toy.model.generated
    results = json.loads(written.read_text())["results"]
    modes = ["async, live views", "async, re-submitted", "think-first"] if live else ["async", "think-first"]
    assert [(level["mode"], level["conversations"]) for level in results["levels"]] == [(mode, 1) for mode in modes]
    for level in results["levels"]:
        assert level["answers"] == 1
        assert level["cache_hit_rate"] == 0.0
        assert 0 < level["first_clause_p50_s"] < 60
        assert level["computed_per_useful_token"] > level["tokens_per_useful_token"] > 0
    assert sum(level["generated_per_s"] * level["seconds"] for level in results["levels"]) < generated
    assert results["calculated"]["conversations"] >= 0
    assert "calculated, not measured" in done.out
    assert drawn.exists() == bool(plot)
