"""Measures what HTTP on loopback costs against vLLM in this process (`AsyncLLM`), with and without streamed inputs.

    .venv-vllm/bin/python -m tests.vllm.in_process [--model smollm2-135m] [--rounds 9]

Runs in the environment of `make vllm`. A server and an engine of this process have the same weights and options and are
asked in turn, one resting while the other computes; over HTTP by the engine's own client. What is computed is the same
everywhere: prompts whose beginning is in the prefix cache, greedy. Prints medians in milliseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from reasoning.options import VllmOptions
from reasoning.vllm.replicas import Home
from reasoning.vllm.servers import Servers
from reasoning.vllm.wire import Ask
from tests.vllm.server import BLOCK, ENVIRONMENT, VllmServer, running

if TYPE_CHECKING:
    from vllm import SamplingParams, TokensPrompt

_KEPT: Final = 640
"""Tokens of a prompt that were there before: whole blocks of the cache."""
_NEW: Final = 12
"""New thoughts."""
_OWN: Final = 48
"""Tokens of the reply so far."""
_SEGMENT: Final = 16
_SEGMENTS: Final = 6

Tokens = Callable[[Sequence[int], int], AsyncGenerator[int]]
"""(prompt, tokens wanted) -> the tokens."""


class OverHttp:
    """The server, asked as `VllmEngine` asks it."""

    def __init__(self, servers: Servers) -> None:
        self._servers, self._home = servers, Home()

    async def tokens(self, prompt: Sequence[int], count: int) -> AsyncGenerator[int]:
        """Stream an answer."""
        async with aclosing(self._servers.complete(self._home, Ask(tuple(prompt), count, label="m"))) as pieces:
            async for piece in pieces:
                yield piece.id


class InProcess:
    """The same engine without the server."""

    def __init__(self, server: VllmServer) -> None:
        from vllm import AsyncEngineArgs  # noqa: PLC0415 - in one environment only, and after its variables
        from vllm.v1.engine.async_llm import AsyncLLM  # noqa: PLC0415

        self._llm: Any = AsyncLLM.from_engine_args(
            AsyncEngineArgs(
                model=str(server.folder),
                dtype=server.dtype,
                max_model_len=4096,
                max_num_seqs=16,
                enforce_eager=True,
                enable_prefix_caching=True,
                block_size=BLOCK,
                max_num_batched_tokens=256,
                scheduling_policy="priority",
            )
        )

    def close(self) -> None:
        """End its processes."""
        self._llm.shutdown()

    async def tokens(self, prompt: Sequence[int], count: int) -> AsyncGenerator[int]:
        """Stream an answer."""
        outputs = self._llm.generate(self._prompt(prompt), self._rules(count), uuid.uuid4().hex, priority=count)
        async with aclosing(outputs):
            async for output in outputs:
                for token in output.outputs[0].token_ids:
                    yield token

    async def appending(self, chunks: Sequence[Sequence[int]]) -> list[float]:
        """Stream the prompt, too: give the seconds to the first token behind each chunk."""
        from vllm.engine.protocol import StreamingInput  # noqa: PLC0415

        answered, taken = asyncio.Event(), list[float]()

        async def prompts() -> AsyncGenerator[Any]:
            for chunk in chunks:
                answered.clear()
                taken.append(time.perf_counter())
                yield StreamingInput(self._prompt(chunk), self._rules(1))
                await answered.wait()

        async for output in self._llm.generate(prompts(), self._rules(1), uuid.uuid4().hex):
            if output.outputs[0].token_ids:
                taken[-1] = time.perf_counter() - taken[-1]
                answered.set()
            if output.finished:
                break
        return taken

    @staticmethod
    def _prompt(ids: Sequence[int]) -> TokensPrompt:
        from vllm import TokensPrompt  # noqa: PLC0415

        return TokensPrompt(prompt_token_ids=list(ids))

    @staticmethod
    def _rules(count: int) -> SamplingParams:
        from vllm import SamplingParams  # noqa: PLC0415
        from vllm.sampling_params import RequestOutputKind  # noqa: PLC0415

        kind = RequestOutputKind.DELTA
        return SamplingParams(max_tokens=count, temperature=0, ignore_eos=True, logprobs=0, output_kind=kind)


class Prompts:
    """Prompts that share their beginning, and nothing else with one another."""

    def __init__(self) -> None:
        self._next = 1000
        self.kept = [1000 + (token * 31) % 40000 for token in range(_KEPT)]

    def fresh(self, count: int) -> list[int]:
        """Give tokens that nobody has had."""
        self._next += count
        return [1000 + (token * 7919) % 40000 for token in range(self._next - count, self._next)]


async def first_token_s(tokens: Tokens, prompt: Sequence[int]) -> float:
    """Take the time until one token is there."""
    began = time.perf_counter()
    async with aclosing(tokens(prompt, 1)) as stream:
        await anext(stream)
        taken = time.perf_counter() - began
        async for _ in stream:
            pass
    return taken


async def token_s(tokens: Tokens, prompt: Sequence[int]) -> float:
    """Take the time of a token in a stream of its own."""
    moments = [time.perf_counter() async for _ in tokens(prompt, 65)]
    return (moments[-1] - moments[0]) / 64


async def reply_s(tokens: Tokens, prompts: Prompts) -> float:
    """Take the time of a reply in segments, each of which reads new thoughts, while the thinker goes on."""
    thinking = asyncio.create_task(read(tokens([*prompts.kept, *prompts.fresh(_NEW)], 4 * _SEGMENT * _SEGMENTS)))
    await asyncio.sleep(0.2)
    began, thoughts, reply = time.perf_counter(), list[int](), prompts.fresh(1)
    for _ in range(_SEGMENTS):
        thoughts += prompts.fresh(_NEW)
        reply += [token async for token in tokens([*prompts.kept, *thoughts, *reply], _SEGMENT)]
    taken = time.perf_counter() - began
    thinking.cancel()
    await asyncio.gather(thinking, return_exceptions=True)
    return taken


async def read(stream: AsyncGenerator[int]) -> None:
    async with aclosing(stream):
        async for _ in stream:
            pass


async def measure(server: VllmServer, rounds: int) -> None:
    """Ask both in turn, and print what each took."""
    rows: dict[str, dict[str, list[float]]] = {}
    prompts = Prompts()
    inside = InProcess(server)
    try:
        async with AsyncExitStack() as stack:
            servers = Servers(VllmOptions(servers=(server.url,)))
            await stack.enter_async_context(servers.watched())
            await servers.model()
            both: dict[str, Tokens] = {"HTTP": OverHttp(servers).tokens, "AsyncLLM": inside.tokens}

            async def note(what: str, who: str, taken: Awaitable[float]) -> None:
                rows.setdefault(what, {}).setdefault(who, []).append(await taken)

            for tokens in both.values():
                await first_token_s(tokens, [*prompts.kept, 1])
            for number in range(rounds):
                for who, tokens in list(both.items())[:: 1 if number % 2 else -1]:
                    for _ in range(4):
                        await note("first token, prompt in the cache", who, first_token_s(tokens, [*prompts.kept, 1]))
                        new = [*prompts.kept, *prompts.fresh(_NEW), *prompts.fresh(_OWN)]
                        await note("first token, writer asks anew", who, first_token_s(tokens, new))
                    growing = [*prompts.kept, *prompts.fresh(1)]
                    for _ in range(4):
                        growing += prompts.fresh(_NEW)
                        await note(f"first token, {_NEW} new at the end", who, first_token_s(tokens, growing))
                    await note("token of one stream", who, token_s(tokens, [*prompts.kept, *prompts.fresh(1)]))
                    await note(f"reply of {_SEGMENT * _SEGMENTS} beside a thinker", who, reply_s(tokens, prompts))
                chunks = [[*prompts.kept, *prompts.fresh(1)], *(prompts.fresh(_NEW) for _ in range(4))]
                streamed = await inside.appending(chunks)
                found = rows[f"first token, {_NEW} new at the end"]
                found.setdefault("AsyncLLM, inputs streamed", []).extend(streamed[1:])
    finally:
        inside.close()
    for what, figures in rows.items():
        told = "   ".join(f"{who} {median(taken) * 1000:.1f} (n={len(taken)})" for who, taken in figures.items())
        print(f"{what:36} {told}", flush=True)


def main() -> None:
    """Start the server, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    server = VllmServer(model=options.model, dtype="bfloat16")
    os.environ.update(ENVIRONMENT)
    with running(server):
        asyncio.run(measure(server, options.rounds))


if __name__ == "__main__":
    main()
