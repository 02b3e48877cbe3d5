"""What fills a listener's wait, and when: short phrases that promise nothing.

Time comes in as an argument (seconds on the caller's clock). Sans-I/O.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from languages.english import ENGLISH

if TYPE_CHECKING:
    from languages.language import Language
    from reasoning.options import LoopOptions

MOST_IN_A_ROW: Final = 2
"""A third filler with nothing between says nothing that the second has not said: then the wait is silent."""


_LONGEST_STRETCH: Final = 1.5
"""A busy machine delays fillers by so much at most: the listener still has to know that somebody is there."""


@dataclass(slots=True)
class FillerClock:
    """Says when an honest filler is due: the listener waits and there is nothing to say."""

    options: LoopOptions
    waiting_since: float
    """Second at which the listener's wait began: the end of their last word, then the end of each sound."""
    in_a_row: int = 0
    """Fillers that were said since the listener last heard anything else, or spoke."""
    language: Language = ENGLISH
    """Whose phrases are said, in their order."""
    _said: int = 0

    def sounding_until(self, when: float) -> None:
        """Note that the listener hears something until that second."""
        self.waiting_since = max(self.waiting_since, when)

    def content_sounds(self) -> None:
        """Note that the listener hears a part of the reply: another wait begins after it."""
        self.in_a_row = 0

    def due(self, now: float, *, begun: bool, direct: bool = False, slowdown: float = 1.0) -> str | None:
        """Give the phrase to say now, if any.

        begun: the reply has begun to sound.
        direct: it is being said without thinking, so it will come soon.
        slowdown: how many times as long as usual the reply takes, for the machine is busy: the wait is divided alike.
        """
        if self.in_a_row >= min(MOST_IN_A_ROW, self.options.fillers):
            return None
        allowed = self.options.filler_again_s if begun or self._said or direct else self.options.filler_after_s
        if now - self.waiting_since < allowed * min(_LONGEST_STRETCH, slowdown):
            return None
        phrases = self.language.replies.fillers
        phrase = phrases[self._said % len(phrases)]
        self._said += 1
        self.in_a_row += 1
        return phrase
