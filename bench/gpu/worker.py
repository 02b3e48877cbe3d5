"""The process of one part of the check: its figures as JSON lines, `[group, name, figures]`, as soon as they are there.

A process of its own, so that the others go on whatever becomes of the card in it, and so that it can be ended.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

import torch

from bench.gpu.agreement import checks
from bench.gpu.card import described
from bench.gpu.shapes import SHAPES
from bench.gpu.steps import measured
from reasoning.engine.device import place
from reasoning.errors import DeviceUnavailable

if TYPE_CHECKING:
    from bench.gpu.shapes import Bits
    from reasoning.engine.device import DeviceName, Placement


def main(part: str, name: DeviceName, *, quick: bool) -> None:
    """Do a part: `card`, `agreement`, or a shape and its bits."""
    try:
        at = place(name)
    except DeviceUnavailable as error:
        _tell("error", "error", {"told": str(error)})
        return
    if part == "card":
        _tell("card", "card", described(at.device, quick=quick))
    elif part == "agreement":
        for what, found in checks(at):
            _tell(part, what, found)
    else:
        asyncio.run(_steps(part, at, quick=quick))


async def _steps(part: str, at: Placement, *, quick: bool) -> None:
    shape, _, written = part.partition(" ")
    bits: Bits = "4-bit" if written == "4-bit" else "16-bit"
    if shape not in SHAPES:
        raise SystemExit(f"there is no shape {shape}")
    try:
        async for what, found in measured(shape, bits, at, quick=quick):
            _tell(part, what, found)
    except torch.OutOfMemoryError as error:
        _tell(part, "model", {"failed": str(error).splitlines()[0]})


def _tell(group: str, name: str, found: dict[str, Any]) -> None:
    print(json.dumps([group, name, found]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], "cpu" if sys.argv[2] == "cpu" else "cuda", quick="--quick" in sys.argv)
