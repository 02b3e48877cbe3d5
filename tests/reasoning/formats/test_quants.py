from __future__ import annotations

from typing import TYPE_CHECKING

import gguf
import numpy as np
import pytest

from reasoning.errors import BadModel
from reasoning.formats.quants import BLOCKS, GgmlType, affine4, dequantize, int8_groups
from tests.reasoning.model_files import model_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

AFFINE = [GgmlType.Q4_0, GgmlType.Q4_1, GgmlType.Q4_K]
GROUPED = [(GgmlType.Q5_0, 32), (GgmlType.Q8_0, 32), (GgmlType.Q6_K, 16)]


def random_raw(kind: GgmlType, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Any bytes are a tensor; those that give infinite scales are left out."""
    generator = np.random.default_rng(kind)
    weights, size = BLOCKS[kind]
    count = int(np.prod(shape)) // weights
    raw = generator.integers(0, 256, (count * 4, size), np.uint8)
    with np.errstate(all="ignore"):
        reference = gguf.dequantize(raw, gguf.GGMLQuantizationType(kind)).reshape(len(raw), -1)
    finite = np.isfinite(reference).all(axis=1)
    sound: NDArray[np.uint8] = raw[finite][:count].reshape(-1)
    return sound


@pytest.mark.parametrize("kind", list(BLOCKS))
def test_random_blocks_give_the_floats_of_the_gguf_package(kind: GgmlType) -> None:
    shape = (3, 5, 256)
    raw = random_raw(kind, shape)
    found = dequantize(raw, kind, shape)
    reference = gguf.dequantize(raw, gguf.GGMLQuantizationType(kind)).reshape(shape)
    assert found.dtype == np.float32
    assert found.shape == shape
    np.testing.assert_array_equal(found, reference)


def test_more_weights_than_a_chunk_give_the_same_floats() -> None:
    shape = (700, 512)
    raw = random_raw(GgmlType.Q4_K, shape)
    reference = gguf.dequantize(raw, gguf.GGMLQuantizationType.Q4_K).reshape(shape)
    np.testing.assert_array_equal(dequantize(raw, GgmlType.Q4_K, shape), reference)


@pytest.mark.parametrize("kind", AFFINE)
def test_affine_groups_are_exact(kind: GgmlType) -> None:
    shape = (6, 512)
    raw = random_raw(kind, shape)
    q, scale, minimum = affine4(raw, kind, shape)
    assert [q.dtype, scale.dtype, minimum.dtype] == [np.uint8, np.float32, np.float32]
    assert [q.shape, scale.shape, minimum.shape] == [shape, (6, 16), (6, 16)]
    assert q.max() == 15
    rebuilt = q.reshape(6, 16, 32) * scale[:, :, None] - minimum[:, :, None]
    np.testing.assert_array_equal(rebuilt.reshape(shape), dequantize(raw, kind, shape))


@pytest.mark.parametrize(("kind", "group"), GROUPED)
def test_int8_groups_are_exact(kind: GgmlType, group: int) -> None:
    shape = (6, 512)
    raw = random_raw(kind, shape)
    q, scale = int8_groups(raw, kind, shape)
    assert [q.dtype, scale.dtype] == [np.int8, np.float32]
    assert [q.shape, scale.shape] == [shape, (6, 512 // group)]
    rebuilt = q.reshape(6, -1, group) * scale[:, :, None]
    np.testing.assert_array_equal(rebuilt.reshape(shape), dequantize(raw, kind, shape))


@pytest.mark.parametrize("name", ["smollm2-135m", "qwen2.5-coder-1.5b"])
def test_real_tensors_of_every_type_give_the_floats_of_the_gguf_package(name: str) -> None:
    file = model_file(name)
    largest = sorted(file.tensors.values(), key=lambda info: info.nbytes)
    for info in {info.type: info for info in largest}.values():
        rows = min(info.shape[0], 256) if len(info.shape) > 1 else 1
        shape = (rows, info.shape[-1])
        weights, size = BLOCKS[info.type]
        raw = file.raw(info.name)[: rows * info.shape[-1] // weights * size]
        reference = gguf.dequantize(raw, gguf.GGMLQuantizationType(info.type)).reshape(shape)
        np.testing.assert_array_equal(dequantize(raw, info.type, shape), reference)


def test_other_types_are_refused_by_name() -> None:
    raw = np.zeros(1024, np.uint8)
    with pytest.raises(BadModel, match=r"type IQ4_XS, .*BF16, F16, F32, Q4_0"):
        dequantize(raw, GgmlType.IQ4_XS, (256,))
    with pytest.raises(BadModel, match=r"Q6_K has no 4-bit groups .* Q4_0, Q4_1, Q4_K"):
        affine4(raw, GgmlType.Q6_K, (256,))
    with pytest.raises(BadModel, match=r"Q4_K has no groups .* Q5_0, Q6_K, Q8_0"):
        int8_groups(raw, GgmlType.Q4_K, (256,))


@pytest.mark.parametrize("shape", [(2, 32), (1, 33), (2, 16)])
def test_bytes_that_do_not_fit_the_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="are not a Q8_0 tensor"):
        dequantize(np.zeros(34, np.uint8), GgmlType.Q8_0, shape)
