"""One websocket: its events in and out, with a bound on everything, so that no client can disturb another.

A client that sends too fast is read more slowly (`transport`), one that reads too slowly is dropped (1013), one that
sends nothing but nonsense is dropped (1008). What breaks while an event is carried out is an `error`, and the session
lives on; the work for a client that has gone ends at once. Knows sockets and clocks; what events mean is the
protocol's business.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

from agent.realtime.protocol.fields import InvalidRequest
from agent.realtime.protocol.wire import error, own_id
from agent.realtime.server.limits import Bucket
from agent.realtime.server.resuming import TakenOver
from agent.realtime.server.store import StoreUnavailable
from descant.sound_json import sound_json

if TYPE_CHECKING:
    from agent.realtime.adapter import RealtimeAdapter
    from agent.realtime.server.meters import Meters
    from agent.realtime.server.options import ServerOptions
    from agent.realtime.server.resuming import Keeping
    from agent.realtime.server.transport import HttpConnection

_LOG: Final = logging.getLogger("descant.realtime")
_MOST_VALUES: Final = 100_000
"""Lists, objects and their parts in one message: sound and text are long, and have few."""
_DEEPEST: Final = 64
"""Lists and objects inside one another in one message; the deepest that is of use is a function's schema, of 32."""
_LOOKED_AT: Final = 2**16
"""Characters of a message that are counted at a time."""
_LOOKS: Final = 20
"""Times in the span of a ping that it is looked whether the client is there."""


