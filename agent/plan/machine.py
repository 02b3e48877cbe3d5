"""What a plan is made for: the machine, the kernels and the models, and how a kept plan is known to be theirs."""

from __future__ import annotations

import platform
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent import __version__
from reasoning.engine.cores import sysctl, usable_cores
from reasoning.engine.device import place
from reasoning.errors import UnknownModel
from reasoning.native.library import load
from reasoning.store.catalogue import find

if TYPE_CHECKING:
    from collections.abc import Container

    from agent.config.settings import Settings

_BUSY: Final = 0.25
"""Share of all processors that others keep busy, from which on steps are slower for it."""
_LOOK_S: Final = 0.2
"""For which this process rests, to see what the others do."""
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
    """The instruction set of the engine's kernels; `torch` without them, or the device that is not the processor."""


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
    """Look at the machine; compiles the kernels if nobody has. Raises DeviceUnavailable or NativeUnavailable."""
    device = place(settings.engine.device, settings.engine.native).device.type
    library = load(settings.engine.native) if device == "cpu" else None
    kernels = "torch" if library is None else library.name
    return Machine(_processor(), usable_cores(), kernels if device == "cpu" else device)


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


def others_compute() -> bool:
    """Rest for a moment, in the calling thread, and say whether the processors are busy meanwhile."""
    before = _stat()
    time.sleep(_LOOK_S)
    return busy_share(before, _stat()) > _BUSY


def busy_share(before: str, after: str) -> float:
    """Give the part of the time between two looks at /proc/stat in which processors computed; 0 where it tells none."""
    spent = [later - sooner for sooner, later in zip(_ticks(before), _ticks(after), strict=False)]
    # user nice system idle iowait irq softirq steal: what is stolen, others have.
    idle = sum(spent[3:5])
    return 1 - idle / sum(spent) if len(spent) >= 5 and sum(spent) > 0 else 0.0


def _ticks(stat: str) -> list[int]:
    name, *ticks = stat.partition("\n")[0].split()[:9] or [""]
    return [int(tick) for tick in ticks if tick.isdecimal()] if name == "cpu" else []


def _stat() -> str:
    try:
        return Path("/proc/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
