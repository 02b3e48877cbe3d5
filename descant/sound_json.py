"""JSON as the standard has it (RFC 8259), where it comes from outside and may be written again.

Python reads NaN, Infinity and 1e999 as numbers, and writes them as words that no other reader knows.
"""

from __future__ import annotations

import json
import math
from typing import Any


def sound_json(text: str) -> Any:  # noqa: ANN401 - JSON
    """Read JSON. Raises ValueError: it is none, holds a number that no float holds, or is nested too deeply."""
    try:
        return json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _finite(number: str) -> float:
    if not math.isfinite(value := float(number)):
        raise ValueError(f"{number[:40]} is too large")
    return value
