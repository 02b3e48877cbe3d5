"""A real vLLM on this machine's processor, in the environment that `make vllm` sets up."""

from __future__ import annotations

import asyncio
import math
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

ROOT: Final = Path(__file__).parents[2]
PYTHON: Final = ROOT / ".venv-vllm/bin/python"
FOLDERS: Final = ROOT / "build/vllm"
BLOCK: Final = 32
"""Tokens of a block of the prefix cache: the smallest that the processor build takes without a warning."""
PLACES: Final = 16
"""Requests that run at a time."""
_START_S: Final = 900.0
ENVIRONMENT: Final = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
}
_OPTIONS: Final = (
    *("--host", "127.0.0.1", "--served-model-name", "m", "--max-model-len", "4096", "--max-num-seqs", str(PLACES)),
    *("--enforce-eager", "--enable-prefix-caching", "--block-size", str(BLOCK), "--max-num-batched-tokens", "256"),
    *("--scheduling-policy", "priority", "--max-logprobs", "-1"),
)
"""Short chunks of prefill, so that an abort need not wait for a long one; all log-probabilities, for the tests' own
requests."""


def free_port() -> int:
    """Give a port that nobody uses at the moment."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return port


@dataclass
class VllmServer:
    """One server process with its children."""

    model: str = "smollm2-135m"
    dtype: str = "float32"
    port: int = field(default_factory=free_port)
    vocabulary: int = 49152
    more: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def folder(self) -> Path:
        return FOLDERS / self.model

    def start(self) -> None:
        """Begin to start; `until_ready` waits."""
        log = (FOLDERS / f"server-{self.port}.log").open("ab")
        command = [PYTHON, "-m", "vllm.entrypoints.openai.api_server", "--model", self.folder, "--port", str(self.port)]
        self.process = subprocess.Popen(
            [*map(str, command), "--dtype", self.dtype, *_OPTIONS, *self.more],
            env={**os.environ, **ENVIRONMENT, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        log.close()

    def until_ready(self) -> None:
        """Wait until it answers."""
        assert self.process is not None
        end = time.monotonic() + _START_S
        while time.monotonic() < end and self.process.poll() is None:
            try:
                if httpx.get(f"{self.url}/health", trust_env=False).is_success:
                    return
            except httpx.TransportError:
                time.sleep(0.25)
        self.kill()
        raise RuntimeError(f"vLLM did not start; see {FOLDERS}/server-{self.port}.log")

    def kill(self) -> None:
        """End the whole group at once, and wait until its port is free."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    async def ask(self, **body: object) -> dict[str, Any]:
        """Make a plain request, without any of our code."""
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            defaults = {"model": "m", "temperature": 0, "ignore_eos": True, "return_token_ids": True}
            response = await client.post(f"{self.url}/v1/completions", json={**defaults, **body})
            response.raise_for_status()
            choice: dict[str, Any] = response.json()["choices"][0]
            return choice

    async def greedy(self, ids: Sequence[int], count: int) -> list[int]:
        """What the server writes when it is asked once."""
        found: list[int] = (await self.ask(prompt=list(ids), max_tokens=count))["token_ids"]
        return found

    async def shares(self, ids: Sequence[int]) -> list[float]:
        """Probability of each token that may come next."""
        wanted = {"logprobs": self.vocabulary, "return_tokens_as_token_ids": True}
        top = (await self.ask(prompt=list(ids), max_tokens=1, **wanted))["logprobs"]["top_logprobs"][0]
        found = [0.0] * self.vocabulary
        for name, value in top.items():
            found[int(name.removeprefix("token_id:"))] = math.exp(value)
        return found

    async def counters(self) -> dict[str, float]:
        """Read the server's own figures, summed over its engines, by the name without `vllm:`."""
        async with httpx.AsyncClient(trust_env=False) as client:
            text = (await client.get(f"{self.url}/metrics")).text
        found: dict[str, float] = {}
        for name, value in re.findall(r"^vllm:(\w+)(?:\{[^}]*\})? (\S+)$", text, re.MULTILINE):
            found[name] = found.get(name, 0.0) + float(value)
        return found

    async def until_idle(self) -> float:
        """Wait until no request runs; give the seconds that it took."""
        began = time.monotonic()
        while (await self.counters())["num_requests_running"]:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.005)
        return time.monotonic() - began


@contextmanager
def running(*servers: VllmServer) -> Iterator[None]:
    """Have servers, started side by side."""
    if not PYTHON.exists():
        raise RuntimeError(f"{PYTHON} is not there: make vllm")
    try:
        for server in servers:
            server.start()
        for server in servers:
            server.until_ready()
        yield
    finally:
        for server in servers:
            server.kill()
