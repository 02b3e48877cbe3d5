"""What a plan is made for: the machine, the kernels and the models, and how a kept plan is known to be theirs."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent import __version__
from reasoning.engine.cores import sysctl, usable_cores
from reasoning.errors import UnknownModel
from reasoning.native.library import load
from reasoning.store.catalogue import find

if TYPE_CHECKING:
    from collections.abc import Container

    from agent.config.settings import Settings

_BUSY: Final = 0.5
"""Load of the last minute for each processor from which on something else is computing: ours alone stays below."""
_NAMES: Final = ("model name", "Model", "Hardware", "CPU part")
"""Under which the kernel tells the processor, on x86 and on Arm."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine as the plan sees it."""

    processor: str
    """Its name, as the system tells it."""
    cores: int
    """Physical cores that this process may use."""
    kernels: str
    """The instruction set of the engine's kernels; `torch` without them."""
    busy: bool = False
    """Whether others were computing when it was looked at."""


@dataclass(frozen=True, slots=True)
class PlanKey:
    """What a measurement holds for."""

    processor: str
    cores: int
    kernels: str
    model: str
    """Checksum of the language model; size and time of a file that has none."""
    asr: str
    voice: str
    threads: int
    """Threads that somebody set; 0: as many as do best."""
    descant: str
    """Version: another one may compute otherwise."""

    def document(self) -> dict[str, object]:
        """Give it as JSON has it."""
        return asdict(self)


def this_machine(settings: Settings) -> Machine:
    """Look at the machine; compiles the kernels if nobody has. Raises NativeUnavailable."""
    library = load(settings.engine.native)
    return Machine(_processor(), usable_cores(), "torch" if library is None else library.name, _is_busy())


def key_of(machine: Machine, settings: Settings, given: Container[str], model: Path) -> PlanKey:
    """Give what a measurement on this machine with these models holds for; `given`: settings that somebody set."""
    models = settings.models
    return PlanKey(
        machine.processor,
        machine.cores,
        machine.kernels,
        _identity(models.llm, model),
        models.asr,
        models.voice,
        settings.engine.threads if "engine.threads" in given else 0,
        __version__,
    )


def _identity(name: str, path: Path) -> str:
    try:
        return find(name).files[0].sha256
    except UnknownModel:
        files = sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
        return " ".join(f"{file.stat().st_size}-{file.stat().st_mtime_ns}" for file in files)


def _processor() -> str:
    if sys.platform == "darwin":
        return sysctl("machdep.cpu.brand_string") or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    return processor_in(lines) or platform.processor() or platform.machine()


def processor_in(lines: list[str]) -> str:
    """Give the name of the processor in what the kernel tells; empty where it hides it."""
    told: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        told.setdefault(name.strip(), value.strip())
    return next((told[name] for name in _NAMES if told.get(name)), "")


def _is_busy() -> bool:
    try:
        return os.getloadavg()[0] > _BUSY * (os.cpu_count() or 1)
    except OSError:
        return False
