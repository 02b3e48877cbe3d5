"""Two servers behind a real HAProxy, with a real Redis or Valkey: one drains, one is killed, all talks go on."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from agent.realtime.protocol.keeping import ConversationWriter
from agent.realtime.server.options import StoreOptions
from agent.realtime.server.store import Held, StoredOtherwise, StoreUnavailable, open_store
from tests.agent.realtime.fakes import Client
from tests.agent.realtime.resuming.long import MOST, at_once_s, long_conversation, watched
from tests.robots.stage.mosquitto import free_port, until_open

pytestmark = pytest.mark.balancer

ROOT: Final = Path(__file__).parents[4]
STORE: Final = shutil.which("valkey-server") or shutil.which("redis-server") or "redis-server"
BALANCER: Final = shutil.which("haproxy") or "/usr/sbin/haproxy"
KEY: Final = "0123456789abcdef0123"
SOCKETS: Final = 8


@contextmanager
def running(*words: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as out:
        process = subprocess.Popen(words, stdout=out, stderr=out, cwd=ROOT)
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


@contextmanager
def a_store(folder: Path, *more: str) -> Iterator[str]:
    port = free_port()
    words = [STORE, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder), *more]
    with running(*words, log=folder / "store.log"):
        until_open(port)
        yield f"redis://127.0.0.1:{port}/0"


@dataclass
class House:
    """Everything but the clients."""

    folder: Path
    store: str
    ports: tuple[int, int] = field(default_factory=lambda: (free_port(), free_port()))
    front: int = field(default_factory=free_port)
    servers: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, number: int) -> None:
        (self.folder / "key").write_text(f"{KEY}\n")
        port = self.ports[number]
        words = [sys.executable, "-m", "tests.agent.realtime.resuming.scripted", "--port", str(port)]
        words += ["--key", str(self.folder / "key"), "--store", self.store]
        with (self.folder / f"server-{number}.log").open("ab") as out:
            self.servers[number] = subprocess.Popen(words, stdout=out, stderr=out, cwd=ROOT)

    @contextmanager
    def balanced(self) -> Iterator[None]:
        """Run HAProxy with the file that users have, at other ports."""
        text = (ROOT / "deploy" / "haproxy.cfg").read_text(encoding="utf-8")
        here = {"8765": self.front, "8001": self.ports[0], "8002": self.ports[1]}
        for there, port in here.items():
            assert text.count(f"127.0.0.1:{there}") == 1
            text = text.replace(f"127.0.0.1:{there}", f"127.0.0.1:{port}")
        (self.folder / "haproxy.cfg").write_text(text)
        with running(BALANCER, "-db", "-f", str(self.folder / "haproxy.cfg"), log=self.folder / "haproxy.log"):
            until_open(self.front)
            yield

    async def ready(self, *numbers: int) -> None:
        """Wait until these servers, and no others, take sessions by way of the balancer."""
        for number in numbers:
            until_open(self.ports[number], 60)
        # HAProxy looks once a second.
        await asyncio.sleep(2.5)

    async def sessions(self, number: int) -> int:
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {KEY}"}) as http:
            told = (await http.get(f"http://127.0.0.1:{self.ports[number]}/metrics")).text
        (line,) = (line for line in told.splitlines() if line.startswith("descant_sessions "))
        return int(float(line.split()[1]))

    async def until_stored(self, told: dict[str, str]) -> None:
        """Wait until the store has these words, by conversation: they are put there a moment after they are sent."""
        from redis.asyncio import Redis  # noqa: PLC0415 - an extra

        async with Redis.from_url(self.store, decode_responses=True) as raw, asyncio.timeout(2):
            for conversation, words in told.items():
                while words not in str(await raw.hget(f"descant:conversation:{conversation}", "text")):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)

    def end(self) -> None:
        for process in self.servers.values():
            process.kill()
            process.wait(10)


@asynccontextmanager
async def house(folder: Path) -> AsyncIterator[House]:
    with a_store(folder) as store:
        one = House(folder, store)
        try:
            one.start(0)
            one.start(1)
            with one.balanced():
                await one.ready(0, 1)
                yield one
        finally:
            one.end()


@dataclass
class Caller:
    """One client, over all of its sessions."""

    number: int
    front: int
    conversation: str = ""
    client: Client | None = None
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    answers: dict[str, list[str]] = field(default_factory=dict)
    """What came of each question."""
    resumed_in_s: list[float] = field(default_factory=list)

    async def connect(self) -> None:
        """Come in, as a client does whose connection has ended: again and again for a while."""
        query = f"model=any&conversation={self.conversation}" if self.conversation else "model=any"
        began = time.monotonic()
        while True:
            try:
                socket = await self.stack.enter_async_context(
                    connect(
                        f"ws://127.0.0.1:{self.front}/v1/realtime?{query}",
                        additional_headers={"Authorization": f"Bearer {KEY}"},
                        max_size=None,
                        compression=None,
                    )
                )
                break
            except (InvalidStatus, OSError):
                assert time.monotonic() - began < 10
                await asyncio.sleep(0.1)
        self.client = Client(socket)
        await self.client.until("session.created")
        await self.client.configure(output_modalities=["text"])
        self.resumed_in_s.append(time.monotonic() - began)
        # Nothing is answered by itself.
        assert not self.client.of("response.created")
        assert not self.client.of("error")

    @property
    def history(self) -> list[tuple[str, str, str]]:
        assert self.client is not None
        items = [event["item"] for event in self.client.of("conversation.item.done")]
        return [
            (item["role"], item["status"], "".join(part.get("text", "") for part in item["content"])) for item in items
        ]

    async def ask(self, name: str, *, story: bool = False) -> dict[str, Any]:
        """Ask a question; of a story, give the response that has begun to be told."""
        assert self.client is not None
        await self.client.write(f"This is question {name}{self.number}{', a long story' if story else ''}.")
        return await self.respond(name, story=story)

    async def respond(self, name: str, *, story: bool = False) -> dict[str, Any]:
        assert self.client is not None
        await self.client.send("response.create")
        made: dict[str, Any] = (await self.client.until("response.created"))["response"]
        self.conversation = made["conversation_id"]
        if story:
            await self.client.until("response.output_text.delta")
            return made
        done: dict[str, Any] = (await self.client.until("response.done"))["response"]
        assert done["status"] == "completed"
        self.answers.setdefault(name, []).append(done["output"][0]["content"][0]["text"])
        return done


async def test_every_conversation_goes_on_when_a_server_drains_and_when_one_is_killed(tmp_path: Path) -> None:
    async with house(tmp_path) as one, AsyncExitStack() as stack:
        callers = [Caller(number, one.front) for number in range(SOCKETS)]
        for caller in callers:
            stack.push_async_callback(caller.stack.aclose)
            await caller.connect()
        assert [await one.sessions(number) for number in (0, 1)] == [4, 4], "the fewest first"
        await asyncio.gather(*(caller.ask("a") for caller in callers))

        # One drains: its sessions are told, and their clients come back to the other one.
        one.servers[0].send_signal(signal.SIGTERM)
        codes = []
        for caller in callers:
            assert caller.client is not None
            try:
                codes.append(await asyncio.wait_for(caller.client.close_code(), 3))
            except TimeoutError:
                continue
            await caller.connect()
            assert [(role, status) for role, status, _ in caller.history] == [
                ("user", "completed"),
                ("assistant", "completed"),
            ]
        assert codes == [1012] * 4
        assert one.servers[0].wait(20) == 0
        assert await one.sessions(1) == SOCKETS
        await asyncio.gather(*(caller.ask("b") for caller in callers))

        # The other one is killed in the middle of half of its answers.
        one.start(0)
        await one.ready(0)
        await asyncio.gather(*(caller.ask("c", story=True) for caller in callers[::2]))
        await asyncio.gather(*(caller.ask("c") for caller in callers[1::2]))
        begun = {caller.conversation: f"a{caller.number} and b{caller.number}" for caller in callers[::2]}
        answered = {caller.conversation: caller.answers["c"][0] for caller in callers[1::2]}
        await one.until_stored(begun | answered)
        one.servers[1].kill()
        await asyncio.gather(*(caller.client.close_code() for caller in callers if caller.client is not None))
        await asyncio.gather(*(caller.connect() for caller in callers))
        for caller in callers[::2]:
            role, status, text = caller.history[-1]
            assert (role, status) == ("assistant", "incomplete")
            assert text.startswith(f"I have read a{caller.number} and b{caller.number}")
        assert await one.sessions(0) == SOCKETS
        await asyncio.gather(*(caller.ask("d") for caller in callers))

        for caller in callers:
            names = "a", "b", "c", "d"
            told = " and ".join(f"{name}{caller.number}" for name in names)
            assert caller.answers["d"] == [f"I have read {told}."], "its whole history, and nobody else's"
            assert all(len(answers) == 1 for answers in caller.answers.values())
            roles = [role for role, _, _ in caller.history]
            assert roles == ["user", "assistant"] * 4, "nothing is answered twice, nothing is lost"
        waits = sorted(wait for caller in callers for wait in caller.resumed_in_s[1:])
        print(f"\nback after {waits[len(waits) // 2]:.2f} s in the median, {waits[-1]:.2f} s at most, n {len(waits)}")


async def test_a_full_server_leaves_sessions_to_others_and_all_full_is_told_by_the_status(tmp_path: Path) -> None:
    async with house(tmp_path) as one, AsyncExitStack() as stack:
        callers = [Caller(number, one.front) for number in range(2 * SOCKETS)]
        for caller in callers:
            stack.push_async_callback(caller.stack.aclose)
            await caller.connect()
        assert [await one.sessions(number) for number in (0, 1)] == [SOCKETS, SOCKETS]
        with pytest.raises(InvalidStatus) as refused:
            await connect(
                f"ws://127.0.0.1:{one.front}/v1/realtime", additional_headers={"Authorization": f"Bearer {KEY}"}
            )
        assert refused.value.response.status_code == 503


HELD: Final = Held("conv_" + "0" * 20, "me", "first")


async def test_a_store_is_the_same_over_the_network(tmp_path: Path) -> None:
    with a_store(tmp_path) as url:
        async with open_store(StoreOptions(url=url, keep_s=10), time.monotonic) as store:
            assert store is not None
            assert await store.put(HELD, "ä text")
            assert await store.holds(HELD)
            other = Held(HELD.conversation_id, "somebody else", "x")
            assert await store.take(other) is None
            second = Held(HELD.conversation_id, "me", "second")
            assert await store.take(second) == "ä text"
            assert not await store.put(HELD, "older")
            assert not await store.holds(HELD)
            assert await store.take(Held("conv_" + "1" * 20, "me", "x")) is None


async def test_a_conversation_of_16_mb_passes_to_and_from_the_store_without_holding_the_event_loop(
    tmp_path: Path,
) -> None:
    text = ConversationWriter(MOST).draft(long_conversation(), 0.0)()
    with a_store(tmp_path) as url:
        async with open_store(StoreOptions(url=url, timeout_s=10), time.monotonic) as store, watched() as hold:
            assert store is not None
            assert await store.put(HELD, "the one before")
            assert await store.put(HELD, text)
            second = Held(HELD.conversation_id, "me", "second")
            assert await store.take(second) == text
            assert not await store.put(HELD, text), "a long one is refused, too"
            assert await store.take(second) == text
        print(f"\nlongest hold {1000 * hold.longest_s:.1f} ms, written at once {1000 * at_once_s():.1f} ms")
        assert hold.longest_s < at_once_s() / 4


def a_certificate(folder: Path) -> tuple[Path, Path]:
    key, certificate = folder / "key.pem", folder / "cert.pem"
    words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=store", "-addext"]
    words += ["subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(["openssl", *words], check=True, capture_output=True)  # noqa: S607
    return key, certificate


async def test_the_way_to_a_store_may_be_tls_and_a_certificate_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    (key, certificate), port = a_certificate(tmp_path), free_port()
    tls = ["--tls-port", str(port), "--tls-cert-file", str(certificate), "--tls-key-file", str(key)]
    with a_store(tmp_path, *tls, "--tls-auth-clients", "no", "--requirepass", KEY):
        until_open(port)
        (tmp_path / "password").write_text(f"{KEY}\n")
        known = StoreOptions(
            url=f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={certificate}", password_file=tmp_path / "password"
        )
        async with open_store(known, time.monotonic) as store:
            assert store is not None
            assert await store.put(HELD, "text")
        unknown = StoreOptions(url=f"rediss://127.0.0.1:{port}/0", password_file=tmp_path / "password")
        async with open_store(unknown, time.monotonic) as store:
            assert store is not None
            with pytest.raises(StoreUnavailable, match="certificate"):
                await store.put(HELD, "text")


async def test_a_store_that_is_full_read_only_older_or_slow(tmp_path: Path) -> None:
    from redis.asyncio import Redis  # noqa: PLC0415 - an extra

    with a_store(tmp_path) as url:
        options = StoreOptions(url=url, timeout_s=0.5)
        raw = Redis.from_url(url)
        faults = {
            "maxmemory": ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"),
            "read only": ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"),
            "no answer within": ("CLIENT PAUSE 3000 ALL", ""),
        }
        for told, (breaks, mends) in faults.items():
            async with open_store(options, time.monotonic) as store:
                assert store is not None
                await raw.execute_command(breaks)  # type: ignore[no-untyped-call]
                began = time.monotonic()
                with pytest.raises(StoreUnavailable, match=told):
                    await store.put(HELD, "text")
                assert time.monotonic() - began < 1
                if mends:
                    await raw.execute_command(mends)  # type: ignore[no-untyped-call]
                else:
                    await raw.ping()
        async with open_store(options, time.monotonic) as store:
            assert store is not None
            assert await store.put(HELD, "text")
            await raw.hset(f"descant:conversation:{HELD.conversation_id}", "version", "0")
            with pytest.raises(StoredOtherwise, match="another version"):
                await store.take(HELD)
        await raw.aclose()
