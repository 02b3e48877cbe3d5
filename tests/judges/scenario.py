"""What a judge says of one scenario, whichever judge it is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]
BUILD: Final = ROOT / "build" / "judges"


@dataclass(frozen=True)
class Scenario:
    """What a judge says of one scenario."""

    name: str
    turns: int
    """Turns or checks, as the judge counts."""
    passed: int
    responses_ms: list[float]
    """From the end of the caller's speech to the agent's first sound, of each turn that wants a response."""
    stops_ms: list[float]
    gaps_s: list[float]
    """Silences of the agent between two of its sounds in one reply, by the judge's own voice activity."""
    asserted: dict[str, bool]
    """The judge's own limits on the whole scenario."""
    notes: list[str]


def checkout(variable: str, wanted: Path) -> Path:
    """Give the judge's checkout that an environment variable names, which has the `wanted` file."""
    folder = os.environ.get(variable)
    if not folder:
        raise SystemExit(f"{variable} names no checkout of the judge: docs/judges.md says which one")
    if not (Path(folder) / wanted).is_file():
        raise SystemExit(f"{variable}={folder} has no {wanted}: docs/judges.md says which checkout is meant")
    return Path(folder).resolve()
