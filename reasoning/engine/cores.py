"""How many threads are worth having on this machine: physical cores that this process may use.

A second thread on one core waits for the same multipliers; more threads than a container's quota are put to sleep in
the middle of a step, and the others wait for them. Reads what the system says, below `root`; knows nothing of models.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_ROOT: Final = Path("/")
_MOST_THREADS: Final = 8
"""Memory bounds a step before so many cores do, where nobody has measured otherwise."""


def usual_threads() -> int:
    """Give the threads of a step on a machine that was not measured."""
    return min(_MOST_THREADS, usable_cores())


@cache
def usable_cores() -> int:
    """Count the physical cores that this process may use: by affinity, and by the quota of its container."""
    if sys.platform == "darwin":
        # The fast cores; older machines have one kind.
        told = sysctl("hw.perflevel0.physicalcpu") or sysctl("hw.physicalcpu")
        return int(told) if told.isdecimal() else os.cpu_count() or 1
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    return cores_among(allowed, quota_of(_ROOT), _ROOT)


def cores_among(processors: Iterable[int], quota: float | None, root: Path) -> int:
    """Count the cores behind processors, of which `quota` may be busy at a time (None: all); at least one."""
    topology = root / "sys/devices/system/cpu"
    cores = {_text(topology / f"cpu{one}/topology/thread_siblings_list") or f"{one}" for one in processors}
    return max(1, len(cores) if quota is None else min(len(cores), int(quota)))


def quota_of(root: Path) -> float | None:
    """Give how many processors the control groups of this process may keep busy; None where that is not bounded."""
    quotas = [quota for line in _text(root / "proc/self/cgroup").splitlines() for quota in _quotas(line, root)]
    return min(quotas, default=None)


def _quotas(line: str, root: Path) -> Iterator[float]:
    """Yield the quotas of one control group and of those around it. A line is "0::/path", or "4:cpu,cpuacct:/path"."""
    _, _, rest = line.partition(":")
    controllers, _, path = rest.partition(":")
    if controllers and "cpu" not in controllers.split(","):
        return
    mounted = root / "sys/fs/cgroup" / ("cpu" if controllers else "")
    # Inside a container the path may be that of the host: then only the mount itself is there.
    names = [name for name in path.split("/") if name not in ("", ".", "..")]
    for depth in range(len(names) + 1):
        group = mounted.joinpath(*names[:depth])
        if controllers:
            quota, period = _text(group / "cpu.cfs_quota_us"), _text(group / "cpu.cfs_period_us")
        else:
            quota, _, period = _text(group / "cpu.max").partition(" ")
        if quota.isdecimal() and period.isdecimal() and int(period):
            yield int(quota) / int(period)


def sysctl(name: str) -> str:
    """Ask a Mac for one of its facts; empty where it does not say."""
    try:
        asked = subprocess.run(  # noqa: S603 - a program of the system, by its path
            ["/usr/sbin/sysctl", "-n", name], check=False, capture_output=True, text=True, timeout=5
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return asked.stdout.strip() if asked.returncode == 0 else ""


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
