"""Libraries of kernels that come with the package, built beforehand: what a wheel carries beside the C files.

A library's name ends in what went into it, so that none is taken whose C files have changed since; beside it lies its
checksum, because loading a file that is cut off ends the process. Whoever may write here may write the Python files of
the package, so owner and mode say nothing.
"""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Final

from reasoning.errors import NativeUnavailable
from reasoning.native.build import HERE, arguments, compile_to, digest_of, whole
from reasoning.native.instruction_sets import PROBE, SOURCES, possible

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FOLDER: Final = SOURCES / "built"
REPORTS: Final = {
    "linux-x86_64": frozenset(
        {"avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni", "avx512_bf16"}
    ),
    "linux-aarch64": frozenset({"asimddp", "i8mm"}),
}
"""Machines that libraries are built for, and all that their processors may report."""


def shipped(folder: Path, sources: Sequence[Path], flags: Sequence[str], include: Path | None) -> Path | None:
    """Give the library that was built of these files with these flags for this kind of machine.

    None where no libraries came with the package, as in a checkout.

    Raises:
        NativeUnavailable: they did, and this one is not among them or not whole.

    """
    if not folder.is_dir():
        return None
    found = next(folder.glob(f"*-{digest_of((HERE,), sources, flags, include)}.so"), None)
    if found is None:
        raise NativeUnavailable("what came with the package was built of other C files, or for another kind of machine")
    if not whole(found):
        raise NativeUnavailable(f"{found} is cut off or was changed; install the package again")
    return found


def ship(folder: Path, machine: str, compiler: Sequence[str]) -> None:
    """Build all that the processors of a kind of machine can run; one library for each way to compile a set.

    Raises:
        NativeUnavailable: the compiler does not work.

    """
    folder.mkdir(mode=0o755, parents=True)
    for name, sources, flags, include in _libraries(machine):
        path = folder / f"{name}-{digest_of((machine,), sources, flags, include)}.so"
        compile_to(path, [*compiler, *arguments(sources, flags, include)])
        path.chmod(0o644)


def _libraries(machine: str) -> Iterator[tuple[str, Sequence[Path], tuple[str, ...], Path | None]]:
    """Give the name, sources, flags and headers of each library."""
    yield "processor", PROBE, (), None
    for one in possible(REPORTS[machine]):
        features = [feature for feature, _ in one.further]
        for count in range(len(features) + 1):
            for some in combinations(features, count):
                yield "+".join((one.name, *some)), one.sources, one.flags_for(frozenset(some)), SOURCES
