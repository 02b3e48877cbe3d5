"""Puts built kernels into a wheel when asked: DESCANT_KERNELS=linux-x86_64 names the machine that they are for.

Without that variable a wheel is of Python and C files only, and quick to make. Run by hatchling, in its environment.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

COMPILER: Final = Path(__file__).with_name("old_glibc.py")
REQUIREMENTS: Final = Path(__file__).with_name("wheel-requirements.txt")


class KernelsHook(BuildHookInterface[Any]):
    """Compiles for machines other than this one, too, where their compiler is."""

    def dependencies(self) -> list[str]:
        """Give what an environment for this build needs beside hatchling."""
        return REQUIREMENTS.read_text(encoding="utf-8").split() if _machine() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and have the libraries put into the wheel."""
        machine = _machine()
        if not machine or version == "editable":
            return
        sys.path.insert(0, self.root)
        from reasoning.native.shipped import FOLDER, REPORTS, ship  # noqa: PLC0415 - there is no product before this

        if machine not in REPORTS:
            raise ValueError(f"DESCANT_KERNELS is {machine}, and kernels are built for {', '.join(REPORTS)}")
        made = Path(self.root) / "build" / "wheel" / machine
        shutil.rmtree(made, ignore_errors=True)
        processor = machine.removeprefix("linux-")
        ship(made, machine, [sys.executable, str(COMPILER), processor])
        build_data["force_include"][str(made)] = str(FOLDER.relative_to(self.root))
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-linux_{processor}"


def _machine() -> str:
    return os.environ.get("DESCANT_KERNELS", "")
