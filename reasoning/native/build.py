"""Compiles C files to a library once a machine, and finds it again: in the user's cache, if it is whole and the user's.

A library's name is made of everything that goes into it: sources, flags and compiler. Beside it lies its checksum,
because loading a file that is cut off ends the process.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import stat
import subprocess
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from filelock import FileLock, Timeout

from reasoning.errors import NativeUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

FLAGS: Final = ("-O3", "-std=gnu11", "-shared", "-fPIC", "-pthread", "-fno-math-errno")
_COMPILE_SECONDS: Final = 120.0
_ANSWER_SECONDS: Final = 10.0
"""For a compiler to tell its version; one that cannot is not given a file."""


class CannotCompile(NativeUnavailable):
    """The compiler refuses these files or flags; it may take others."""


def compiled(folder: Path, sources: Sequence[Path], flags: Sequence[str] = (), include: Path | None = None) -> Path:
    """Give the path of a library in `folder`, made now if need be.

    Where nothing can be kept in `folder`, it is made for this process alone.

    Raises:
        CannotCompile: the compiler refuses.
        NativeUnavailable: there is no compiler, or it crashes or takes too long.

    """
    compiler = shutil.which(os.environ.get("CC") or "cc")
    if compiler is None:
        raise NativeUnavailable("there is no C compiler (install gcc or clang, or set CC)")
    command = [compiler, *FLAGS, *flags, *([] if include is None else [f"-I{include}"])]
    path = folder / f"{_digest([_version(compiler), *command[1:]], sources, include)}.so"
    command.extend(str(source) for source in sources)
    if _sound(path):
        return path
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _closed_to_others(folder)
        with FileLock(path.with_suffix(".lock"), timeout=_COMPILE_SECONDS):
            if not _sound(path):
                compile_to(path, command)
    except (OSError, Timeout):
        path = _own_folder() / path.name
        if not path.is_file():
            compile_to(path, command)
    return path


def compile_to(path: Path, command: Sequence[str]) -> None:
    """Run a compiler and put the library and its checksum where they belong, each in one move."""
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
    os.close(handle)
    made = Path(name)
    try:
        # The mathematics of C are a library of their own on some systems.
        _output([*command, "-o", name, "-lm"], _COMPILE_SECONDS)
        made.chmod(0o600)
        summed = made.with_suffix(".sum")
        summed.write_text(_checksum(made), encoding="ascii")
        path.unlink(missing_ok=True)
        summed.replace(path.with_suffix(".sum"))
        made.replace(path)
    finally:
        made.unlink(missing_ok=True)


def _sound(path: Path) -> bool:
    """Say whether there is a whole library that nobody else can have written."""
    try:
        for part in (path.parent, path):
            found = part.lstat()
            if hasattr(os, "getuid") and (found.st_uid not in {os.getuid(), 0} or found.st_mode & 0o022):
                return False
        return stat.S_ISREG(found.st_mode) and path.with_suffix(".sum").read_text(encoding="ascii") == _checksum(path)
    except (OSError, UnicodeDecodeError):
        return False


def _closed_to_others(folder: Path) -> None:
    """Take from others what a generous umask gave them; `OSError` where the folder is somebody else's."""
    mode = stat.S_IMODE(folder.lstat().st_mode)
    if mode & 0o022:
        folder.chmod(mode & ~0o022)


@cache
def _own_folder() -> Path:
    """Give a folder that only this process uses; it goes with it."""
    holder = tempfile.TemporaryDirectory(prefix="descant-native-", ignore_cleanup_errors=True)
    _HOLDERS.append(holder)
    return Path(holder.name)


_HOLDERS: Final[list[tempfile.TemporaryDirectory[str]]] = []


def _checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _digest(parts: Sequence[str], sources: Sequence[Path], include: Path | None) -> str:
    digest = hashlib.sha256("\0".join(parts).encode())
    folders = {include, *(source.parent for source in sources)}
    headers = {file for folder in folders if folder is not None for file in folder.glob("*.h")}
    for file in sorted({*sources, *headers}):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:32]


@cache
def _version(compiler: str) -> str:
    return _output([compiler, "--version"], _ANSWER_SECONDS)


def _output(command: Sequence[str], seconds: float) -> str:
    try:
        process = subprocess.Popen(  # noqa: S603
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True
        )
    except OSError as error:
        raise NativeUnavailable(f"{command[0]} did not run: {error}") from error
    try:
        told, said = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired as error:
        raise NativeUnavailable(f"{command[0]} took more than {seconds:.0f} s") from error
    finally:
        if process.returncode is None:
            # The compiler's own processes, too: they hold the pipes.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    said = " ".join(said.split())[:300]
    if process.returncode < 0:
        raise NativeUnavailable(f"{command[0]} crashed: {said or f'signal {-process.returncode}'}")
    if process.returncode:
        raise CannotCompile(f"{command[0]} failed: {said or f'exit code {process.returncode}'}")
    return told
