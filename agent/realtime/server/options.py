"""What whoever runs a server may want to tune, with units and reasons. Holds no behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from descant.ranges import Range


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """The realtime server: how much one client, and all of them together, may ask for."""

    max_sessions: Annotated[int, Range(1, 10000, "a server without clients is none, and no machine answers more")] = 8
    """Clients at once. `descant bench server` says how many a machine can answer in time."""
    max_message_mb: Annotated[
        int,
        Range(1, 1024, "sound does not fit into less, and each client may make the server hold so much"),
    ] = 16
    """Megabytes of one message: 15 MiB of sound, as the protocol allows, and what is around it."""
    outbox_mb: Annotated[
        int,
        Range(1, 1024, "a reply does not fit into less, and each client may make the server hold so much"),
    ] = 8
    """Megabytes that may wait for a client that reads slowly; then it is dropped. Two minutes of speech."""
    send_timeout_s: Annotated[float, Range(0.1, 3600.0, "a network takes time, and after an hour nobody reads")] = 20.0
    """Seconds that one message may take to be read; then the client is dropped."""
    events_per_s: Annotated[float, Range(1.0, 1000000.0, "sound alone makes 50, and the server has to keep up")] = 400.0
    """Client events and pings a second; who sends more is read more slowly. Sound in frames of 20 ms makes 50."""
    burst: Annotated[int, Range(1, 10000000, "one event must come in, and the server has to keep up")] = 4000
    """Client events and pings that may come at once before that holds."""
    mistakes: Annotated[int, Range(1, 1000000, "everybody makes one, and refusing costs time, too")] = 300
    """Events in a row that may be refused (one a second is forgiven); then the client is dropped."""
    idle_s: Annotated[float, Range(1.0, 604800.0, "in less nobody begins to speak, and a week is never")] = 900.0
    """Seconds without an event of the client until its session ends."""
    session_s: Annotated[float, Range(1.0, 604800.0, "in less nothing is said, and a week is never")] = 3600.0
    """Seconds that a session may last. The protocol has an hour."""
    busy_status: bool = False
    """Refuse a session that has no place by the status 503 in place of an event: a balancer then tries elsewhere."""
    drain_s: Annotated[float, Range(0.0, 3600.0, "whoever stops a server does not wait for an hour")] = 10.0
    """Seconds that running replies are given to end when the server stops."""
    handshake_s: Annotated[float, Range(0.1, 3600.0, "a request takes time, and silent connections must end")] = 10.0
    """Seconds in which a client must have sent its request."""
    keepalive_s: Annotated[float, Range(1.0, 3600.0, "a pong takes time, and who has gone must be noticed")] = 20.0
    """Seconds between pings; a client that is read and sends nothing for twice as long, no pong either, is dropped."""
    connections_waiting: Annotated[int, Range(1, 100000, "a session begins as one, and each takes a file")] = 64
    """Connections beyond the sessions that may be open at once, for pages and refusals; of more the oldest is cut."""
    secret_s: Annotated[int, Range(10, 7200, "the protocol allows no other")] = 600
    """Seconds that a browser key is valid when its maker does not say."""
    secrets: Annotated[int, Range(1, 1000000, "without one no browser gets in, and each takes memory")] = 1000
    """Browser keys that may be valid at once."""
    origins: tuple[str, ...] = ()
    """Web origins besides the server's own that may open a session, as in `https://example.org`."""


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """Where conversations are kept, so that a client can go on with one: here again, or at another server."""

    url: str = ""
    """`redis://HOST:6379/0` (Redis or Valkey; `rediss://` is TLS), with `pip install 'descant[store]'`; `memory:` is
    this process alone; empty: nowhere."""
    password_file: Path | None = None
    """File whose first line is the store's password."""
    keep_s: Annotated[
        int, Range(10, 2592000, "in less nobody comes back, and a month is long for what people said")
    ] = 3600
    """Seconds that a conversation is kept after its last change, or the end of its session."""
    timeout_s: Annotated[float, Range(0.05, 10.0, "an answer takes time, and a client waits for it to begin")] = 1.0
    """Seconds that the store may take for an answer; then the conversation goes on without it."""
    most_kb: Annotated[int, Range(16, 16384, "a conversation does not fit into less, and each takes so much")] = 512
    """Kilobytes of one conversation; of more, the oldest items are not kept. A third of `server.outbox_mb` at most,
    since a client that comes back is told each item twice."""
