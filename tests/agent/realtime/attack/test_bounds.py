"""What a client sends is measured before anything is done with it, and what is done for one holds up nobody else."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import socket as sockets
import struct
import time
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus

from agent.realtime.protocol.fields import MOST_TEXT, InvalidRequest
from agent.realtime.protocol.wire import decoded
from agent.realtime.server.connection import parsed
from agent.realtime.server.options import ServerOptions
from reasoning.errors import BadTool
from reasoning.tools import calls
from reasoning.tools.calls import Tool, measured
from tests.agent.realtime.fakes import QUESTION, FakeModels, served
from tests.agent.realtime.invariants import Rig

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.agent.realtime.fakes import Served


def properties(count: int, **of: object) -> dict[str, Any]:
    return {"type": "object", "properties": {f"property_{number}": of for number in range(count)}}


def nested(depth: int) -> dict[str, Any]:
    inner: dict[str, Any] = {"type": "object"}
    for _ in range(depth):
        inner = {"type": "object", "not": inner}
    return inner


def function(parameters: object, name: str = "f") -> dict[str, Any]:
    return {"type": "function", "name": name, "parameters": parameters}


# --- tools: bounds first ---


@pytest.mark.parametrize(
    ("parameters", "why"),
    [
        (properties(20_000, type="string"), "more than 8192 characters"),
        ({"type": "object", "enum": ["a" * 10_000_000]}, "more than 8192 characters"),
        ({"type": "object", "enum": [10**4000] * 2000}, "more than 8192 characters"),
        ({"type": "object", "description": "\u00e9" * 5000}, "more than 8192 characters"),
        ({"type": "object", "enum": [[]] * 600}, "more than 500 lists and objects;"),
        (nested(40), "more than 32 lists and objects inside one another"),
        (properties(1, allOf=[{"pattern": f"a.*{number}.*b"} for number in range(20)]), "more than 12 patterns"),
    ],
)
def test_a_schema_is_measured_before_it_is_checked(
    parameters: dict[str, Any], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(_: str) -> None:
        raise AssertionError("it was checked")

    monkeypatch.setattr(calls, "_objection", never)
    with pytest.raises(BadTool, match=why):
        Tool("f", "", parameters)


def test_measuring_ends_where_the_bounds_do() -> None:
    endless: dict[str, Any] = {"type": "object"}
    endless["not"] = endless
    assert measured(endless).depth == 33
    assert measured({"a": [[]] * 10_000_000}).values <= 502


def test_a_schema_at_its_bounds_is_taken() -> None:
    assert Tool("f", "", properties(200, type="string")) != Tool("g", "", nested(29))


@pytest.mark.parametrize(
    ("tools", "why"),
    [
        ([function({"type": "object", "title": "x" * 8000}, f"f{number}") for number in range(9)], "65536 characters"),
        ([function(properties(300), f"f{number}") for number in range(8)], "2000 lists and objects"),
    ],
)
def test_the_tools_of_a_client_are_bounded_together(tools: list[Any], why: str) -> None:
    (refused,) = Rig().send("session.update", session={"type": "realtime", "tools": tools})
    assert why in refused["error"]["message"]
    (refused,) = Rig().send("response.create", response={"tools": tools})
    assert why in refused["error"]["message"]


def test_only_tools_that_changed_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    rig.send("session.update", session={"type": "realtime", "tools": [function({"type": "object"})]})

    def never(_: object) -> None:
        raise AssertionError("they were checked")

    monkeypatch.setattr("agent.realtime.protocol.protocol.check_tools", never)
    assert rig.send("session.update", session={"type": "realtime"})[-1]["type"] == "session.updated"
    again = rig.send("session.update", session={"type": "realtime", "tools": [function({"type": "object"})]})
    assert again[-1]["type"] == "session.updated"


async def test_schemas_are_checked_beside_the_other_sessions() -> None:
    # Half a second of interpreted code; the event loop has its turn all the while.
    tools = [function(properties(200, title=f"{number}"), f"f{number}") for number in range(6)]
    async with served() as one, one.client() as busy, one.client() as other:
        began = time.perf_counter()
        asking = asyncio.create_task(busy.configure(tools=tools))
        turns = 0
        while not asking.done():
            await other.configure()
            turns += 1
        took = time.perf_counter() - began
        assert (await asking)["session"]["tools"][5]["name"] == "f5"
        assert turns > 3, f"{turns} round trips in {took:.2f} s"


# --- text: bounds before tokens ---


def said(text: str, *, parts: int = 1) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}] * parts}


@pytest.mark.parametrize(
    "item",
    [
        said("x" * (MOST_TEXT + 1)),
        said("x" * (MOST_TEXT // 4), parts=5),
        {"type": "message", "role": "user", "content": [{"type": "input_audio", "transcript": "x" * 200_000}]},
        {"type": "function_call_output", "call_id": "c", "output": "x" * (MOST_TEXT + 1)},
        {"type": "function_call", "name": "f", "arguments": "x" * (MOST_TEXT + 1)},
    ],
)
def test_the_text_of_an_item_is_bounded(item: dict[str, Any]) -> None:
    rig = Rig()
    assert rig.send("conversation.item.create", item=item)[0]["type"] == "error"
    refused = rig.send("response.create", response={"conversation": "none", "input": [item]})
    assert [event["type"] for event in refused] == ["error"]
    assert len(rig.protocol.items) == 0


def test_the_text_of_a_conversation_is_bounded_and_deleting_makes_room() -> None:
    rig = Rig()
    answers = [rig.send("conversation.item.create", item={**said("x" * 100_000), "id": f"i{n}"}) for n in range(12)]
    assert [answer[0]["type"] for answer in answers].count("error") == 2
    assert answers[-1][0]["error"]["code"] == "conversation_full"
    rig.send("conversation.item.delete", item_id="i3")
    assert rig.send("conversation.item.create", item=said("x" * 100_000))[0]["type"] == "conversation.item.added"
    refused = rig.send(
        "response.create", response={"input": [{**said("x" * 100_000), "id": f"n{n}"} for n in range(11)]}
    )
    assert refused[0]["error"]["code"] == "conversation_full"


async def test_text_that_cannot_fit_is_refused_before_it_is_made_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    house = FakeModels()
    async with served(house) as one, one.client() as client:
        await client.configure(output_modalities=["text"])
        for _ in range(14):
            await client.write("y" * 120_000)
        longest = 0
        encode = house.engine.tokenizer.encode

        def counted(text: str) -> list[int]:
            nonlocal longest
            longest = max(longest, len(text))
            return encode(text)

        monkeypatch.setattr(house.engine.tokenizer, "encode", counted)
        monkeypatch.setattr("agent.realtime.reasoner._LONGEST_TOKEN", 1)
        await client.send("response.create")
        done = (await client.until("response.done"))["response"]
        assert done["status"] == "failed"
        assert "does not fit" in done["status_details"]["error"]["message"]
        assert longest < 100_000


def test_what_is_told_of_a_mistake_is_short() -> None:
    (refused,) = Rig().send("conversation.item.create", item={"type": "A" * 20_000})
    assert len(json.dumps(refused)) < 2000
    (refused,) = Rig().send(
        "session.update", session={"type": "realtime", "audio": {"input": {"A" * 9999: 1, "format": 2}}}
    )
    assert len(json.dumps(refused)) < 2000


def test_a_message_of_too_many_parts_is_not_parsed() -> None:
    for many in ("[" * 8_000_000, "[" + "{}," * 3_000_000 + "{}]"):
        with pytest.raises(InvalidRequest, match="more than 100000 parts"):
            parsed(many)
    assert parsed(json.dumps({"audio": "A" * 15_000_000}))


@pytest.mark.parametrize("opened", ["[", '{"a":'])
def test_a_message_that_is_nested_deeply_is_refused_before_anybody_walks_it(opened: str) -> None:
    for depth in (65, 300, 980, 5000):
        text = opened * depth + "1" + ("]" if opened == "[" else "}") * depth
        with pytest.raises(InvalidRequest, match=r"inside one another|valid JSON"):
            parsed(text)
    assert parsed(opened * 64 + "1" + ("]" if opened == "[" else "}") * 64)


@pytest.mark.parametrize("number", ["1e999", "-1E400", "NaN", "Infinity", "-Infinity", "1" * 5000])
def test_a_number_that_could_not_be_written_again_is_no_json(number: str) -> None:
    with pytest.raises(InvalidRequest, match="not valid JSON"):
        parsed(f'{{"type": "session.update", "session": {{"tracing": [{number}]}}}}')


# --- sound ---


def test_a_stream_of_samples_may_be_cut_at_any_byte() -> None:
    rig = Rig()
    whole = bytes(range(1, 250)) * 40 + b"\x07"
    for start in range(0, len(whole), 1323):
        append = base64.b64encode(whole[start : start + 1323]).decode()
        assert rig.send("input_audio_buffer.append", audio=append) == []
    fed = b"".join(command.sound for command in rig.commands if hasattr(command, "sound"))
    assert fed == whole[: len(whole) // 2 * 2]


def test_long_base64_is_read_as_short_base64_is() -> None:
    whole = bytes(range(256)) * 1000
    assert decoded(base64.b64encode(whole).decode(), "audio") == whole
    good = base64.b64encode(bytes(49_152)).decode()
    for bad in (good + "=", good[:-2] + "==" + good, good + "A", good + "AA==" + "AAAA", good + "é"):
        with pytest.raises(InvalidRequest, match="not valid base64"):
            decoded(bad, "audio")


async def test_long_sound_is_decoded_ahead() -> None:
    async with served() as one, one.client() as client:
        await client.send("input_audio_buffer.append", event_id="bad", audio="é" * 100_000)
        told = (await client.until("error"))["error"]
        assert (told["code"], told["event_id"], told["param"]) == ("invalid_audio", "bad", "audio")
        (adapter,) = one.server._connections.values()
        await client.send("input_audio_buffer.append", audio=base64.b64encode(bytes(480_000)).decode())
        await client.configure()
        assert adapter._protocol._input._appended == 480_000


def test_a_half_sample_does_not_outlive_its_recording() -> None:
    rig = Rig()
    rig.send("session.update", session={"type": "realtime", "audio": {"input": {"turn_detection": None}}})
    for end in ("input_audio_buffer.clear", "input_audio_buffer.commit"):
        rig.send("input_audio_buffer.append", audio=base64.b64encode(bytes(9601)).decode())
        rig.send(end)
        rig.commands.clear()
        rig.send("input_audio_buffer.append", audio=base64.b64encode(b"\x01\x02").decode())
        assert [command.sound for command in rig.commands if hasattr(command, "sound")] == [b"\x01\x02"]


@pytest.mark.parametrize("size", [1, 48_001])
async def test_an_item_of_half_a_sample_is_one_error_and_the_session_lives(size: int) -> None:
    async with served() as one, one.client() as client:
        part = {"type": "input_audio", "audio": base64.b64encode(bytes(size)).decode()}
        await client.send("conversation.item.create", item={"type": "message", "role": "user", "content": [part]})
        assert (await client.until("error"))["error"]["code"] == "invalid_audio"
        await client.configure(output_modalities=["text"])
        assert (await client.ask(QUESTION))["status"] == "completed"
        assert len(client.of("error")) == 1


async def test_many_items_of_sound_are_transcribed_one_after_the_other() -> None:
    async with served() as one, one.client() as client:
        part = {"type": "input_audio", "audio": base64.b64encode(bytes(480_000)).decode()}
        item = {"type": "message", "role": "user", "content": [part]}
        for _ in range(12):
            await client.send("conversation.item.create", item=item)
        for _ in range(12):
            await client.until("conversation.item.input_audio_transcription.completed")
        (adapter,) = one.server._connections.values()
        assert adapter._ears._items is not None
        assert not adapter._ears._tasks


def test_a_truncation_brings_no_words_back() -> None:
    rig = Rig()
    rig.send("conversation.item.create", item=said("Hello."))
    rig.send("response.create")
    rig.say("One two three four.", 1.0)
    (item,) = [item for item in rig.protocol.items if item.wire.get("role") == "assistant"]

    def truncate(to_ms: int) -> tuple[str, str]:
        answers = rig.send("conversation.item.truncate", item_id=item.id, content_index=0, audio_end_ms=to_ms)
        return answers[-1]["type"], item.heard()

    assert truncate(600) == ("conversation.item.truncated", "One two")
    assert truncate(900) == ("error", "One two")
    assert truncate(600) == ("conversation.item.truncated", "One two")
    assert truncate(0) == ("conversation.item.truncated", "")
    assert truncate(1000) == ("error", "")


# --- whatever breaks is one error ---


class _Panic(BaseException):
    """What a library in Rust raises when it panics is no Exception."""


@pytest.mark.parametrize("fault", [ValueError, RuntimeError, _Panic])
async def test_what_breaks_while_an_event_is_carried_out_is_an_error(
    fault: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    async with served() as one, one.client() as client:
        (adapter,) = one.server._connections.values()
        real, broken = adapter.receive, True

        async def receive(event: object) -> None:
            if broken:
                raise fault("zebra")
            await real(event)

        adapter.receive = receive  # type: ignore[method-assign]
        with caplog.at_level(logging.CRITICAL, "descant.realtime"):
            await client.send("response.create", event_id="mine")
            told = (await client.until("error"))["error"]
        assert (told["type"], told["code"], told["event_id"]) == ("server_error", "internal_error", "mine")
        assert "zebra" not in told["message"]
        broken = False
        await client.configure(output_modalities=["text"])
        assert (await client.ask(QUESTION))["status"] == "completed"


# --- the bytes of a connection ---


async def until(met: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not met():  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.01)


async def test_the_work_for_a_client_that_has_gone_ends_and_counts_until_then() -> None:
    house = FakeModels()
    options = ServerOptions(drain_s=0.1, keepalive_s=4.0)
    async with served(house, options) as one:
        append = json.dumps({"type": "input_audio_buffer.append", "audio": base64.b64encode(bytes(6_000_000)).decode()})
        async with connect(one.url(), max_size=None, compression=None) as socket:
            await socket.recv()
            for _ in range(4):
                # The server stops reading; what is left lies in the buffers between the two.
                with suppress(TimeoutError):
                    await asyncio.wait_for(socket.send(append), 0.5)
            (connection,) = one.server._connections
            socket.transport.abort()
        assert "descant_sessions 1.0" in one.server.meters.text().decode()
        await until(lambda: not one.server._connections)
        assert connection.ending
        names = {task.get_name() for task in asyncio.all_tasks()}
        assert not names & {"adapter", "conversation", "ears", "socket reader", "transcript"}


async def test_pings_are_read_no_faster_than_events() -> None:
    options = ServerOptions(drain_s=0.1, burst=200, events_per_s=100)
    async with served(options=options) as one, one.client() as flooded, one.client() as other:
        ping = struct.pack("!BBI", 0x89, 0x80, 0)
        flooded.socket.transport.write(ping * 50_000)
        slowest = 0.0
        for _ in range(20):
            began = time.perf_counter()
            await other.configure()
            slowest = max(slowest, time.perf_counter() - began)
        (connection, _) = one.server._connections
        assert connection._socket.waiting
        assert len(connection._socket._backlog) > 100_000 or slowest < 1
        flooded.socket.transport.abort()


async def test_a_fast_sender_is_slowed_down_and_not_dropped() -> None:
    options = ServerOptions(drain_s=0.1, burst=50, events_per_s=200, keepalive_s=0.2)
    async with served(options=options) as one, one.client() as client:
        began = time.monotonic()
        for _ in range(600):
            await client.send("input_audio_buffer.clear")
        for _ in range(600):
            await client.until("input_audio_buffer.cleared")
        # Many times the span in which a client that is read must give a sign of life.
        assert time.monotonic() - began > 1.5
        await client.configure(output_modalities=["text"])


async def test_a_client_that_gives_no_sign_of_life_is_dropped() -> None:
    async with served(options=ServerOptions(drain_s=0.1, keepalive_s=0.2)) as one, one.client() as client:
        # It reads no more, so that no ping is answered; its machine is well.
        client.socket.transport.pause_reading()
        await until(lambda: not one.server._connections)
        client.socket.transport.abort()


async def test_silent_connections_are_few_and_the_oldest_goes() -> None:
    options = ServerOptions(drain_s=0.1, connections_waiting=5, handshake_s=60)
    async with served(options=options) as one, AsyncExitStack() as stack:
        silent = []
        for _ in range(20):
            silent.append(await asyncio.open_connection("127.0.0.1", one.port))
            stack.callback(silent[-1][1].transport.abort)
        await until(lambda: sum(reader.at_eof() or reader.exception() is not None for reader, _ in silent) == 15)
        assert len(one.server._lobby) == 5
        async with one.client() as client:
            await client.configure(output_modalities=["text"])
            assert (await client.ask(QUESTION))["status"] == "completed"


async def answered(one: Served, request: bytes) -> bytes:
    """Send a request as it is; give the first line of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
    writer.write(request)
    line = await asyncio.wait_for(reader.readline(), 10)
    writer.transport.abort()
    return line.strip()


