"""A server with a script instead of an agent: it serves the page, takes what it sends, and sends what a test says.

The test is the agent: `await peer.expect("response.create")`, then `await peer.send("response.created", …)`.
"""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import asynccontextmanager
from http import HTTPStatus
from itertools import count
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import numpy as np
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from agent.realtime.server import pages
from agent.realtime.server.keys import offered_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from websockets.asyncio.server import ServerConnection
    from websockets.http11 import Request, Response
    from websockets.typing import Subprotocol

    from audio.clock import Pcm

RATE: Final = 24_000
_REALTIME: Final = "/v1/realtime"
_BROWSER_KEY: Final = "ek_1"
_SECRETS: Final = "/v1/realtime/client_secrets"
_WAIT_S: Final = 20.0


class Peer:
    """One page at a time."""

    def __init__(self, key: str | None) -> None:
        self.key = key
        self.heard: list[Pcm] = []
        """What the page sent of its microphone."""
        self.events: list[dict[str, Any]] = []
        """Everything else that it sent."""
        self.paths: list[str] = []
        """The paths at which it connected."""
        self.protocols: Sequence[Subprotocol] = ()
        """What it offered last."""
        self.port = 0
        self._arrived = asyncio.Condition()
        self._socket: ServerConnection | None = None
        self._numbers = count(1)
        self._taken = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    async def expect(self, type_: str) -> dict[str, Any]:
        """Wait for the next event of this type; what came before it is passed over."""
        async with asyncio.timeout(_WAIT_S), self._arrived:
            while True:
                for index in range(self._taken, len(self.events)):
                    if self.events[index]["type"] == type_:
                        self._taken = index + 1
                        return self.events[index]
                await self._arrived.wait()

    async def send(self, type_: str, **fields: object) -> None:
        assert self._socket is not None
        await self._socket.send(json.dumps({"type": type_, "event_id": f"event_{next(self._numbers)}", **fields}))

    async def reply(self, response: str, item: str, clauses: Sequence[tuple[str, Pcm]], *, done: bool = True) -> None:
        """Send a spoken reply, as much faster than it sounds as the wire allows."""
        place = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
        message = {"id": item, "object": "realtime.item", "type": "message", "role": "assistant", "content": []}
        await self.send("response.created", response={"id": response, "status": "in_progress"})
        await self.send("response.output_item.added", response_id=response, output_index=0, item=message)
        await self.send("conversation.item.added", previous_item_id=None, item=message)
        for text, pcm in clauses:
            await self.send("response.output_audio_transcript.delta", **place, delta=text)
            for start in range(0, len(pcm), 2400):
                delta = base64.b64encode(pcm[start : start + 2400].tobytes()).decode()
                await self.send("response.output_audio.delta", **place, delta=delta)
        if done:
            await self.send("response.output_audio.done", **place)
            await self.send("response.done", response={"id": response, "status": "completed", "output": [message]})

    async def drop(self, code: int, reason: str) -> None:
        assert self._socket is not None
        await self._socket.close(code, reason)

    async def talk(self, socket: ServerConnection) -> None:
        self._socket = socket
        assert socket.request is not None
        self.paths.append(socket.request.path)
        detection = {"type": "server_vad", "interrupt_response": True, "create_response": True}
        session = {"type": "realtime", "id": "sess_1", "audio": {"input": {"turn_detection": detection}}}
        await self.send("session.created", session=session)
        try:
            async for message in socket:
                event = json.loads(message)
                if event["type"] == "input_audio_buffer.append":
                    self.heard.append(np.frombuffer(base64.b64decode(event["audio"]), np.int16))
                    continue
                async with self._arrived:
                    self.events.append(event)
                    self._arrived.notify_all()
        except ConnectionClosed:
            return

    def answer(self, _: ServerConnection, request: Request) -> Response | None:
        """Serve the page; a request for the websocket goes on to the handshake."""
        path = urlsplit(request.path).path
        if path not in (_REALTIME, _SECRETS):
            return pages.page(path)
        allowed = (self.key, _BROWSER_KEY) if path == _REALTIME else (self.key,)
        if self.key is not None and offered_key(request.headers) not in allowed:
            return pages.problem(HTTPStatus.UNAUTHORIZED, "invalid_api_key", "Incorrect API key provided.")
        return None if path == _REALTIME else pages.answer(HTTPStatus.OK, {"value": _BROWSER_KEY, "expires_at": 1})

    def choose(self, _: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        self.protocols = offered
        return next((one for one in offered if one == "realtime"), None)


@asynccontextmanager
async def served(key: str | None = None) -> AsyncIterator[Peer]:
    """Serve on a free port of the loopback."""
    peer = Peer(key)
    async with serve(
        peer.talk, "127.0.0.1", 0, process_request=peer.answer, select_subprotocol=peer.choose, max_size=2**24
    ) as server:
        peer.port = server.sockets[0].getsockname()[1]
        yield peer
