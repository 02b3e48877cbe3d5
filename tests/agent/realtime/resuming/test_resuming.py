"""Conversations that are gone on with by their id: in this process, and what a store may do wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from agent.errors import ConfigError
from agent.realtime.adapter import RealtimeAdapter
from agent.realtime.protocol import messages
from agent.realtime.protocol.keeping import ConversationWriter, KeptConversation, kept_conversation
from agent.realtime.protocol.protocol import Protocol
from agent.realtime.server.keys import Keys
from agent.realtime.server.options import ServerOptions, StoreOptions
from agent.realtime.server.resuming import Keeping, resumed
from agent.realtime.server.server import RealtimeServer
from agent.realtime.server.store import (
    Held,
    MemoryStore,
    PatientStore,
    StoredOtherwise,
    StoreUnavailable,
    open_store,
)
from tests.agent.realtime.fakes import QUESTION, Client, FakeModels, Halting, Script24, Served
from tests.agent.realtime.invariants import Rig
from tests.agent.realtime.resuming.long import MOST, an_item, at_once_s, long_conversation, watched
from tests.reasoning.scripted_engine import END

KEY = "0123456789abcdef"
LONG = Script24(small_talk=True, at_once=lambda _: f"{'One two three four five. ' * 20}{END}")


@dataclass
class Trouble(MemoryStore):
    """A real store between which and the server something can be wrong."""

    failure: Exception | None = None
    silent: bool = False

    def __init__(self) -> None:
        super().__init__(3600, lambda: 0.0)
        self.newest, self.was_put = "", asyncio.Event()

    async def take(self, held: Held) -> str | None:
        await self._pass()
        return await super().take(held)

    async def put(self, held: Held, text: str, *, taking: bool = False) -> bool:
        await self._pass()
        self.newest = text
        self.was_put.set()
        return await super().put(held, text, taking=taking)

    async def until(self, words: str) -> None:
        async with asyncio.timeout(20):
            while words not in self.newest:
                self.was_put.clear()
                await self.was_put.wait()

    async def _pass(self) -> None:
        if self.silent:
            await asyncio.Event().wait()
        if self.failure is not None:
            raise self.failure


@asynccontextmanager
async def two_servers(
    store: Trouble, models: FakeModels | None = None, keys: tuple[str | None, str | None] = (None, None)
) -> AsyncIterator[tuple[Served, Served]]:
    models, options = models or FakeModels(), ServerOptions(drain_s=0.0)
    async with models.open() as opened:
        servers = [
            RealtimeServer(
                opened,
                options,
                Keys(key, most=10),
                model="m",
                voice="joe",
                store=PatientStore(store, 0.2, asyncio.get_running_loop().time),
            )
            for key in keys
        ]
        async with servers[0].listening("127.0.0.1", 0) as first, servers[1].listening("127.0.0.1", 0) as second:
            yield Served(servers[0], first, models), Served(servers[1], second, models)


def again(done: dict[str, object]) -> str:
    return f"model=any&conversation={done['conversation_id']}"


def texts(client: Client) -> list[str]:
    items = [event["item"] for event in client.of("conversation.item.done")]
    return ["".join(part.get("text") or part.get("transcript") or "" for part in item["content"]) for item in items]


async def test_another_server_goes_on_with_the_history_and_answers_nothing_twice() -> None:
    store = Trouble()
    async with two_servers(store) as (one, other):
        async with one.client() as client:
            await client.configure(output_modalities=["text"])
            done = await client.ask(QUESTION)
            said = texts(client)
            # It is put there a moment after it was sent.
            await store.until(said[-1])
        async with other.client(again(done)) as client:
            await client.configure(output_modalities=["text"])
            assert texts(client) == said
            assert len(said) == 2
            assert not client.of("response.created")
            asked = len(other.models.engine.log)
            then = await client.ask("And half of that?")
            assert then["conversation_id"] == done["conversation_id"]
            assert QUESTION in other.models.engine.log[asked][1]


async def test_a_reply_that_broke_off_stays_as_far_as_it_was_sent() -> None:
    house = FakeModels(LONG, voice=Halting())
    store = Trouble()
    async with two_servers(store, house) as (one, other), one.client() as client:
        await client.write("Hello.")
        await client.send("response.create")
        made = (await client.until("response.created"))["response"]
        await store.until("One two three four five.")
        async with other.client(again(made)) as second:
            await client.close_code()
            await second.configure()
            question, reply = (event["item"] for event in second.of("conversation.item.done"))
            assert question["role"] == "user"
            assert (reply["role"], reply["status"]) == ("assistant", "incomplete")
            assert reply["content"] == [{"type": "output_audio", "transcript": "One two three four five."}]
            assert not second.of("response.created")
            # Of that, the client can still say how much it has played.
            await second.send("conversation.item.truncate", item_id=reply["id"], content_index=0, audio_end_ms=0)
            await second.until("conversation.item.truncated")
            house.voice.may_go.set()


async def test_a_conversation_that_still_runs_is_taken_over_and_its_session_ends() -> None:
    house = FakeModels(LONG, voice=Halting())
    async with two_servers(Trouble(), house) as (one, other), one.client() as client:
        await client.write("Hello.")
        await client.send("response.create")
        made = (await client.until("response.created"))["response"]
        async with other.client(again(made)) as second:
            assert await client.close_code() == 1000
            assert client.of("error")[-1]["error"]["code"] == "conversation_taken_over"
            await second.configure()
        async with one.client(again(made)) as third:
            await third.configure()
            assert not third.of("error")


async def test_of_two_that_come_at_once_one_goes_on() -> None:
    async with two_servers(Trouble()) as (one, other):
        async with one.client() as client:
            done = await client.ask(QUESTION)
        async with one.client(again(done)) as first, other.client(again(done)) as second:
            ends = [asyncio.create_task(each.close_code()) for each in (first, second)]
            over, running = await asyncio.wait(ends, timeout=10, return_when=asyncio.FIRST_COMPLETED)
            assert [task.result() for task in over] == [1000]
            assert len(running) == 1
            for task in running:
                task.cancel()


@pytest.mark.parametrize("wanted", ["conv_00000000000000000000", "conv_", "x" * 500, "conv_%0A", "*"])
async def test_a_conversation_that_is_not_there_is_refused(wanted: str) -> None:
    async with two_servers(Trouble()) as (one, _), connect(one.url(f"conversation={wanted}")) as socket:
        refused = json.loads(await asyncio.wait_for(socket.recv(), 10))
        assert refused["error"]["code"] == "conversation_not_found"
        assert await Client(socket).close_code() == 1008


async def test_somebody_with_another_key_does_not_get_it_and_does_not_end_it() -> None:
    async with two_servers(Trouble(), keys=(KEY, KEY[::-1])) as (one, other), one.client(key=KEY) as client:
        done = await client.ask(QUESTION)
        headers = {"Authorization": f"Bearer {KEY[::-1]}"}
        async with connect(other.url(again(done)), additional_headers=headers) as socket:
            refused = json.loads(await asyncio.wait_for(socket.recv(), 10))
            assert refused["error"]["code"] == "conversation_not_found"
            assert await Client(socket).close_code() == 1008
        assert (await client.ask("And half of that?"))["status"] == "completed"
        assert not client.of("error")


@pytest.mark.parametrize("silent", [False, True])
async def test_a_store_that_fails_is_told_in_one_line_and_the_conversation_goes_on(
    silent: bool, caplog: pytest.LogCaptureFixture
) -> None:
    store = Trouble()
    async with two_servers(store) as (one, other):
        async with one.client() as client:
            await client.configure(output_modalities=["text"])
            done = await client.ask(QUESTION)
            store.silent, store.failure = silent, OSError("READONLY You can't write against a read only replica.")
            assert (await client.ask("And half of that?"))["status"] == "completed"
            assert not client.of("error")
        async with other.client(again(done)) as client:
            problem = await client.until("error")
            assert problem["error"]["code"] == "conversation_not_resumed"
            assert (await client.ask(QUESTION))["conversation_id"] != done["conversation_id"]
    told = [record.getMessage() for record in caplog.records if record.name == "descant.store"]
    assert len(told) == 2, "one for each server"
    assert all(("no answer within" if silent else "READONLY") in line for line in told)


async def test_what_another_version_or_nobody_has_written_is_told_and_left() -> None:
    class Older(Trouble):
        async def take(self, held: Held) -> str | None:  # noqa: ARG002 - whatever is asked for
            raise StoredOtherwise("it was kept by another version (0, this one has 1)")

    wanted = "conversation=conv_00000000000000000000"
    broken = Trouble()
    await broken.put(Held("conv_" + "0" * 20, Keys(None, most=1).owner("conv_" + "0" * 20), "x"), '{"at_s": 3}\n3')
    for store in (Older(), broken):
        async with two_servers(store) as (one, _), one.client(wanted) as client:
            assert (await client.until("error"))["error"]["code"] == "conversation_not_resumed"
            assert (await client.ask(QUESTION))["status"] == "completed"


async def test_a_server_without_a_store_says_so() -> None:
    async with FakeModels().open() as opened:
        server = RealtimeServer(opened, ServerOptions(drain_s=0.0), Keys(None, most=1), model="m", voice="joe")
        async with server.listening("127.0.0.1", 0) as port:
            one = Served(server, port, FakeModels())
            async with one.client("conversation=conv_00000000000000000000") as client:
                problem = (await client.until("error"))["error"]
                assert problem["code"] == "conversation_not_resumed"
                assert "store.url" in problem["message"]


async def test_a_full_server_says_so_apart_from_one_that_drains() -> None:
    async with FakeModels().open() as opened:
        options = ServerOptions(max_sessions=1, drain_s=0.0, busy_status=True)
        server = RealtimeServer(opened, options, Keys(None, most=1), model="m", voice="joe")
        async with server.listening("127.0.0.1", 0) as port, httpx.AsyncClient() as http:
            one = Served(server, port, FakeModels())
            look = f"http://127.0.0.1:{port}/readyz"
            assert (await http.get(look)).status_code == 200
            async with one.client():
                full = await http.get(look)
                assert (full.status_code, full.text, full.headers["Retry-After"]) == (503, "full\n", "1")
                assert "descant_sessions_free 0.0" in (await http.get(f"http://127.0.0.1:{port}/metrics")).text
                with pytest.raises(InvalidStatus) as refused:
                    await connect(one.url())
                assert refused.value.response.status_code == 503
                assert refused.value.response.headers["Retry-After"] == "1"
                server._draining = True
                draining = await http.get(look)
                assert (draining.status_code, draining.text) == (503, "draining\n")
                assert "Retry-After" not in draining.headers


def test_sound_that_still_plays_is_cut_by_the_clock_at_the_next_server_too() -> None:
    rig = Rig()
    rig.send("conversation.item.create", item={"type": "message", "role": "user", "content": [
        {"type": "input_text", "text": "Hi."}]})  # fmt: skip
    rig.send("response.create")
    rig.say("one", 1.0)
    rig.say("two", 1.0)
    rig.say("three", 1.0)
    rig.now_s = 0.5
    text = ConversationWriter(10_000).draft(rig.protocol.keep(rig.now_s), 100.0)()
    assert "AAAA" not in text, "no sound"
    other = Protocol(model="m", voice="joe", new_id=lambda kind: f"{kind}_x")
    # 0.6 s later, on another clock: 1.1 s of the three have been played.
    other.go_on(kept_conversation(text, 100.6), 50.0)
    other.told(messages.UserSpeechStarted(0), 50.0)
    (turn,) = other.brief().turns
    assert turn.reply == "one"


def test_of_a_long_conversation_the_oldest_items_are_left_out() -> None:
    rig = Rig()
    for number in range(50):
        content = [{"type": "input_text", "text": f"{number} {'x' * 1000}"}]
        rig.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})
    text = ConversationWriter(16 * 1024).draft(rig.protocol.keep(0.0), 0.0)()
    kept = kept_conversation(text, 0.0)
    assert len(text) < 17 * 1024
    assert 10 < len(kept.items) < 16
    assert kept.items[-1].wire == list(rig.protocol.items)[-1].wire


SOUNDING: Final = '"sounding": {"item": "a", "sent_s": 0, "left_s": 0}'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"sounding": {}, "at_s": 0}\n{}',
        "[" * 100_000,
        "null",
        f'{{"at_s": 0, {SOUNDING}}}\nnull',
        f'{{"at_s": 0, {SOUNDING}}}\n{{"wire": {{"id": "a", "type": "message"}}, "size": Infinity}}',
    ],
)
def test_what_is_no_conversation_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        kept_conversation(text, 0.0)


async def test_memory_forgets() -> None:
    now = 0.0
    store = MemoryStore(10, lambda: now)
    held = Held("a", "me", "first")
    assert await store.put(held, "text")
    assert await store.holds(held)
    later = replace(held, holder="second")
    assert await store.take(later) == "text"
    assert not await store.holds(held)
    assert not await store.put(held, "older")
    now = 11.0
    assert await store.take(later) is None
    for number in range(300):
        await store.put(Held(str(number), "me", "x"), "text")
    assert await store.take(Held("0", "me", "x")) is None
    assert await store.take(Held("299", "me", "x")) == "text"


async def test_a_store_that_failed_is_left_alone_for_a_while() -> None:
    now = 0.0
    store = Trouble()
    patient = PatientStore(store, 1.0, lambda: now)
    held = Held("a", "me", "x")
    store.failure = OSError("down")
    with pytest.raises(StoreUnavailable, match="down"):
        await patient.put(held, "text")
    store.failure = None
    with pytest.raises(StoreUnavailable, match="moment"):
        await patient.put(held, "text")
    now = 3.0
    assert await patient.put(held, "text")


async def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"store\.url"):
        async with open_store(StoreOptions(url="http://nowhere"), lambda: 0.0):
            pass
    async with open_store(StoreOptions(), lambda: 0.0) as nothing:
        assert nothing is None
    assert KeptConversation().items == ()


def test_an_item_is_written_once_until_it_changes() -> None:
    kept, writer = KeptConversation(tuple(an_item(number) for number in range(3))), ConversationWriter(2**20)
    writer.draft(kept, 0.0)()
    first, second, third = kept.items
    second.wire["status"] = "incomplete"
    third.pieces.append(("more", 10, "content"))
    writes = writer.draft(kept, 1.0)
    # What comes after the draft is for the next one.
    first.heard_ms = 5.0
    third.pieces.append(("and more", 10, "content"))
    again = kept_conversation(writes(), 1.0)
    assert [item.wire["status"] for item in again.items] == ["completed", "incomplete", "completed"]
    assert (again.items[0].heard_ms, again.items[2].pieces) == (None, [("more", 10, "content")])
    last = kept_conversation(writer.draft(replace(kept, items=kept.items[::2]), 2.0)(), 2.0)
    assert [item.id for item in last.items] == [first.id, third.id]
    assert (last.items[0].heard_ms, len(last.items[1].pieces)) == (5.0, 2)


async def test_a_conversation_of_16_mb_does_not_hold_the_event_loop() -> None:
    kept, writer, store = long_conversation(), ConversationWriter(MOST), Trouble()
    patient = PatientStore(store, 60.0, asyncio.get_running_loop().time)
    keys = Keys(None, most=1)
    held = Held("conv_" + "0" * 20, keys.owner("conv_" + "0" * 20), "x")
    keeping = Keeping(patient, held, lambda: writer.draft(kept, 0.0))
    async with watched() as hold:
        await keeping.last()
        again = (await resumed(patient, held.conversation_id, keys, lambda kind: f"{kind}_x", 0.0)).kept
    assert again is not None
    assert len(again.items) == len(kept.items)
    assert len(store.newest) > 15 * 2**20
    assert hold.longest_s < at_once_s() / 4


async def test_the_items_of_a_long_conversation_are_told_a_few_at_a_time() -> None:
    sent: list[str] = []
    most = 0

    async def others() -> None:
        nonlocal most
        before = 0
        while True:
            await asyncio.sleep(0)
            most, before = max(most, len(sent) - before), len(sent)

    protocol = Protocol(model="m", voice="joe", new_id=lambda kind: f"{kind}_x")
    protocol.go_on(long_conversation(), 0.0)
    async with FakeModels().open() as models:
        adapter = RealtimeAdapter(models, protocol, lambda event: sent.append(event["type"]), lambda: 0.0)
        ready = asyncio.Event()
        tasks = [asyncio.create_task(work) for work in (others(), adapter.run(ready))]
        await asyncio.wait_for(ready.wait(), 20)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert sent.count("conversation.item.done") == len(long_conversation().items)
    assert sent[0] == "session.created"
    assert most <= 16
