"""Finds the best C kernels that this processor can run, loads them, and checks them before anybody relies on them.

Those that came with the package come first, then those that a compiler makes here. Knows nothing about models.
"""

from __future__ import annotations

import ctypes
import logging
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import platformdirs

from reasoning.errors import NativeUnavailable
from reasoning.native.binding import Library, opened
from reasoning.native.build import NoCompiler, compiled
from reasoning.native.instruction_sets import PROBE, SOURCES, InstructionSet, Name, Use, candidates, possible
from reasoning.native.selftest import check
from reasoning.native.shipped import FOLDER, shipped

if TYPE_CHECKING:
    from collections.abc import Sequence

_logger: Final = logging.getLogger(__name__)

Origin = Literal["shipped", "kept", "passing"]
"""It came with the package; was compiled on this machine, once; or for this process, as it cannot be kept."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What kernels there are for this machine."""

    used: Name | None
    """Name of the set that the setting gives; None where the engine runs on torch alone."""
    possible: tuple[Name, ...]
    """What the processor can run, the best first."""
    wrong: str = ""
    """Why there are none."""
    origin: Origin | None = None
    """Where those that are used come from."""
    path: Path | None = None
    """Of their library."""
    passed_over: tuple[str, ...] = ()
    """What would have come first, and why it is not used."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The kernels that are used, and what was passed over for them."""

    library: Library
    passed_over: tuple[str, ...]


@cache
def load(use: Use = "auto") -> Library | None:
    """Give the kernels, None where there are none to be had and none are required."""
    if use == "off":
        return None
    try:
        return choose(use).library
    except NativeUnavailable as error:
        if use != "auto":
            raise
        _logger.warning("the engine runs without its own kernels, at lower speed: %s", error)
        return None


def survey(use: Use = "auto") -> Survey:
    """Look which kernels this machine can have; compiles what a setting would."""
    names: tuple[Name, ...] = ()
    try:
        names = tuple(one.name for one in possible(processor()))
        chosen = choose("auto" if use == "off" else use)
    except NativeUnavailable as error:
        return Survey(None, names, str(error))
    path = chosen.library.path
    origin: Origin = "shipped" if path.parent == FOLDER else "kept" if path.parent == _cache() else "passing"
    return Survey(chosen.library.name, names, origin=origin, path=path, passed_over=chosen.passed_over)


@cache
def processor() -> frozenset[str]:
    """Give what the processor reports of itself, as far as the kernels have use for it.

    Raises:
        NativeUnavailable: what asks it did not come with the package, and cannot be compiled.

    """
    refused: list[str] = []
    for way in _WAYS:
        try:
            if (path := way(PROBE, (), None)) is not None:
                return _reported(path)
        except NativeUnavailable as error:
            refused.append(str(error))
    raise NativeUnavailable("; ".join(refused))


@cache
def choose(use: Use) -> Choice:
    """Give the first set of kernels that can be had and computes what it should.

    Raises:
        NativeUnavailable: there is none.

    """
    passed_over: list[str] = []
    ways = list(_WAYS)
    # An old compiler may know a set, and not what makes it faster.
    tries = [(one, flags) for one in candidates(use, processor()) for flags in one.ways(processor())]
    for one, flags in tries:
        for way in tuple(ways):
            try:
                if (path := way(one.sources, flags, SOURCES)) is not None:
                    return Choice(_checked(path, one), tuple(passed_over))
            except NoCompiler as error:
                passed_over.append(str(error))
                ways.remove(way)  # One that hangs takes two minutes to find out.
            except NativeUnavailable as error:
                passed_over.append(f"{one.name}: {error}")
    raise NativeUnavailable("; ".join(passed_over))


@cache
def _checked(path: Path, one: InstructionSet) -> Library:
    library = Library(path, one.name)
    check(library)
    return library


def _reported(path: Path) -> frozenset[str]:
    probe = opened(path)
    probe.descant_processor.restype = ctypes.c_char_p
    told: bytes = probe.descant_processor()
    return frozenset(told.decode().split())


def _taken(sources: Sequence[Path], flags: Sequence[str], include: Path | None) -> Path | None:
    return shipped(FOLDER, sources, flags, include)


def _made(sources: Sequence[Path], flags: Sequence[str], include: Path | None) -> Path | None:
    return compiled(_cache(), sources, flags, include)


_WAYS: Final = (_taken, _made)
"""How a library can be had, the quickest first."""


def _cache() -> Path:
    return platformdirs.user_cache_path("descant") / "native"
