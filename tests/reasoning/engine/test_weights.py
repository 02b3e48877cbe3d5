"""Packed weights against plain ones, the file they are kept in, and model files that are not sound."""

from __future__ import annotations

import os
import random
import time
import tracemalloc
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from reasoning.engine.attention import Run
from reasoning.engine.decoder import Decoder
from reasoning.engine.weights import Affine4Linear, DenseLinear, Int8Linear, JoinedLinear, Linear, Weights
from reasoning.errors import BadModel
from reasoning.formats.gguf import GgufFile, open_gguf
from tests.reasoning.tiny_models import LLAMA, LLAMA3, QWEN2, QWEN3, Tiny, write_tiny

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

    from reasoning.native.instruction_sets import Use

CPU = torch.device("cpu")
WIDE = replace(QWEN2, width=256, heads=4, kv_heads=2, head_size=64, inner=512, vocabulary=96)
LAYERS = ("blk.0.attn_q.weight", "blk.1.ffn_up.weight", "blk.0.ffn_down.weight")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def packed_and_plain(file: GgufFile, names: Sequence[str]) -> tuple[Linear, Linear]:
    return (
        Weights(file, torch.bfloat16, CPU, None).fused(names),
        Weights(file, torch.float32, CPU, None).linear(names),
    )


def relative_error(found: Tensor, expected: Tensor) -> float:
    return float((found.float() - expected).norm() / expected.norm())


def logits(decoder: Decoder) -> Tensor:
    return decoder.forward([Run(list(range(50)), [decoder.cache()], logits=True)])[0]


@pytest.mark.parametrize("rows", [1, 2, 5, 40])
@pytest.mark.parametrize(
    ("kind", "layer"),
    [
        ("Q4_0", Affine4Linear),
        ("Q4_1", Affine4Linear),
        ("Q4_K", Affine4Linear),
        ("Q8_0", Int8Linear),
        ("Q5_0", Int8Linear),
        ("Q6_K", Int8Linear),
        ("F16", DenseLinear),
        ("BF16", DenseLinear),
    ],
)
def test_packed_layers_compute_what_plain_ones_do(kind: str, layer: type, rows: int, tmp_path: Path) -> None:
    file = open_gguf(write_tiny(tmp_path / "tiny.gguf", WIDE, kind))
    torch.manual_seed(1)
    for name in LAYERS:
        packed, plain = packed_and_plain(file, [name])
        assert type(packed) is layer
        x = torch.randn(rows, file.tensors[name].shape[1]).bfloat16()
        assert relative_error(packed(x), plain(x.float())) < 0.012


def test_layers_over_the_same_input_are_joined_in_order(tmp_path: Path) -> None:
    names = [f"blk.0.attn_{which}.weight" for which in "qkv"]
    torch.manual_seed(1)
    x = torch.randn(3, WIDE.width).bfloat16()
    for kinds, layer in ((("Q4_0", "Q4_0", "Q8_0"), JoinedLinear), (("Q8_0", "Q4_0", "Q8_0"), JoinedLinear)):
        changes = dict(zip(names, kinds, strict=True))
        file = open_gguf(write_tiny(tmp_path / "tiny.gguf", WIDE, "Q4_0", kinds=changes))
        packed, plain = packed_and_plain(file, names)
        assert type(packed) is layer
        assert relative_error(packed(x), plain(x.float())) < 0.012


def test_rows_that_the_4_bit_kernel_does_not_take_become_int8(tmp_path: Path) -> None:
    tiny = replace(LLAMA, inner=24)
    kinds = {f"blk.{i}.ffn_down.weight": "F32" for i in range(tiny.layers)}
    file = open_gguf(write_tiny(tmp_path / "tiny.gguf", tiny, "Q4_0", kinds=kinds))
    packed, plain = packed_and_plain(file, ["blk.0.ffn_up.weight"])
    assert type(packed) is Int8Linear
    x = torch.randn(3, tiny.width).bfloat16()
    assert relative_error(packed(x), plain(x.float())) < 0.012


