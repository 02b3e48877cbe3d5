"""A call of a tool as a model wrote it. Data only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class WrittenCall:
    """A call as it was written."""

    name: str
    arguments: Mapping[str, Any]

    def text(self) -> str:
        """Give its JSON, as chat templates write it."""
        return json.dumps({"name": self.name, "arguments": dict(self.arguments)}, ensure_ascii=False)
