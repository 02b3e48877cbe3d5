"""Compiles C files to a library once a machine, and finds it again: in the user's cache, if it is whole and the user's.

A library's name is made of everything that goes into it: sources, flags and compiler. Beside it lies its checksum,
because loading a file that is cut off ends the process.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from filelock import FileLock, Timeout

from reasoning.errors import NativeUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE: Final = f"{sys.platform}-{platform.machine()}"
"""What kind of machine a library is for: a home folder may be shared by several."""
FLAGS: Final = ("-O3", "-std=gnu11", "-shared", "-fPIC", "-pthread", "-fno-math-errno")
_COMPILE_SECONDS: Final = 120.0
_ANSWER_SECONDS: Final = 10.0
"""For a compiler to tell its version; one that cannot is not given a file."""


class CannotCompile(NativeUnavailable):
    """The compiler refuses these files or flags; it may take others."""


class NoCompiler(NativeUnavailable):
    """There is no compiler that works, or nowhere to put what it makes."""


def compiled(folder: Path, sources: Sequence[Path], flags: Sequence[str] = (), include: Path | None = None) -> Path:
    """Give the path of a library in `folder`, made now if need be.

    Where nothing can be kept in `folder`, it is made for this process alone.

    Raises:
        CannotCompile: the compiler refuses.
        NoCompiler: there is none, it crashes or takes too long, or no folder can be written.

    """
    compiler = _compiler()
    made_by = (_version(compiler[0]), *compiler[1:])
    path = folder / f"{digest_of((HERE, *made_by), sources, flags, include)}.so"
    command = [*compiler, *arguments(sources, flags, include)]
    if _sound(path):
        return path
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _closed_to_others(folder)
        with FileLock(path.with_suffix(".lock"), timeout=_COMPILE_SECONDS):
            if not _sound(path):
                compile_to(path, command)
    except (OSError, Timeout):
        try:
            path = _own_folder() / path.name
            if not path.is_file():
                compile_to(path, command)
        except OSError as error:
            raise NoCompiler(f"neither {folder} nor the system's folder for temporary files can be written") from error
    return path


def arguments(sources: Sequence[Path], flags: Sequence[str], include: Path | None) -> list[str]:
    """Give what a compiler is told, but for where to put the library and the libraries that it needs."""
    return [*FLAGS, *flags, *([] if include is None else [f"-I{include}"]), *map(str, sources)]


def digest_of(parts: Sequence[str], sources: Sequence[Path], flags: Sequence[str], include: Path | None) -> str:
    """Name a library after what goes into it: `parts`, the flags, and every file of ours that it may include."""
    digest = hashlib.sha256("\0".join((*parts, *FLAGS, *flags)).encode())
    headers = {file for source in sources for file in source.parent.glob("*.h")}
    # Sets may include each other's files.
    included = set() if include is None else set(include.rglob("*.[ch]"))
    for file in sorted({*sources, *headers, *included}):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:32]


def whole(path: Path) -> bool:
    """Say whether a library is what its checksum says."""
    try:
        return path.with_suffix(".sum").read_text(encoding="ascii") == _checksum(path)
    except (OSError, UnicodeDecodeError):
        return False


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
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and whole(path)


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


def _compiler() -> tuple[str, ...]:
    """Give the compiler and what `CC` has it told in any case."""
    named = os.environ.get("CC", "")
    try:
        first, *rest = shlex.split(named) or ["cc"]
    except ValueError as error:
        raise NoCompiler(f"there is no C compiler (CC is {named!r}: {error})") from error
    found = shutil.which(first)
    if found is None:
        why = f"CC is {named!r}, which is not there; mend or unset it" if named else "install gcc or clang, or set CC"
        raise NoCompiler(f"there is no C compiler ({why})")
    return (found, *rest)


@cache
def _version(compiler: str) -> str:
    return _output([compiler, "--version"], _ANSWER_SECONDS)


def _output(command: Sequence[str], seconds: float) -> str:
    try:
        process = subprocess.Popen(  # noqa: S603
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True
        )
    except OSError as error:
        raise NoCompiler(f"{command[0]} did not run: {error}") from error
    try:
        told, said = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired as error:
        raise NoCompiler(f"{command[0]} took more than {seconds:.0f} s") from error
    finally:
        if process.returncode is None:
            # The compiler's own processes, too: they hold the pipes.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    said = " ".join(said.split())[:300]
    if process.returncode < 0:
        raise NoCompiler(f"{command[0]} crashed: {said or f'signal {-process.returncode}'}")
    if process.returncode:
        raise CannotCompile(f"{command[0]} failed: {said or f'exit code {process.returncode}'}")
    return told
