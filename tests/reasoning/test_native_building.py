"""How the kernels are found, compiled, kept and refused."""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from reasoning.errors import NativeUnavailable
from reasoning.formats.quants import GgmlType
from reasoning.native import build, library
from reasoning.native.binding import Library, opened
from reasoning.native.build import CannotCompile, compiled
from reasoning.native.instruction_sets import SETS, SOURCES, InstructionSet, candidates, possible
from reasoning.native.library import choose, load, processor, survey
from reasoning.native.linear import NativeLinear, packed
from reasoning.native.selftest import WrongKernels, check, random_tensor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reasoning.native.instruction_sets import Use

COMPILER = shutil.which(os.environ.get("CC") or "cc")
WARNINGS = ("-Wall", "-Wextra", "-Werror")
NAMES = [one.name for one in SETS]
BEST = frozenset(feature for one in SETS for feature in one.needs) - {"asimddp"}
TARGETS = {"x86_64": ["avx512-vnni", "avx-vnni", "avx2", "generic"], "aarch64": ["neon", "generic"]}
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="no C compiler")


def set_named(name: str) -> InstructionSet:
    return next(one for one in SETS if one.name == name)


def sources_of(one: InstructionSet) -> list[Path]:
    return [*sorted(SOURCES.glob("*.c")), *sorted((SOURCES / "sets" / one.folder).glob("*.c"))]


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Nothing is compiled and nothing remembered; gives the folder in which libraries will lie."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    remembered = (load, choose, processor, library._checked, build._version, build._own_folder)
    for function in remembered:
        function.cache_clear()
    yield tmp_path / "descant" / "native"
    for function in remembered:
        function.cache_clear()


# --- which set ---


def test_the_best_that_a_processor_can_run_comes_first() -> None:
    assert [one.name for one in candidates("auto", BEST)] == ["avx512-vnni", "avx-vnni", "avx2", "generic"]
    assert [one.name for one in possible(BEST - {"avx512_vnni", "avx_vnni"})] == ["avx2", "generic"]
    assert [one.name for one in possible(frozenset({"asimddp", "i8mm"}))] == ["neon", "generic"]
    assert [one.name for one in possible(frozenset())] == ["generic"]


@pytest.mark.parametrize("name", NAMES)
def test_a_set_that_is_named_is_used_or_refused_with_what_is_missing(name: Use) -> None:
    one = set_named(name)
    assert candidates(name, one.needs) == (one,)
    for feature in one.needs:
        with pytest.raises(NativeUnavailable, match=f"{name}.* no {feature};.*generic"):
            candidates(name, one.needs - {feature})


