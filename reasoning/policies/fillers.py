"""What fills a listener's wait, and when: short phrases that promise nothing.

Time comes in as an argument (seconds on the caller's clock). Sans-I/O; English.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from reasoning.options import LoopOptions

FILLERS: Final = (
    "Well,",
    "Let me work that out.",
    "One moment, I'm still working on it.",
    "Just a little longer.",
)
"""Said in this order: short, and true. The first is the shortest: what is found meanwhile waits for its end."""


@dataclass(slots=True)
class FillerClock:
    """Says when an honest filler is due: the listener waits and there is nothing to say."""

    options: LoopOptions
    waiting_since: float
    """Second at which the listener's wait began: the end of their last word, then the end of each sound."""
    _said: int = 0

    def sounding_until(self, when: float) -> None:
        """Note that the listener hears something until that second."""
        self.waiting_since = max(self.waiting_since, when)

    def due(self, now: float, *, begun: bool, direct: bool = False) -> str | None:
        """Give the phrase to say now, if any.

        `begun`: the reply has begun to sound; `direct`: it is being said without thinking, so it will come soon.
        """
        allowed = self.options.filler_again_s if begun or self._said or direct else self.options.filler_after_s
        if now - self.waiting_since < allowed:
            return None
        phrase = FILLERS[self._said % len(FILLERS)]
        self._said += 1
        return phrase