@pytest.mark.parametrize("tiny", [LLAMA, QWEN2], ids=["llama", "qwen2"])
@pytest.mark.parametrize("kind", ["Q4_0", "Q8_0", "F16"])
def test_a_packed_model_is_close_to_the_plain_one(tiny: Tiny, kind: str, native: Use, tmp_path: Path) -> None:
    file = open_gguf(write_tiny(tmp_path / "tiny.gguf", tiny, kind))
    assert relative_error(logits(Decoder(file, native=native)), logits(Decoder(file, torch.float32))) < 0.12


# --- the file that keeps packed weights ---


@pytest.fixture(params=["off", "auto"])
def native(request: pytest.FixtureRequest) -> Use:
    """Without the C kernels, and with them where the machine can have them."""
    use: Use = request.param
    return use


@pytest.fixture
def quantised(tmp_path: Path) -> GgufFile:
    return open_gguf(write_tiny(tmp_path / "tiny.gguf", WIDE, "Q4_0"))


def only_file(folder: Path) -> Path:
    (found,) = folder.iterdir()
    return found


def test_packed_weights_are_kept_and_used_the_next_time(
    quantised: GgufFile, tmp_path: Path, native: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    first = logits(Decoder(quantised, cache_dir=cache, native=native))
    kept = only_file(cache)
    before = kept.stat()
    for converter in ("affine4", "_int8_rows", "packed"):
        monkeypatch.delattr(f"reasoning.engine.weights.{converter}")
    second = logits(Decoder(quantised, cache_dir=cache, native=native))
    assert torch.equal(first, second)
    after = only_file(cache).stat()
    assert (after.st_mtime_ns, after.st_ino, after.st_size) == (before.st_mtime_ns, before.st_ino, before.st_size)


def test_another_model_file_of_the_same_name_is_packed_anew(quantised: GgufFile, tmp_path: Path, native: Use) -> None:
    cache = tmp_path / "cache"
    first = logits(Decoder(quantised, cache_dir=cache, native=native))
    path = write_tiny(tmp_path / "tiny.gguf", replace(WIDE, seed=99), "Q4_0")
    os.utime(path, ns=(1, 1))
    second = logits(Decoder(open_gguf(path), cache_dir=cache, native=native))
    assert not torch.equal(first, second)
    assert len(list(cache.iterdir())) == 2


@pytest.mark.parametrize("damage", ["empty", "half", "text", "other objects", "without its end", "wrong shapes"])
def test_a_damaged_packed_file_is_ignored_and_written_anew(
    quantised: GgufFile, tmp_path: Path, native: Use, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    first = logits(Decoder(quantised, cache_dir=cache, native=native))
    kept = only_file(cache)
    good = kept.read_bytes()
    if damage == "other objects":
        torch.save([1, 2, 3], kept)
    elif damage == "wrong shapes":
        torch.save({name: torch.zeros(3) for name in torch.load(kept)}, kept)
    else:
        bad = {"empty": b"", "half": good[: len(good) // 2], "text": b"hello " * 999, "without its end": good[:-30]}
        kept.write_bytes(bad[damage])
    assert torch.equal(logits(Decoder(quantised, cache_dir=cache, native=native)), first)
    assert only_file(cache).stat().st_size == len(good)
    for converter in ("affine4", "_int8_rows", "packed"):
        monkeypatch.delattr(f"reasoning.engine.weights.{converter}")
    assert torch.equal(logits(Decoder(quantised, cache_dir=cache, native=native)), first)


def test_a_packed_file_of_another_layout_is_left_alone(
    quantised: GgufFile, tmp_path: Path, native: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    with monkeypatch.context() as patch:
        for number in ("_LAYOUT", "_NATIVE_LAYOUT"):
            patch.setattr(f"reasoning.engine.weights.{number}", -1)
        expected = logits(Decoder(quantised, cache_dir=cache, native=native))
    older = only_file(cache)
    # What an older version kept has the right names and sizes, and means something else.
    torch.save({name: torch.full_like(tensor, 1) for name, tensor in torch.load(older).items()}, older)
    before = older.read_bytes()
    assert torch.equal(logits(Decoder(quantised, cache_dir=cache, native=native)), expected)
    assert older.read_bytes() == before
    assert len(list(cache.iterdir())) == 2


def test_a_cache_that_cannot_be_written_only_costs_time(quantised: GgufFile, tmp_path: Path, native: Use) -> None:
    blocked = tmp_path / "a file"
    blocked.write_text("not a folder")
    expected = logits(Decoder(quantised, native=native))
    assert torch.equal(logits(Decoder(quantised, cache_dir=blocked, native=native)), expected)
    assert torch.equal(logits(Decoder(quantised, cache_dir=blocked / "below", native=native)), expected)


def test_float32_is_exact_and_keeps_nothing(quantised: GgufFile, tmp_path: Path, native: Use) -> None:
    Decoder(quantised, torch.float32, cache_dir=tmp_path / "cache", native=native)
    assert not (tmp_path / "cache").exists()


# --- model files that are not sound ---


def opens(path: Path) -> bool:
    """Open and run a model: it works, or it is one `BadModel`."""
    found = ""
    try:
        decoder = Decoder(open_gguf(path), torch.float32, max_context=64)
    except BadModel as error:
        found = str(error)
    else:
        decoder.forward([Run([1, 2, 3], [decoder.cache()], logits=True)])
    assert not found or (str(path) in found and "\n" not in found)
    return not found


def test_a_truncated_model_is_refused(tmp_path: Path) -> None:
    path = write_tiny(tmp_path / "tiny.gguf", QWEN2)
    good = path.read_bytes()
    assert opens(path)
    for length in [0, 3, 4, 23, 24, 100, 500, 1000, 3000, len(good) // 2, len(good) - 1]:
        path.write_bytes(good[:length])
        assert not opens(path)


@pytest.mark.parametrize("tiny", [QWEN2, QWEN3, LLAMA3], ids=["qwen2", "qwen3", "llama3"])
def test_mutated_headers_work_or_are_one_clear_error(tiny: Tiny, tmp_path: Path) -> None:
    path = write_tiny(tmp_path / "tiny.gguf", replace(tiny, width=48, inner=32, layers=1))
    good = path.read_bytes()
    header = len(good) - sum(info.nbytes for info in open_gguf(path).tensors.values())
    draw = random.Random(tiny.seed)
    opened = 0
    tracemalloc.start()
    began = time.monotonic()
    for _ in range(500):
        bad = bytearray(good)
        for _ in range(draw.choice([1, 1, 1, 2, 8])):
            at = draw.randrange(header)
            bad[at] = draw.choice([0, 1, 0x7F, 0x80, 0xFF, bad[at] ^ (1 << draw.randrange(8)), draw.randrange(256)])
        path.write_bytes(bad)
        opened += opens(path)
    assert 0 < opened < 500
    assert tracemalloc.get_traced_memory()[1] < 100 << 20
    tracemalloc.stop()
    assert time.monotonic() - began < 60


def test_tensor_types_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    path = write_tiny(tmp_path / "tiny.gguf", LLAMA, "Q5_1")
    with pytest.raises(BadModel, match=r"Q5_1.*Q4_K"):
        open_gguf(path)


def test_embedding_rows_come_straight_from_the_file(quantised: GgufFile) -> None:
    weights = Weights(quantised, torch.float32, CPU, None)
    table = weights.linear(["token_embd.weight"])
    rows = weights.rows("token_embd.weight")([3, 0, 3, 95])
    identity = torch.eye(WIDE.width)
    assert torch.allclose(rows, table(identity).T[np.array([3, 0, 3, 95])])
