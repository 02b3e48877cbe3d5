"""What is known of one robot, and since when: the newest state, its presence, its factsheet, the link.

Time comes in as monotonic seconds. Older states are dropped; presence is not ordered by header, because a last will
carries the header of the moment when it was written (6.14).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from robots.vda5050.codec import Header, Received, overtaken
from robots.vda5050.messages import Connection, ConnectionState, EStop, Factsheet, OperatingMode, State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from robots.geometry import Point
    from robots.site import SiteLimits


@dataclass(slots=True)
class World:
    """One robot as seen from here."""

    linked: bool = False
    """Whether the broker is reachable."""
    denied: bool = False
    """Whether the broker has denied a command since it was reached."""
    presence: ConnectionState | None = None
    state: State | None = None
    state_at: float = -math.inf
    """When the state arrived, s."""
    state_header: Header | None = None
    factsheet: Factsheet | None = None

    def receive(self, received: Received, now: float) -> bool:
        """Take a message in; return False for a state that is older than the one known."""
        match received.message:
            case State() as state:
                if self.state_header is not None and overtaken(received.header, self.state_header):
                    return False
                self.state, self.state_at, self.state_header = state, now, received.header
            case Connection() as connection:
                self.presence = connection.connection_state
            case Factsheet() as factsheet:
                self.factsheet = factsheet
            case _:
                pass
        return True

    def forget_state(self) -> None:
        """Trust no state from before an outage."""
        self.state, self.state_at, self.state_header = None, -math.inf, None

    @property
    def online(self) -> bool:
        """Whether the robot is there."""
        return self.linked and self.presence is ConnectionState.ONLINE

    @property
    def position(self) -> Point | None:
        """Where the robot is, or None while it does not know."""
        pose = self.state.agv_position if self.state else None
        return (pose.x, pose.y) if pose and pose.position_initialized else None

    def unfit(self, now: float, limits: SiteLimits) -> str | None:
        """Return why the robot cannot be commanded to move now, or None."""
        return next(self._obstacles(now, limits), None)

    def _obstacles(self, now: float, limits: SiteLimits) -> Iterator[str]:
        if not self.linked:
            yield "there is no connection to the broker"
        if self.denied:
            yield "the broker does not allow commands to the robot"
        if self.presence is not ConnectionState.ONLINE:
            yield f"the robot is not online ({self.presence or 'never seen'})"
        if self.state is None:
            yield "the robot has not reported its state yet"
            return
        age = now - self.state_at
        if age > (limits.state_age_s if self.state.driving else limits.idle_state_age_s):
            yield f"the robot's last state is {age:.0f} s old"
        if self.state.operating_mode is not OperatingMode.AUTOMATIC:
            yield f"the robot is in mode {self.state.operating_mode}, not AUTOMATIC"
        if self.state.safety_state.e_stop is not EStop.NONE:
            yield "the robot's emergency stop is active; it must be released at the robot"
        if self.state.safety_state.field_violation:
            yield "something is in the robot's protective field"
        if self.position is None:
            yield "the robot does not know where it is"
