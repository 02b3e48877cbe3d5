"""Which of several servers a conversation is put to: sans-I/O, with the time given from outside.

A conversation stays where it is, since its cache lies there; a new one goes where the fewest are. A server that failed
rests for a moment, or until a health check finds it well. While all rest, nobody is asked. A single address is asked
again at once when it fails for the first time: it may be that of a router, behind which another server is well.
"""

from __future__ import annotations

import math
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_REST_S: Final = 0.5
"""Seconds of a rest. A server that is gone costs the next one who asks hardly anything, one that hangs `stall_s`."""


@dataclass(eq=False, slots=True)
class Replica:
    """One server."""

    url: str
    conversations: int = 0
    running: int = 0
    """Requests that it is answering."""
    failing: bool = False
    """Its newest request or health check failed."""
    failed_at: float = -math.inf
    rests_until: float = 0.0
    live_views: bool = False


@dataclass(eq=False, slots=True)
class Home:
    """One conversation's place."""

    name: str = field(default_factory=lambda: uuid.uuid4().hex)
    """As a router between here and the servers shall know it."""
    replica: Replica | None = None
    live_sessions: dict[str, str] = field(default_factory=dict)
    """Tokens of its sessions with servers that have live views, by address."""


class Replicas:
    """All servers, and how they are."""

    def __init__(self, urls: Sequence[str]) -> None:
        self.all = [Replica(url) for url in urls]

    def place(self, home: Home, now: float) -> Replica | None:
        """Give the conversation's server, or move it where that one rests; None while all rest."""
        awake = [replica for replica in self.all if replica.rests_until <= now]
        if home.replica in awake:
            return home.replica
        if not awake:
            return None
        self.leave(home)
        # One whose newest answer is a failure may hang still: others first.
        home.replica = min(awake, key=lambda replica: (replica.failing, replica.conversations, replica.running))
        home.replica.conversations += 1
        return home.replica

    @staticmethod
    def leave(home: Home) -> None:
        """End the conversation's stay."""
        if home.replica is not None:
            home.replica.conversations -= 1
            home.replica = None

    def wait_s(self, now: float) -> float:
        """Give the seconds until one of them has rested."""
        return max(0.0, min(replica.rests_until for replica in self.all) - now)

    def failed(self, replica: Replica, now: float, began: float = math.inf) -> None:
        """Let a server rest. What breaks at once, such as all requests of a server that dies, counts once.

        began: when the request began that failed.
        """
        if replica.rests_until > now or began <= replica.failed_at:
            return
        again, replica.failing, replica.failed_at = replica.failing, True, now
        if again or len(self.all) > 1:
            replica.rests_until = now + _REST_S

    @staticmethod
    def well(replica: Replica) -> None:
        """Take a server back: it answered."""
        replica.failing, replica.rests_until = False, 0.0