UPGRADE = (
    b"GET /v1/realtime?model=m HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


SECRETS = b"POST /v1/realtime/client_secrets HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize(
    "request_",
    [
        b"GET //[ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET //[::1/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: [\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: http://[\r\n\r\n",
        b"GET /%00.html\x00.html HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /" + b"a" * 300 + b".html HTTP/1.1\r\nHost: localhost\r\n\r\n",
        UPGRADE + b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n",
        UPGRADE + b"Host: localhost\r\n\r\n",
        UPGRADE + b"Upgrade: websocket\r\n\r\n",
        # What the library closes without a word.
        UPGRADE + b" folded: a\r\n\r\n",
        UPGRADE + b"NoColon\r\n\r\n",
        UPGRADE + b"X\x00Y: a\r\n\r\n",
        UPGRADE + b"Transfer-Encoding: chunked\r\n\r\n",
        UPGRADE + b"Content-Length: 5\r\n\r\nhello",
        b"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n",
        b"GET /\xff.html HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\r\n\r\n",
        # A body that is not read would stand for an empty one.
        SECRETS + b"Content-Length: 99999999999999\r\n\r\n",
        SECRETS + b"Content-Length: -1\r\n\r\n",
        SECRETS + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
    ],
)
async def test_a_request_that_cannot_be_read_is_refused_in_one_line(
    request_: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with served() as one:
        status = (await answered(one, request_)).split()[1]
        assert status in {b"400", b"403", b"426"}
        assert len(caplog.records) <= 1
        assert all(record.exc_info is None and "\n" not in record.getMessage() for record in caplog.records)


async def test_headers_that_may_be_given_twice_are() -> None:
    async with served() as one:
        twice = b"Sec-WebSocket-Protocol: realtime\r\nSec-WebSocket-Protocol: openai-insecure-api-key.any\r\n\r\n"
        assert await answered(one, UPGRADE + twice) == b"HTTP/1.1 101 Switching Protocols"


async def test_what_follows_a_request_waits_for_its_answer(caplog: pytest.LogCaptureFixture) -> None:
    async with served() as one:
        request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
        assert await answered(one, request * 2) == b"HTTP/1.1 200 OK"
        assert not caplog.records


async def test_nothing_is_written_to_who_has_gone(caplog: pytest.LogCaptureFixture) -> None:
    ping = struct.pack("!BBI", 0x89, 0x80, 0)
    async with served() as one:
        for _ in range(5):
            with suppress(ConnectionClosed, InvalidStatus, InvalidMessage):
                async with one.client() as client:
                    raw = client.socket.transport.get_extra_info("socket")
                    raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, struct.pack("ii", 1, 0))
                    client.socket.transport.write(ping * 20_000)
                    await asyncio.sleep(0)
                    client.socket.transport.abort()
        await until(lambda: not one.server._connections)
    assert [record for record in caplog.records if record.name == "asyncio"] == []
