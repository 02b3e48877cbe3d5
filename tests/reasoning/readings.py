"""What a reading of logits comes to, alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from reasoning.engine.sampling import read_together
from reasoning.errors import EngineFailed

if TYPE_CHECKING:
    from reasoning.engine.sampling import Reading

T = TypeVar("T")


def read_alone(reading: Reading[T]) -> T:
    (found,) = read_together([reading])
    if isinstance(found, EngineFailed):
        raise found
    return found
