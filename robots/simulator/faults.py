"""Faults for the simulator: a network that loses and shuffles, and mishaps at set times.

`--fault` takes them as text: `drop=0.1`, `duplicate=0.1`, `reorder=0.1` (probabilities), `delay=0.5` (longest, s),
and, at a time in seconds, `freeze@10=3`, `obstacle@6=4`, `estop@8=2`, `manual@8=2` (each for so many seconds),
`battery@5=8` (to so many percent), `kill@20=2` (back after so many seconds).
"""

from __future__ import annotations

import heapq
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from robots.errors import BadSetting

if TYPE_CHECKING:
    from collections.abc import Iterable
    from random import Random

T = TypeVar("T")

MISHAPS: Final = ("freeze", "obstacle", "estop", "manual", "battery", "kill")
_NETWORK: Final = ("drop", "delay", "duplicate", "reorder")
_FORM: Final = re.compile(r"(?P<kind>[a-z]+)(@(?P<at>\d+(\.\d+)?))?=(?P<value>\d+(\.\d+)?)")


@dataclass(frozen=True, slots=True)
class Network:
    """How bad the network is."""

    drop: float = 0.0
    """Probability that a message is lost."""
    delay: float = 0.0
    """Longest delay, s."""
    duplicate: float = 0.0
    """Probability that a message comes twice."""
    reorder: float = 0.0
    """Probability that a message is overtaken by later ones."""


@dataclass(frozen=True, slots=True)
class Mishap:
    """Something that befalls the robot."""

    kind: str
    at: float
    """s after the beginning."""
    value: float
    """s, or percent for the battery."""


def read_faults(texts: Iterable[str]) -> tuple[Network, list[Mishap]]:
    """Read faults from the command line.

    Raises:
        BadSetting: a fault is not one of those listed at the head of this module.

    """
    network: dict[str, float] = {}
    mishaps = []
    for text in texts:
        match = _FORM.fullmatch(text)
        kind, at = (match["kind"], match["at"]) if match else ("", None)
        if match and kind in _NETWORK and at is None and (kind == "delay" or float(match["value"]) <= 1):
            network[kind] = float(match["value"])
        elif match and kind in MISHAPS and at is not None:
            mishaps.append(Mishap(kind, float(at), float(match["value"])))
        else:
            raise BadSetting(
                f"fault {text!r}: write {', '.join(k + '=NUMBER' for k in _NETWORK)} (probabilities up to 1, delay in "
                f"seconds) or {', '.join(k + '@SECOND=NUMBER' for k in MISHAPS)}"
            )
    return Network(**network), sorted(mishaps, key=lambda mishap: mishap.at)


@dataclass(slots=True)
class Channel(Generic[T]):
    """One direction of a bad network. Without faults, what goes in at a moment comes out at that moment, in order."""

    network: Network
    random: Random
    _waiting: list[tuple[float, int, T]] = field(default_factory=list)
    _count: int = 0
    _latest: float = 0.0

    def push(self, item: T, now: float) -> None:
        """Send something."""
        if self.random.random() < self.network.drop:
            return
        for _ in range(1 + (self.random.random() < self.network.duplicate)):
            arrives = now + self.random.random() * self.network.delay
            if self.random.random() < self.network.reorder:
                arrives += self.network.delay
            else:
                self._latest = arrives = max(arrives, self._latest)
            self._count += 1
            heapq.heappush(self._waiting, (arrives, self._count, item))

    def pop(self, now: float) -> list[T]:
        """Return what has arrived."""
        arrived = []
        while self._waiting and self._waiting[0][0] <= now:
            arrived.append(heapq.heappop(self._waiting)[2])
        return arrived

    def clear(self) -> None:
        """Lose what is on its way."""
        self._waiting.clear()
