"""What fills a listener's wait, and when: short phrases that promise nothing, then how things stand.

No wait is silent for longer than `filler_again_s`, however long the reply takes. Two fillers at most come in a row: a
third says nothing that the second has not said. From then on each phrase tells something that is true and new to the
listener: that there is no answer yet, that it takes long, and for how long it has, until the reply goes on.
Time comes in as an argument (seconds on the caller's clock). Sans-I/O.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from languages.english import ENGLISH

if TYPE_CHECKING:
    from languages.language import Language
    from reasoning.options import LoopOptions

MOST_IN_A_ROW: Final = 2
"""Fillers with nothing between."""
_LONGEST_STRETCH: Final = 1.5
"""A busy machine delays the first filler by so much at most: the listener has to know that somebody is there."""
_STRETCHED_S: Final = 1.8
"""And to no more than this: with what a phrase and a tick of the clock take, a wait stays under two seconds."""
_SOON_S: Final = 1.6
"""A reply that a filler would hold up is waited for so long before it begins."""
_ROUNDED_S: Final = 5
"""To whole times of this the length of a wait is told."""
_LONGEST_TOLD_S: Final = 60
"""Beyond it nobody is told how long a wait has lasted: so many phrases there are at most."""


def told_later(language: Language) -> list[str]:
    """Give all that may fill a wait behind the fillers: how things stand, and for how long."""
    lasted = range(_ROUNDED_S, _LONGEST_TOLD_S + 1, _ROUNDED_S)
    return [*language.replies.statuses, *(language.replies.elapsed.format(seconds) for seconds in lasted)]


class Filler(NamedTuple):
    """A phrase for a wait."""

    text: str
    kind: Literal["filler", "status"]


@dataclass(slots=True)
class FillerClock:
    """Says when an honest phrase is due: the listener waits and there is nothing to say."""

    options: LoopOptions
    waiting_since: float
    """Second at which the listener's wait began: the end of their last word, then the end of each sound."""
    in_a_row: int = 0
    """Fillers that were said since the listener last heard anything of a reply, or spoke."""
    language: Language = ENGLISH
    """Whose phrases are said, in their order."""
    next: Filler = field(init=False)
    """What is said when the next phrase is due; needs its sound by then."""
    _began: float | None = field(init=False)
    """Second at which the wait began that no phrase ends; None until the part of the reply that sounds has ended."""
    _said: int = 0
    _statuses: int = 0
    """How often it was told how things stand."""
    _timed: int = 0
    """How often of these for how long the wait has lasted."""
    _told_s: int = 0
    """The length of this wait that was told last."""

    def __post_init__(self) -> None:
        self._began = self.waiting_since
        self.next = self._choose(self.waiting_since)

    def sounding_until(self, when: float) -> None:
        """Note that the listener hears something until that second."""
        self.waiting_since = max(self.waiting_since, when)
        if self._began is None:
            self._began = self.waiting_since

    def content_sounds(self) -> None:
        """Note that the listener hears a part of the reply: another wait begins after it."""
        self.in_a_row = self._told_s = 0
        self._began = None
        self.next = self._choose(self.waiting_since)

    def due(self, now: float, *, begun: bool, held_up: bool = False, slowdown: float = 1.0) -> Filler | None:
        """Give the phrase to say now, if any; whoever says it calls `said`.

        begun: the reply has begun to sound.
        held_up: the phrase would still sound when the reply could begin.
        slowdown: how many times as long as usual the reply takes, for the machine is busy: the first phrase is as much
            later. Inside a reply no silence is to be longer for that.
        """
        if not self.options.fillers:
            return None
        if begun or self._said:
            allowed = self.options.filler_again_s
        else:
            allowed = max(self.options.filler_after_s, _SOON_S if held_up else 0.0)
            allowed = min(allowed * min(_LONGEST_STRETCH, slowdown), max(allowed, _STRETCHED_S))
        return None if now - self.waiting_since < allowed else self.next

    def said(self, now: float) -> None:
        """Note that `next` is being said, and choose what may be said after it."""
        self._said += 1
        if self.next.kind == "filler":
            self.in_a_row += 1
        else:
            self._statuses += 1
            self._timed += self.next.text not in self.language.replies.statuses
        self.next = self._choose(now)

    def _choose(self, now: float) -> Filler:
        phrases = self.language.replies
        if self.in_a_row < min(MOST_IN_A_ROW, self.options.fillers):
            return Filler(phrases.fillers[self._said % len(phrases.fillers)], "filler")
        began = self.waiting_since if self._began is None else self._began
        # It is said when what sounds now is over, and a silence.
        lasted = round((now + 2 * self.options.filler_again_s - began) / _ROUNDED_S) * _ROUNDED_S
        if self._statuses % 2 and self._told_s < lasted <= _LONGEST_TOLD_S:
            self._told_s = lasted
            return Filler(phrases.elapsed.format(lasted), "status")
        return Filler(phrases.statuses[(self._statuses - self._timed) % len(phrases.statuses)], "status")