class _Over(Exception):
    """The connection is to be closed."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class ClientConnection:
    """Give `send` to a adapter, then `serve` it; `drain` ends it in good order."""

    def __init__(
        self, socket: HttpConnection, options: ServerOptions, meters: Meters, keeping: Keeping | None = None
    ) -> None:
        """Make it; `keeping` has the conversation kept as it changes."""
        self._keeping = keeping
        self._socket, self._options, self._meters = socket, options, meters
        self._outbox: deque[str] = deque()
        self._waiting = 0
        self._wake = asyncio.Event()
        self._over: asyncio.Future[_Over] = asyncio.get_running_loop().create_future()
        now_s = time.monotonic()
        self._patience = Bucket(1.0, options.mistakes, now_s)
        self._number = 0
        self._created_s: dict[str, float] = {}
        self._heard_of_s = now_s

    def send(self, event: Mapping[str, Any]) -> None:
        """Put a server event into the outbox; it never waits."""
        self._number += 1
        self._meter(event)
        if self._keeping is not None:
            # Whatever changes in a conversation, the client is told of.
            self._keeping.changed(at_once=not event["type"].endswith(".delta"))
        text = json.dumps({"event_id": f"event_{self._number}", **event})
        self._outbox.append(text)
        self._waiting += len(text)
        if self._waiting > self._options.outbox_mb * 2**20:
            self._end(CloseCode.TRY_AGAIN_LATER, "the client reads too slowly")
        self._wake.set()

    async def serve(self, adapter: RealtimeAdapter) -> None:
        """Pass events to and fro until either side has enough, then close; gives back when nothing of it is left."""
        ready = asyncio.Event()
        writer = asyncio.create_task(self._guarded(self._write()), name="socket writer")
        tasks = [
            asyncio.create_task(self._guarded(adapter.run(ready)), name="adapter"),
            asyncio.create_task(self._guarded(self._read(adapter, ready)), name="socket reader"),
            asyncio.create_task(self._guarded(self._watch(adapter)), name="limits"),
            asyncio.create_task(self._guarded(self._until_gone()), name="socket end"),
            asyncio.create_task(self._guarded(self._keep_alive()), name="socket life"),
        ]
        if self._keeping is not None:
            tasks.append(asyncio.create_task(self._guarded(self._keeping.run()), name="keeping"))
        try:
            over = await self._over
            # Nothing is done any more for a session that is over; what it was told before still goes out.
            for task in tasks:
                task.cancel()
            self._socket.finish()
            if self._keeping is not None:
                # Before the client is told, since it may go on elsewhere at once.
                with suppress(StoreUnavailable, TakenOver):
                    await self._keeping.last()
            await self._close(over)
        finally:
            for task in (*tasks, writer):
                task.cancel()
            await asyncio.wait((*tasks, writer))

    @property
    def ending(self) -> bool:
        """Whether it is over, though its parts may still be on their way out."""
        return self._over.done() or self._socket.gone.is_set()

    def drain(self) -> None:
        """End it because the server stops."""
        self._end(CloseCode.SERVICE_RESTART, "the server restarts")

    def _end(self, code: int, reason: str) -> None:
        if not self._over.done():
            self._over.set_result(_Over(code, reason))

    async def _guarded(self, work: Any) -> None:  # noqa: ANN401 - any coroutine
        """Let whatever ends a part end the connection, and nothing else."""
        try:
            await work
        except ConnectionClosed:
            self._end(0, "the client has gone")
        except _Over as over:
            self._end(over.code, over.reason)
        except TakenOver:
            self._say_over("conversation_taken_over", "The conversation goes on in another session.")
            # A client that connects again by itself after other codes would take it back.
            self._end(CloseCode.NORMAL_CLOSURE, "the conversation goes on in another session")
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as fault:  # noqa: BLE001 - libraries in Rust panic with what is no Exception
            # One session's fault must never be another's.
            self.send(error(_broken(fault, "a session failed", "The session failed"), kind="server_error").event)
            self._end(CloseCode.INTERNAL_ERROR, "the session failed")

    async def _write(self) -> None:
        while True:
            while self._outbox:
                text = self._outbox[0]
                try:
                    async with asyncio.timeout(self._options.send_timeout_s):
                        await self._socket.send(text)
                except TimeoutError:
                    raise _Over(CloseCode.TRY_AGAIN_LATER, "the client reads too slowly") from None
                self._outbox.popleft()
                self._waiting -= len(text)
            self._wake.clear()
            await self._wake.wait()

    async def _read(self, adapter: RealtimeAdapter, ready: asyncio.Event) -> None:
        await ready.wait()
        while True:
            message = await self._socket.next_message()
            self._heard_of_s = time.monotonic()
            self._meters.events.inc()
            await self._carry_out(adapter, message)

    async def _carry_out(self, adapter: RealtimeAdapter, message: str | bytes) -> None:
        """Have an event carried out; whatever breaks on the way, in whichever part, is one `error` and no more."""
        event: object = None
        try:
            event = parsed(message)
            await adapter.receive(event)
        except InvalidRequest as refused:
            self.send(error(refused, own_id(event)).event)
        except (ConnectionClosed, asyncio.CancelledError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as fault:  # noqa: BLE001 - libraries in Rust panic with what is no Exception
            broken = _broken(fault, "an event could not be carried out", "The event could not be carried out")
            self.send(error(broken, own_id(event), kind="server_error").event)

    async def _until_gone(self) -> None:
        await self._socket.gone.wait()
        raise _Over(0, "the client has gone")

    async def _keep_alive(self) -> None:
        """Ask a silent client for a sign of life, and end the session of one that gives none.

        While reading waits for work, nothing is heard of a client, however alive: then the socket tells who hung up.
        """
        every_s = self._options.keepalive_s
        asked_s = time.monotonic()
        while True:
            await asyncio.sleep(every_s / _LOOKS)
            socket, now_s = self._socket, time.monotonic()
            if socket.waiting and socket.deserted:
                raise _Over(0, "the client has gone")
            if not socket.waiting and socket.silent_s >= 2 * every_s:
                raise _Over(CloseCode.INTERNAL_ERROR, "keepalive ping timeout")
            if now_s - asked_s >= (every_s / 4 if socket.waiting else every_s):
                asked_s = now_s
                socket.ask_for_life()

    async def _watch(self, adapter: RealtimeAdapter) -> None:
        """End sessions that are idle or old."""
        began = time.monotonic()
        while True:
            now = time.monotonic()
            idle_at = (now if adapter.busy else self._heard_of_s) + self._options.idle_s
            over_at = began + self._options.session_s
            if now >= over_at:
                self._say_over("session_expired", "The session has reached its longest time.")
                raise _Over(CloseCode.GOING_AWAY, "the session has reached its longest time")
            if now >= idle_at:
                self._say_over("session_idle", "The session was idle for too long.")
                raise _Over(CloseCode.NORMAL_CLOSURE, "idle")
            await asyncio.sleep(min(idle_at, over_at) - now)

    def _say_over(self, code: str, message: str) -> None:
        self.send(error(InvalidRequest(message, code=code)).event)

    async def _close(self, over: _Over) -> None:
        """Send what little is left to say, then close; a client that does not read cannot hold that up."""
        if over.code in (CloseCode.TRY_AGAIN_LATER, 0):
            self._outbox.clear()
        try:
            async with asyncio.timeout(2):
                while self._outbox:
                    self._wake.set()
                    await asyncio.sleep(0.01)
        except TimeoutError:
            self._outbox.clear()
        code = over.code or CloseCode.NORMAL_CLOSURE
        self._meters.closed.labels(str(self._socket.close_code or int(code))).inc()
        await self._socket.close(code, over.reason)

    def _meter(self, event: Mapping[str, Any]) -> None:
        match event["type"]:
            case "error":
                self._meters.mistakes.labels(event["error"]["code"]).inc()
                if self._patience.take(time.monotonic()):
                    self._end(CloseCode.POLICY_VIOLATION, "too many events that cannot be carried out")
            case "response.created":
                self._created_s[event["response"]["id"]] = time.monotonic()
            case "response.output_audio.delta":
                if began := self._created_s.pop(event["response_id"], None):
                    self._meters.first_audio.observe(time.monotonic() - began)
            case "response.done":
                self._created_s.pop(event["response"]["id"], None)
                self._meters.responses.labels(event["response"]["status"]).inc()


def parsed(message: str | bytes) -> object:
    """Read one message as JSON. Raises Refused."""
    if isinstance(message, bytes):
        raise InvalidRequest("Binary messages are not part of the protocol; send JSON as text.", code="invalid_event")
    values = 0
    for start in range(0, len(message), _LOOKED_AT):
        piece = message[start : start + _LOOKED_AT]
        values += piece.count(",") + piece.count("[") + piece.count("{")
        if values > _MOST_VALUES:
            raise InvalidRequest(
                f"The message has more than {_MOST_VALUES} parts, counted by its commas and brackets.",
                code="message_too_large",
            )
    try:
        value = sound_json(message)
    except ValueError as problem:
        where = problem.msg if isinstance(problem, json.JSONDecodeError) else type(problem).__name__
        raise InvalidRequest(f"The message is not valid JSON ({where}).", code="invalid_json") from None
    if _too_deep(value):
        raise InvalidRequest(
            f"The message has more than {_DEEPEST} lists and objects inside one another.", code="message_too_large"
        )
    return value


def _too_deep(value: object) -> bool:
    layer = [value]
    for _ in range(_DEEPEST):
        layer = [part for one in layer for part in _parts(one)]
        if not layer:
            return False
    return True


def _parts(value: object) -> Iterable[object]:
    match value:
        case dict():
            return (part for part in value.values() if isinstance(part, dict | list))
        case list():
            return (part for part in value if isinstance(part, dict | list))
    return ()


def _broken(fault: BaseException, logged: str, told: str) -> InvalidRequest:
    """Log where something broke, and give what a client may know of it: no traceback, nothing of what was said."""
    _LOG.error(logged, exc_info=fault)
    return InvalidRequest(f"{told}: {type(fault).__name__}.", code="internal_error")
