"""Whole models of each quantised type, from the file to logits, against transformers with the dequantised weights."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
import torch

from reasoning.engine.attention import Run
from reasoning.engine.decoder import Decoder
from reasoning.formats.gguf import open_gguf
from reasoning.formats.quants import GgmlType
from reasoning.native.library import load
from tests.reasoning.engine.test_decoder import hf_logits
from tests.reasoning.tiny_models import Tiny, hf_from_gguf, write_tiny

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from reasoning.formats.gguf import GgufFile
    from reasoning.native.instruction_sets import Use

KINDS = ("Q4_0", "Q5_K", "Q4_K", "Q6_K", "Q4_1", "Q5_0", "Q8_0")
ARCHITECTURES = ("llama", "qwen2", "qwen3")


def wide(architecture: str, tmp_path: Path, kind: str) -> GgufFile:
    """A model whose rows hold whole blocks of the K types: 256 columns."""
    tiny = Tiny(architecture=architecture, width=256, heads=4, kv_heads=2, head_size=64, inner=512, vocabulary=96)
    file = open_gguf(write_tiny(tmp_path / f"{kind}.gguf", tiny, kind))
    assert file.tensors["blk.0.attn_q.weight"].type is GgmlType[kind]
    return file


def read(decoder: Decoder, ids: list[int]) -> Tensor:
    cache = decoder.cache()
    first = [decoder.forward([Run([token], [cache], logits=True)]) for token in ids[:40]]
    return torch.cat([*first, decoder.forward([Run(ids[40:], [cache], logits=True)])])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("kind", KINDS)
def test_logits_equal_transformers(kind: str, architecture: str, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    file = wide(architecture, tmp_path, kind)
    ids = random.Random(1).choices(range(96), k=70)
    expected = hf_logits(hf_from_gguf(file), ids)[[*range(40), 69]]
    assert expected.std() > 0.1
    scale = expected.abs().mean()
    assert (read(Decoder(file, torch.float32), ids) - expected).abs().max() <= 1e-3 * scale


@pytest.mark.parametrize("native", ["off", "require"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("kind", KINDS)
def test_packed_weights_say_the_same(kind: str, architecture: str, native: Use, tmp_path: Path) -> None:
    if native == "require" and load("auto") is None:
        pytest.skip("no compiler")
    torch.set_num_threads(1)
    file = wide(architecture, tmp_path, kind)
    ids = random.Random(2).choices(range(96), k=70)
    expected = read(Decoder(file, torch.float32), ids)
    found = read(Decoder(file, native=native), ids)
    # Random weights are harder than real ones: every error reaches the logits.
    assert (found - expected).norm() <= 0.08 * expected.norm()
