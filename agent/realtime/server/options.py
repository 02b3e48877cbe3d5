"""What whoever runs a server may want to tune, with units and reasons. Holds no behaviour."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """The realtime server: how much one client, and all of them together, may ask for."""

    max_sessions: int = 8
    """Clients at once. `descant bench server` says how many a machine can answer in time."""
    max_message_mb: int = 16
    """Megabytes of one message: 15 MiB of sound, as the protocol allows, and what is around it."""
    outbox_mb: int = 8
    """Megabytes that may wait for a client that reads slowly; then it is dropped. Two minutes of speech."""
    send_timeout_s: float = 20.0
    """Seconds that one message may take to be read; then the client is dropped."""
    events_per_s: float = 400.0
    """Client events and pings a second; who sends more is read more slowly. Sound in frames of 20 ms makes 50."""
    burst: int = 4000
    """Client events and pings that may come at once before that holds."""
    mistakes: int = 300
    """Events in a row that may be refused (one a second is forgiven); then the client is dropped."""
    idle_s: float = 900.0
    """Seconds without an event of the client until its session ends."""
    session_s: float = 3600.0
    """Seconds that a session may last. The protocol has an hour."""
    drain_s: float = 10.0
    """Seconds that running replies are given to end when the server stops."""
    handshake_s: float = 10.0
    """Seconds in which a client must have sent its request."""
    keepalive_s: float = 20.0
    """Seconds between pings; a client that is read and sends nothing for twice as long, no pong either, is dropped."""
    connections_waiting: int = 64
    """Connections beyond the sessions that may be open at once, for pages and refusals; of more the oldest is cut."""
    secret_s: int = 600
    """Seconds that a browser key is valid when its maker does not say."""
    secrets: int = 1000
    """Browser keys that may be valid at once."""
    origins: tuple[str, ...] = ()
    """Web origins besides the server's own that may open a session, as in `https://example.org`."""
