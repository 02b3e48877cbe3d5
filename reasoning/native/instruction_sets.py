"""The instruction sets that the C kernels are written for: what each needs of a processor, and its own files and flags.

Knows no compiler and no cache. A set that is named in the settings is used as named; `auto` goes from the first that
the processor can run to the last.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from reasoning.errors import NativeUnavailable

SOURCES: Final = Path(__file__).parent
PROBE: Final = (SOURCES / "probe" / "processor.c",)
"""Says what a processor reports; a library of its own."""

Name = Literal["generic", "avx2", "avx-vnni", "avx512-vnni", "neon"]
Use = Literal["auto", "off", "require", "generic", "avx2", "avx-vnni", "avx512-vnni", "neon"]
"""`auto`: the best that can be had. `require` and a name: `NativeUnavailable` where they cannot."""


@dataclass(frozen=True, slots=True)
class InstructionSet:
    """One way to fulfil kernels.h."""

    name: Name
    folder: str
    """Below `sets`."""
    needs: frozenset[str]
    """What the processor must report, in the words of probe/processor.c."""
    flags: tuple[str, ...] = ()
    further: tuple[tuple[str, str], ...] = ()
    """What a processor may report beside, and the flag that makes it faster."""

    @property
    def sources(self) -> tuple[Path, ...]:
        """The C files of its library: the portable ones and its own."""
        return (*sorted(SOURCES.glob("*.c")), *sorted((SOURCES / "sets" / self.folder).glob("*.c")))

    def flags_for(self, processor: frozenset[str]) -> tuple[str, ...]:
        """Give the compiler's flags for a processor."""
        return (*self.flags, *(flag for feature, flag in self.further if feature in processor))

    def ways(self, processor: frozenset[str]) -> tuple[tuple[str, ...], ...]:
        """Give the flags to try for a processor: the fastest first, then those that it cannot do without."""
        return tuple(dict.fromkeys((self.flags_for(processor), self.flags)))


_AVX2: Final = ("-mavx2", "-mfma", "-mf16c")
_DOTPROD: Final = "-march=armv8.2-a+dotprod"
_AVX512: Final = ("-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512vnni")

SETS: Final = (
    InstructionSet(
        "avx512-vnni",
        "avx512",
        frozenset({"avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni"}),
        (*_AVX2, *_AVX512),
        (("avx512_bf16", "-mavx512bf16"),),
    ),
    InstructionSet("avx-vnni", "avx2", frozenset({"avx2", "fma", "f16c", "avx_vnni"}), (*_AVX2, "-mavxvnni")),
    InstructionSet("avx2", "avx2", frozenset({"avx2", "fma", "f16c"}), _AVX2),
    # Of two flags for the same thing compilers take the second.
    InstructionSet("neon", "neon", frozenset({"asimddp"}), (_DOTPROD,), (("i8mm", f"{_DOTPROD}+i8mm"),)),
    # Multiplying and adding at once would round otherwise: plain C computes the same on every processor.
    InstructionSet("generic", "generic", frozenset(), ("-ffp-contract=off",)),
)
"""The best first."""


def possible(processor: frozenset[str]) -> tuple[InstructionSet, ...]:
    """Give the sets that a processor can run, the best first."""
    return tuple(one for one in SETS if one.needs <= processor)


def candidates(use: Use, processor: frozenset[str]) -> tuple[InstructionSet, ...]:
    """Give what is to be tried for a setting, in this order.

    Raises:
        NativeUnavailable: it names a set that the processor cannot run.

    """
    found = possible(processor)
    if use in {"auto", "require"}:
        return found
    named = tuple(one for one in found if one.name == use)
    if not named:
        missing = sorted(next(one.needs for one in SETS if one.name == use) - processor)
        raise NativeUnavailable(
            f"engine.native is {use}, and this processor has no {', '.join(missing)}; it can run "
            f"{', '.join(one.name for one in found)} (or set engine.native to auto)"
        )
    return named
