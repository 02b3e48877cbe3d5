"""The wheel that `make wheel` makes: what it carries, and that it does where no compiler is."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest

from agent import __version__
from deploy.old_glibc import compiler_for
from tests.deploy.services import ROOT

pytestmark = [pytest.mark.wheel, pytest.mark.timeout(600)]

MACHINE = platform.machine()
CARRIED = {
    "x86_64": {"generic", "avx2", "avx-vnni", "avx512-vnni", "avx512-vnni+avx512_bf16"},
    "aarch64": {"generic", "neon"},
}
ELF = {"x86_64": 62, "aarch64": 183}
PYTHON = ROOT / "build" / "wheel" / "venv" / "bin" / "python"

TOLD = """
import json, sys

started = []
starts = {"subprocess.Popen", "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn"}
sys.addaudithook(lambda event, told: started.append(str(told)) if event in starts else None)

from reasoning.native.library import survey

best = survey()
found = {name: survey(name) for name in best.possible}
json.dump({
    "best": best.used,
    "possible": best.possible,
    "origins": [one.origin for one in found.values()],
    "paths": [str(one.path) for one in found.values()],
    "passed over": [why for one in found.values() for why in one.passed_over],
    "started": started,
}, sys.stdout)
"""


@pytest.fixture(name="wheel", scope="module")
def _wheel() -> Path:
    found = list((ROOT / "dist").glob(f"descant-{__version__}-py3-none-manylinux*_{MACHINE}.whl"))
    assert len(found) == 1, f"make wheel-linux-{MACHINE} makes it: {found}"
    return found[0]


@pytest.fixture(name="installed", scope="module")
def _installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment of its own for the wheel; the libraries that it imports are lent by this one."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False, symlinks=True)
    site = next(folder.glob("lib/python*/site-packages"))
    pip = [sys.executable, "-m", "pip", "--python", str(folder), "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, "--no-deps", "--no-index", str(wheel)], check=True)
    (site / "lent.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    return folder


def run(installed: Path, folder: Path, *command: str) -> str:
    """Run something where the only compilers are such as tell that they were called, and fail."""
    traps = folder / "bin"
    traps.mkdir()
    for name in ("cc", "gcc", "clang", "c99"):
        (traps / name).write_text(f'#!/bin/sh\necho {name} "$@" >> "{folder / "called"}"\nexit 1\n', encoding="utf-8")
        (traps / name).chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if name not in {"CC", "PYTHONPATH", "PATH"}}
    environment = {**kept, "PATH": str(traps), "XDG_CACHE_HOME": str(folder / "cache"), "COLUMNS": "1000"}
    done = subprocess.run(
        [str(installed / "bin" / command[0]), *command[1:]],
        env=environment,
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
    )
    called = (folder / "called").read_text(encoding="utf-8").splitlines() if (folder / "called").exists() else []
    # Python's own search for libraries asks the linker, by way of gcc: sounddevice does so for PortAudio.
    assert not [line for line in called if "-Wl,-t" not in line]
    assert not (folder / "cache" / "descant" / "native").exists()
    return done.stdout + (done.stderr if done.returncode else "")


def test_it_carries_the_kernels_of_every_set_and_its_tag_is_true(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        names = [name for name in opened.namelist() if re.match(r"reasoning/native/built/.", name)]
        libraries = {Path(name).name.rsplit("-", 1)[0]: name for name in names if name.endswith(".so")}
        assert CARRIED[MACHINE] | {"processor"} <= libraries.keys()
        assert len(names) == 2 * len(libraries)
        assert {int.from_bytes(opened.read(name)[18:20], "little") for name in libraries.values()} == {ELF[MACHINE]}
        assert not [name for name in opened.namelist() if name.startswith(("deploy/", "tests/", "bench/"))]
        tags = opened.read(f"descant-{__version__}.dist-info/WHEEL").decode()
    assert f"Tag: py3-none-manylinux_2_17_{MACHINE}" in tags
    assert "Root-Is-Purelib: false" in tags
    shown = subprocess.run(
        [str(PYTHON), "-m", "auditwheel", "show", str(wheel)], check=True, capture_output=True, text=True
    )
    assert f"manylinux_2_17_{MACHINE}" in shown.stdout


def test_every_set_that_this_machine_can_run_computes_what_it_should_without_a_compiler(
    installed: Path, tmp_path: Path
) -> None:
    told: dict[str, Any] = json.loads(run(installed, tmp_path, "python", "-c", TOLD))
    assert told["best"] == told["possible"][0]
    assert set(told["origins"]) == {"shipped"}
    assert all(path.startswith(str(installed)) for path in told["paths"])
    assert told["passed over"] == told["started"] == []


def test_doctor_tells_that_they_came_with_the_package(installed: Path, tmp_path: Path) -> None:
    told = run(installed, tmp_path, "descant", "doctor")
    (line,) = (line for line in told.splitlines() if " kernels" in line)
    assert "came with the package" in line
    assert "generic" in line


def test_a_wheel_that_was_not_asked_for_kernels_is_for_any_machine(tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if name != "DESCANT_KERNELS"}
    command = [str(PYTHON), "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(command, check=True, cwd=ROOT, env=kept, capture_output=True)
    (made,) = tmp_path.iterdir()
    assert made.name == f"descant-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(made) as opened:
        assert "reasoning/native/sets/generic/rows.c" in opened.namelist()
        assert not [name for name in opened.namelist() if name.endswith((".so", ".sum"))]


def test_a_machine_that_kernels_are_not_built_for_is_refused_by_name(tmp_path: Path) -> None:
    command = [str(PYTHON), "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    asked = {**os.environ, "DESCANT_KERNELS": "linux-sparc64"}
    done = subprocess.run(command, check=False, cwd=ROOT, env=asked, capture_output=True, text=True)
    assert done.returncode
    assert "DESCANT_KERNELS is linux-sparc64, and kernels are built for linux-x86_64, linux-aarch64" in done.stderr


def test_a_compiler_that_is_missing_is_named_with_its_package() -> None:
    with pytest.raises(SystemExit, match=r"no sparc64-linux-gnu-gcc.*apt-get install gcc-sparc64-linux-gnu"):
        compiler_for("sparc64")
    assert "gcc" in compiler_for(MACHINE)
