from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch

from reasoning.engine.attention import Run
from reasoning.engine.decoder import Decoder
from reasoning.errors import BadModel
from reasoning.formats.gguf import open_gguf
from reasoning.prompting.tokenizer import Tokenizer
from tests.reasoning.model_files import model_file
from tests.reasoning.reference import Reference, ReferenceBlock
from tests.reasoning.tiny_models import (
    FAMILIES,
    LLAMA,
    LLAMA3,
    LLAMA_LINEAR,
    QWEN2,
    Tiny,
    hf_from_gguf,
    hf_tiny,
    write_tiny,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

CLOSE = 1e-4
NAMES = [f"{tiny.architecture}-{tiny.scaling}-{tiny.seed}" for tiny in FAMILIES]
TEXT = """
The harbour master kept a small book in which she wrote down every ship that came in, the hour of its arrival,
and what the weather had been. When the war began the book grew thin, because few ships dared the passage, and
she filled the empty lines with other things: the price of bread, the names of the children in the lower
street, how many herring gulls sat on the roof of the customs house. Years later a historian found it in a
drawer. He had hoped for tonnage and cargo. Instead he learned that on the third of March there were forty-one
gulls, that flour cost twice as much as in the autumn, and that a girl called Anna had lost a shoe in the
water and got it back. He printed the whole of it, and people who had never seen the sea read it aloud to each
other in the evening, slowly, as if it were a letter addressed to them, and to nobody else.
"""


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def prefill(decoder: Decoder, ids: Sequence[int], chunks: Sequence[int]) -> dict[int, Tensor]:
    """Logits after the last token of each chunk, by its position."""
    cache, found = decoder.cache(), {}
    for count in chunks:
        first = cache.length
        found[first + count - 1] = decoder.forward([Run(ids[first : first + count], [cache], logits=True)])[0]
    return found


def hf_logits(model: torch.nn.Module, ids: Sequence[int]) -> Tensor:
    with torch.inference_mode():
        logits: Tensor = model(torch.tensor([ids])).logits[0]
    return logits


@pytest.mark.parametrize("tiny", FAMILIES, ids=NAMES)
def test_logits_of_a_prefill_equal_transformers(tiny: Tiny, tmp_path: Path) -> None:
    decoder = Decoder(open_gguf(write_tiny(tmp_path / "tiny.gguf", tiny)), torch.float32)
    ids = random.Random(1).choices(range(tiny.vocabulary), k=200)
    expected = hf_logits(hf_tiny(tiny), ids)
    for chunks in ([200], [1] * 200, [7, 1, 64, 1, 1, 100, 26]):
        for position, logits in prefill(decoder, ids, chunks).items():
            assert (logits - expected[position]).abs().max() <= CLOSE


@pytest.mark.parametrize("tiny", FAMILIES, ids=NAMES)
def test_the_reference_equals_transformers(tiny: Tiny, tmp_path: Path) -> None:
    reference = Reference(open_gguf(write_tiny(tmp_path / "tiny.gguf", tiny)))
    ids = random.Random(2).choices(range(tiny.vocabulary), k=50)
    block = ReferenceBlock()
    found = torch.cat([reference.step([(part, [block])])[0] for part in (ids[:20], ids[20:21], ids[21:])])
    assert (found - hf_logits(hf_tiny(tiny), ids)).abs().max() <= CLOSE


def test_rope_scaling_changes_the_logits(tmp_path: Path) -> None:
    for tiny in (LLAMA3, LLAMA_LINEAR):
        plain = replace(tiny, scaling="none")
        ids = list(range(60))
        with_scaling, without = (
            prefill(Decoder(open_gguf(write_tiny(tmp_path / "tiny.gguf", each)), torch.float32), ids, [60])[59]
            for each in (tiny, plain)
        )
        assert (with_scaling - without).abs().max() > 100 * CLOSE


def test_a_scaling_factor_without_a_type_is_linear(tmp_path: Path) -> None:
    named = write_tiny(tmp_path / "named.gguf", LLAMA_LINEAR)
    unnamed = write_tiny(tmp_path / "unnamed.gguf", LLAMA_LINEAR, changes={"llama.rope.scaling.type": None})
    ids = list(range(60))
    one, other = (prefill(Decoder(open_gguf(path), torch.float32), ids, [60])[59] for path in (named, unnamed))
    assert torch.equal(one, other)


@pytest.mark.e2e
def test_a_real_model_chooses_the_tokens_that_transformers_chooses() -> None:
    file = model_file("smollm2-135m")
    ids = Tokenizer.from_gguf(file).encode(TEXT)[:200]
    assert len(ids) == 200
    decoder = Decoder(file, torch.float32)
    cache = decoder.cache()
    found = torch.stack([decoder.forward([Run([token], [cache], logits=True)])[0] for token in ids])
    expected = hf_logits(hf_from_gguf(file), ids)
    assert torch.equal(found.argmax(dim=-1), expected.argmax(dim=-1))
    assert (found - expected).abs().max() <= 1e-2


def test_the_context_is_the_smaller_of_file_and_setting(tmp_path: Path) -> None:
    file = open_gguf(write_tiny(tmp_path / "tiny.gguf", LLAMA))
    assert Decoder(file, torch.float32).context == LLAMA.context
    assert Decoder(file, torch.float32, max_context=100).context == 100


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"general.architecture": "mamba"}, ("'mamba'", "llama, qwen2, qwen3")),
        ({"llama.rope.scaling.type": "yarn"}, ("'yarn'", "none, linear")),
        ({"llama.rope.scaling.type": "dynamic"}, ("'dynamic'", "none, linear")),
        ({"llama.rope.dimension_count": 8}, ("rope.dimension_count", "partial")),
        ({"llama.attention.head_count_kv": 3}, ("attention.head_count_kv",)),
        ({"llama.attention.head_count": 0}, ("0 heads",)),
        ({"llama.attention.key_length": 15}, ("attention.key_length",)),
        ({"llama.block_count": None}, ("llama.block_count", "missing")),
        ({"llama.block_count": 3}, ("'blk.2.", "missing")),
        ({"llama.context_length": 0}, ("context_length",)),
        ({"llama.rope.scaling.factor": 0.5}, ("rope.scaling.factor",)),
        ({"token_embd.weight": None}, ("'token_embd.weight'", "missing")),
        ({"blk.1.ffn_up.weight": torch.zeros(8, 64).numpy()}, ("'blk.1.ffn_up.weight'", "(8, 64)", "(96, 64)")),
        ({"output.weight": torch.zeros(8, 64).numpy()}, ("'output.weight'", "(8, 64)", "(80, 64)")),
        ({"rope_freqs.weight": torch.ones(3).numpy()}, ("'rope_freqs.weight'", "(3,)", "(8,)")),
        ({"rope_freqs.weight": torch.zeros(8).numpy()}, ("'rope_freqs.weight'",)),
        ({"blk.0.attn_q_norm.weight": torch.ones(16).numpy()}, ("'blk.0.attn_q_norm.weight'", "llama")),
        ({"blk.0.ffn_down.bias": torch.zeros(8).numpy()}, ("'blk.0.ffn_down.bias'", "(8,)", "(64,)")),
        ({"blk.0.ffn_gate_exps.weight": torch.zeros(2, 96, 64).numpy()}, ("'blk.0.ffn_gate_exps.weight'",)),
    ],
)
def test_what_is_not_supported_is_named(changes: dict[str, object], words: Sequence[str], tmp_path: Path) -> None:
    file = open_gguf(write_tiny(tmp_path / "tiny.gguf", LLAMA, changes=changes))
    with pytest.raises(BadModel) as found:
        Decoder(file, torch.float32)
    for word in words:
        assert word in str(found.value)


def test_a_layer_with_only_some_biases_adds_nothing_elsewhere(tmp_path: Path) -> None:
    zeros = {"blk.0.attn_k.bias": torch.zeros(32).numpy(), "blk.0.attn_v.bias": torch.zeros(32).numpy()}
    written = write_tiny(tmp_path / "zeros.gguf", QWEN2, changes=zeros)
    left_out = write_tiny(tmp_path / "none.gguf", QWEN2, changes=dict.fromkeys(zeros))
    plain = write_tiny(tmp_path / "plain.gguf", QWEN2)
    one, other, third = (
        prefill(Decoder(open_gguf(path), torch.float32), range(60), [60])[59] for path in (written, left_out, plain)
    )
    assert torch.equal(one, other)
    assert (one - third).abs().max() > CLOSE


def test_qwen3_must_have_its_norms(tmp_path: Path) -> None:
    tiny = FAMILIES[-1]
    changes = {f"blk.0.attn_{which}_norm.weight": None for which in "qk"}
    with pytest.raises(BadModel, match=r"'blk.0.attn_q_norm.weight' is missing"):
        Decoder(open_gguf(write_tiny(tmp_path / "tiny.gguf", tiny, changes=changes)), torch.float32)
