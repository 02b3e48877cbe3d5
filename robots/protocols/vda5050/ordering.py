"""Which of two states is the newer one: by counter and clock of the robot, as far as they can be trusted. Sans-I/O.

Presence is not ordered by header, because a last will carries the header of the moment when it was written (6.14). A
header may lie: a state from the future, or a robot whose clock starts anew, would make all true states that follow look
old. So states that are in order among themselves are taken after `ADOPT_S` without any of the order that was known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from robots.protocols.vda5050.codec import overtaken
from robots.protocols.vda5050.messages import ConnectionState

if TYPE_CHECKING:
    from robots.protocols.vda5050.codec import Header

ADOPT_S: Final = 0.5
"""States of another order of headers must come for so long, s. What a network delivers late comes at once, or between
newer ones."""


@dataclass(slots=True)
class StateOrder:
    """The order of one robot's states."""

    newest: Header | None = None
    """Of the states that were taken."""
    _presence: Header | None = None
    _rival: tuple[float, Header] | None = None
    """Since when states come that look old, s, and the newest header of them."""

    def takes(self, header: Header, now: float) -> bool:
        """Whether a state is in order; it is the newest one then."""
        if not self._in_order(header, now):
            return False
        self.newest = header
        return True

    def present(self, state: ConnectionState, header: Header) -> None:
        """Take in a presence. Who connects anew may count anew, and its clock with it."""
        if state is not ConnectionState.ONLINE or header != self._presence:
            self.forget()
        self._presence = header

    def forget(self) -> None:
        """Know no order: the next state is the newest."""
        self.newest, self._rival = None, None

    def _in_order(self, header: Header, now: float) -> bool:
        known, rival = self.newest, self._rival
        if known is None or not overtaken(header, known):
            self._rival = None
            return True
        if rival is None or overtaken(header, rival[1]):
            self._rival = (now, header)
            return False
        self._rival = (rival[0], header) if now < rival[0] + ADOPT_S else None
        return self._rival is None
