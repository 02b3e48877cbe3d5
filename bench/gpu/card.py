"""What the device is, and how fast it moves memory. Knows no models."""

from __future__ import annotations

import platform
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

_COPIED: Final = 1 << 30
"""Bytes of a copy: far more than any cache holds."""
_COPIED_QUICKLY: Final = 1 << 26
_REPEATS: Final = 10


def described(device: torch.device, *, quick: bool) -> dict[str, Any]:
    """Name the device, torch, and the memory's speed: measured by a copy, and as the device tells it."""
    found: dict[str, Any] = {
        "device": device.type,
        "name": platform.processor() or platform.machine(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "copy_gb_s": copy_speed(device, _COPIED_QUICKLY if quick else _COPIED) / 1e9,
        "nominal_gb_s": None,
    }
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        # Older builds of torch do not tell clock and width.
        clock, width = getattr(properties, "memory_clock_rate", 0), getattr(properties, "memory_bus_width", 0)
        found |= {
            "name": properties.name,
            "capability": f"{properties.major}.{properties.minor}",
            "memory_gb": properties.total_memory / 1e9,
            "cuda": torch.version.cuda or torch.version.hip,
            # Kilohertz, bits, and two transfers in each beat.
            "nominal_gb_s": 2 * clock * 1e3 * width / 8 / 1e9 or None,
        }
    return found


def copy_speed(device: torch.device, size: int) -> float:
    """Give bytes per second, read and written, of the quickest of some copies inside the device's memory."""
    source, target = (torch.zeros(size, dtype=torch.uint8, device=device) for _ in range(2))
    return 2 * size / min(timed(lambda: target.copy_(source), device) for _ in range(_REPEATS))


def timed(work: Callable[[], object], device: torch.device) -> float:
    """Give seconds until the device has done something."""
    wait(device)
    start = perf_counter()
    work()
    wait(device)
    return perf_counter() - start


def wait(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
