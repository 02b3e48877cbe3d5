"""Folders as they are published on model hubs: the same model as transformers', or one clear refusal."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from reasoning.engine.attention import Run
from reasoning.engine.decoder import Decoder
from reasoning.errors import BadModel
from reasoning.formats.safetensors_folder import open_safetensors
from tests.reasoning.engine.test_decoder import hf_logits
from tests.reasoning.reference import Reference, ReferenceBlock
from tests.reasoning.tiny_models import FAMILIES, LLAMA, QWEN3, Tiny, hf_tiny

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from torch import Tensor

NAMES = [f"{tiny.architecture}-{tiny.scaling}-{tiny.seed}" for tiny in FAMILIES]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def saved(tiny: Tiny, path: Path, dtype: torch.dtype = torch.float32, **how: str) -> Path:
    model: Any = hf_tiny(tiny)
    model.to(dtype).save_pretrained(path, **how)
    return path


def change_config(folder: Path, **changes: object) -> None:
    file = folder / "config.json"
    config = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))


def logits(decoder: Decoder, ids: Sequence[int]) -> Tensor:
    cache = decoder.cache()
    return torch.cat([decoder.forward([Run([token], [cache], logits=True)]) for token in ids])


@pytest.mark.parametrize("tiny", FAMILIES, ids=NAMES)
def test_a_saved_model_is_the_model_that_was_saved(tiny: Tiny, tmp_path: Path) -> None:
    ids = random.Random(1).choices(range(tiny.vocabulary), k=150)
    folder = open_safetensors(saved(tiny, tmp_path))
    expected = hf_logits(hf_tiny(tiny), ids)
    assert (logits(Decoder(folder, torch.float32), ids) - expected).abs().max() <= 1e-4
    block = ReferenceBlock()
    (found,) = Reference(folder).step([(ids, [block])])
    assert (found - expected).abs().max() <= 1e-4


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_halves_are_read_as_they_are(dtype: torch.dtype, tmp_path: Path) -> None:
    ids = random.Random(2).choices(range(QWEN3.vocabulary), k=60)
    folder = open_safetensors(saved(QWEN3, tmp_path, dtype))
    plain = hf_tiny(QWEN3)
    for weight in plain.parameters():
        weight.data = weight.data.to(dtype).float()
    expected = hf_logits(plain, ids)
    assert (logits(Decoder(folder, torch.float32), ids) - expected).abs().max() <= 1e-4


def test_several_files_are_one_model(tmp_path: Path) -> None:
    ids = list(range(50))
    whole = open_safetensors(saved(LLAMA, tmp_path / "whole"))
    parts = open_safetensors(saved(LLAMA, tmp_path / "parts", max_shard_size="60KB"))
    assert len(list((tmp_path / "parts").glob("*.safetensors"))) > 1
    one, other = (logits(Decoder(folder, torch.float32), ids) for folder in (whole, parts))
    assert torch.equal(one, other)


def test_the_older_form_of_a_configuration_means_the_same(tmp_path: Path) -> None:
    for tiny in (FAMILIES[1], FAMILIES[2]):
        folder = saved(tiny, tmp_path / str(tiny.seed))
        expected = logits(Decoder(open_safetensors(folder), torch.float32), range(60))
        rope = json.loads((folder / "config.json").read_text())["rope_parameters"]
        theta = rope.pop("rope_theta")
        change_config(folder, rope_parameters=None, rope_scaling=rope, rope_theta=theta)
        assert torch.equal(logits(Decoder(open_safetensors(folder), torch.float32), range(60)), expected)


def test_embeddings_are_tied_only_where_the_configuration_says_so(tmp_path: Path) -> None:
    folder = saved(replace(LLAMA, tied=True), tmp_path)
    change_config(folder, tie_word_embeddings=False)
    with pytest.raises(BadModel, match=r"'lm_head.weight'"):
        open_safetensors(folder)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model_type": "mamba"}, ("'mamba'", "llama, qwen2, qwen3")),
        ({"model_type": None}, ("'unnamed'", "llama, qwen2, qwen3")),
        ({"head_dim": 15}, ("attention.key_length", "15")),
        ({"num_key_value_heads": 3}, ("attention.head_count_kv",)),
        ({"num_hidden_layers": 3}, ("'blk.2.", "missing")),
        ({"num_hidden_layers": "two"}, ("block_count", "'two'")),
        ({"hidden_size": None}, ("embedding_length",)),
        ({"rope_parameters": {"rope_type": "yarn", "factor": 2.0}}, ("'yarn'", "none, linear")),
        ({"rope_parameters": {"rope_type": "llama3", "factor": 2.0}}, ("llama3", "low_freq_factor")),
        ({"rope_parameters": 7}, ("rotation", "int")),
        ({"partial_rotary_factor": 0.5}, ("0.5",)),
        ({"use_sliding_window": True}, ("sliding window",)),
        ({"hidden_act": "gelu"}, ("'gelu'", "'silu'")),
        ({"quantization_config": {"quant_method": "gptq"}}, ("'gptq'", "BF16", "GGUF")),
        ({"quantization_config": [1]}, ("'[1]'", "BF16", "GGUF")),
        ({"quantization_config": "abc"}, ("'abc'", "BF16", "GGUF")),
        ({"rms_norm_eps": 10**400}, ("layer_norm_rms_epsilon", "not a float")),
        ({"rms_norm_eps": float("nan")}, ("config.json", "NaN is no number of JSON")),
    ],
)
def test_what_is_not_supported_is_named(changes: dict[str, object], words: Sequence[str], tmp_path: Path) -> None:
    change_config(saved(LLAMA, tmp_path), **changes)
    with pytest.raises(BadModel) as found:
        Decoder(open_safetensors(tmp_path), torch.float32)
    for word in (str(tmp_path), *words):
        assert word in str(found.value)


@pytest.mark.parametrize("dtype", [torch.int8, torch.float8_e4m3fn], ids=str)
def test_a_type_of_weights_that_cannot_be_read_is_named(dtype: torch.dtype, tmp_path: Path) -> None:
    file = saved(LLAMA, tmp_path) / "model.safetensors"
    tensors = load_file(file)
    tensors["model.layers.0.mlp.up_proj.weight"] = tensors["model.layers.0.mlp.up_proj.weight"].to(dtype)
    save_file(tensors, file)
    with pytest.raises(BadModel, match=r"layers\.0\.mlp\.up_proj.*(I8|F8_E4M3).*supported: F32, F16, BF16"):
        open_safetensors(tmp_path)


def test_a_tensor_that_has_no_place_is_named(tmp_path: Path) -> None:
    file = saved(LLAMA, tmp_path) / "model.safetensors"
    save_file({**load_file(file), "model.layers.0.mlp.router.weight": torch.ones(4, 4)}, file)
    with pytest.raises(BadModel, match=r"'model.layers.0.mlp.router.weight' has no place"):
        Decoder(open_safetensors(tmp_path), torch.float32)


def test_an_index_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    folder = saved(LLAMA, tmp_path / "model")
    (folder / "model.safetensors").rename(tmp_path / "other.safetensors")
    index = {"weight_map": {"model.norm.weight": "../other.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(BadModel, match="outside of its folder"):
        open_safetensors(folder)


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    (saved(LLAMA, tmp_path) / "model.safetensors").unlink()
    with pytest.raises(BadModel, match=r"0 \.safetensors files"):
        open_safetensors(tmp_path)


def opens(path: Path) -> bool:
    found = ""
    try:
        decoder = Decoder(open_safetensors(path), torch.float32, max_context=64)
    except BadModel as error:
        found = str(error)
    else:
        decoder.forward([Run([1, 2, 3], [decoder.cache()], logits=True)])
    assert not found or (str(path) in found and "\n" not in found)
    return not found


def test_damaged_headers_work_or_are_one_clear_error(tmp_path: Path) -> None:
    file = saved(replace(LLAMA, layers=1), tmp_path) / "model.safetensors"
    good = file.read_bytes()
    header = 8 + int.from_bytes(good[:8], "little")
    for length in (0, 3, 8, 100, header - 1, header, len(good) - 1):
        file.write_bytes(good[:length])
        assert not opens(tmp_path)
    draw, opened = random.Random(1), 0
    for _ in range(300):
        bad = bytearray(good)
        for _ in range(draw.choice([1, 1, 2, 8])):
            at = draw.randrange(header)
            bad[at] = draw.choice([0, 0xFF, ord("9"), ord('"'), bad[at] ^ (1 << draw.randrange(8))])
        file.write_bytes(bad)
        opened += opens(tmp_path)
    assert opened < 300


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda header: header["model.norm.weight"].update(dtype=["F32"]), "has type ['F32']"),
        (lambda header: header["model.norm.weight"].update(dtype={}), "has type {}"),
        (
            lambda header: header.update(
                {f"model.layers.{'9' * 5000}.mlp.up_proj.weight": header["model.norm.weight"]}
            ),
            "",
        ),
    ],
    ids=["a list for a type", "an object for a type", "a layer of 5000 digits"],
)
def test_a_header_of_odd_values_is_one_clear_error(
    change: Callable[[dict[str, Any]], None], word: str, tmp_path: Path
) -> None:
    file = saved(LLAMA, tmp_path) / "model.safetensors"
    data = file.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])
    with pytest.raises(BadModel) as found:
        Decoder(open_safetensors(tmp_path), torch.float32)
    assert word in str(found.value)
    assert "\n" not in str(found.value)


def test_infinity_is_no_value_of_a_configuration(tmp_path: Path) -> None:
    config = saved(LLAMA, tmp_path) / "config.json"
    known = json.loads(config.read_text())
    config.write_text(json.dumps({**known, "rms_norm_eps": "X"}).replace('"X"', "1e999"))
    with pytest.raises(BadModel, match="layer_norm_rms_epsilon"):
        Decoder(open_safetensors(tmp_path), torch.float32)
