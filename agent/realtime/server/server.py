"""`descant serve`: one port for websockets, the web page, health and figures; models warm before anybody is greeted."""

from __future__ import annotations

import asyncio
import http
import json
import logging
import secrets
import signal
import time
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.typing import Subprotocol

from agent.costs.meters import MachineMeters
from agent.errors import ServerUnavailable
from agent.realtime.adapter import RealtimeAdapter, ServerModels
from agent.realtime.protocol.fields import InvalidRequest
from agent.realtime.protocol.keeping import ConversationWriter
from agent.realtime.protocol.protocol import EXTENSIONS, Protocol
from agent.realtime.protocol.wire import error
from agent.realtime.server import pages
from agent.realtime.server.connection import ClientConnection
from agent.realtime.server.keys import Grant, Keys, is_loopback, may_call, offered_key
from agent.realtime.server.memory import Tidy
from agent.realtime.server.meters import Meters
from agent.realtime.server.resuming import Keeping, resumed
from agent.realtime.server.transport import HttpConnection, Lobby

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

    from websockets.datastructures import Headers
    from websockets.http11 import Request, Response

    from agent.realtime.server.options import ServerOptions
    from agent.realtime.server.resuming import Resumption
    from agent.realtime.server.store import PatientStore

_SUBPROTOCOL: Final = Subprotocol("realtime")
REALTIME: Final = "/v1/realtime"
_LOG: Final = logging.getLogger("descant.realtime")
_QUIET: Final = logging.getLogger("descant.websockets")
_AT_ONCE: Final = 32
"""Connections that are accepted in one turn of the event loop: some ms of work."""
_RETRY_S: Final = 1
"""Seconds after which it is worth asking a full server again: sessions end at any time."""
_CLEARED_S: Final = 5.0
"""Seconds that a client waits for the place of one that has left and is still being cleared away."""


