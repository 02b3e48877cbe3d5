"""What an adapter is: the one side of a robot that knows how its messages are written and carried.

The core asks for no more. What comes is news (`robots.terms.heard`), what goes are packets that the gate let pass; an
adapter sends nothing else but what pauses the robot when this program is gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from robots.safety.packet import PacketFeed
    from robots.terms.heard import RobotNews


class RobotLink(Protocol):
    """A connection to one robot, made again after each outage."""

    part_in_peace: bool
    """Whether closing it leaves the robot as it is; otherwise the robot is paused."""

    def events(self) -> AsyncGenerator[RobotNews, None]:
        """Yield what happens, and send what the feed gives; ends only by being closed."""
        ...


class ProtocolAdapter(Protocol):
    """One robot behind one protocol."""

    @property
    def name(self) -> str:
        """What the robot is called."""
        ...

    @property
    def reached_at(self) -> str:
        """Where it is reached, for people."""
        ...

    def link(self, feed: PacketFeed, clock: Callable[[], float], new_id: Callable[[], str]) -> RobotLink:
        """Return a connection that takes commands from a feed; `clock`: that of the feed's deadlines, monotonic s."""
        ...
