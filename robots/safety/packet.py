"""A command on its way to a robot: written by the gate, carried by the link."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from robots.terms.commands import RobotCommand

WILL: Final = "will-"
"""Begins the ids of last wills: such a pause is for a commander that is gone."""


@dataclass(frozen=True, slots=True)
class Packet:
    """A command that the gate let pass. It is sent with QoS 1 and never retained: there is no way to ask for more."""

    command: RobotCommand
    expiry_s: int | None
    """After that many seconds the broker drops it; None, for stops: never."""
    expires_at: float
    """Not sent after this moment, monotonic s; infinity for stops."""


class PacketFeed(Protocol):
    """Where the link takes commands from."""

    def wake(self, notify: Callable[[], None]) -> None:
        """Have `notify` called whenever there is something to take."""
        ...

    def take(self, now: float) -> Packet | None:
        """Return the next command to be sent."""
        ...

    def clear(self) -> None:
        """Forget what waits: the connection is gone, and nothing stale may follow it."""
        ...
