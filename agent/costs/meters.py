"""Meters of this machine: the processor's time, RAPL for its packages, NVML for GPUs of NVIDIA.

Each is left out where it cannot be read: RAPL is for root alone on most kernels, and no virtual machine has it.
"""

from __future__ import annotations

import ctypes
import time
from pathlib import Path
from typing import Final

from agent.costs.ledger import MeterReading

_POWERCAP: Final = Path("/sys/class/powercap")
_NVML: Final = "libnvidia-ml.so.1"


class Rapl:
    """Energy of the processor packages, by the kernel's powercap files (Documentation/power/powercap in its source).

    Counters begin anew at `max_energy_range_uj`, after minutes to hours: read at least once in that time.
    """

    def __init__(self, root: Path = _POWERCAP) -> None:
        # `intel-rapl:0` is a package (AMD's, too); `intel-rapl:0:0` is a part of one.
        self._packages = [zone for zone in sorted(root.glob("intel-rapl:*")) if zone.name.count(":") == 1]
        self._last: dict[Path, int] = {}
        self._joules = 0.0

    def joules(self) -> float | None:
        """Give joules since the first reading; None where a package cannot be read."""
        if not self._packages:
            return None
        for zone in self._packages:
            try:
                now = int((zone / "energy_uj").read_text(encoding="ascii"))
                most = int((zone / "max_energy_range_uj").read_text(encoding="ascii"))
            except (OSError, ValueError):
                self._packages = []
                return None
            last = self._last.get(zone, now)
            self._joules += ((now - last) if now >= last else (now + most - last)) / 1e6
            self._last[zone] = now
        return self._joules


class Nvml:
    """Energy of NVIDIA's GPUs since the driver was loaded (nvmlDeviceGetTotalEnergyConsumption; Volta or newer)."""

    def __init__(self, library: str = _NVML) -> None:
        self._devices: list[ctypes.c_void_p] = []
        try:
            self._nvml = ctypes.CDLL(library)
            if self._nvml.nvmlInit_v2() != 0:
                return
            count = ctypes.c_uint()
            self._nvml.nvmlDeviceGetCount_v2(ctypes.byref(count))
            for number in range(count.value):
                device = ctypes.c_void_p()
                if self._nvml.nvmlDeviceGetHandleByIndex_v2(number, ctypes.byref(device)) == 0:
                    self._devices.append(device)
        except (OSError, AttributeError):
            # No driver, or one that is too old to have these.
            self._devices = []

    def joules(self) -> float | None:
        """Give the joules of all GPUs; None where there is none, or one that has no such meter."""
        if not self._devices:
            return None
        total = 0.0
        for device in self._devices:
            millijoules = ctypes.c_ulonglong()
            if self._nvml.nvmlDeviceGetTotalEnergyConsumption(device, ctypes.byref(millijoules)) != 0:
                return None
            total += millijoules.value / 1e3
        return total


class MachineMeters:
    """All meters of this machine at once."""

    def __init__(self, rapl: Rapl | None = None, nvml: Nvml | None = None) -> None:
        self._rapl, self._nvml = rapl or Rapl(), nvml or Nvml()

    def read(self) -> MeterReading:
        """Read them: a few files and calls, well below a millisecond."""
        return MeterReading(time.process_time(), self._rapl.joules(), self._nvml.joules())
