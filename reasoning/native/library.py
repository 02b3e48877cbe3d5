"""Finds the best C kernels that this processor can run, loads them, and checks them before anybody relies on them.

Knows nothing about models.
"""

from __future__ import annotations

import ctypes
import logging
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import platformdirs

from reasoning.errors import NativeUnavailable
from reasoning.native.binding import Library, opened
from reasoning.native.build import CannotCompile, compiled
from reasoning.native.instruction_sets import InstructionSet, Name, Use, candidates, possible
from reasoning.native.selftest import WrongKernels, check

SOURCES: Final = Path(__file__).parent
_logger: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Survey:
    """What kernels there are for this machine."""

    used: Name | None
    """Name of the set that `auto` gives; None where the engine runs on torch alone."""
    possible: tuple[Name, ...]
    """What the processor can run, the best first."""
    wrong: str
    """Why there are none."""


@cache
def load(use: Use = "auto") -> Library | None:
    """Give the kernels, None where there are none to be had and none are required."""
    if use == "off":
        return None
    try:
        return _first_sound(use)
    except NativeUnavailable as error:
        if use != "auto":
            raise
        _logger.warning("the engine runs without its own kernels, at lower speed: %s", error)
        return None


def survey() -> Survey:
    """Look which kernels this machine can have; compiles what `auto` would."""
    try:
        names = tuple(one.name for one in possible(processor()))
        return Survey(_first_sound("auto").name, names, "")
    except NativeUnavailable as error:
        return Survey(None, (), str(error))


@cache
def processor() -> frozenset[str]:
    """Give what the processor reports of itself, as far as the kernels have use for it."""
    probe = opened(compiled(_cache(), [SOURCES / "probe" / "processor.c"]))
    probe.descant_processor.restype = ctypes.c_char_p
    told: bytes = probe.descant_processor()
    return frozenset(told.decode().split())


@cache
def library_of(one: InstructionSet) -> Library:
    """Give one set's kernels, compiled if need be and checked.

    Raises:
        NativeUnavailable: they cannot be compiled, or compute something else.

    """
    sources = [*sorted(SOURCES.glob("*.c")), *sorted((SOURCES / "sets" / one.folder).glob("*.c"))]
    library = Library(compiled(_cache(), sources, one.flags_for(processor()), SOURCES), one.name)
    check(library)
    return library


def _first_sound(use: Use) -> Library:
    """Give the first of the candidates that can be compiled and computes what it should."""
    refused: list[str] = []
    for one in candidates(use, processor()):
        try:
            return library_of(one)
        except (CannotCompile, WrongKernels) as error:
            refused.append(f"{one.name}: {error}")
    raise NativeUnavailable("; ".join(refused))


def _cache() -> Path:
    return platformdirs.user_cache_path("descant") / "native"
