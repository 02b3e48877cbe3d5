"""The kernels for Arm, cross-compiled, on processors with and without their features that qemu emulates.

Shows what they compute, not how fast. Needs gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pytest
import torch

from reasoning.engine import decoder
from reasoning.engine.attention import Run
from reasoning.engine.decoder import Decoder
from reasoning.native.instruction_sets import SETS, possible
from reasoning.native.library import choose, processor
from reasoning.native.linear import KINDS, NativeLinear, packed
from reasoning.native.selftest import check, random_tensor
from reasoning.prompting.tokenizer import Tokenizer
from tests.reasoning import test_native
from tests.reasoning.engine.test_decoder import TEXT
from tests.reasoning.model_files import model_file
from tests.reasoning.native_apart.apart import Apart, driver
from tests.reasoning.tiny_models import QWEN2

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from torch import Tensor

    from reasoning.formats.model_file import ModelFile
    from reasoning.formats.quants import GgmlType
    from reasoning.native.binding import Library
    from reasoning.native.instruction_sets import Name, Use

pytestmark = [pytest.mark.arm, pytest.mark.timeout(900)]

COMPILER: Final = "aarch64-linux-gnu-gcc"
EMULATOR: Final = "qemu-aarch64"


@dataclass(frozen=True, slots=True)
class Machine:
    """A processor that is emulated, and the set that is run on it."""

    processor: str
    reports: frozenset[str]
    name: Name

    def __str__(self) -> str:
        return f"{self.name}-{self.processor}"


MACHINES: Final = (
    Machine("cortex-a72", frozenset(), "generic"),
    Machine("cortex-a76", frozenset({"asimddp"}), "neon"),
    Machine("max", frozenset({"asimddp", "i8mm"}), "neon"),
)


@pytest.fixture(name="machine", scope="module", params=MACHINES, ids=str)
def _machine(request: pytest.FixtureRequest) -> Machine:
    if missing := [name for name in (COMPILER, EMULATOR) if shutil.which(name) is None]:
        pytest.skip(f"no {', '.join(missing)} (apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user)")
    machine: Machine = request.param
    return machine


@pytest.fixture(name="apart", scope="module")
def _apart(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apart]:
    one = next(one for one in SETS if one.name == machine.name)
    flags = ("-static", *one.flags_for(machine.reports))
    path = driver(tmp_path_factory.mktemp(str(machine)), COMPILER, one, flags)
    apart = Apart([EMULATOR, "-cpu", machine.processor, str(path)], one.name)
    yield apart
    apart.close()


@pytest.fixture(name="library", scope="module")
def _library(apart: Apart) -> Library:
    return apart.as_library()


@pytest.fixture(name="use")
def _use(library: Library, monkeypatch: pytest.MonkeyPatch) -> Use:
    monkeypatch.setattr(decoder, "load", lambda _: library)
    return library.name


@pytest.fixture(name="here", scope="module")
def _here(library: Library) -> Library:
    """Kernels of this machine that add in the same order."""
    name: Name = "generic" if library.name == "generic" else "avx2"
    if name not in {one.name for one in possible(processor())}:
        pytest.skip(f"this processor cannot run {name}")
    return choose(name).library


@pytest.fixture(autouse=True)
def _two_threads() -> None:
    torch.set_num_threads(2)


def test_the_processor_reports_its_features(apart: Apart, machine: Machine) -> None:
    assert apart.processor() == machine.reports
    assert possible(apart.processor())[0].name == machine.name


def test_the_set_passes_its_own_test(library: Library) -> None:
    check(library)


test_every_weight = test_native.test_every_weight_survives_interleaving
test_whole_numbers = test_native.test_whole_numbers_are_multiplied_exactly
test_quantised_activations = test_native.test_activations_are_quantised_to_the_same_bytes
test_activations_of_any_size = test_native.test_activations_of_any_size_give_finite_products
test_joined_layers = test_native.test_joined_layers_lie_side_by_side_with_their_biases
test_rows_in_order = test_native.test_rows_come_in_the_order_that_is_asked_for
test_threads = test_native.test_the_number_of_threads_changes_no_bit
test_norms_of_heads = test_native.test_norms_of_heads_are_applied


@pytest.mark.parametrize("kind", ["Q8_0", "Q5_0", "Q4_1", "Q4_0"])
def test_a_model_is_what_it_is_in_float32(kind: str, use: Use, tmp_path: Path) -> None:
    test_native.test_a_model_is_what_it_is_in_float32(QWEN2, kind, use, tmp_path)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_products_are_the_same_bits_as_here(library: Library, here: Library, kind: GgmlType) -> None:
    raw = random_tensor(np.random.default_rng(7), kind, 48, 512)
    ours = packed(here, raw, kind, (48, 512))
    theirs = packed(library, raw, kind, (48, 512))
    assert torch.equal(ours.data, theirs.data)
    for rows in range(1, 18):
        x = test_native.activations(rows, 512)
        found, expected = (NativeLinear(one, [ours]).multiply(x, threads=1) for one in (library, here))
        assert np.array_equal(found, expected), f"{rows} rows"


def test_a_small_model_computes_the_same_bits_as_here(
    library: Library, here: Library, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With weights that were interleaved here: there is one packed file for all processors."""
    file = model_file("smollm2-135m")
    ids = Tokenizer.from_gguf(file).encode(TEXT)[:21]
    expected, found = (greedy(decoder_of(one, file, tmp_path, monkeypatch), ids, 8) for one in (here, library))
    assert torch.equal(found, expected)


def greedy(decoder: Decoder, ids: Sequence[int], count: int) -> Tensor:
    """Give the logits that choose the `count` tokens behind a prompt."""
    cache, some, found = decoder.cache(), list(ids), []
    for _ in range(count):
        found.append(decoder.forward([Run(some, [cache], logits=True)]))
        some = [int(found[-1].argmax())]
    return torch.cat(found)


def decoder_of(library: Library, file: ModelFile, kept: Path, monkeypatch: pytest.MonkeyPatch) -> Decoder:
    monkeypatch.setattr(decoder, "load", lambda _: library)
    return Decoder(file, cache_dir=kept, native=library.name)
