from __future__ import annotations

import os
import random
import struct
import time
import tracemalloc
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import gguf
import numpy as np
import pytest

from reasoning.errors import BadModel
from reasoning.formats.gguf import open_gguf
from reasoning.formats.quants import GgmlType
from tests.reasoning.model_files import model_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WEIGHTS = np.arange(128, dtype=np.float32).reshape(2, 64)
HALVES = np.arange(12, dtype=np.float16).reshape(3, 2, 2)


def write(path: Path, more: Callable[[Any], None] = lambda _: None) -> Path:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_string("text", "grüße")
    writer.add_bool("yes", val=True)
    writer.add_uint8("small", 7)
    writer.add_int64("large", -(1 << 40))
    writer.add_float32("real", 0.5)
    writer.add_array("names", ["a", "", "日本"])
    writer.add_array("numbers", [3, -1, 2])
    writer.add_tensor("weights", WEIGHTS)
    writer.add_tensor("halves", HALVES)
    quantized = gguf.quantize(WEIGHTS, gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("quantized", quantized, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    more(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return write(tmp_path / "small.gguf")


def test_metadata_has_the_values_that_were_written(small: Path) -> None:
    found = open_gguf(small)
    assert found.architecture == "llama"
    assert found.metadata["text"] == "grüße"
    assert found.metadata["yes"] is True
    assert found.metadata["small"] == 7
    assert found.metadata["large"] == -(1 << 40)
    assert found.metadata["real"] == 0.5
    assert found.strings("names") == ["a", "", "日本"]
    numbers = found.metadata["numbers"]
    assert isinstance(numbers, np.ndarray)
    assert numbers.tolist() == [3, -1, 2]


def test_tensors_are_row_major_views_of_the_file(small: Path) -> None:
    found = open_gguf(small)
    assert {name: (info.type, info.shape) for name, info in found.tensors.items()} == {
        "weights": (GgmlType.F32, (2, 64)),
        "halves": (GgmlType.F16, (3, 2, 2)),
        "quantized": (GgmlType.Q8_0, (2, 64)),
    }
    raw = found.raw("weights")
    assert np.array_equal(raw.view(np.float32).reshape(2, 64), WEIGHTS)
    assert not raw.flags.owndata
    assert not raw.flags.writeable
    info = found.tensors["weights"]
    assert small.read_bytes()[info.offset : info.offset + info.nbytes] == raw.tobytes()


def test_another_alignment_is_obeyed(tmp_path: Path) -> None:
    path = write(tmp_path / "aligned.gguf", lambda writer: writer.add_custom_alignment(512))
    found = open_gguf(path)
    assert {info.offset % 512 for info in found.tensors.values()} == {0}
    assert np.array_equal(found.raw("halves").view(np.float16).reshape(3, 2, 2), HALVES)


def test_version_2_is_read(small: Path) -> None:
    data = bytearray(small.read_bytes())
    data[4:8] = struct.pack("<I", 2)
    small.write_bytes(data)
    assert open_gguf(small).metadata["small"] == 7


def test_typed_access_names_key_and_value(small: Path) -> None:
    found = open_gguf(small)
    assert found.value("large", int) == -(1 << 40)
    assert found.value("small", float) == 7.0
    assert found.value("absent", int, 4) == 4
    with pytest.raises(BadModel, match="'absent' is missing"):
        found.value("absent", int)
    with pytest.raises(BadModel, match="'yes' is True, not a int"):
        found.value("yes", int)
    with pytest.raises(BadModel, match="'text' is 'grüße', not an array of strings"):
        found.strings("text")
    with pytest.raises(BadModel, match="tensor 'absent' is missing"):
        found.raw("absent")


def header(*keys: bytes, tensors: bytes = b"", tensor_count: int = 0, version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensor_count, len(keys)) + b"".join(keys) + tensors


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def tensor(name: bytes, dims: tuple[int, ...] = (32,), kind: int = 0, offset: int = 0) -> bytes:
    return text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, offset)


ONE = text(b"one") + struct.pack("<II", 4, 1)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty file"),
        (b"RIFF" + bytes(60), "begins with b'RIFF'"),
        (header(version=1), "version.*: 1, while 2 and 3"),
        (header(version=3 << 24), "version.*: 50331648, while 2 and 3"),
        (header(tensor_count=1 << 60), "1152921504606846976 tensors"),
        (header(ONE, ONE), "'one' stands twice"),
        (header(text(b"odd") + struct.pack("<I", 99)), "'odd'.*value type 99 is unknown"),
        (header(text(b"long") + struct.pack("<IQ", 8, 1 << 62)), "'long'.*4611686018427387904 bytes"),
        (header(text(b"list") + struct.pack("<IIQ", 9, 5, 1 << 61)), "'list'.*do not fit"),
        (header(text(b"list") + struct.pack("<IIQ", 9, 8, 1 << 61)), "'list'.*do not fit"),
        (header(text(b"nested") + struct.pack("<IIQ", 9, 9, 1)), "'nested'.*value type 9"),
        (header(text(b"latin") + struct.pack("<I", 8) + text(b"\xff")), "'latin'.*not UTF-8"),
        (header(text(b"general.alignment") + struct.pack("<II", 4, 24)), "24 is not a power of two"),
        (header(text(b"general.alignment") + struct.pack("<II", 4, 0)), "0 is not a power of two"),
        (header(tensors=tensor(b"t", (1, 1, 1, 1, 1)), tensor_count=1), "'t'.*5 dimensions"),
        (header(tensors=tensor(b"t", (0,)), tensor_count=1), r"'t'.*shape \(0,\)"),
        (header(tensors=tensor(b"t", (1 << 63, 1 << 63)), tensor_count=1), "'t'.*cannot have the shape"),
        (header(tensors=tensor(b"t", (33,), 8), tensor_count=1), r"'t'.*Q8_0 cannot have the shape \(33,\)"),
        (header(tensors=tensor(b"t", (256,), 23), tensor_count=1), "'t' has type IQ4_XS.*Q4_K"),
        (header(tensors=tensor(b"t", (256,), 77), tensor_count=1), "'t' has type number 77"),
        (header(tensors=tensor(b"t", offset=8) + bytes(300), tensor_count=1), "offset 8 is not a multiple"),
        (header(tensors=tensor(b"t") + bytes(100), tensor_count=1), "'t'.*ends at byte 192 of a file of 157"),
        (header(tensors=tensor(b"t") + tensor(b"t", offset=128) + bytes(999), tensor_count=2), "'t' stands twice"),
        (header(tensors=tensor(b"t") + tensor(b"u", offset=96) + bytes(999), tensor_count=2), "'t' and 'u' overlap"),
    ],
)
def test_a_broken_header_is_one_clear_line(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "broken.gguf"
    path.write_bytes(data)
    with pytest.raises(BadModel, match=message) as caught:
        open_gguf(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (struct.pack("<IIQ", 9, 8, 1 << 22), "with 4194304 strings the header holds more than"),
        (struct.pack("<IIQ", 9, 5, 1 << 26), "67108864 × 4 bytes do not fit"),
        (struct.pack("<IQ", 8, 1 << 26), "a string of 67108864 bytes is longer than"),
        (struct.pack("<IIQ", 9, 8, 100_000) + bytes(16) + struct.pack("<Q", 1 << 25), "entry 2 has 33554432 bytes"),
    ],
)
def test_a_large_file_does_not_make_its_header_large(tmp_path: Path, key: bytes, message: str) -> None:
    path = tmp_path / "sparse.gguf"
    path.write_bytes(header(text(b"key") + key))
    os.truncate(path, 1 << 30)
    with peak_memory() as peak, pytest.raises(BadModel, match=message):
        open_gguf(path)
    assert peak() < 4 << 20


