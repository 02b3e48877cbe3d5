"""What a start spends its time on: named spans, some beside each other. Shows nothing."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True, slots=True)
class StartSpan:
    """Something that a start did."""

    what: str
    began_s: float
    """Seconds since the start."""
    seconds: float


@dataclass(slots=True)
class StartTimes:
    """The spans of one start, in the order in which they ended."""

    clock: Callable[[], float] = perf_counter
    spans: list[StartSpan] = field(default_factory=list)
    _start_s: float = 0.0

    def __post_init__(self) -> None:
        self._start_s = self.clock()

    @contextmanager
    def span(self, what: str) -> Iterator[None]:
        """Time the block; one that fails has no span."""
        began_s = self.clock()
        yield
        self.spans.append(StartSpan(what, began_s - self._start_s, self.clock() - began_s))

    def lines(self) -> list[str]:
        """Tell each span in a line, in the order of their beginnings, and how long all took."""
        ordered = sorted(self.spans, key=lambda span: span.began_s)
        told = [f"{span.began_s:6.2f} s  {span.what}: {span.seconds:.2f} s" for span in ordered]
        return [*told, f"{self.clock() - self._start_s:6.2f} s  ready"]
