"""Stands for the third party: a server of vLLM's completion interface on a loopback socket, over any next-token rule.

It keeps what the engine relies on: token-id prompts, streamed answers, stop tokens, biases, allowed tokens, raw
log-probabilities of chosen and of listed tokens, a refusal of what does not fit, and that a closed connection ends the
request. It counts, waits for leave where it is told to, and can die in the middle of an answer.
"""

from __future__ import annotations

import asyncio
import json
import random
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import torch

from reasoning.formats.gguf import GgufFile
from tests.reasoning.reference import Reference, ReferenceBlock

Body = Mapping[str, Any]
Rule = Callable[[Sequence[int]], Awaitable[Sequence[float]]]
"""Tokens written so far -> log-probabilities of the next one."""
Begin = Callable[[Body], AbstractAsyncContextManager[Rule]]
"""What makes the rule for a request, and hears of its end."""


def computed_by(file: GgufFile) -> Begin:
    """Let a model file say what comes next, by the slow decoder."""
    reference = Reference(file)

    @asynccontextmanager
    async def begin(body: Body) -> AsyncIterator[Rule]:
        block, prompt = ReferenceBlock(), list(body["prompt"])

        async def rule(written: Sequence[int]) -> Sequence[float]:
            await asyncio.sleep(0)
            new = [*prompt, *written][len(block) :]
            found: list[float] = reference.step([(new, [block])])[0][-1].log_softmax(dim=-1).tolist()
            return found

        yield rule

    return begin


def logits_behind(ids: Sequence[int], size: int) -> list[float]:
    """Give log-probabilities that are drawn, differently behind each text."""
    draw = random.Random(zlib.crc32(bytes(token % 256 for token in ids)))
    found: list[float] = torch.tensor([draw.uniform(-8, 0) for _ in range(size)]).log_softmax(dim=-1).tolist()
    return found


def babbling(size: int) -> Begin:
    """Write nonsense, at no cost."""

    @asynccontextmanager
    async def begin(body: Body) -> AsyncIterator[Rule]:
        async def rule(written: Sequence[int]) -> Sequence[float]:
            await asyncio.sleep(0)
            return logits_behind([*body["prompt"], *written], size)

        yield rule

    return begin


def _chosen(log_probs: Sequence[float], body: Body, draw: random.Random) -> int:
    bias = {int(token): value for token, value in (body.get("logit_bias") or {}).items()}
    allowed = body.get("allowed_token_ids") or range(len(log_probs))
    weights = {token: log_probs[token] + bias.get(token, 0.0) for token in allowed}
    if not body["temperature"]:
        return max(weights, key=weights.__getitem__)
    # By the Gumbel trick, so that nothing has to be normalised.
    hot = body["temperature"]
    noise = {token: draw.expovariate(1.0) for token in weights}
    return min(weights, key=lambda token: noise[token] * 2.718281828 ** (-weights[token] / hot))


class _Growing:
    """A prompt behind texts that grow."""

    def __init__(self, views: Sequence[Callable[[], list[int]]], own: Sequence[int]) -> None:
        self._views, self._own = views, own

    def __iter__(self) -> Iterator[int]:
        for view in self._views:
            yield from view()
        yield from self._own


