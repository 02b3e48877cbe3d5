"""What is known of one robot, and since when: the newest state, its presence, its factsheet, the link.

Time comes in as monotonic seconds. Older states are dropped; presence is not ordered by header, because a last will
carries the header of the moment when it was written (6.14). A header may lie: a state from the future, or a robot whose
clock starts anew, would make all true states that follow look old. So states that are in order among themselves are
taken after `ADOPT_S` without any of the order that was known.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from robots.facts.fitness import (
    CommandsDenied,
    EmergencyStop,
    FieldViolated,
    NeverSeen,
    NoLink,
    NoState,
    NotAutomatic,
    NotOnline,
    OnOtherMap,
    PositionUnknown,
    StateOld,
    StateRefused,
)
from robots.facts.link import NotTried
from robots.facts.messages import ValueRead
from robots.protocols.vda5050.codec import Header, Received, Topic, overtaken
from robots.protocols.vda5050.messages import Connection, ConnectionState, EStop, Factsheet, OperatingMode, State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from robots.facts.fact import Fact
    from robots.geometry import Point
    from robots.site import SiteLimits

ADOPT_S: Final = 0.5
"""States of another order of headers must come for so long, s. What a network delivers late comes at once, or between
newer ones."""


@dataclass(slots=True)
class RefusedMessages:
    """What the robot published and nobody could use, counted by the code of the reason."""

    counts: Counter[str] = field(default_factory=Counter)
    last: dict[str, Fact] = field(default_factory=dict)
    """The newest by code."""
    states: int = 0
    """States that were refused since one was taken."""
    last_state: Fact | None = None

    def add(self, fact: Fact) -> int:
        """Count one; return how many there were for this reason."""
        self.counts[fact.code] += 1
        self.last[fact.code] = fact
        if dict(fact.items()).get("topic") == Topic.STATE:
            self.states, self.last_state = self.states + 1, fact
        return self.counts[fact.code]


@dataclass(slots=True)
class World:
    """One robot as seen from here."""

    map_id: str | None = None
    """The site's map: a position on another one is none. None: any."""
    linked: bool = False
    """Whether the broker is reachable."""
    unlinked: Fact = field(default_factory=NotTried)
    """Why it is not."""
    denied: bool = False
    """Whether the broker has denied a command since it was reached."""
    presence: ConnectionState | None = None
    state: State | None = None
    state_at: float = -math.inf
    """When the state arrived, s."""
    state_header: Header | None = None
    factsheet: Factsheet | None = None
    refused: RefusedMessages = field(default_factory=RefusedMessages)
    misread: dict[Topic, tuple[ValueRead, ...]] = field(default_factory=dict)
    """What was unknown in the newest message of a topic, and what it was taken for."""
    _presence_header: Header | None = None
    _rival: tuple[float, Header] | None = None
    """Since when states come that look old, s, and the newest header of them."""

    def receive(self, received: Received, now: float) -> bool:
        """Take a message in; return False for a state that is older than the one known."""
        match received.message:
            case State() as state:
                if not self._in_order(received.header, now):
                    return False
                self.state, self.state_at, self.state_header = state, now, received.header
                self.refused.states = 0
            case Connection() as connection:
                self._connected(connection.connection_state, received.header)
            case Factsheet() as factsheet:
                self.factsheet = factsheet
            case _:
                pass
        self.misread[received.topic] = received.misread
        return True

    def forget_state(self) -> None:
        """Trust no state from before an outage."""
        self.state, self.state_at, self.state_header, self._rival = None, -math.inf, None, None

    @property
    def online(self) -> bool:
        """Whether the robot is there."""
        return self.linked and self.presence is ConnectionState.ONLINE

    @property
    def doubtful(self) -> bool:
        """Whether states come that look older than the one known."""
        return self._rival is not None

    @property
    def position(self) -> Point | None:
        """Where the robot is on the site's map, or None while it does not know."""
        pose = self.state.agv_position if self.state else None
        if pose is None or not pose.position_initialized or self.map_id not in {None, pose.map_id}:
            return None
        return pose.x, pose.y

    def unfit(self, now: float, limits: SiteLimits) -> Fact | None:
        """Return why the robot cannot be commanded to move now, or None."""
        return self.unheard(now, limits) or next(self._obstacles(), None)

    def unheard(self, now: float, limits: SiteLimits) -> Fact | None:
        """Return why it is not known what the robot does now, or None."""
        return next(self._silences(now, limits), None)

    def named(self, name: str, value: str) -> str:
        """Return the robot's own word for the value of a field, where it was read as another."""
        return next((one.value for read in self.misread.values() for one in read if one.field == name), value)

    def _in_order(self, header: Header, now: float) -> bool:
        known, rival = self.state_header, self._rival
        if known is None or not overtaken(header, known):
            self._rival = None
            return True
        if rival is None or overtaken(header, rival[1]):
            self._rival = (now, header)
            return False
        self._rival = (rival[0], header) if now < rival[0] + ADOPT_S else None
        return self._rival is None

    def _connected(self, presence: ConnectionState, header: Header) -> None:
        """Take in a presence. Who connects anew may count anew, and its clock with it."""
        if presence is ConnectionState.ONLINE and header != self._presence_header:
            self.state_header, self._rival = None, None
        self.presence, self._presence_header = presence, header

    def _silences(self, now: float, limits: SiteLimits) -> Iterator[Fact]:
        if not self.linked:
            yield NoLink(self.unlinked)
        if self.denied:
            yield CommandsDenied()
        if self.presence is None:
            yield NeverSeen()
        elif self.presence is not ConnectionState.ONLINE:
            yield NotOnline(self.named("connectionState", self.presence))
        if self.state is None:
            yield self._unread(NoState())
            return
        age = now - self.state_at
        if age > (limits.state_age_s if self.state.driving else limits.idle_state_age_s):
            yield self._unread(StateOld(round(age)))

    def _unread(self, otherwise: Fact) -> Fact:
        """Return why there is no new state: those that came were refused, or none came."""
        refused = self.refused
        if refused.last_state is None or refused.states == 0:
            return otherwise
        return StateRefused(refused.states, refused.last_state)

    def _obstacles(self) -> Iterator[Fact]:
        if self.state is None:
            return
        if self.state.operating_mode is not OperatingMode.AUTOMATIC:
            yield NotAutomatic(self.named("operatingMode", self.state.operating_mode))
        if self.state.safety_state.e_stop is not EStop.NONE:
            yield EmergencyStop()
        if self.state.safety_state.field_violation:
            yield FieldViolated()
        if self.position is None:
            yield self._nowhere(self.state)

    def _nowhere(self, state: State) -> Fact:
        pose = state.agv_position
        if pose is not None and pose.position_initialized and self.map_id is not None:
            return OnOtherMap(pose.map_id, self.map_id)
        return PositionUnknown()