def test_what_is_not_a_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent.gguf", "nul\0.gguf"):
        with pytest.raises(BadModel, match="cannot be opened"):
            open_gguf(path)


@contextmanager
def peak_memory() -> Iterator[Callable[[], int]]:
    """Trace allocations; what is given tells the peak, in bytes, also after the end."""
    peak = 0
    tracemalloc.start()
    try:
        yield lambda: peak
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()


def refusal(path: Path) -> str:
    """Open the file and touch every byte that it promises; the message of BadModel, or nothing."""
    try:
        found = open_gguf(path)
        for name, info in found.tensors.items():
            assert found.raw(name).nbytes == info.nbytes
            int(found.raw(name).sum())
    except BadModel as error:
        return str(error)
    return ""


@pytest.mark.parametrize("seed", range(4))
def test_mutated_and_truncated_files_are_read_or_refused(tmp_path: Path, small: Path, seed: int) -> None:
    generator = random.Random(seed)
    sound = small.read_bytes()
    header_bytes = min(info.offset for info in open_gguf(small).tensors.values())
    path = tmp_path / "mutated.gguf"
    refused = 0
    began = time.perf_counter()
    with peak_memory() as peak:
        for round_ in range(250):
            data = bytearray(sound)
            if round_ % 5 == 0:
                del data[generator.randrange(len(data)) :]
            for _ in range(generator.choice((1, 1, 2, 8)) if round_ % 5 else 0):
                width = generator.choice((1, 1, 4, 8))
                at = generator.randrange(header_bytes - width)
                data[at : at + width] = generator.choice((generator.randbytes(width), b"\xff" * width, bytes(width)))
            path.write_bytes(data)
            message = refusal(path)
            assert "\n" not in message
            refused += bool(message)
    assert refused > 100
    assert peak() < 4 << 20
    assert time.perf_counter() - began < 60


def test_the_largest_vocabulary_opens_quickly() -> None:
    path = model_path("qwen2.5-coder-1.5b")
    times = []
    for _ in range(3):
        began = time.perf_counter()
        found = open_gguf(path)
        times.append(time.perf_counter() - began)
    print(f"opened in {min(times):.3f} s")
    assert len(found.strings("tokenizer.ggml.tokens")) == 151_936
    assert len(found.strings("tokenizer.ggml.merges")) == 151_387
    assert min(times) < 1.0


def test_a_part_of_a_split_model_is_named_as_that(tmp_path: Path) -> None:
    def split(writer: Any) -> None:  # noqa: ANN401
        writer.add_uint16("split.no", 1)
        writer.add_uint16("split.count", 3)

    with pytest.raises(BadModel, match=r"is part 2 of a model that was split into 3; .*llama-gguf-split --merge"):
        open_gguf(write(tmp_path / "m-00002-of-00003.gguf", split))
    whole = write(tmp_path / "whole.gguf", lambda writer: writer.add_uint16("split.count", 1))
    assert open_gguf(whole).value("split.count", int) == 1


def test_a_value_that_is_no_number_is_refused(tmp_path: Path) -> None:
    file = open_gguf(write(tmp_path / "nan.gguf", lambda writer: writer.add_float32("a.eps", float("nan"))))
    with pytest.raises(BadModel, match=r"'a\.eps' is nan, not a float"):
        file.value("a.eps", float)