@dataclass
class ToyVllm:
    """The interface without the socket."""

    begin: Begin
    name: str = "toy"
    max_model_len: int = 512
    gate: asyncio.Semaphore | None = None
    """Where set: leave to make one token each."""
    asked: list[dict[str, Any]] = field(default_factory=list)
    generated: int = 0
    running: int = 0
    aborted: int = 0
    tokenize: Callable[[str], list[int]] | None = None
    """Where set, the server tokenises text."""
    ignores: frozenset[str] = frozenset()
    """Keys of a request that this server does not know."""
    live: bool = False
    """Whether it has live views; what was computed under one is never forgotten here."""
    computed: list[tuple[tuple[int, ...], int]] = field(default_factory=list)
    """With live views: each token, and all that it was chosen behind."""
    _texts: dict[tuple[str, str], Callable[[], list[int]]] = field(default_factory=dict)

    async def until_idle(self) -> None:
        """Wait until no request runs: a server learns of a closed connection a moment later."""
        async with asyncio.timeout(10):
            while self.running:  # noqa: ASYNC110 - what it waits for are others' turns of the event loop
                await asyncio.sleep(0)

    def metrics(self) -> str:
        """Give what /metrics tells; this server caches nothing."""
        figures = {
            'cache_config_info{block_size="16",enable_prefix_caching="True",engine="0"}': 1,
            'generation_tokens_total{engine="0"}': self.generated,
            'prompt_tokens_total{engine="0"}': sum(len(body["prompt"]) for body in self.asked),
            'prefix_cache_hits_total{engine="0"}': 0,
            'num_requests_running{engine="0"}': self.running,
        }
        return "".join(f"vllm:{name} {float(value)}\n" for name, value in figures.items())

    def refusal(self, body: Body) -> str:
        if len(body["prompt"]) + body["max_tokens"] > self.max_model_len:
            return f"This model's maximum context length is {self.max_model_len} tokens."
        live = body.get("vllm_xargs", {})
        for name in live.get("live_view", ()):
            if (live["live_session"], name) not in self._texts:
                return f"the session has no block {name!r}"
        listed = body.get("logprob_token_ids")
        if listed and (len(listed) > 20 or body["logprobs"] != len(listed)):
            return "logprobs must equal len(logprob_token_ids)"
        return ""

    async def chunks(self, asked: dict[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        self.asked.append(asked)
        body = {key: value for key, value in asked.items() if key not in self.ignores}
        draw, written = random.Random(body["seed"]), list[int]()
        live = body.get("vllm_xargs", {})
        views = [self._texts[live["live_session"], name] for name in live.get("live_view", ())]
        body["prompt"] = _Growing(views, asked["prompt"])
        block = (live.get("live_session", ""), live.get("live_block", asked["request_id"]))
        self._texts[block] = lambda: [*asked["prompt"], *written]
        self.running += 1
        try:
            async with self.begin(body) as rule:
                while True:
                    if self.gate is not None:
                        await self.gate.acquire()
                    log_probs = await rule(written)
                    token = _chosen(log_probs, body, draw)
                    if self.live:
                        self.computed.append(((*body["prompt"], *written), token))
                    written.append(token)
                    self.generated += 1
                    stopped = token in body["stop_token_ids"]
                    reason = "stop" if stopped else "length" if len(written) == body["max_tokens"] else None
                    yield self._chunk(body, token, log_probs, reason)
                    if reason:
                        return
        finally:
            self.running -= 1
            self._texts.pop(block, None)

    @staticmethod
    def _chunk(body: Body, token: int, log_probs: Sequence[float], reason: str | None) -> dict[str, Any]:
        listed = {f"token_id:{each}": log_probs[each] for each in (*body.get("logprob_token_ids", ()), token)}
        ids = {"token_ids": [token]} if body.get("return_token_ids") else {}
        told = {"tokens": [f"token_id:{token}"], "token_logprobs": [log_probs[token]], "top_logprobs": [listed]}
        return {"choices": [{"index": 0, "text": "x", "logprobs": told, "finish_reason": reason, **ids}]}


class ToyServer:
    """The same on a socket, as a process would be: it can be killed, and started again on its port."""

    def __init__(self, model: ToyVllm) -> None:
        self.model = model
        self.port = 0
        self.die_after: int | None = None
        """Tokens after which it is gone, in the middle of an answer."""
        self.dead = asyncio.Event()
        self.keys: list[str] = []
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._handlers: set[asyncio.Task[Any]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self.dead.clear()
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    def kill(self) -> None:
        """Be gone, as after SIGKILL: every connection is reset, also one that is made from now on."""
        self.dead.set()
        for writer in list(self._writers):
            writer.transport.abort()

    async def stop(self) -> None:
        """Be gone, and wait until nothing of it runs any more."""
        self.kill()
        # asyncio loses a connection that is taken in the moment in which its socket is closed.
        for _ in range(10):
            await asyncio.sleep(0)
        if self._server is not None:
            self._server.close()
        await asyncio.gather(*self._handlers)

    @asynccontextmanager
    async def served(self) -> AsyncIterator[ToyServer]:
        await self.start()
        try:
            yield self
        finally:
            await self.stop()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        me = asyncio.current_task()
        assert me is not None
        self._handlers.add(me)
        self._writers.add(writer)
        if self.dead.is_set():
            writer.transport.abort()
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")
                headers = {key.lower(): value for key, _, value in (line.partition(": ") for line in lines[1:])}
                self.keys.append(headers.get("authorization", ""))
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                await self._answer(lines[0].split()[1], body, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            self._handlers.discard(me)
            writer.close()

    async def _answer(
        self, path: str, content: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if path == "/v1/models":
            listed = {"id": self.model.name, "root": "toy/model", "max_model_len": self.model.max_model_len}
            _send(writer, 200, {"data": [listed]})
        elif path == "/metrics":
            _send(writer, 200, self.model.metrics())
        elif path == "/tokenize" and self.model.tokenize is not None:
            _send(writer, 200, {"tokens": self.model.tokenize(json.loads(content)["prompt"])})
        elif path.startswith("/v1/live_views") and self.model.live:
            _send(writer, 200, {"session": f"session {len(self.keys)}"})
        elif path != "/v1/completions":
            _send(writer, 200 if path == "/health" else 404, {})
        elif refused := self.model.refusal(json.loads(content)):
            _send(writer, 400, {"error": {"message": refused}})
        else:
            streaming = asyncio.create_task(self._stream(json.loads(content), writer))
            gone = asyncio.create_task(reader.read(1))
            await asyncio.wait([streaming, gone], return_when=asyncio.FIRST_COMPLETED)
            self.model.aborted += not streaming.done()
            for task in (streaming, gone):
                task.cancel()
                with suppress(asyncio.CancelledError, ConnectionError):
                    await task

    async def _stream(self, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        async for chunk in self.model.chunks(body):
            if self.die_after is not None:
                if not self.die_after:
                    self.kill()
                    return
                self.die_after -= 1
            _send_chunk(writer, f"data: {json.dumps(chunk)}\n\n".encode())
            await writer.drain()
        _send_chunk(writer, b"data: [DONE]\n\n")
        writer.write(b"0\r\n\r\n")
        await writer.drain()


def _send(writer: asyncio.StreamWriter, status: int, told: object) -> None:
    content = (told if isinstance(told, str) else json.dumps(told)).encode()
    writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: {len(content)}\r\n\r\n".encode() + content)


def _send_chunk(writer: asyncio.StreamWriter, content: bytes) -> None:
    writer.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")
