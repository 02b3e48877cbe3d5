"""The kernels under the sanitizers for addresses, undefined behaviour and races, in a process of their own.

What they are given lies there in memory of exactly its size, so that a byte read beyond an end is found.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest
import torch

from reasoning.engine import decoder
from reasoning.native.instruction_sets import SETS, SOURCES, possible
from reasoning.native.library import processor
from reasoning.native.selftest import check
from tests.reasoning import test_native
from tests.reasoning.native_apart.apart import Apart, driver
from tests.reasoning.tiny_models import QWEN2

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from reasoning.native.binding import Library
    from reasoning.native.instruction_sets import InstructionSet, Use

pytestmark = [pytest.mark.sanitizers, pytest.mark.timeout(900)]

COMPILER: Final = shutil.which(os.environ.get("CC") or "cc")
SANITIZERS: Final = ("address,undefined", "thread")
FLAGS: Final = ("-O1", "-g", "-fno-omit-frame-pointer", "-fno-sanitize-recover=all")


@dataclass(frozen=True, slots=True)
class Watched:
    """A set and what watches it."""

    one: InstructionSet
    sanitizer: str

    def __str__(self) -> str:
        return f"{self.one.name}-{self.sanitizer}"


WATCHED: Final = [Watched(one, sanitizer) for one in SETS for sanitizer in SANITIZERS]


@pytest.fixture(name="apart", scope="module", params=WATCHED, ids=str)
def _apart(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apart]:
    """Every set that this machine can run."""
    watched: Watched = request.param
    one, folder = watched.one, tmp_path_factory.mktemp("watched")
    if COMPILER is None:
        pytest.skip("no C compiler")
    if one not in possible(processor()):
        pytest.skip(f"this processor cannot run {one.name}")
    flags = (*FLAGS, f"-fsanitize={watched.sanitizer}")
    if not works(COMPILER, flags, folder):
        pytest.skip(f"{COMPILER} has no sanitizer for {watched.sanitizer}, or it does not run here")
    apart = Apart([str(driver(folder, COMPILER, one, (*flags, *one.flags_for(processor()))))], one.name)
    yield apart
    apart.close()


def works(compiler: str, flags: Sequence[str], folder: Path) -> bool:
    source, program = folder / "nothing.c", folder / "nothing"
    source.write_text("int main(void) { return 0; }\n", encoding="utf-8")
    made = subprocess.run([compiler, *flags, "-o", str(program), str(source)], capture_output=True, check=False)
    return made.returncode == 0 and subprocess.run([program], capture_output=True, check=False).returncode == 0


@pytest.fixture(name="library", scope="module")
def _library(apart: Apart) -> Library:
    return apart.as_library()


@pytest.fixture(name="use")
def _use(library: Library, monkeypatch: pytest.MonkeyPatch) -> Use:
    monkeypatch.setattr(decoder, "load", lambda _: library)
    return library.name


@pytest.fixture(autouse=True)
def _two_threads() -> None:
    torch.set_num_threads(2)


def test_the_set_passes_its_own_test(library: Library) -> None:
    check(library)


test_every_weight = test_native.test_every_weight_survives_interleaving
test_whole_numbers = test_native.test_whole_numbers_are_multiplied_exactly
test_quantised_activations = test_native.test_activations_are_quantised_to_the_same_bytes
test_activations_of_any_size = test_native.test_activations_of_any_size_give_finite_products
test_threads = test_native.test_the_number_of_threads_changes_no_bit
test_norms_of_heads = test_native.test_norms_of_heads_are_applied


@pytest.mark.parametrize("kind", ["Q8_0", "Q5_0", "Q4_1", "Q4_0"])
def test_a_model_is_what_it_is_in_float32(kind: str, use: Use, tmp_path: Path) -> None:
    test_native.test_a_model_is_what_it_is_in_float32(QWEN2, kind, use, tmp_path)


# --- that it would be found ---


@pytest.mark.parametrize(
    ("sanitizer", "wrong", "words"),
    [
        ("address,undefined", "gate[count] = 0;", "heap-buffer-overflow"),
        ("address,undefined", "gate[0] = (float)(count << 31);", "left shift"),
    ],
)
def test_a_fault_in_a_kernel_ends_the_process_with_its_name(
    sanitizer: str, wrong: str, words: str, tmp_path: Path
) -> None:
    if COMPILER is None or not works(COMPILER, (*FLAGS, f"-fsanitize={sanitizer}"), tmp_path):
        pytest.skip("no sanitizers")
    folder = tmp_path / "native"
    shutil.copytree(SOURCES, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    place = folder / "sets" / "generic" / "rows.c"
    text, begin = place.read_text(encoding="utf-8"), "void gated(float *gate, const float *up, int count) {"
    assert begin in text
    place.write_text(text.replace(begin, begin + wrong), encoding="utf-8")
    (generic,) = (one for one in SETS if one.name == "generic")
    made = driver(tmp_path, COMPILER, generic, (*FLAGS, f"-fsanitize={sanitizer}"), folder)
    with pytest.raises(RuntimeError, match=words):
        check(Apart([str(made)], "generic").as_library())
