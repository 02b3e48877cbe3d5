"""Addresses of servers as people write them: read with every error that reading one can raise behind one door."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from urllib.parse import SplitResult

_UNFIT: Final = re.compile(r"[\s\x00-\x1f\x7f\[\]]")
"""What no address has outside of the brackets of an IPv6 one: whitespace, control characters, further brackets."""
_IN_BRACKETS: Final = re.compile(r"(?<=[/@])\[[0-9A-Fa-f:.]+\](?=[:/]|$)")


def address_parts(url: str) -> SplitResult | None:
    """Give the parts of `scheme://host…`; None where it is no address of a server."""
    try:
        parts = urlsplit(url)
        sound = bool(parts.hostname) and parts.port != 0
    except ValueError:
        # Brackets without an address in them, or a port that is none.
        return None
    return parts if sound and not _UNFIT.search(_IN_BRACKETS.sub("", url, count=1)) else None
