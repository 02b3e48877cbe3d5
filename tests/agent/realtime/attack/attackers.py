"""Hostile clients, in a process of their own: `python -m tests.agent.realtime.attack.attackers NAME PORT SECONDS`.

Each does what it can for so long and prints what became of it, as JSON.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import random
import struct
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

PING: Final = struct.pack("!BBI", 0x89, 0x80, 0)
GONE: Final = (ConnectionClosed, InvalidHandshake, OSError, TimeoutError, EOFError)
Report = dict[str, Any]


@contextlib.asynccontextmanager
async def opened(port: int, *, read: bool = True) -> AsyncIterator[ClientConnection]:
    """Open a session; unless told otherwise, all that comes is read and forgotten."""
    url = f"ws://127.0.0.1:{port}/v1/realtime?model=m"
    async with connect(
        url, max_size=None, max_queue=None if read else 1, compression=None, close_timeout=0.2
    ) as socket:
        await socket.recv()
        reading = asyncio.create_task(_read(socket)) if read else None
        try:
            yield socket
        finally:
            if reading is not None:
                reading.cancel()


async def _read(socket: ClientConnection) -> None:
    with contextlib.suppress(*GONE):
        async for _ in socket:
            pass


def event(kind: str, **content: Any) -> str:  # noqa: ANN401 - JSON
    return json.dumps({"type": kind, **content})


def message(**part: Any) -> str:  # noqa: ANN401 - JSON
    return event("conversation.item.create", item={"type": "message", "role": "user", "content": [part]})


def update(*schemas: Any) -> str:  # noqa: ANN401 - JSON
    tools = [{"type": "function", "name": f"f{number}", "parameters": one} for number, one in enumerate(schemas)]
    return event("session.update", session={"type": "realtime", "tools": tools})


def properties(count: int, salt: int = 0) -> Report:
    names = {f"p{salt}_{number}": {"type": "string"} for number in range(count)}
    return {"type": "object", "properties": names}


def sound(seconds: float) -> str:
    return base64.b64encode(bytes(round(48_000 * seconds))).decode()


async def repeated(port: int, until_s: float, *texts: str) -> Report:
    """Send these again and again, in as many sessions as need be."""
    sent = sessions = 0
    while time.monotonic() < until_s:
        with contextlib.suppress(*GONE):
            async with opened(port) as socket:
                sessions += 1
                while time.monotonic() < until_s:
                    for text in texts:
                        await asyncio.wait_for(socket.send(text), max(0.1, until_s - time.monotonic()))
                        sent += 1
        await asyncio.sleep(0.05)
    return {"sent": sent, "sessions": sessions}


async def neighbour(_: int, until_s: float) -> Report:
    """No attack: only compute, as all attackers do."""
    while time.monotonic() < until_s:
        json.loads(json.dumps([{"type": "function"}] * 1000))
    return {}


async def large_schema(port: int, until_s: float) -> Report:
    """F1: one tool of 20,000 properties."""
    return await repeated(port, until_s, update(properties(20_000)))


async def many_schemas(port: int, until_s: float) -> Report:
    """F1: 64 tools of 250 properties, then the same session again and again; and sets within all bounds, always new."""
    within = [update(*(properties(180, salt * 10 + number) for number in range(8))) for salt in range(20)]
    return await repeated(port, until_s, update(*[properties(250)] * 64), event("session.update", session={}), *within)


async def hostile_schemas(port: int, until_s: float) -> Report:
    """F16: patterns that all hold for one text, references in a circle, depth."""
    deep: Report = {"type": "object"}
    for _ in range(900):
        deep = {"type": "object", "not": deep}
    patterns = {"allOf": [{"pattern": f"a.*{number}.*b"} for number in range(20)]}
    few = {"allOf": [{"pattern": f"a.*{number}.*b"} for number in range(12)]}
    circle = {"type": "object", "$ref": "#", "properties": {"a": {"$ref": "#/properties/a"}}}
    return await repeated(
        port, until_s, update(deep), update({"type": "object", "properties": {"a": patterns}}), update(circle),
        update({"type": "object", "properties": {"a": few}}), event("response.create"), event("response.cancel"),
    )  # fmt: skip


async def appends_and_leave(port: int, until_s: float) -> Report:
    """F2: eight appends of 15 MB, and gone."""
    append, sessions = event("input_audio_buffer.append", audio="A" * (15 * 2**20)), 0
    while time.monotonic() < until_s:
        with contextlib.suppress(*GONE):
            async with opened(port) as socket:
                sessions += 1
                async with asyncio.timeout(2):
                    for _ in range(8):
                        await socket.send(append)
                socket.transport.abort()
        await asyncio.sleep(0.2)
    return {"sessions": sessions}


async def long_sound(port: int, until_s: float) -> Report:
    """F2: an hour of sound as quickly as it is taken."""
    return await repeated(port, until_s, event("input_audio_buffer.append", audio=sound(60)))


async def long_text(port: int, until_s: float) -> Report:
    """F3: items of 3 MB, of just what is allowed, and 2,000 small ones, each asked about."""
    texts = ["word " * 600_000, "a" * 3_000_000, "word " * 26_000, "a" * 131_000]
    items = [message(type="input_text", text=text) for text in texts]
    small = [message(type="input_text", text="one two three " * 70)] * 200
    return await repeated(port, until_s, *items, event("response.create"), *small, event("response.create"))


async def pings(port: int, until_s: float) -> Report:
    """F4: pings, whose answers are read."""
    return await _flood(port, until_s, read=True)


async def pings_unread(port: int, until_s: float) -> Report:
    """F4: pings, whose answers are not."""
    return await _flood(port, until_s, read=False)


async def _flood(port: int, until_s: float, *, read: bool) -> Report:
    sent = 0
    while time.monotonic() < until_s:
        with contextlib.suppress(*GONE):
            async with opened(port, read=read) as socket:
                if not read:
                    socket.transport.pause_reading()
                while time.monotonic() < until_s and not socket.transport.is_closing():
                    if socket.transport.get_write_buffer_size() < 2**20:
                        socket.transport.write(PING * 10_000)
                        sent += 10_000
                    await asyncio.sleep(0.005)
                socket.transport.abort()
        await asyncio.sleep(0.05)
    return {"sent": sent}


async def fast_sender(port: int, until_s: float) -> Report:
    """F5: 100,000 small events at once; the session must be there at the end."""
    sent = 0
    async with opened(port) as socket:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, until_s - time.monotonic())):
                for sent in range(1, 100_001):  # noqa: B007 - it is told how far it came
                    await socket.send('{"type":"input_audio_buffer.clear"}')
        await asyncio.sleep(max(0.0, until_s - time.monotonic()))
        return {"sent": sent, "failed": socket.close_code is not None}


async def silent_connections(port: int, until_s: float) -> Report:
    """F6: 1,000 connections that say nothing."""
    writers = []
    for _ in range(1000):
        with contextlib.suppress(OSError):
            writers.append((await asyncio.open_connection("127.0.0.1", port))[1])
    await asyncio.sleep(max(0.0, until_s - time.monotonic()))
    for writer in writers:
        writer.transport.abort()
    return {"connections": len(writers)}


async def odd_requests(port: int, until_s: float) -> Report:
    """F7: requests that no library can read."""
    heads = [b"GET //[", b"GET /\0.html", b"GET /" + b"a" * 300 + b".html", b"POST /v1/realtime/client_secrets"]
    hosts = [b"Host: [", b"Host: localhost\r\nOrigin: http://[", b"Host: localhost\r\nHost: localhost"]
    requests = [head + b" HTTP/1.1\r\n" + host + b"\r\n\r\n" for head in heads for host in hosts]
    answers: dict[str, int] = {}
    while time.monotonic() < until_s:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(random.choice(requests))
        status = (await asyncio.wait_for(reader.readline(), 10)).split(b" ")[1:2]
        writer.transport.abort()
        name = status[0].decode() if status else "none"
        answers[name] = answers.get(name, 0) + 1
    return answers


async def sound_items(port: int, until_s: float) -> Report:
    """25 items of a minute of sound, again and again."""
    return await repeated(port, until_s, *[message(type="input_audio", audio=sound(60))] * 25)


async def many_parts(port: int, until_s: float) -> Report:
    """JSON of nothing but brackets, and of many small parts."""
    return await repeated(
        port, until_s, "[" * 8_000_000, '{"type":"session.update","session":{"a":[' + "[]," * 4_000_000
    )


ATTACKS: Final[dict[str, Callable[[int, float], Coroutine[Any, Any, Report]]]] = {
    attack.__name__: attack
    for attack in (
        large_schema, many_schemas, hostile_schemas, appends_and_leave, long_sound, long_text, pings, pings_unread,
        fast_sender, silent_connections, odd_requests, sound_items, many_parts,
    )
}  # fmt: skip


if __name__ == "__main__":
    name, port, seconds = sys.argv[1:]
    attack = ATTACKS.get(name, neighbour)
    print(json.dumps(asyncio.run(attack(int(port), time.monotonic() + float(seconds)))))
