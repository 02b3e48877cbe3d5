"""A C compiler for wheels: GCC compiles, and what it makes is linked for a machine with the C library of 2012.

GCC because Clang's kernels are slower (docs/install.md); the linker of zig because it knows which symbols each version
of the C library had, for each processor. Takes a compiler's arguments: python old_glibc.py x86_64 -O3 -shared a.c -o a
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

GLIBC: Final = "2.17"
"""What the wheel's tag, manylinux_2_17, promises."""


def main(processor: str, arguments: Sequence[str]) -> None:
    """Compile and link; what fails has said why, and exits as it did."""
    rest = list(arguments)
    at = rest.index("-o")
    out = rest[at + 1]
    del rest[at : at + 2]
    sources = [one for one in rest if one.endswith(".c")]
    libraries = [one for one in rest if one.startswith("-l")]
    flags = [one for one in rest if one not in {*sources, *libraries, "-shared"}]
    gcc = compiler_for(processor)
    with tempfile.TemporaryDirectory(prefix="descant-wheel-") as folder:
        objects = [str(Path(folder) / f"{number}.o") for number in range(len(sources))]

        def compile_one(source: str, made: str) -> None:
            subprocess.run([gcc, *flags, "-c", source, "-o", made], check=True)  # noqa: S603 - our own files

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(compile_one, sources, objects))
        zig = [sys.executable, "-m", "ziglang", "cc", "-target", f"{processor}-linux-gnu.{GLIBC}"]
        subprocess.run([*zig, "-shared", "-s", "-pthread", "-o", out, *objects, *libraries], check=True)  # noqa: S603 - the same


def compiler_for(processor: str) -> str:
    """Give the GCC for a processor by Debian's name, or this machine's own."""
    name = f"{processor}-linux-gnu-gcc"
    found = shutil.which(name) or (shutil.which("gcc") if processor == platform.machine() else None)
    if found is None:
        raise SystemExit(
            f"there is no {name}; on Debian and Ubuntu: apt-get install gcc-{processor.replace('_', '-')}-linux-gnu"
        )
    return found


if __name__ == "__main__":
    try:
        main(sys.argv[1], sys.argv[2:])
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
