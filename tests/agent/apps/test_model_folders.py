"""A folder of safetensors as the language model, from the command line to the last token."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from tests.agent.command_line import Descant, descant
from tests.reasoning.scripted_engine import TEMPLATE
from tests.reasoning.tiny_models import Tiny, hf_tiny

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["descant"]

BUDGET = ("--set", "loop.think_tokens=40", "--set", "loop.reply_tokens=40", "--set", "loop.direct_replies=false")


def write_folder(path: Path, architecture: str) -> Path:
    """A whole folder, tiny and random, as a hub publishes one."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("Y", "e"), ("Ye", "s"), ("N", "o")]
    words = [*letters, *(left + right for left, right in merges)]
    vocabulary = Tokenizer(models.BPE({word: number for number, word in enumerate(words)}, merges))
    vocabulary.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    vocabulary.decoder = decoders.ByteLevel()
    vocabulary.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    size = vocabulary.get_vocab_size()
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    hf_tiny(Tiny(architecture=architecture, vocabulary=size, context=4096)).bfloat16().save_pretrained(path)
    vocabulary.save(str(path / "tokenizer.json"))
    config = {"eos_token": "<|im_end|>", "chat_template": TEMPLATE}
    (path / "tokenizer_config.json").write_text(json.dumps(config))
    return path


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "qwen3"])
def test_a_whole_turn(architecture: str, descant: Descant) -> None:
    folder = write_folder(descant.home / "model", architecture)
    done = descant(*BUDGET, "ask", "why?", "--model", str(folder), "--timeline", "t.jsonl")
    assert (done.code, done.err) == (0, "")
    assert '"turn_done"' in (descant.home / "t.jsonl").read_text()


def test_what_cannot_be_run_is_one_line(descant: Descant) -> None:
    folder = write_folder(descant.home / "model", "qwen2")
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"model_type": "mamba"}))
    done = descant("ask", "why?", "--model", str(folder))
    assert (done.code, done.out) == (2, "")
    assert "'mamba'" in done.line
    assert "qwen3" in done.line


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_folder_without_a_part_is_one_line(missing: str, descant: Descant) -> None:
    folder = write_folder(descant.home / "model", "qwen2")
    (folder / missing).unlink()
    done = descant("ask", "why?", "--model", str(folder))
    assert (done.code, done.out) == (2, "")
    assert "safetensors" in done.line if missing != "tokenizer.json" else "tokenizer.json" in done.line
