"""Numbers as German words. Pure."""

from __future__ import annotations

import re
from typing import Final

from num2words import num2words

_NUMBER: Final = re.compile(r"(?:\d{1,3}(?:\.\d{3})+|\d+)(?:,\d+)?")


def read_aloud(text: str) -> str:
    """Write every number in a text as German words."""
    return _NUMBER.sub(lambda found: _said(found.group()), text)


def _said(number: str) -> str:
    whole, _, part = number.replace(".", "").partition(",")
    said = str(num2words(int(whole), lang="de"))
    return f"{said} Komma {' '.join(str(num2words(int(digit), lang='de')) for digit in part)}" if part else said
