"""A server as a process of its own: the real one before a script that repeats which questions it has read."""

from __future__ import annotations

import argparse
import asyncio
import re
import time
from pathlib import Path

from agent.realtime.server.keys import Keys, read_key
from agent.realtime.server.options import ServerOptions, StoreOptions
from agent.realtime.server.server import RealtimeServer, until_stopped
from agent.realtime.server.store import open_store
from tests.agent.realtime.fakes import FakeModels, Script24
from tests.reasoning.scripted_engine import END

STEPS_PER_S = 200
STORY = "Once upon a time there was a little boat that wanted to see the world. " * 20


def write(before: str) -> str:
    known = re.findall(r"question (\w+)", before)
    said = f"I have read {' and '.join(dict.fromkeys(known))}. "
    return f"{said}{STORY if 'story' in before.rpartition('question')[2] else ''}{END}"


async def serve(port: int, key: Path, store: StoreOptions) -> None:
    models = FakeModels(Script24(small_talk=True, at_once=write))
    pace = asyncio.create_task(_pace(models), name="pace")
    async with models.open() as opened, open_store(store, time.monotonic) as kept:
        # From here on; what comes before is the fakes' own business.
        models.engine.allowance = 0
        options = ServerOptions(max_sessions=8, drain_s=0.5, busy_status=True)
        keys = Keys(read_key(key), most=10)
        server = RealtimeServer(opened, options, keys, model="scripted", voice="joe", store=kept)
        async with server.listening("127.0.0.1", port):
            await until_stopped()
    pace.cancel()


async def _pace(models: FakeModels) -> None:
    while True:
        await asyncio.sleep(1 / STEPS_PER_S)
        models.engine.allow(1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--key", type=Path, required=True)
    parser.add_argument("--store", required=True)
    given = parser.parse_args()
    asyncio.run(serve(given.port, given.key, StoreOptions(url=given.store)))
