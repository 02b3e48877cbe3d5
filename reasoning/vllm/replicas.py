"""Which of several servers a conversation is put to: sans-I/O, with the time and the chance given from outside.

A conversation stays where it is, since its cache lies there; a new one goes where the fewest are. A server that failed
rests, longer each time, with some jitter so that a crowd does not come back at once; a health check that finds it well
ends its rest. While all rest, nobody is asked. A single address is asked again at once when it fails for the first
time: it may be that of a router, behind which another server is well.
"""

from __future__ import annotations

import math
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_REST_S: Final = 0.25
"""The first rest after a failure; it doubles with each further one."""
_LONGEST_REST_S: Final = 5.0


@dataclass(eq=False, slots=True)
class Replica:
    """One server."""

    url: str
    conversations: int = 0
    running: int = 0
    """Requests that it is answering."""
    failures: int = 0
    """In a row."""
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

    def __init__(self, urls: Sequence[str], random: Callable[[], float]) -> None:
        """`random`: numbers from 0 to 1, for jitter."""
        self.all = [Replica(url) for url in urls]
        self._random = random

    def place(self, home: Home, now: float) -> Replica | None:
        """Give the conversation's server, or move it where that one rests; None while all rest."""
        awake = [replica for replica in self.all if replica.rests_until <= now]
        if home.replica in awake:
            return home.replica
        if not awake:
            return None
        self.leave(home)
        home.replica = min(awake, key=lambda replica: (replica.conversations, replica.running))
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
        replica.failures += 1
        replica.failed_at = now
        alone = len(self.all) == 1
        if alone and replica.failures == 1:
            return
        rest = min(_LONGEST_REST_S, _REST_S * 2 ** (replica.failures - 1 - alone))
        replica.rests_until = now + rest * (0.5 + self._random())

    @staticmethod
    def well(replica: Replica) -> None:
        """Take a server back: it answered."""
        replica.failures, replica.rests_until = 0, 0.0
