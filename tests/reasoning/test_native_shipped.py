"""Kernels that come with the package: when they are taken, when they are refused, what is done then."""

from __future__ import annotations

import hashlib
import logging
import shutil
from pathlib import Path

import pytest

from reasoning.errors import NativeUnavailable
from reasoning.native import library
from reasoning.native.build import HERE, arguments, compile_to, compiled, whole
from reasoning.native.instruction_sets import PROBE, SETS, SOURCES
from reasoning.native.library import load, survey
from reasoning.native.shipped import REPORTS, ship, shipped
from tests.reasoning.test_native_building import COMPILER, for_another_processor, fresh, needs_compiler, set_named

__all__ = ("fresh",)

GENERIC = set_named("generic")


@pytest.fixture(name="built", scope="module")
def _built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a wheel carries for a processor that reports nothing: the probe, and plain C."""
    if COMPILER is None:
        pytest.skip("no C compiler")
    folder = tmp_path_factory.mktemp("shipped") / "built"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(REPORTS, HERE, frozenset())
        ship(folder, HERE, [COMPILER])
    return folder


@pytest.fixture(name="compiled_before", scope="module")
def _compiled_before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache in which this machine has compiled plain C."""
    folder = tmp_path_factory.mktemp("before")
    compiled(folder, GENERIC.sources, GENERIC.flags, SOURCES)
    return folder


