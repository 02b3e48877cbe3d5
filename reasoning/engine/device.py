"""Where the embedded engine computes: the device that the settings name, if it is there, and the numbers it takes.

Knows torch's devices and nothing of models. What is not the processor has not been run: docs/gpu.md.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final, Literal

import torch

from reasoning.errors import DeviceUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from reasoning.native.instruction_sets import Use

DeviceName = Literal["cpu", "cuda", "mps"]
CPU: Final = torch.device("cpu")
_BFLOAT16_SINCE: Final = 8
"""Compute capability from which a card multiplies bfloat16."""
_WRONG: Final = 0.03
"""Relative error that a device's first product must stay below; half precision rounds to a thousandth."""
_logger: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a model computes, and in which numbers."""

    device: torch.device
    dtype: torch.dtype
    """Of weights and caches; sums run in float32."""


def present() -> tuple[DeviceName, ...]:
    """Name the devices of this machine that torch can use, the preferred ones first."""
    found: list[DeviceName] = []
    if torch.cuda.is_available():
        found.append("cuda")
    if torch.backends.mps.is_available():
        found.append("mps")
    return (*found, "cpu")


def place(
    wanted: Literal["auto"] | DeviceName,
    native: Use = "auto",
    *,
    there: Sequence[DeviceName] | None = None,
    trouble: Callable[[Placement], str] | None = None,
) -> Placement:
    """Give the place that `engine.device` means: `auto` is the first device that is there and computes.

    there, trouble: what is there and what is wrong with a place, where somebody knows it better than this machine.

    Raises:
        DeviceUnavailable: the device is not there, does not compute, or cannot run what `engine.native` names.

    """
    there, trouble = there or present(), trouble or _trouble
    kernels = native not in {"auto", "off"}
    if wanted == "auto":
        for name in there:
            found = _place(name)
            if name == "cpu" or kernels:
                break
            if not (wrong := trouble(found)):
                return found
            _logger.warning("the engine computes on the processor: %s", wrong)
        return _place("cpu")
    if wanted not in there:
        raise DeviceUnavailable(f"engine.device is {wanted}, and torch finds only: {', '.join(there)}")
    if kernels and wanted != "cpu":
        raise DeviceUnavailable(
            f"engine.native is {native}, kernels for the processor, and engine.device is {wanted}; set one to auto"
        )
    found = _place(wanted)
    if wanted != "cpu" and (wrong := trouble(found)):
        raise DeviceUnavailable(f"engine.device is {wanted}: {wrong}; set it to cpu")
    return found


def carried(tensor: Tensor, device: torch.device) -> Tensor:
    """Bring a tensor of the processor's to a device, without waiting for what the device is doing."""
    if device.type == "cuda" and tensor.numel():
        # Only from pages that stay where they are is the copy made behind the caller's back.
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def _place(name: DeviceName) -> Placement:
    if name == "cpu":
        return Placement(CPU, torch.bfloat16)
    if name == "mps":
        return Placement(torch.device(name), torch.float16)
    # Parts of one sum are otherwise added in the type of the weights.
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
    torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False
    # The worker's thread and the thread that loads must mean the same card.
    device = torch.device(name, torch.cuda.current_device())
    capable = torch.cuda.get_device_capability(device)[0] >= _BFLOAT16_SINCE
    return Placement(device, torch.bfloat16 if capable else torch.float16)


@cache
def _trouble(at: Placement) -> str:
    """Say what is wrong with a device; a product of known outcome must come back right."""
    draw = torch.Generator().manual_seed(1)
    x, weight = torch.randn(8, 256, generator=draw), torch.randn(64, 256, generator=draw)
    expected = torch.nn.functional.linear(x, weight).logsumexp(dim=-1)
    try:
        made = torch.nn.functional.linear(carried(x, at.device).to(at.dtype), carried(weight, at.device).to(at.dtype))
        error = (made.float().logsumexp(dim=-1).cpu() - expected).norm() / expected.norm()
    except (RuntimeError, NotImplementedError) as failure:
        return f"{at.device} cannot be used by torch {torch.__version__}: {str(failure).strip().splitlines()[0]}"
    return "" if float(error) < _WRONG else f"{at.device} computes wrong products (relative error {float(error):.2g})"
