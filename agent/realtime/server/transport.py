"""The bytes of one connection: read no faster than they can be worked on, whatever they are.

websockets parses at once all that a socket brings, and answers each ping of it. Here it gets bytes in slices, one in a
turn of the event loop, and every frame, ping or event, takes from one bucket: who sends more is read more slowly. What
waits to be worked on is bounded in bytes. It reads no request bodies either: the body of a POST is taken off before.
"""

from __future__ import annotations

import asyncio
import select
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import HeaderLineTooLong, RequestLineTooLong, TooManyHeaders
from websockets.frames import DATA_OPCODES, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.streams import StreamReader

from agent.realtime.server.keys import Grant
from agent.realtime.server.limits import Bucket

if TYPE_CHECKING:
    from websockets.protocol import Event

    from agent.realtime.server.options import ServerOptions

_LARGEST_HEAD: Final = 65_536
_LARGEST_BODY: Final = 65_536
_SLICE: Final = 8192
"""Bytes that are parsed in one turn of the event loop: of the smallest frames, some ms."""
_MOST_MESSAGES: Final = 64
_MOST_BYTES: Final = 2**20
"""Messages, and bytes of them, that may wait to be worked on; then no more is read."""
_MOST_UNREAD: Final = 2 * 2**20
"""Bytes that may wait for the client in the socket, which are answers to pings where they are more than one event."""
_REFUSED: Final = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 28\r\n"
    b"Connection: close\r\n\r\nThe request cannot be read.\n"
)
_HANGUP: Final = getattr(select, "POLLRDHUP", 0)


