"""Roman numbers. Pure."""

from __future__ import annotations

import re
from typing import Final

_ROMAN: Final = {"I": 1, "V": 5, "X": 10, "L": 50}


def roman(number: str) -> int:
    """Give the value of a roman number below ninety; none where it is not written as one."""
    values = [_ROMAN[sign] for sign in number]
    if not re.fullmatch(r"(?:XL|L?X{0,3})(?:IX|IV|V?I{0,3})", number):
        return 0
    return sum(-one if one < other else one for one, other in zip(values, [*values[1:], 0], strict=True))
