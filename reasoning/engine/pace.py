"""How long a step takes, measured at first for its own sake, watched in passing later; how long none is to be taken.

What a step costs is known by its rows, whoever has them. Knows nothing of what is decided by it.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Final

from reasoning.engine.attention import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reasoning.engine.decoder import Decoder

_WEIGHT: Final = 0.15
"""Of the newest step: some ten steps, a second, tell a busy machine from a hiccup."""
_MOST: Final = 6.0
"""A step counts for at most so many times its usual one, or a machine that slept would be slow for minutes."""
_OURS: Final = 1.5
"""Times as long as alone a step takes beside our own ears and voice: only what is beyond is a busy machine."""
_TOKEN: Final = 0
"""A token that every vocabulary has: what it says is of no account."""


def step_seconds(decoder: Decoder, streams: int, reading: int, context: int) -> float:
    """Compute a step of `streams` rows that read a context of so many tokens, and of `reading` rows that nobody reads.

    In the calling thread, on blocks of its own; gives the seconds that it took.
    """
    shared = decoder.cache()
    shared.reserve(context)
    for part in (shared.keys, shared.values):
        part.zero_()
    shared.length = context
    runs = [Run([_TOKEN], [shared, decoder.cache()], logits=1) for _ in range(streams)]
    if reading:
        runs.append(Run([_TOKEN] * reading, [decoder.cache()], logits=0))
    began = perf_counter()
    # Its sum is there when all is computed, wherever that is.
    decoder.forward(runs).sum().item()
    return perf_counter() - began


class StepPace:
    """Compares steps with what they should take."""

    def __init__(self, usual_s: Sequence[float]) -> None:
        """`usual_s`: seconds of a step of 1, 2, … rows; steps of more rows are not compared."""
        self._usual_s = tuple(usual_s)
        self.slowdown = 1.0
        """How many times as long as they should steps take lately: 1 to 4."""
        self._lately = 1.0

    def took(self, rows: int, seconds: float) -> None:
        """Take note of a step."""
        if 1 <= rows <= len(self._usual_s):
            times = min(_MOST, max(0.0, seconds) / self._usual_s[rows - 1])
            self._lately += _WEIGHT * (times - self._lately)
            self.slowdown = max(1.0, self._lately / _OURS)


class Rests:
    """Those that were asked for: `give` from one thread, `left` from any."""

    def __init__(self) -> None:
        self._until: dict[object, float] = {}

    def give(self, seconds: float, now: float, over: Callable[[], None]) -> Callable[[], None]:
        """Rest for so long from `now` on; gives what ends this rest early, and tells `over` that it did."""
        rest = object()
        # Replaced and never changed, but for the end of one: another thread reads it meanwhile.
        self._until = {one: until for one, until in self._until.items() if until > now} | {rest: now + seconds}

        def end() -> None:
            if self._until.pop(rest, None) is not None:
                over()

        return end

    def left(self, now: float) -> float:
        """Give the seconds that are left; zero or less: none."""
        return max(tuple(self._until.values()), default=now) - now
