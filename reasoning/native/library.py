"""Compiles the C kernels of this folder once a machine, loads them, and checks them before anybody relies on them.

The library lies in the user's cache under a name made of everything that goes into it: sources, flags, compiler and
processor. Knows nothing about models.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Final, Literal

import platformdirs
from filelock import FileLock, Timeout

from reasoning.errors import NativeUnavailable
from reasoning.native.selftest import check

Use = Literal["auto", "off", "require"]
"""`auto`: where they can be had. `require`: `NativeUnavailable` where they cannot."""

_FLAGS: Final = ("-O3", "-march=native", "-std=gnu11", "-shared", "-fPIC", "-pthread", "-fno-math-errno")
_NEEDED: Final = frozenset({"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni"})
_COMPILE_SECONDS: Final = 120.0
_logger: Final = logging.getLogger(__name__)


class Library:
    """The compiled kernels, and a pool of threads for each number of threads that was asked for."""

    def __init__(self, path: Path) -> None:
        self.functions: Final = _declared(ctypes.CDLL(str(path)))
        self._pools: dict[int, int] = {}
        self._lock = Lock()

    def pool(self, threads: int) -> int:
        """Address of the pool of that many threads; it lives as long as the process."""
        with self._lock:
            if threads not in self._pools:
                pool = self.functions.descant_pool(threads)
                if not pool:
                    raise MemoryError("no memory for a pool of threads")
                self._pools[threads] = pool
            return self._pools[threads]


@cache
def load(use: Use = "auto") -> Library | None:
    """Give the kernels, None where there are none to be had and none are required."""
    if use == "off":
        return None
    try:
        library = Library(_compiled(platformdirs.user_cache_path("descant") / "native"))
        check(library)
    except NativeUnavailable as error:
        if use == "require":
            raise
        _logger.warning("the engine runs without its own kernels, at lower speed: %s", error)
        return None
    return library


def _declared(functions: ctypes.CDLL) -> ctypes.CDLL:
    pointer, number, size = ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t
    signatures = {
        "descant_pool": (pointer, [number]),
        "descant_format": (number, [number]),
        "descant_block_bytes": (size, [number, number]),
        "descant_pack": (None, [pointer, number, pointer, number, number, pointer, pointer]),
        "descant_step": (number, [pointer, pointer, pointer]),
        "descant_linear": (number, [pointer, pointer, number, pointer, pointer, number, pointer]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(functions, name)
        function.restype, function.argtypes = result, arguments
    return functions


def _compiled(folder: Path) -> Path:
    """Give the library's path, made now if need be."""
    processor = _processor()
    missing = _NEEDED - processor
    if missing:
        raise NativeUnavailable(f"the processor has no {', '.join(sorted(missing))}")
    compiler = shutil.which(os.environ.get("CC") or "cc")
    if compiler is None:
        raise NativeUnavailable("there is no C compiler (install gcc or clang, or set CC)")
    sources = sorted(Path(__file__).parent.glob("*.[ch]"))
    parts = [_output([compiler, "--version"]), *_FLAGS, *sorted(processor)]
    digest = hashlib.sha256("\0".join(parts).encode())
    for source in sources:
        digest.update(source.read_bytes())
    path = folder / f"{digest.hexdigest()[:32]}.so"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock"), timeout=_COMPILE_SECONDS):
            if not path.is_file():
                _compile(compiler, [source for source in sources if source.suffix == ".c"], path)
    except (OSError, Timeout) as error:
        raise NativeUnavailable(f"{path} cannot be written: {error}") from error
    return path


def _compile(compiler: str, sources: list[Path], path: Path) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
    os.close(handle)
    try:
        _output([compiler, *_FLAGS, "-o", name, *map(str, sources)])
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


def _output(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_COMPILE_SECONDS, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NativeUnavailable(f"{command[0]} did not run: {error}") from error
    if done.returncode:
        raise NativeUnavailable(f"{command[0]} failed: {done.stderr.strip()[:500]}")
    return done.stdout


def _processor() -> frozenset[str]:
    """Give the processor's flags; none where they cannot be known, because nothing here is written for it."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return frozenset()
    with Path("/proc/cpuinfo").open(encoding="utf-8") as lines:
        for line in lines:
            name, _, value = line.partition(":")
            if name.strip() == "flags":
                return frozenset(value.split())
    return frozenset()