@pytest.fixture(name="installed")
def _installed(built: Path, fresh: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, as the package's own; nothing else is there, and no compiler either."""
    folder = fresh.parent / "package"
    shutil.copytree(built, folder)
    monkeypatch.setattr(library, "FOLDER", folder)
    monkeypatch.setenv("CC", "/nowhere/cc")
    return folder


def generic_in(folder: Path) -> Path:
    (path,) = folder.glob("generic-*.so")
    return path


def summed(path: Path) -> None:
    path.with_suffix(".sum").write_text(hashlib.sha256(path.read_bytes()).hexdigest(), encoding="ascii")


def test_they_need_no_compiler_and_leave_nothing_in_the_cache(installed: Path, fresh: Path) -> None:
    found = load("generic")
    assert found is not None
    assert found.path == generic_in(installed)
    told = survey("generic")
    assert (told.used, told.origin, told.path, told.passed_over) == ("generic", "shipped", found.path, ())
    assert not fresh.exists()


def test_a_set_that_did_not_come_along_gives_way_to_one_that_did(
    installed: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    better = next((one for one in SETS if one.name != "generic" and one.needs <= library.processor()), None)
    if better is None:
        pytest.skip("this processor runs plain C only")
    with caplog.at_level(logging.WARNING):
        found = load("auto")
    assert found is not None
    assert found.path == generic_in(installed)
    assert not caplog.records
    first, second, *_ = survey().passed_over
    assert first.startswith(f"{better.name}: what came with the package was built of other C files")
    assert second.startswith("there is no C compiler (CC is '/nowhere/cc'")
    # Asked once: one that hangs takes two minutes to find out.
    assert sum("no C compiler" in why for why in survey().passed_over) == 1
    with pytest.raises(NativeUnavailable, match=better.name):
        load(better.name)
    monkeypatch.setattr(library, "FOLDER", installed / "nowhere")
    library.choose.cache_clear()
    library.load.cache_clear()
    with pytest.raises(NativeUnavailable, match="no C compiler"):
        load("require")


@pytest.mark.parametrize("damage", ["cut", "foreign", "no sum", "foreign sum", "wrong", "other files"])
def test_what_is_not_whole_or_computes_something_else_is_compiled_here(
    installed: Path, fresh: Path, compiled_before: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = generic_in(installed)
    good, why = path.read_bytes(), "is cut off or was changed"
    match damage:
        case "cut":
            path.write_bytes(good[: len(good) // 2])
        case "foreign":
            path.write_bytes(for_another_processor(good))
        case "no sum":
            path.with_suffix(".sum").unlink()
        case "foreign sum":
            path.write_bytes(for_another_processor(good))
            summed(path)
            why = "cannot be loaded"
        case "wrong":
            path.write_bytes(miscompiled(fresh.parent))
            summed(path)
            why = "the compiled norm is wrong"
        case _:
            path.rename(installed / f"generic-{'0' * 32}.so")
            why = "was built of other C files"
    with pytest.raises(NativeUnavailable, match=why):
        load("generic")
    monkeypatch.setenv("CC", str(COMPILER))
    shutil.copytree(compiled_before, fresh)
    library.choose.cache_clear()
    told = survey("generic")
    assert (told.used, told.origin) == ("generic", "kept")
    assert [why in passed for passed in told.passed_over] == [True]


def miscompiled(folder: Path) -> bytes:
    """Give a library whose norm is wrong."""
    shutil.copytree(SOURCES, folder / "copy", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    place = folder / "copy" / "sets" / "generic" / "rows.c"
    text = place.read_text(encoding="utf-8")
    assert "sum / (float)size" in text
    place.write_text(text.replace("sum / (float)size", "sum"), encoding="utf-8")
    files = [folder / "copy" / source.relative_to(SOURCES) for source in GENERIC.sources]
    made = folder / "wrong.so"
    compile_to(made, [str(COMPILER), *arguments(files, ("-O1",), folder / "copy")])
    return made.read_bytes()


@pytest.mark.parametrize("file", ["kernels.h", "step.c", "sets/generic/rows.c", "sets/generic/exponential.h"])
def test_none_is_taken_whose_c_files_have_changed(built: Path, tmp_path: Path, file: str) -> None:
    copy = tmp_path / "native"
    shutil.copytree(SOURCES, copy, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    sources = [copy / source.relative_to(SOURCES) for source in GENERIC.sources]
    assert shipped(built, sources, GENERIC.flags, copy) == generic_in(built)
    with (copy / file).open("a", encoding="utf-8") as out:
        out.write("/* changed */\n")
    with pytest.raises(NativeUnavailable, match="other C files"):
        shipped(built, sources, GENERIC.flags, copy)


def test_none_is_taken_of_other_flags_or_for_another_kind_of_machine(built: Path, tmp_path: Path) -> None:
    with pytest.raises(NativeUnavailable, match="other C files"):
        shipped(built, GENERIC.sources, (*GENERIC.flags, "-mavx512bf16"), SOURCES)
    other = next(machine for machine in REPORTS if machine != HERE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(REPORTS, other, frozenset())
        ship(tmp_path / "built", other, [str(COMPILER)])
    with pytest.raises(NativeUnavailable, match="another kind of machine"):
        shipped(tmp_path / "built", PROBE, (), None)
    assert shipped(tmp_path / "nothing", PROBE, (), None) is None


@needs_compiler
def test_a_compiler_that_fails_ships_nothing(tmp_path: Path) -> None:
    compiler = tmp_path / "compiler"
    compiler.write_text("#!/bin/sh\necho broken >&2; exit 1\n", encoding="utf-8")
    compiler.chmod(0o755)
    with pytest.raises(NativeUnavailable, match="broken"):
        ship(tmp_path / "built", "linux-x86_64", [str(compiler)])
    assert list((tmp_path / "built").iterdir()) == []


def test_every_set_is_built_in_every_way_for_the_machines_that_have_it(tmp_path: Path) -> None:
    # A compiler that copies what it is told shows what would be built.
    compiler = tmp_path / "compiler"
    compiler.write_text('#!/bin/sh\nfor last; do [ "$before" = -o ] && echo "$@" > "$last"; before=$last; done\n')
    compiler.chmod(0o755)
    told: dict[str, dict[str, str]] = {}
    for machine in REPORTS:
        ship(tmp_path / machine, machine, [str(compiler)])
        paths = list((tmp_path / machine).glob("*.so"))
        assert all(whole(path) and path.stat().st_mode & 0o777 == 0o644 for path in paths)
        told[machine] = {path.name.rsplit("-", 1)[0]: path.read_text(encoding="utf-8") for path in paths}
    for built in told.values():
        assert {"processor", "generic"} <= built.keys()
        assert len(set(built.values())) == len(built)
    assert set(told["linux-x86_64"]) & set(told["linux-aarch64"]) == {"processor", "generic"}
    every = {name: words for built in told.values() for name, words in built.items()}
    ways = {one.name: len(one.further) for one in SETS}
    assert {name.split("+")[0] for name in every} == {*ways, "processor"}
    for name, further in ways.items():
        assert sum(built.split("+")[0] == name for built in every) == 2**further
    assert "-mavx512bf16" in every["avx512-vnni+avx512_bf16"]
    assert "-mavx512bf16" not in every["avx512-vnni"]
    assert str(SOURCES / "sets" / "generic" / "rows.c") in every["generic"]
