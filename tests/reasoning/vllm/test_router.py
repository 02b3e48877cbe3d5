"""vLLM's own router before two stand-in servers, all of them processes: servers are killed in the middle of answers."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from reasoning.options import VllmOptions
from reasoning.vllm.replicas import Home
from reasoning.vllm.servers import Servers
from reasoning.vllm.wire import Ask
from tests.deploy.services import SERVICES
from tests.reasoning.toy_vllm import logits_behind
from tests.reasoning.vllm.stand_in import VOCABULARY
from tests.robots.stage.mosquitto import free_port, until_open

pytestmark = pytest.mark.router

ROOT = Path(__file__).parents[3]
ROUTER = str(ROOT / ".venv-router" / "bin" / "vllm-router")
TOKENS = 60
KILLS = 20
CONVERSATIONS = 6


def expected(prompt: list[int], count: int) -> list[int]:
    ids = list(prompt)
    for _ in range(count):
        odds = logits_behind(ids, VOCABULARY)
        ids.append(max(range(VOCABULARY), key=odds.__getitem__))
    return ids[len(prompt) :]


class Row:
    """Two servers and the router, each a process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.ports = [free_port(), free_port()]
        self.front, self._figures = free_port(), free_port()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.front}"

    def _run(self, name: str, *words: str) -> None:
        with (self._folder / f"{name}.log").open("ab") as out:
            self.processes[name] = subprocess.Popen(words, stdout=out, stderr=out, cwd=ROOT)

    def start(self, number: int) -> None:
        port = self.ports[number]
        self._run(str(number), sys.executable, "-m", "tests.reasoning.vllm.stand_in", "--port", str(port))
        until_open(port, 60)

    def route(self) -> None:
        # As compose.yaml has it, at other places.
        there = ("0.0.0.0", "port=8000", "http://vllm-one:8000", "http://vllm-two:8000")  # noqa: S104 - a container's
        here = ("127.0.0.1", f"port={self.front}", *(f"http://127.0.0.1:{port}" for port in self.ports))
        words = [ROUTER, *SERVICES["router"]["command"]]
        for old, new in zip(there, here, strict=True):
            assert any(old in word for word in words)
            words = [word.replace(old, new) for word in words]
        self._run("router", *words, "--prometheus-port", str(self._figures))
        until_open(self.front, 60)

    async def generated(self, number: int) -> int:
        """Tokens that a server has written."""
        async with httpx.AsyncClient() as http:
            told = (await http.get(f"http://127.0.0.1:{self.ports[number]}/metrics")).text
        found = re.search(r"generation_tokens_total\S* (\S+)", told)
        assert found is not None
        return int(float(found[1]))

    async def well(self) -> None:
        """Wait until the router sends new conversations to both."""
        async with asyncio.timeout(60):
            while True:
                before = [await self.generated(number) for number in (0, 1)]
                await asyncio.gather(*(self.answer([number], 3) for number in range(CONVERSATIONS)))
                after = [await self.generated(number) for number in (0, 1)]
                if all(old < new for old, new in zip(before, after, strict=True)):
                    return
                await asyncio.sleep(0.5)

    async def answer(self, prompt: list[int], count: int, home: Home | None = None) -> list[int]:
        servers = Servers(VllmOptions(servers=(self.url,), model="toy", patience_s=30.0))
        try:
            pieces = servers.complete(home or Home(), Ask(tuple(prompt), count, label="test"))
            return [piece.id async for piece in pieces]
        finally:
            await servers.aclose()

    def end(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait(10)


@asynccontextmanager
async def row(folder: Path) -> AsyncIterator[Row]:
    one = Row(folder)
    try:
        one.start(0)
        one.start(1)
        one.route()
        await one.well()
        yield one
    finally:
        one.end()


async def test_conversations_are_spread_and_stay(tmp_path: Path) -> None:
    async with row(tmp_path) as one:
        homes = [Home() for _ in range(CONVERSATIONS)]
        places = []
        for home in homes:
            before = [await one.generated(number) for number in (0, 1)]
            for _ in range(3):
                await one.answer([1, 2], 4, home)
            gained = [await one.generated(number) - old for number, old in zip((0, 1), before, strict=True)]
            assert sorted(gained) == [0, 12], "all of a conversation at one server"
            places.append(gained.index(12))
        assert 2 <= sum(places) <= CONVERSATIONS - 2


async def test_no_token_is_lost_or_doubled_when_servers_are_killed(tmp_path: Path) -> None:
    async with row(tmp_path) as one:
        for kill in range(KILLS):
            number = kill % 2
            prompts = [[kill, each, 7] for each in range(CONVERSATIONS)]
            before = await one.generated(number)
            answers = [asyncio.create_task(one.answer(prompt, TOKENS)) for prompt in prompts]
            async with asyncio.timeout(30):
                while await one.generated(number) < before + 10:  # noqa: ASYNC110 - it is another process
                    await asyncio.sleep(0.02)
            one.processes[str(number)].kill()
            found = await asyncio.gather(*answers)
            assert found == [expected(prompt, TOKENS) for prompt in prompts]
            one.processes[str(number)].wait(10)
            one.start(number)
            await one.well()
