"""The process in which `descant bench engine` measures the embedded engine: one JSON line in, one out.

    {"do": "load", "model": …, "packed": …, "threads": …, "native": …}   -> seconds, bytes, steps that probes need
    {"do": "run", "case": {…}}     -> {"s": seconds of a step, or of a prefill}
    {"do": "turn", "question": …}  -> a turn of the loop, spoken at the usual pace: its seconds and its probes
    {"do": "memory"}               -> {"peak_bytes": …}

A process of its own, so that its peak memory is its own. Runs the engine as a conversation does: its worker thread,
its schedule, its sampler. Knows no other contender, and nothing about targets.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import threading
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import torch

from agent.models.registry import load_decoder
from bench.engine.cases import SMALLEST_CONTEXT, Case
from bench.engine.conversation import TAIL, BenchConversation, Race
from bench.virtual.timed import Pace
from reasoning.engine.contract import Sampling
from reasoning.engine.torch_engine import TorchEngine, TorchSession
from reasoning.errors import ReasoningError
from reasoning.events import Probe, ReplyText, TurnDone
from reasoning.loop.loop import Loop
from reasoning.native.library import load
from reasoning.native.linear import NativeLinear
from reasoning.options import EngineOptions, LoopOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from reasoning.engine.schedule import TorchBlock
    from reasoning.events import LoopEvent

_WARM_STEPS: Final = 2
"""Steps of a burst that are not timed: other processes have had the caches, and streams join one after the other."""
_RULES: Final = Sampling(max_tokens=512)
"""Of every stream: far more tokens than are timed, after which a stream that cannot be timed ends."""
_PROBES: Final = 2
"""Questions weighed in a row while a probe is measured."""
_PASSES: Final = 5
"""Passes through the linear layers of which a case takes the median."""
_FRAME_S: Final = 0.02
"""Seconds after which the loop learns again how much is left to hear."""


class EngineBench:
    """The engine, its conversations, and the ways to time them."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.options = EngineOptions(device="cpu", threads=request["threads"], native=request["native"])
        start = perf_counter()
        torch.set_num_threads(self.options.threads)
        packed = Path(request["packed"])
        self.decoder, self.script = load_decoder(Path(request["model"]), self.options, packed)
        self.engine = TorchEngine(self.decoder, prefill_rows=self.options.prefill_rows, threads=self.options.threads)
        self.load_s = perf_counter() - start
        self._products = [each for each in self.decoder.linears() if isinstance(each, NativeLinear)]
        self.packed_bytes = sum(file.stat().st_size for file in packed.glob("*.pt"))
        self._conversations: list[BenchConversation] = []

    async def loaded(self) -> dict[str, Any]:
        """Compute one token, so that weights that are only mapped are counted, and describe the model."""
        start = perf_counter()
        async with self.engine.session() as session:
            await session.score_choices([], self.script.prompt[:1], self.script.yes_no)
        config = self.decoder.config
        return {
            "load_s": self.load_s,
            "first_token_s": perf_counter() - start,
            "weight_bytes": self.packed_bytes,
            "kernels": "torch" if (kernels := load(self.options.native)) is None else kernels.name,
            "product_bytes": sum(each.bytes for each in self._products),
            "token_bytes": config.layers * config.kv_heads * config.head_size * 2 * self.decoder.dtype.itemsize,
            "probe_tokens": len(self.script.need),
            "probe_steps": -(-len(self.script.need) // self.options.prefill_rows),
        }

    async def run(self, case: Case) -> float:
        """Time one case once, in seconds."""
        while len(self._conversations) < case.sessions:
            self._conversations.append(BenchConversation(self.engine, self.decoder.config.vocabulary))
        match case.kind:
            case "prefill":
                return await self._prefill(case)
            case "probe":
                return await self._probe(case)
            case "products":
                return await asyncio.to_thread(self._multiply, case.rows)
            case _:
                return await self._decode(case)

    async def turn(self, question: str) -> dict[str, Any]:
        """Answer a question while a listener hears the reply at the usual pace; count what was weighed."""
        pace, probes, spent, heard_until = Pace(), 0, 0, perf_counter()

        def emit(event: LoopEvent) -> None:
            nonlocal probes, spent, heard_until
            match event:
                case Probe():
                    probes += 1
                case ReplyText(text):
                    heard_until = max(heard_until, perf_counter() + pace.synthesis(text)) + pace.sound(text)
                case TurnDone(tokens):
                    spent = tokens.get("probe", 0)

        async def listen(loop: Loop) -> None:
            while True:
                loop.playing(heard_until - perf_counter())
                await asyncio.sleep(_FRAME_S)

        async with self.engine.session() as session:
            loop = Loop(session, self.script, LoopOptions(), emit, perf_counter, context=self.options.context)
            await loop.open()
            listener = asyncio.create_task(listen(loop), name="listener")
            start = perf_counter()
            try:
                await loop.answer(question)
            finally:
                listener.cancel()
            return {"turn_s": perf_counter() - start, "probes": probes, "probe_tokens": spent}

    async def _decode(self, case: Case) -> float:
        """Give seconds of a step that carries a row of every stream."""
        wanted = _WARM_STEPS + case.steps
        async with self._racing(case) as (race, _):
            await race.until(lambda: len(race.whole()) >= wanted)
        whole = race.whole()
        return race.step_s(whole[_WARM_STEPS - 1], whole[wanted - 1])

    @asynccontextmanager
    async def _racing(self, case: Case) -> AsyncIterator[tuple[Race, list[tuple[TorchSession, list[TorchBlock]]]]]:
        """Let the streams of a case run, over views that are afterwards as they were."""
        views = [view for number in range(case.sessions) for view in await self._views(number, case)]
        lengths = [len(view[-1]) for _, view in views]
        race = Race()
        try:
            async with race.running([session.generate(view, _RULES) for session, view in views]):
                yield race, views
        finally:
            for (session, view), length in zip(views, lengths, strict=True):
                await session.crop(view[-1], length)

    async def _views(self, number: int, case: Case) -> list[tuple[TorchSession, list[TorchBlock]]]:
        """Give the views of one conversation's streams."""
        conversation = self._conversations[number]
        writer = await conversation.writer(case.context)
        found = [(conversation.session, writer)]
        return found if case.streams == 1 else [*found, (conversation.session, writer[:-2])]

    async def _probe(self, case: Case) -> float:
        """Give seconds of a step of thinker and writer while questions are weighed beside them."""
        async with self._racing(case) as (race, views):
            await race.until(lambda: len(race.whole()) > _WARM_STEPS)
            first = max(race.arrivals)
            session, writer = views[0]
            for _ in range(_PROBES):
                verdict = await session.score_choices(writer[:-1], self.script.need, self.script.yes_no)
            # A reader that was late has its streams leave out a step, which may be the deciding one.
            await race.until(lambda: max(race.arrivals) >= verdict.step)
            last = min(step for step in race.arrivals if step >= verdict.step)
        return race.step_s(first, last)

    @torch.inference_mode()
    def _multiply(self, rows: int) -> float:
        """Give seconds of a pass through all linear layers, each with its own input: the median of a few."""
        torch.set_num_threads(self.options.threads)
        inputs = {each: torch.randn(rows, each) for each in {layer.columns for layer in self._products}}
        taken = []
        for _ in range(_PASSES):
            start = perf_counter()
            for layer in self._products:
                layer(inputs[layer.columns])
            taken.append(perf_counter() - start)
        return median(taken)

    async def _prefill(self, case: Case) -> float:
        """Give seconds until new text can be read by others."""
        conversation = self._conversations[0]
        block = conversation.session.block("prefill")
        view = [*await conversation.past(case.context - SMALLEST_CONTEXT + TAIL["prompt"]), block]
        # The last token of appended text is left to its first reader.
        tokens = conversation.tokens(case.tokens + 1)
        start = perf_counter()
        await conversation.session.append(view, tokens)
        taken = perf_counter() - start
        await conversation.session.crop(block, 0)
        return taken


def peak_bytes() -> int:
    """Give the most memory that this process had resident."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        # Elsewhere the operating system counts what was there before this program was loaded, too.
        scale = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


async def _answer(request: dict[str, Any], bench: EngineBench | None) -> tuple[dict[str, Any], EngineBench | None]:
    match request["do"]:
        case "load":
            bench = await asyncio.to_thread(EngineBench, request)
            return await bench.loaded(), bench
        case "memory":
            return {"peak_bytes": peak_bytes()}, bench
        case "run" if bench is not None:
            return {"s": await bench.run(Case(**request["case"]))}, bench
        case "turn" if bench is not None:
            return await bench.turn(request["question"]), bench
        case unknown:
            return {"error": f"cannot do {unknown!r} now"}, bench


async def _serve() -> None:
    # Libraries may print; only answers may reach the parent.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    loop = asyncio.get_running_loop()
    requests: asyncio.Queue[str] = asyncio.Queue()

    def listen() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(requests.put_nowait, line)
        # Nobody is left who wants an answer, and what is being computed cannot be interrupted.
        os._exit(0)

    threading.Thread(target=listen, name="requests", daemon=True).start()
    bench: EngineBench | None = None
    print(json.dumps({"ready": True}), file=answers, flush=True)
    while True:
        try:
            answer, bench = await _answer(json.loads(await requests.get()), bench)
        except ReasoningError as error:
            answer = {"error": str(error), "kind": type(error).__name__}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    asyncio.run(_serve())
