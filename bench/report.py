"""What every benchmark writes and prints: one JSON document, and a table of its targets.

The document names the program, the machine and the settings, keeps the samples, and holds one row for each figure that
has a target. Knows no benchmark.
"""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from rich.table import Table

from agent import __version__
from bench.errors import ReportError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

_READ_BYTES: Final = 256_000_000
"""Bytes that are read to measure memory speed: far more than any cache holds."""


@dataclass(frozen=True, slots=True)
class Target:
    """A figure that is to reach, or to stay below, a bound."""

    name: str
    value: float | None
    """The figure; None where this run could not measure it."""
    at_most: float | None = None
    at_least: float | None = None

    @property
    def met(self) -> bool:
        """Whether the figure keeps its bound; a figure that is missing does not."""
        if self.value is None or math.isnan(self.value):
            return False
        over = self.at_most is not None and self.value > self.at_most
        under = self.at_least is not None and self.value < self.at_least
        return not over and not under

    def document(self) -> dict[str, Any]:
        """Give the row of the JSON document."""
        bounds = {"at_most": self.at_most, "at_least": self.at_least}
        kept = {name: bound for name, bound in bounds.items() if bound is not None}
        return {"name": self.name, "value": plain(self.value), **kept, "met": self.met}


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of one benchmark."""

    bench: str
    settings: Mapping[str, Any]
    results: Mapping[str, Any]
    """Figures with their samples."""
    targets: Sequence[Target] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Write the JSON document, whole or not at all.

        Raises:
            ReportError: the file cannot be written.

        """
        document = {
            "bench": self.bench,
            "version": __version__,
            "commit": _commit(),
            "machine": machine(),
            "settings": plain(self.settings),
            "results": plain(self.results),
            "targets": [target.document() for target in self.targets],
        }
        fresh = path.with_name(f"{path.name}.part")
        try:
            fresh.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
            fresh.replace(path)
        except OSError as error:
            fresh.unlink(missing_ok=True)
            raise ReportError(f"the report {path} cannot be written: {error.strerror}; name another file.") from error

    def show_targets(self, console: Console) -> None:
        """Print the targets: what was measured, what is asked for, whether it is met."""
        table = Table("target", "measured", "asked for", "", box=None)
        for target in self.targets:
            asked = f"≤ {target.at_most:g}" if target.at_most is not None else f"≥ {target.at_least:g}"
            missing = target.value is None or math.isnan(target.value)
            mark = "—" if missing else "met" if target.met else "missed"
            table.add_row(target.name, "not measured" if missing else f"{target.value:.3g}", asked, mark)
        console.print(table)


def plain(value: object) -> Any:  # noqa: ANN401 - JSON
    """Make a value fit for JSON: paths are text, and what is no number is null."""
    match value:
        case float() if not math.isfinite(value):
            return None
        case float():
            return round(value, 6)
        case dict():
            return {str(key): plain(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(item) for item in value]
        case Path():
            return str(value)
        case _:
            return value


def machine() -> dict[str, Any]:
    """Name the processor, its cores and memory, and measure how fast memory is read."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "read_gb_s": round(read_speed() / 1e9, 1),
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def read_speed(threads: int = 1, repeats: int = 3) -> float:
    """Give bytes per second that so many threads together read from memory, the best of some times."""
    blocks = [np.ones(_READ_BYTES // 8, np.int64) for _ in range(threads)]
    best = math.inf
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(repeats):
            start = perf_counter()
            list(pool.map(np.max, blocks))
            best = min(best, perf_counter() - start)
    return threads * _READ_BYTES / best


def _commit() -> str:
    """Give the commit of the tree that this runs from; empty outside of one."""
    try:
        asked = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--match="],  # noqa: S607 - as in a shell
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return asked.stdout.strip() if asked.returncode == 0 else ""
