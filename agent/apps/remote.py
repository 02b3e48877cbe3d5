"""A thin client of the OpenAI Realtime protocol: opens the websocket, says in words what is wrong, asks one question.

Models live at the server: nothing here loads any. Knows how events travel, and text turns; sound is
`agent.apps.remote_talk`'s.
"""

from __future__ import annotations

import json
import ssl
import time
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from agent.apps.display import Printed
from agent.apps.printing import plain_console
from agent.config.addresses import address_parts
from agent.conversation import timeline
from agent.errors import BadQuestion, ConfigError, ServerUnreachable
from reasoning.events import ReplyText, Thought

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from websockets.asyncio.client import ClientConnection

Event = dict[str, Any]

_OPEN_S: Final = 20.0
_LARGEST: Final = 2**24
"""Bytes of one event."""


def address(server: str, extensions: str = "") -> str:
    """Give the address of the websocket: `HOST:PORT`, `http://…` and `ws://…`, with or without the path, mean it.

    Raises:
        ConfigError: this is no address.

    """
    schemes = {"http": "ws", "ws": "ws", "https": "wss", "wss": "wss"}
    parts = address_parts(server if "://" in server else f"ws://{server}")
    if parts is None or parts.scheme not in schemes:
        raise ConfigError(f"--server {server!r}: write it as http://127.0.0.1:8765, or as wss://HOST/v1.")
    path = parts.path.rstrip("/").removesuffix("/realtime") or "/v1"
    query = urlencode({"model": "descant", **({"extensions": extensions} if extensions else {})}, safe=",")
    return f"{schemes[parts.scheme]}://{parts.netloc}{path}/realtime?{query}"


class RemoteSocket:
    """An open session."""

    def __init__(self, socket: ClientConnection, server: str) -> None:
        self._socket, self._server = socket, server

    async def send(self, event: Event) -> None:
        """Send one event. Raises ServerUnreachable."""
        try:
            await self._socket.send(json.dumps(event))
        except ConnectionClosed as closed:
            raise self._ended(closed) from None

    async def receive(self) -> Event:
        """Wait for the next event. Raises ServerUnreachable when the server refuses the session, or ends it."""
        try:
            event = json.loads(await self._socket.recv())
        except ConnectionClosed as closed:
            raise self._ended(closed) from None
        except (ValueError, RecursionError):
            event = None
        if not isinstance(event, dict) or not isinstance(event.get("type"), str):
            raise ServerUnreachable(f"{self._server}: it sends what is no event; is it a Realtime server?")
        return event

    def _ended(self, closed: ConnectionClosed) -> ServerUnreachable:
        close = closed.rcvd
        told = "the connection was lost" if close is None else f"it closed with {close.code} {close.reason}".strip()
        return ServerUnreachable(f"{self._server}: {told}")


@asynccontextmanager
async def connected(server: str, key: str | None, extensions: str = "") -> AsyncIterator[RemoteSocket]:
    """Open a session, and close it at the end.

    Raises:
        ConfigError: `server` is no address.
        ServerUnreachable: nobody answers there, or not to this key.

    """
    # All clients of the protocol send some key; a server without one does not look at it.
    headers = {"Authorization": f"Bearer {key or 'none'}"}
    url = address(server, extensions)
    try:
        socket = await connect(
            url, additional_headers=headers, open_timeout=_OPEN_S, max_size=_LARGEST, compression=None
        )
    except InvalidStatus as refused:
        status = refused.response.status_code
        mend = "name its key with --api-key-file FILE" if status == 401 else "is it a Realtime server?"
        raise ServerUnreachable(f"{server}: it refuses with HTTP status {status}; {mend}") from None
    except (OSError, InvalidHandshake, ssl.SSLError) as problem:
        told = getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
        raise ServerUnreachable(f"{server}: nobody answers ({told}); start one with: descant serve") from None
    async with socket:
        yield RemoteSocket(socket, server)


def failure(event: Event) -> str | None:
    """Tell what went wrong, if this event says that something did."""
    if event["type"] == "error":
        return str(event["error"]["message"])
    if event["type"] == "response.done" and event["response"]["status"] == "failed":
        return str(event["response"]["status_details"]["error"]["message"])
    return None


async def ask(server: str, key: str | None, text: str, timeline_file: Path | None, *, thoughts: bool) -> None:
    """Ask one typed question and print the answer as it comes; `thoughts` asks for the private ones, too.

    Raises:
        BadQuestion: there is no question.
        ServerUnreachable: the server cannot be reached, or cannot answer.

    """
    if not text.strip():
        raise BadQuestion('the question is empty; ask something, as in: descant ask "what is 12 times 7?"')
    content = [{"type": "input_text", "text": text}]
    async with connected(server, key, "thoughts" if thoughts else "") as wire:
        with ExitStack() as stack:
            file = stack.enter_context(timeline.Timeline(timeline_file)) if timeline_file else None
            printed = Printed(plain_console(), thoughts=thoughts)
            start = time.monotonic()

            def told(event: timeline.Event) -> None:
                if file is not None:
                    file.write((time.monotonic() - start) * 1000, event)

            await wire.send({"type": "session.update", "session": {"type": "realtime", "output_modalities": ["text"]}})
            item = {"type": "message", "role": "user", "content": content}
            await wire.send({"type": "conversation.item.create", "item": item})
            await wire.send({"type": "response.create"})
            told(timeline.TurnEnded(text))
            while (event := await wire.receive())["type"] != "response.done":
                if problem := failure(event):
                    raise ServerUnreachable(f"{server}: {problem}")
                if event["type"] == "response.output_text.delta":
                    for piece in _pieces(event):
                        printed.show(piece)
                        told(piece)
            printed.end()
            if problem := failure(event):
                raise ServerUnreachable(f"{server}: {problem}")
            told(turn_done(event))


def turn_done(event: Event) -> timeline.TurnDone:
    """Tell the end of a response as the timeline does."""
    response = event["response"]
    tokens = {"writer": int((response.get("usage") or {}).get("output_tokens", 0))}
    return timeline.TurnDone(tokens, 0, "complete" if response["status"] == "completed" else response["status"])


def _pieces(event: Event) -> list[Thought | ReplyText]:
    pieces: list[Thought | ReplyText] = []
    if thought := event.get("thoughts"):
        pieces.append(Thought(str(thought)))
    if delta := str(event["delta"]).strip():
        pieces.append(ReplyText(delta))
    return pieces
