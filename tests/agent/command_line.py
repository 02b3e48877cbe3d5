"""Runs the console script inside the test's own process, where the heavy libraries are loaded already."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs
import pytest

from agent.cli import main as cli
from tests.reasoning.scripted_engine import TEMPLATE
from tests.reasoning.tiny_models import Tiny, write_tiny

MODELS = platformdirs.user_cache_path("descant") / "models"
"""Where this machine keeps its models, before a test sets another home."""


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The only line on standard error."""
        assert self.err.count("\n") == 1, self.err
        assert self.err.startswith("descant: ")
        assert "internal error" not in self.err
        assert "Traceback" not in self.out + self.err
        return self.err


class Descant:
    """`descant …` in a home of its own, without any model and offline."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.home, self._monkeypatch, self._capsys = home, monkeypatch, capsys
        for name in [name for name in os.environ if name.startswith(("DESCANT", "XDG"))]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("HOME", str(home))
        monkeypatch.chdir(home)

    def __call__(self, *arguments: str, models: Path | None = None) -> Done:
        places = ["--set", "models.offline=true", "--set", "engine.native=off"]
        places += ["--set", f"models.cache_dir={models or self.home / 'models'}"]
        self._monkeypatch.setattr(sys, "argv", ["descant", *places, *arguments])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        told = self._capsys.readouterr()
        code = stopped.value.code
        return Done(code if isinstance(code, int) else 0, told.out, told.err)


@pytest.fixture
def descant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Descant:
    return Descant(tmp_path, monkeypatch, capsys)


def write_babbler(path: Path, kind: str = "F32") -> Path:
    """A whole model file, tiny and random: it has a vocabulary and a chat template, and talks nonsense."""
    special = ["<|im_start|>", "<|im_end|>"]
    byte_tokens = [chr(code) for code in (*range(33, 127), *range(161, 173), *range(174, 256), *range(256, 324))]
    merges = ["Y e", "Ye s", "N o"]
    tokens = [*byte_tokens, *(merge.replace(" ", "") for merge in merges), *special]
    vocabulary: dict[str, Any] = {
        "general.name": "babbler",
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [1] * (len(tokens) - 2) + [3, 3],
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.eos_token_id": len(tokens) - 1,
        "tokenizer.chat_template": TEMPLATE,
    }
    return write_tiny(path, Tiny(vocabulary=len(tokens), context=4096), kind, changes=vocabulary)
