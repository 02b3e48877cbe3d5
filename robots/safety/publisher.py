"""The only way to a robot: a short queue between the gate and the link.

Only `robots.safety.gate` may import this module; a test reads all imports of the tree. Stops overtake everything, are
never dropped for lack of room and never expire.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from robots.safety.packet import Packet

if TYPE_CHECKING:
    from collections.abc import Callable

    from robots.terms.commands import RobotCommand, StopCommand, StopStep

CAPACITY: Final = 16
"""Most commands that wait; a healthy link holds none for longer than a round trip."""
EXPIRY_S: Final = 3
"""Life of a motion command on its way, s."""


@dataclass(slots=True)
class Publisher:
    """Commands that wait to be sent; a `robots.safety.packet.Feed`."""

    stops: dict[StopStep, Packet] = field(default_factory=dict)
    """By step: a repeated stop replaces the one that waits."""
    motions: deque[Packet] = field(default_factory=deque)
    _notify: Callable[[], None] = field(default=lambda: None)

    def wake(self, notify: Callable[[], None]) -> None:
        """Have `notify` called whenever there is something to take."""
        self._notify = notify

    def put(self, command: RobotCommand, now: float) -> bool:
        """Queue a motion command; False where the queue is full."""
        if len(self.motions) >= CAPACITY:
            return False
        self.motions.append(Packet(command, EXPIRY_S, now + EXPIRY_S))
        self._notify()
        return True

    def put_stop(self, command: StopCommand) -> None:
        """Queue a stop."""
        self.stops[command.step] = Packet(command, None, math.inf)
        self._notify()

    def drop_motions(self) -> int:
        """Forget all waiting motion commands; return how many there were."""
        dropped = len(self.motions)
        self.motions.clear()
        return dropped

    def clear(self) -> None:
        """Forget everything. Stops come again by themselves: they are repeated until the robot confirms."""
        self.stops.clear()
        self.motions.clear()

    def take(self, now: float) -> Packet | None:
        """Return the next command to be sent, stops first."""
        if self.stops:
            return self.stops.pop(next(iter(self.stops)))
        while self.motions:
            packet = self.motions.popleft()
            if now < packet.expires_at:
                return packet
        return None
