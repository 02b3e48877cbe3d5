"""`make test-attack`: each hostile client beside a well-behaved one, on `descant serve` with a small model.

The well-behaved one sends an empty `session.update` every twentieth of a second and asks a question. Its round trips
tell how long the event loop stands still. How busy the machine is without that, a neighbour tells that only computes;
and an attack disturbs if it does so twice.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import signal
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx
import numpy as np
import pytest
from websockets.asyncio.client import connect

from tests.agent.realtime.attack.attackers import ATTACKS
from tests.agent.realtime.fakes import Client

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator

ROOT: Final = Path(__file__).parents[4]
SECONDS: Final = 5.0
"""Of each attack."""
KEEPALIVE_S: Final = 2.0
"""Short, so that a fast sender lives through several within its seconds."""
MOST_S: Final = 0.25
"""Of a round trip, in 99 of 100."""
MOST_GROWN: Final = 1.15
"""Resident memory after the attacks, in that before, when each part of the server had been used once."""
BUSY: Final = 3.0
"""Times a round trip beside the neighbour, which it may take where the machine is too busy for `MOST_S`."""
TIDY_S: Final = 8.0
"""In which memory is given back."""


@dataclass(frozen=True)
class Running:
    """A server in a process of its own."""

    process: Process
    port: int
    log: Path

    @property
    def resident_mb(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024


@dataclass(frozen=True)
class Seen:
    """What a well-behaved client saw."""

    trips_s: list[float]
    reply_s: float

    @property
    def p99_s(self) -> float:
        return float(np.percentile(self.trips_s, 99))

    def __str__(self) -> str:
        median, most = np.median(self.trips_s), max(self.trips_s)
        trips = f"{len(self.trips_s):4} trips: median {median:.3f}, p99 {self.p99_s:.3f}, most {most:.3f} s"
        return f"{trips}; reply after {self.reply_s:.1f} s"


@asynccontextmanager
async def serving(log: Path) -> AsyncIterator[Running]:
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "from agent.cli.main import main; main()", "--set", "models.offline=true",
            "--set", f"server.keepalive_s={KEEPALIVE_S}", "serve", "--port", "0", "--model", "smollm2-135m",
            cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=errors,
        )  # fmt: skip
    assert process.stdout is not None
    try:
        while (ready := re.search(rb"http://127.0.0.1:(\d+)/", line := await process.stdout.readline())) is None:
            assert line, "the server did not start"
        yield Running(process, int(ready.group(1)), log)
    finally:
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), 30)


@asynccontextmanager
async def well_behaved(server: Running) -> AsyncIterator[Client]:
    """Open a session; where hostile ones hold all places it is tried again."""
    url = f"ws://127.0.0.1:{server.port}/v1/realtime?model=m"
    async with connect(url, max_size=None, max_queue=None, compression=None) as socket:
        client = Client(socket, patience_s=60)
        await client.until("session.created")
        await client.configure(output_modalities=["text"], reasoning={"effort": "minimal"})
        yield client


async def heard(client: Client) -> None:
    """Have the ears listen once to as much as they hear at a time."""
    noise = np.random.default_rng(1).normal(0, 300, 29 * 24_000).astype("<i2").tobytes()
    part = {"type": "input_audio", "audio": base64.b64encode(noise).decode()}
    item = {"id": "noise", "type": "message", "role": "user", "content": [part]}
    await client.send("conversation.item.create", item=item)
    await client.until("conversation.item.input_audio_transcription.completed")
    await client.send("conversation.item.delete", item_id="noise")


async def looked(client: Client, seconds: float) -> Seen:
    """Send empty updates for so long, and ask a question in between; all of it must be answered."""
    end = time.monotonic() + seconds
    trips: list[float] = []
    asked = reply_s = 0.0
    while time.monotonic() < end or not reply_s:
        began = time.perf_counter()
        await client.send("session.update", session={"type": "realtime"})
        while (event := await client.next())["type"] != "session.updated":
            if event["type"] == "response.done":
                assert event["response"]["status"] == "completed", event
                assert event["response"]["output"][0]["content"][0]["text"]
                reply_s = time.perf_counter() - asked
        trips.append(time.perf_counter() - began)
        if len(trips) == 10:
            await client.send("conversation.item.create", item=_question(len(client.events)))
            await client.send("response.create")
            asked = time.perf_counter()
        await asyncio.sleep(0.05)
    assert not client.of("error")
    return Seen(trips, reply_s)


def _question(number: int) -> dict[str, Any]:
    text = f"Say hello to number {number}."
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


async def attacked(server: Running, name: str, seconds: float) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.agent.realtime.attack.attackers", name, str(server.port), str(seconds), cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def beside(server: Running, client: Client, name: str) -> tuple[Seen, dict[str, Any]]:
    """Look at the server while it is attacked."""
    attack = await attacked(server, name, SECONDS)
    seen = await looked(client, SECONDS + 1)
    told = json.loads((await attack.communicate())[0] or b'{"failed": true}')
    print(f"{name:20} {seen}; {server.resident_mb:.0f} MB; {told}", flush=True)
    return seen, told


async def over(server: Running) -> None:
    """Wait until the sessions of all attackers are over, with what was done for them."""
    async with httpx.AsyncClient() as http, asyncio.timeout(30):
        figures = f"http://127.0.0.1:{server.port}/metrics"
        while "descant_sessions 1.0" not in (await http.get(figures)).text:  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.5)


@pytest.mark.attack
async def test_hostile_clients_disturb_nobody(tmp_path: Path) -> None:
    async with serving(tmp_path / "log") as server, well_behaved(server) as client:
        await heard(client)
        await looked(client, 3)
        print(f"\n{'alone':20} {await looked(client, 3)}")
        before_mb = server.resident_mb
        neighbour, _ = await beside(server, client, "neighbour")
        bound = max(MOST_S, BUSY * neighbour.p99_s)
        disturbed = {}
        for name in ATTACKS:
            for _ in range(2):
                seen, told = await beside(server, client, name)
                if seen.p99_s <= bound and not told.get("failed"):
                    break
            else:
                disturbed[name] = seen.p99_s
        await over(server)
        await asyncio.sleep(TIDY_S)
        after = await looked(client, 3)
        print(f"{'afterwards':20} {after}; {server.resident_mb:.0f} MB, {before_mb:.0f} MB before")
        assert disturbed == {}, f"asked: {MOST_S} s; beside a neighbour on this machine {bound:.2f} s"
        assert server.resident_mb <= MOST_GROWN * before_mb
    log = server.log.read_text()
    assert "Traceback" not in log
    # A line for each request that could not be read, and hardly any other.
    others = [line for line in log.splitlines() if "cannot be read" not in line]
    assert len(others) < 100, others[:20]
