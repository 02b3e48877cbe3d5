"""Instruction sets that this processor lacks, carried out on AVX2 by immintrin.h beside this file.

Shows what the C computes; of the two instructions that are written as assembler (`vpdpbusd`, `vdpbf16ps`), nothing.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from reasoning.engine import decoder
from reasoning.engine.decoder import Decoder
from reasoning.formats.gguf import open_gguf
from reasoning.native.binding import Library
from reasoning.native.build import compiled
from reasoning.native.instruction_sets import SETS, SOURCES
from reasoning.native.library import choose, processor
from reasoning.native.selftest import check
from tests.reasoning import test_native
from tests.reasoning.tiny_models import QWEN2, write_tiny

if TYPE_CHECKING:
    from reasoning.native.instruction_sets import Use

pytestmark = [pytest.mark.sets, pytest.mark.timeout(900)]

HERE = Path(__file__).parent
# A thousand lines of emulation would be optimised for minutes.
FLAGS = {"avx512-vnni": ("-O1",), "avx-vnni": ("-D__AVXVNNI__",)}


@pytest.fixture(name="library", scope="module", params=FLAGS)
def _library(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Library:
    if shutil.which(os.environ.get("CC") or "cc") is None:
        pytest.skip("no C compiler")
    (avx2,) = (one for one in SETS if one.name == "avx2")
    if missing := sorted(avx2.needs - processor()):
        pytest.skip(f"emulation needs AVX2, and this processor has no {', '.join(missing)}")
    one = next(one for one in SETS if one.name == request.param)
    sources = [*sorted(SOURCES.glob("*.c")), *sorted((SOURCES / "sets" / one.folder).glob("*.c"))]
    flags = (*avx2.flags, *FLAGS[one.name], "-Wno-psabi", f"-I{HERE}")
    return Library(compiled(tmp_path_factory.mktemp("emulated"), sources, flags, SOURCES), one.name)


@pytest.fixture(name="use")
def _use(library: Library, monkeypatch: pytest.MonkeyPatch) -> Use:
    monkeypatch.setattr(decoder, "load", lambda _: library)
    return library.name


@pytest.fixture(autouse=True)
def _two_threads() -> None:
    torch.set_num_threads(2)


def test_the_set_passes_its_own_test(library: Library) -> None:
    check(library)


def test_avx_vnni_adds_as_avx2_does(library: Library, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if library.name != "avx-vnni":
        pytest.skip("AVX-512 adds in an order of its own")
    file = open_gguf(write_tiny(tmp_path / "tiny.gguf", QWEN2, "Q4_1"))
    found = []
    for one in (library, choose("avx2").library):
        monkeypatch.setattr(decoder, "load", lambda _, one=one: one)
        found.append(test_native.conversation(Decoder(file, native=one.name)))
    assert torch.equal(*found)


test_every_weight = test_native.test_every_weight_survives_interleaving
test_products = test_native.test_products_are_those_of_dequantised_weights
test_activations_of_any_size = test_native.test_activations_of_any_size_give_finite_products
test_whole_numbers = test_native.test_whole_numbers_are_multiplied_exactly
test_quantised_activations = test_native.test_activations_are_quantised_to_the_same_bytes
test_joined_layers = test_native.test_joined_layers_lie_side_by_side_with_their_biases
test_models = test_native.test_a_model_is_what_it_is_in_float32
test_norms_of_heads = test_native.test_norms_of_heads_are_applied