@needs_compiler
def test_what_the_processor_reports_is_what_the_system_lists() -> None:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        pytest.skip("the system lists nothing")
    listed = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    if not listed.partition(":")[2].split():
        pytest.skip("the system hides its list")
    known = {"fma", "f16c", "avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "asimddp", "i8mm"}
    assert processor() & known == known & set(listed.split())


@needs_compiler
def test_a_system_that_hides_its_list_hides_no_instructions() -> None:
    hidden = ["unshare", "--mount", "sh", "-c", 'mount --bind /dev/null /proc/cpuinfo && exec "$@"', "sh"]
    try:
        subprocess.run([*hidden, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("nothing can be hidden here: that needs root")
    told = "import reasoning.native.library as it; print(open('/proc/cpuinfo').read(), *sorted(it.processor()))"
    found = subprocess.run([*hidden, sys.executable, "-c", told], check=True, capture_output=True, text=True).stdout
    assert found.split() == sorted(processor())


EVERYTHING = (1 << 12 | 1 << 27 | 1 << 29, 1 << 5 | 1 << 16 | 1 << 17 | 3 << 30, 1 << 11, 1 << 4 | 1 << 5)
"""Leaf 1 ecx, leaf 7 ebx and ecx, leaf 7.1 eax."""
NARROW = {"fma", "f16c", "avx2", "avx_vnni"}
WIDE = {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni", "avx512_bf16"}


@needs_compiler
@pytest.mark.skipif(platform.machine() != "x86_64", reason="asks an x86 processor")
def test_vectors_that_the_system_does_not_save_do_not_count(tmp_path: Path) -> None:
    source = tmp_path / "reported.c"
    source.write_text(
        '#include "processor.c"\n'
        "const char *reported_of(uint32_t c1, uint32_t b7, uint32_t c7, uint32_t a71, uint32_t state)\n"
        "{ return reported(c1, b7, c7, a71, state); }\n"
        "uint32_t saved_of(uint32_t c1) { return saved_state(c1); }\n",
        encoding="utf-8",
    )
    told = opened(compiled(tmp_path, [source], (*WARNINGS, f"-I{SOURCES / 'probe'}")))
    told.reported_of.restype = ctypes.c_char_p

    def names(state: int) -> set[str]:
        return set(told.reported_of(*EVERYTHING, state).decode().split())

    assert names(0xE7) == NARROW | WIDE
    assert names(0x07) == NARROW  # a system or a hypervisor that does not save the wide ones
    for state in (0x67, 0xA7, 0xC7):
        assert names(state) == NARROW
    assert names(0x03) == names(0xE3) == names(0x05) == names(0) == set()
    assert told.saved_of(0) == 0  # no OSXSAVE: the instruction that asks would end the process


@needs_compiler
def test_what_is_told_of_the_machine_is_what_is_loaded() -> None:
    found, loaded = survey(), load("auto")
    assert loaded is not None
    assert found.used == loaded.name
    assert found.possible[-1] == "generic"
    assert found.used in found.possible
    assert not found.wrong


# --- compiling ---


@needs_compiler
@pytest.mark.parametrize("one", SETS, ids=lambda one: one.name)
def test_every_set_compiles_without_a_warning(one: InstructionSet, tmp_path: Path) -> None:
    machine = subprocess.run([str(COMPILER), "-dumpmachine"], capture_output=True, text=True, check=True).stdout
    if one.name not in TARGETS.get(machine.partition("-")[0], ["generic"]):
        pytest.skip(f"the compiler is for {machine.strip()}")
    for flags in {one.flags, one.flags_for(frozenset(feature for feature, _ in one.further))}:
        command = [str(COMPILER), *build.FLAGS, *flags, *WARNINGS, f"-I{SOURCES}", "-o", str(tmp_path / "made.so")]
        subprocess.run([*command, *map(str, sources_of(one)), "-lm"], check=True)


@needs_compiler
def test_plain_c_needs_nothing_of_a_processor_or_a_system(tmp_path: Path) -> None:
    one = set_named("generic")
    path = compiled(tmp_path, sources_of(one), (*WARNINGS, "-DDESCANT_PLAIN", "-DDESCANT_NO_FUTEX"), SOURCES)
    found = Library(path, one.name)
    check(found)
    raw = random_tensor(np.random.default_rng(1), GgmlType.Q8_0, 320, 64)
    linear = NativeLinear(found, [packed(found, raw, GgmlType.Q8_0, (320, 64))])
    x = np.random.default_rng(2).standard_normal((3, 64), dtype=np.float32)
    once = linear.multiply(x, threads=1)
    assert all(np.array_equal(linear.multiply(x, threads=4), once) for _ in range(300))


FAULTS = [
    ("numbers.h", "0x1p112f", "0x1.1p112f", "product"),
    ("kernels.h", "127 / peak", "126 / peak", "product"),
    ("sets/generic/linear.c", "high >> 2 : high << 2) & 0x3030", "high >> 2 : high << 2) & 0x1030", "product of Q6_K"),
    ("sets/generic/linear.c", "high << (3 - 2 * i)", "high << (4 - 2 * i)", "product of Q5_"),
    ("sets/generic/rows.c", "halves[i / 16] +=", "halves[i / 17] +=", "product"),
    ("sets/generic/rows.c", "sum / (float)size", "sum / (float)(size + 1)", "norm"),
    ("sets/generic/rows.c", "power < 126 ? power : 126", "power", "activation"),
    ("sets/generic/exponential.h", "5.5504109e-2f", "5e-2f", "activation"),
    ("sets/generic/attention.c", "q[n * size + i + 1]", "q[n * size + i]", "attention"),
    ("sets/generic/attention.c", "softmax->weight *= shrink", "", "attention"),
    ("sets/generic/attention.c", "memset(odd, 0, sizeof odd)", "", "attention"),
    ("attention.c", "x[i] * sin[i + half]", "x[i] * sin[i]", "attention"),
    ("attention.c", "position % 16 * 2", "position % 15 * 2", "attention"),
]


@needs_compiler
@pytest.mark.parametrize(
    ("file", "right", "wrong", "what"), FAULTS, ids=[f"{fault[0]}: {fault[1]}" for fault in FAULTS]
)
def test_a_miscompiled_kernel_is_found_out(tmp_path: Path, file: str, right: str, wrong: str, what: str) -> None:
    shutil.copytree(SOURCES, tmp_path / "native", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    place = tmp_path / "native" / file
    text = place.read_text(encoding="utf-8")
    assert right in text
    place.write_text(text.replace(right, wrong), encoding="utf-8")
    sources = [tmp_path / "native" / source.relative_to(SOURCES) for source in sources_of(set_named("generic"))]
    with pytest.raises(WrongKernels, match=f"compiled {what}.* is wrong"):
        check(Library(compiled(tmp_path, sources, ("-O0",), tmp_path / "native"), "generic"))


@needs_compiler
def test_where_the_best_set_does_not_compile_the_next_is_used(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = InstructionSet("avx2", "generic", frozenset(), ("-mno-such-flag",))
    monkeypatch.setattr(library, "candidates", lambda *_: (broken, set_named("generic")))
    found = load("require")
    assert found is not None
    assert found.name == "generic"
    assert fresh.is_dir()
    (why,) = survey("require").passed_over
    assert why.startswith("avx2: ")
    monkeypatch.setattr(library, "candidates", lambda *_: (broken,))
    load.cache_clear()
    choose.cache_clear()
    with pytest.raises(NativeUnavailable, match=r"avx2.*no-such-flag"):
        load("require")


@needs_compiler
@pytest.mark.usefixtures("fresh")
def test_a_compiler_that_does_not_know_the_newest_instructions_makes_the_set_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    newest = InstructionSet("avx2", "generic", frozenset(), (), (("newest", "-mno-such-flag"),))
    monkeypatch.setattr(library, "candidates", lambda *_: (newest, set_named("generic")))
    monkeypatch.setattr(library, "processor", lambda: frozenset({"newest"}))
    found = choose("auto")
    assert found.library.name == "avx2"
    (why,) = found.passed_over
    assert "no-such-flag" in why


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize(
    ("script", "word"),
    [
        (None, "no C compiler"),
        ("exit 1", "failed"),
        ("kill -SEGV $$", "crashed"),
        ('[ "$1" = --version ] || kill -SEGV $$', "crashed"),
        ("sleep 60", "took more than"),
        ('[ "$1" = --version ] || sleep 60', "took more than"),
    ],
)
def test_without_a_compiler_that_works_the_engine_says_so_and_runs_on(
    script: str | None, word: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    compiler = tmp_path / "compiler"
    if script is not None:
        compiler.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    monkeypatch.setattr(build, "_ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(build, "_COMPILE_SECONDS", 0.5)
    with caplog.at_level(logging.WARNING):
        assert load("auto") is None
    assert len(caplog.records) == 1
    assert word in caplog.text
    with pytest.raises(NativeUnavailable, match=word):
        load("require")
    assert load("off") is None
    assert word in survey().wrong


@pytest.mark.usefixtures("fresh")
def test_a_compiler_that_is_named_and_not_there_is_told_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for named in ("no-such-cc -m64", "cc 'open"):
        monkeypatch.setenv("CC", named)
        assert f"there is no C compiler (CC is {named!r}" in survey().wrong


@needs_compiler
def test_what_cc_says_beside_the_compiler_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "number.c"
    source.write_text("int number(void) { return NUMBER; }", encoding="utf-8")
    found = []
    for number in (3, 4):
        monkeypatch.setenv("CC", f"'{COMPILER}' -DNUMBER={number}")
        found.append(opened(compiled(tmp_path, [source])).number())
    assert found == [3, 4]


@needs_compiler
def test_a_machine_without_a_folder_to_write_runs_without_kernels(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh.parent.parent.joinpath("descant").write_text("not a folder", encoding="utf-8")
    monkeypatch.setattr(tempfile, "tempdir", str(fresh / "nowhere"))
    assert load("auto") is None
    assert f"neither {fresh} nor" in survey().wrong


@needs_compiler
def test_kernels_that_cannot_be_kept_are_told(fresh: Path) -> None:
    fresh.parent.parent.joinpath("descant").write_text("not a folder", encoding="utf-8")
    found = survey("generic")
    assert (found.used, found.origin, found.passed_over) == ("generic", "passing", ())


# --- what is kept ---


PROBE = [SOURCES / "probe" / "processor.c"]


def for_another_processor(library: bytes) -> bytes:
    """Say in an ELF file's head that it is for SPARC."""
    return library[:18] + b"\x02\x00" + library[20:]


@needs_compiler
def test_a_library_is_compiled_once_and_kept_from_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = compiled(tmp_path / "new", PROBE)
    monkeypatch.delattr(build, "compile_to")
    assert compiled(tmp_path / "new", PROBE) == path
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o022 == 0


@needs_compiler
@pytest.mark.parametrize("change", ["cut", "other", "foreign", "empty", "gone", "link", "writable", "sum"])
def test_a_kept_library_that_is_not_whole_or_not_ours_is_made_anew(tmp_path: Path, change: str) -> None:
    path = compiled(tmp_path, PROBE)
    good = path.read_bytes()
    match change:
        case "cut":
            path.write_bytes(good[: len(good) // 2])
        case "other":
            path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        case "foreign":
            path.write_bytes(for_another_processor(good))
        case "empty":
            path.write_bytes(b"")
        case "gone":
            path.unlink()
        case "link":
            path.rename(tmp_path / "elsewhere.so")
            path.symlink_to(tmp_path / "elsewhere.so")
        case "writable":
            path.chmod(0o666)
        case _:
            path.with_suffix(".sum").write_bytes(b"\xff")
    assert compiled(tmp_path, PROBE) == path
    assert path.read_bytes() == good
    assert path.stat().st_mode & 0o022 == 0
    assert not path.is_symlink()
    assert build._sound(path)


@needs_compiler
@pytest.mark.skipif(sys.platform != "linux", reason="knows ELF files")
def test_a_library_of_another_processor_is_refused_whatever_its_checksum(fresh: Path) -> None:
    known = processor()
    path = compiled(fresh, set_named("generic").sources, set_named("generic").flags_for(known), SOURCES)
    path.write_bytes(for_another_processor(path.read_bytes()))
    path.with_suffix(".sum").write_text(hashlib.sha256(path.read_bytes()).hexdigest(), encoding="ascii")
    assert build._sound(path)
    with pytest.raises(NativeUnavailable, match=rf"generic: {path} cannot be loaded"):
        load("generic")
    assert "cannot be loaded" in survey("generic").wrong


@needs_compiler
def test_machines_that_share_a_home_share_no_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = compiled(tmp_path, PROBE)
    monkeypatch.setattr(build, "HERE", "linux-sparc64")
    assert compiled(tmp_path, PROBE) != path


@needs_compiler
@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="files cannot be given away")
def test_a_library_of_another_user_is_made_anew(tmp_path: Path) -> None:
    path = compiled(tmp_path, PROBE)
    assert build._sound(path)
    os.chown(path, 12345, 12345)
    assert not build._sound(path)
    assert compiled(tmp_path, PROBE) == path
    assert path.stat().st_uid == os.getuid()


@needs_compiler
def test_a_cache_that_cannot_be_written_does_not_keep_the_kernels_away(tmp_path: Path) -> None:
    blocked = tmp_path / "a file"
    blocked.write_text("not a folder", encoding="utf-8")
    path = compiled(blocked / "native", PROBE)
    assert path.is_file()
    assert compiled(blocked / "native", PROBE) == path
    assert path.parent.stat().st_mode & 0o077 == 0


@needs_compiler
def test_two_processes_at_first_start_compile_once(tmp_path: Path) -> None:
    counted = tmp_path / "counted"
    compiler = tmp_path / "compiler"
    compiler.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] || echo once >> "{counted}"\nexec "{COMPILER}" "$@"\n', encoding="utf-8"
    )
    compiler.chmod(0o755)
    code = (
        "import ctypes; from pathlib import Path; from reasoning.native.build import compiled; "
        "from reasoning.native.library import SOURCES; "
        f"ctypes.CDLL(str(compiled(Path({str(tmp_path / 'kept')!r}), [SOURCES / 'probe' / 'processor.c'])))"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "CC": str(compiler)}) for _ in range(2)
    ]
    assert [process.wait() for process in started] == [0, 0]
    assert counted.read_text(encoding="utf-8") == "once\n"


@needs_compiler
def test_files_that_the_compiler_refuses_are_told_from_a_compiler_that_fails(tmp_path: Path) -> None:
    source = tmp_path / "wrong.c"
    source.write_text("int f(", encoding="utf-8")
    with pytest.raises(CannotCompile, match=r"wrong\.c"):
        compiled(tmp_path, [source])
    assert not list(tmp_path.glob("*.so"))
    assert not list(tmp_path.glob("*.part"))
