"""What every client's scenarios stand on: where the server is, a recorded question, and a wire to the driver.

Runs in each client's own virtual environment, so it needs nothing but the standard library. Results and requests go to
standard output, one JSON object a line; the answer to a request comes on standard input.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

RATE = 24_000
CHUNK = RATE // 10 * 2
"""Bytes of a tenth of a second."""


class NotOffered(Exception):
    """The client has no way to do this."""


@dataclass(frozen=True)
class Stage:
    """One server to play against."""

    port: int
    key: str
    most_sessions: int
    question: bytes
    """A recorded question: 24 kHz, 16 bit, mono."""

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def websocket(self) -> str:
        return f"ws://127.0.0.1:{self.port}/v1"

    async def restart(self) -> None:
        """Ask the driver to restart the server, at the same port."""
        print(json.dumps({"ask": "restart"}), flush=True)
        answer = await asyncio.to_thread(sys.stdin.readline)
        assert json.loads(answer) == {"done": "restart"}

    async def spoken(self) -> AsyncIterator[bytes]:
        """Give the question in tenths of a second, in real time, then silence for ever."""
        begin, count = time.monotonic(), 0
        silence = bytes(CHUNK)
        while True:
            yield (
                self.question[count * CHUNK : (count + 1) * CHUNK].ljust(CHUNK, b"\0")
                if self.question[count * CHUNK :]
                else silence
            )
            count += 1
            await asyncio.sleep(max(0.0, begin + count / 10 - time.monotonic()))


Scenario = Callable[[Stage], Awaitable[str | None]]
"""Plays; returns a remark, raises when something is wrong."""


def main(client: str, version: str, scenarios: Mapping[str, Scenario]) -> None:
    """Play the scenarios that the command line names (none: all of them) and report each."""
    stage = Stage(
        port=int(os.environ["STAGE_PORT"]),
        key=os.environ["STAGE_KEY"],
        most_sessions=int(os.environ["STAGE_SESSIONS"]),
        question=Path(os.environ["STAGE_QUESTION"]).read_bytes(),
    )
    for name in sys.argv[1:] or scenarios:
        report = {"client": client, "version": version, "scenario": name, **_play(scenarios[name], stage)}
        print(json.dumps(report), flush=True)


def _play(scenario: Scenario, stage: Stage) -> dict[str, object]:
    begin = time.monotonic()

    async def limited() -> str | None:
        async with asyncio.timeout(90):
            return await scenario(stage)

    try:
        remark = asyncio.run(limited())
        outcome = "passed"
    except NotOffered as reason:
        remark, outcome = str(reason), "not offered"
    except BaseException as error:  # noqa: BLE001 - whatever a client raises is what the table is about
        traceback.print_exc()
        remark, outcome = f"{type(error).__name__}: {error}"[:300], "failed"
    return {"outcome": outcome, "remark": remark, "seconds": round(time.monotonic() - begin, 1)}
