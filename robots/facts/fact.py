"""A fact: a code, and the numbers and names that belong to it. Nothing in this room says a sentence.

One class for each kind; its fields are what a saying of a language may name. Words that a robot wrote
are cleaned and cut before they become part of one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Fact:
    """Root of all facts. Fields are texts, numbers, tuples of texts, or further facts: the reasons."""

    @property
    def code(self) -> str:
        """Name of the kind, for logs, figures and the tables of languages: `state_old` for `StateOld`."""
        return code_of(type(self))

    def items(self) -> Iterator[tuple[str, object]]:
        """Yield the fields and their values."""
        for item in fields(self):
            yield item.name, getattr(self, item.name)

    def record(self) -> dict[str, object]:
        """Return code and facts as a log keeps them."""
        values = {name: value.record() if isinstance(value, Fact) else value for name, value in self.items()}
        return {"code": self.code, **values}


def code_of(kind: type[Fact]) -> str:
    """Return the code of a kind."""
    return _HUMP.sub("_", kind.__name__).lower()