class RealtimeServer:
    """All connections of one server."""

    def __init__(
        self,
        models: ServerModels,
        options: ServerOptions,
        keys: Keys,
        *,
        model: str,
        voice: str,
        store: PatientStore | None = None,
        most_kept: int = 2**19,
    ) -> None:
        """`store` keeps conversations, each in at most about so many characters."""
        self._models, self._options, self._keys = models, options, keys
        self._store, self._most_kept = store, most_kept
        self._model, self._voice = model, voice
        self._connections: dict[ClientConnection, RealtimeAdapter] = {}
        self.meters = Meters(lambda: len(self._connections), self._free)
        self.meters.watch_machine(MachineMeters())
        self.meters.watch_tokens(lambda: models.account.tokens)
        if models.robot is not None:
            self.meters.watch_robot(models.robot.refused)
        self._lobby, self._tidy = Lobby(options.connections_waiting), Tidy()
        self._left = asyncio.Event()
        """Set when a session is over, with all that was done for it."""
        self._draining = False
        self._coming = 0
        """Sessions that have a place, and wait for their conversation."""

    @asynccontextmanager
    async def listening(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
        """Serve while the context lasts; gives the port. Leaving it lets running replies end, then closes with 1012.

        Raises ServerUnavailable: the port cannot be had, or the address is not this machine's own and there is no key.
        """
        if self._keys.open and not is_loopback(host):
            raise ServerUnavailable(
                f"{host} can be reached by others: a server there needs a key; add --api-key-file FILE, "
                "or serve on 127.0.0.1"
            )
        options = self._options
        try:
            server = await serve(
                self._session,
                host,
                port,
                ssl=tls,
                process_request=self._request,
                select_subprotocol=lambda _, offers: _SUBPROTOCOL if _SUBPROTOCOL in offers else None,
                create_connection=cast(
                    "type[ServerConnection]", partial(HttpConnection, options=options, lobby=self._lobby)
                ),
                max_size=options.max_message_mb * 2**20,
                # How much may wait, and how long a client may be silent, is decided where its bytes are read.
                max_queue=None,
                ping_interval=None,
                backlog=_AT_ONCE,
                open_timeout=options.handshake_s,
                close_timeout=2,
                compression=None,
                server_header="descant",
                logger=_QUIET,
            )
        except OSError as problem:
            raise ServerUnavailable(f"{host}:{port} cannot be served ({problem.strerror or problem})") from None
        tidying = asyncio.create_task(self._tidy.run(), name="tidying")
        try:
            yield int(next(iter(server.sockets)).getsockname()[1])
        finally:
            tidying.cancel()
            await self._drain()
            server.close()
            await server.wait_closed()

    async def _drain(self) -> None:
        self._draining = True
        end = time.monotonic() + self._options.drain_s
        while any(adapter.busy for adapter in self._connections.values()) and time.monotonic() < end:  # noqa: ASYNC110 - once in a server's life
            await asyncio.sleep(0.05)
        for connection in list(self._connections):
            connection.drain()
        while self._connections and time.monotonic() < end + 5:  # noqa: ASYNC110 - the same
            await asyncio.sleep(0.01)

    # --- the handshake, and all other requests ---

    async def _request(self, socket: ServerConnection, request: Request) -> Response | None:
        """Answer a request; None lets a websocket in. What cannot be read as a request is one, with a 400."""
        assert isinstance(socket, HttpConnection)  # noqa: S101 - that is what `listening` has them made of
        try:
            answer = await self._answered(socket, request)
        except (ValueError, LookupError, OSError) as unread:
            # Addresses, headers and names of files as nobody means them, read by three libraries.
            _LOG.warning("a request was refused that cannot be read (%s)", type(unread).__name__)
            return self._refuse(http.HTTPStatus.BAD_REQUEST, "bad_request", "The request cannot be read.")
        if answer is not None and request.method == "HEAD":
            answer.body = b""
        return answer

    async def _answered(self, socket: HttpConnection, request: Request) -> Response | None:
        path = urlsplit(request.path).path
        host = _one(request.headers, "Host") or ""
        if not may_call(_one(request.headers, "Origin"), host, self._options.origins, needs_key=not self._keys.open):
            return self._refuse(http.HTTPStatus.FORBIDDEN, "origin_not_allowed", "This origin may not use the server.")
        if path == "/healthz":
            return pages.answer(http.HTTPStatus.OK, "alive\n")
        if path == "/readyz":
            return self._readiness()
        needs_grant = path in (REALTIME, "/metrics", f"{REALTIME}/client_secrets")
        grant = self._keys.grant(offered_key(request.headers), time.time()) if needs_grant else Grant()
        if grant is None:
            return self._refuse(http.HTTPStatus.UNAUTHORIZED, "invalid_api_key", "Incorrect API key provided.")
        return await self._granted(socket, request, path, grant)

    def _readiness(self) -> Response:
        if self._draining:
            return pages.answer(http.HTTPStatus.SERVICE_UNAVAILABLE, "draining\n")
        if self._full:
            return pages.answer(http.HTTPStatus.SERVICE_UNAVAILABLE, "full\n", retry_after_s=_RETRY_S)
        return pages.answer(http.HTTPStatus.OK, "ready\n")

    async def _granted(self, socket: HttpConnection, request: Request, path: str, grant: Grant) -> Response | None:
        if path == REALTIME:
            return self._upgrade(socket, request, grant)
        if path == f"{REALTIME}/client_secrets":
            if request.method != "POST":
                return self._refuse(http.HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", "Use POST.")
            if grant.ephemeral:
                return self._refuse(
                    http.HTTPStatus.FORBIDDEN, "insufficient_permissions", "A client secret cannot make another one."
                )
            return await pages.client_secret(socket.body, self._keys, self._options.secret_s, self._checked_session)
        if request.method not in ("GET", "HEAD"):
            return self._refuse(http.HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", "Use GET.")
        return pages.figures(self.meters) if path == "/metrics" else pages.page(path)

    def _upgrade(self, socket: HttpConnection, request: Request, grant: Grant) -> Response | None:
        headers = request.headers
        if (_one(headers, "Upgrade") or "").lower() != "websocket":
            return self._refuse(http.HTTPStatus.UPGRADE_REQUIRED, "upgrade_required", "Open this with a websocket.")
        offers = ",".join(headers.get_all("Sec-WebSocket-Protocol"))
        if "realtime=v1" in ",".join(headers.get_all("OpenAI-Beta")) or "openai-beta.realtime-v1" in offers:
            return self._refuse(
                http.HTTPStatus.BAD_REQUEST,
                "beta_not_supported",
                "This server speaks the GA protocol: send no OpenAI-Beta header, and use a client of 2025 or later.",
            )
        query = parse_qs(urlsplit(request.path).query)
        if "transcription" in query.get("intent", ()):
            return self._refuse(http.HTTPStatus.BAD_REQUEST, "intent_not_supported", "Only realtime sessions.")
        if self._options.busy_status and (self._draining or (self._full and not self._clearing)):
            self.meters.refused.labels("session_limit_reached").inc()
            return pages.problem(
                http.HTTPStatus.SERVICE_UNAVAILABLE, "session_limit_reached", self._no_place, retry_after_s=_RETRY_S
            )
        socket.grant = grant
        return None

    def _refuse(self, status: http.HTTPStatus, code: str, message: str) -> Response:
        self.meters.refused.labels(code).inc()
        return pages.problem(status, code, message)

    # --- sessions ---

    async def _session(self, socket: ServerConnection) -> None:
        assert isinstance(socket, HttpConnection)  # noqa: S101 - as above
        assert socket.request is not None  # noqa: S101 - there was a handshake
        query = parse_qs(urlsplit(socket.request.path).query)
        asked = frozenset(name for value in query.get("extensions", ()) for name in value.split(","))
        session = socket.grant.session
        try:
            await self._models.ahead.check_tools(session)
            await self._place(socket)
            self._coming += 1
            try:
                came = await self._resumed(query.get("conversation", [""])[0])
            finally:
                self._coming -= 1
            protocol = self._protocol(query.get("model", [""])[0], asked & EXTENSIONS, session, came)
        except InvalidRequest as refused:
            self.meters.refused.labels(refused.code).inc()
            socket.finish()
            with suppress(ConnectionClosed):
                await socket.send(_text(error(refused).event))
            unknown = refused.code == "conversation_not_found"
            await socket.close(
                CloseCode.POLICY_VIOLATION if unknown else CloseCode.TRY_AGAIN_LATER,
                "there is no such conversation" if unknown else "all sessions are in use",
            )
            return
        keeping = self._keeping(protocol, came)
        connection = ClientConnection(socket, self._options, self.meters, keeping)
        adapter = RealtimeAdapter(self._models, protocol, connection.send, time.monotonic)
        self._connections[connection] = adapter
        self.meters.opened.inc()
        socket.begin()
        try:
            await connection.serve(adapter)
        finally:
            del self._connections[connection]
            self._left.set()
            self._tidy.soon()

    async def _place(self, socket: HttpConnection) -> None:
        """Wait while the only places are those of sessions that are being cleared away. Raises Refused."""
        try:
            async with asyncio.timeout(_CLEARED_S):
                while self._full and self._clearing:
                    self._left.clear()
                    await self._left.wait()
        except TimeoutError:
            pass
        if socket.gone.is_set() or self._full or self._draining:
            raise InvalidRequest(self._no_place, code="session_limit_reached")

    @property
    def _no_place(self) -> str:
        return f"All {self._options.max_sessions} sessions of this server are in use; try again later."

    @property
    def _full(self) -> bool:
        return self._free() == 0

    def _free(self) -> int:
        return max(0, self._options.max_sessions - len(self._connections) - self._coming)

    @property
    def _clearing(self) -> bool:
        """Whether some session is on its way out."""
        return any(connection.ending for connection in self._connections)

    async def _resumed(self, wanted: str) -> Resumption:
        """Get the conversation that a client wants to go on with. Raises Refused."""
        try:
            came = await resumed(self._store, wanted, self._keys, _new_id, time.time())
        except InvalidRequest as refused:
            self.meters.resumed.labels(refused.code).inc()
            raise
        if wanted:
            self.meters.resumed.labels("resumed" if came.problem is None else came.problem.code).inc()
        return came

    def _keeping(self, protocol: Protocol, came: Resumption) -> Keeping | None:
        if self._store is None:
            return None
        writer = ConversationWriter(self._most_kept)
        return Keeping(self._store, came.held, lambda: writer.draft(protocol.keep(time.monotonic()), time.time()))

    def _protocol(
        self,
        model: str,
        extensions: frozenset[str],
        session: Any,  # noqa: ANN401 - JSON
        came: Resumption | None = None,
    ) -> Protocol:
        protocol = Protocol(
            # A client's name for the model is echoed: it may be one that only the client's framework knows.
            model=model[:128] or self._model,
            voice=self._voice,
            new_id=_new_id,
            expires_at=int(time.time() + self._options.session_s),
            extensions=extensions,
            session=session,
            check_voice=(lambda _: None) if self._models.voices is None else self._models.voices.check,
            conversation_id=None if came is None else came.held.conversation_id,
            unresumed=None if came is None else came.problem,
        )
        if came is not None and came.kept is not None:
            protocol.go_on(came.kept, time.monotonic())
        return protocol

    async def _checked_session(self, session: Any) -> Protocol:  # noqa: ANN401 - JSON
        await self._models.ahead.check_tools(session)
        model = session.get("model")
        return self._protocol(model if isinstance(model, str) else "", frozenset(), session)


def _new_id(kind: str) -> str:
    return f"{kind}_{secrets.token_hex(10)}"


def _one(headers: Headers, name: str) -> str | None:
    values = headers.get_all(name)
    # Two origins are none that could be trusted.
    return None if not values else values[0] if len(values) == 1 else "null"


def _text(event: Any) -> str:  # noqa: ANN401 - JSON
    return json.dumps({"event_id": "event_1", **event})


async def until_stopped() -> None:
    """Wait for SIGTERM or SIGINT."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()