class Lobby:
    """Connections that are no sessions: at most so many, of more the oldest is cut."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: dict[HttpConnection, None] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def enter(self, connection: HttpConnection) -> None:
        """Take a connection in. Whoever means to say something has said it before as many others have come."""
        while len(self._waiting) >= self._most:
            oldest = next(iter(self._waiting))
            self.leave(oldest)
            oldest.transport.abort()
        self._waiting[connection] = None

    def leave(self, connection: HttpConnection) -> None:
        """Let it go: it is a session now, or over."""
        self._waiting.pop(connection, None)


def _readable(head: bytes) -> bool:
    """Say whether the parser makes a request of this, or an answer: where it cannot read, it says nothing at all."""
    reader = StreamReader()
    reader.feed_data(head + b"\r\n\r\n")
    reader.feed_eof()
    try:
        deque(Request.parse(reader.read_line), maxlen=0)
    except (RequestLineTooLong, HeaderLineTooLong, TooManyHeaders):
        return True
    except (ValueError, EOFError, NotImplementedError, AssertionError):
        return False
    return True


class HttpConnection(ServerConnection):
    """One connection. After the handshake, `begin`; then `next_message`, until `finish`."""

    def __init__(self, *args: Any, options: ServerOptions, lobby: Lobby, **kwargs: Any) -> None:  # noqa: ANN401 - the library's
        super().__init__(*args, **kwargs)
        self._lobby = lobby
        self.body = b""
        """Of a POST."""
        self.grant = Grant()
        """What its key allows."""
        self.gone = asyncio.Event()
        """The client has closed the connection, as far as it was read."""
        self._heard_s = self.loop.time()
        """When the newest byte came, or reading went on."""
        self._backlog = bytearray()
        """Bytes that are not parsed yet."""
        self._requested = False
        """Whether the request was passed on."""
        self._searched = 0
        """Bytes of it that hold no end."""
        self._next: asyncio.TimerHandle | None = None
        self._begun = self._finished = False
        self._speed = Bucket(options.events_per_s, options.burst, self.loop.time())
        self._frames = 0
        """That came in this slice."""
        self._size = 0
        """Bytes so far of the message that is coming."""
        self._sizes: deque[int] = deque()
        """Bytes of the messages that nobody has taken."""

    # --- for whoever works on the messages ---

    def begin(self) -> None:
        """Let messages in: there is somebody for them."""
        self._begun = True
        self._lobby.leave(self)
        self._go_on()

    async def next_message(self) -> str | bytes:
        """Take the next message. Raises ConnectionClosed."""
        message = await self.recv()
        self._sizes.popleft()
        self._go_on()
        return message

    def finish(self) -> None:
        """Take no message any more, so that what still comes cannot hold up the close."""
        self._finished = True
        self._go_on()

    @property
    def waiting(self) -> bool:
        """Whether reading waits for work that is to be done first, so that nothing is heard of the client."""
        return self._requested and (bool(self._backlog) or self._next is not None)

    @property
    def deserted(self) -> bool:
        """Whether the other side has hung up, read or not."""
        socket = self.transport.get_extra_info("socket")
        if socket is None or socket.fileno() < 0:
            return True
        if not hasattr(select, "poll"):
            return False
        look = select.poll()
        look.register(socket.fileno(), _HANGUP)
        return bool(look.poll(0))

    @property
    def silent_s(self) -> float:
        """Seconds since something came, or reading went on."""
        return self.loop.time() - self._heard_s

    def ask_for_life(self) -> None:
        """Send a ping, unless there is too much already that was not read; a machine whose client has gone resets."""
        if self.state is State.OPEN and not self.paused:
            self.protocol.send_ping(b"")
            self.send_data()

    # --- what asyncio tells ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait in the lobby until it is known what this is."""
        super().connection_made(transport)
        self._lobby.enter(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what was not parsed."""
        self._drop()
        self._lobby.leave(self)
        self.gone.set()
        super().connection_lost(exc)

    def eof_received(self) -> None:
        """Forget what was not parsed."""
        self._drop()
        super().eof_received()

    def data_received(self, data: bytes) -> None:
        """Take bytes: of the request until all of it is there, then of frames."""
        self._heard_s = self.loop.time()
        self._backlog += data
        if not self._requested:
            self._take_request()
        elif self._next is None:
            self._parse()

    def _take_request(self) -> None:
        """Pass the request on once all of it is there, without its body; what follows waits for `begin`."""
        end = self._backlog.find(b"\r\n\r\n", self._searched)
        if end < 0:
            self._searched = max(0, len(self._backlog) - 3)
            if len(self._backlog) > _LARGEST_HEAD:
                self.transport.abort()
            return
        head, rest = bytes(self._backlog[:end]), self._backlog[end + 4 :]
        lines = head.split(b"\r\n")
        lengths = [line.split(b":", 1)[1].strip() for line in lines if line.lower().startswith(b"content-length:")]
        length = int(lengths[0]) if len(lengths) == 1 and lengths[0].isdigit() and len(lengths[0]) < 9 else -1
        if head.startswith(b"POST ") and lengths:
            if not 0 <= length <= _LARGEST_BODY:
                self._refuse()
                return
            # The parser refuses a request that has a body.
            if len(rest) < length:
                return
            self.body, rest = bytes(rest[:length]), rest[length:]
            head = b"\r\n".join(line for line in lines if not line.lower().startswith(b"content-length:"))
        if not _readable(head):
            self._refuse()
            return
        self._requested, self._backlog = True, rest
        super().data_received(head + b"\r\n\r\n")
        self._go_on()

    def _refuse(self) -> None:
        """Answer what is no request that could be passed on."""
        self._backlog.clear()
        self.transport.write(_REFUSED)
        self.transport.close()

    # --- slices ---

    @property
    def _held(self) -> bool:
        """Whether bytes must wait for somebody to work on what is there."""
        if self._finished or self.state in {State.CLOSING, State.CLOSED}:
            return False
        return not self._begun or len(self._sizes) >= _MOST_MESSAGES or sum(self._sizes) >= _MOST_BYTES

    def _go_on(self, delay_s: float = 0.0) -> None:
        """Parse the next slice when there is time for it, and read only when nothing is left to be parsed."""
        if self.transport.is_closing():
            self._drop()
            return
        if self._next is None and (delay_s or (self._backlog and not self._held)):
            self._next = self.loop.call_later(delay_s, self._parse)
        if self.waiting:
            self.transport.pause_reading()
        elif not self.transport.is_reading():
            self._heard_s = self.loop.time()
            self.transport.resume_reading()

    def _parse(self) -> None:
        self._next = None
        self._frames = 0
        delay_s = 0.0
        if self._backlog and not self._held and not self.transport.is_closing():
            piece = bytes(self._backlog[:_SLICE])
            del self._backlog[:_SLICE]
            super().data_received(piece)
            if self._frames:
                delay_s = self._speed.take(self.loop.time(), self._frames)
            if self.transport.get_write_buffer_size() > _MOST_UNREAD:
                self.transport.abort()
        self._go_on(0.0 if self._finished else delay_s)

    def _drop(self) -> None:
        self._backlog.clear()
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def process_event(self, event: Event) -> None:
        """Count frames; keep none that nobody will take."""
        if isinstance(event, Frame):
            self._frames += 1
            if event.opcode is Opcode.CLOSE:
                self.gone.set()
            if event.opcode in DATA_OPCODES:
                if self._finished:
                    return
                self._size += len(event.data)
                if event.fin:
                    self._sizes.append(self._size)
                    self._size = 0
        super().process_event(event)

    def send_data(self) -> None:
        """Write all that is to be sent as one, and nothing to a connection that is lost."""
        pieces = self.protocol.data_to_send()
        if self.transport.is_closing():
            return
        if whole := b"".join(pieces):
            self.transport.write(whole)
        if b"" in pieces:
            # That is how the parser says that nothing follows.
            if self.transport.can_write_eof():
                self.transport.write_eof()
            else:
                self.transport.close()
