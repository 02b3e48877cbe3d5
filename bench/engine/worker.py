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
import random
import resource
import sys
import threading
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import torch

from agent.models.registry import load_decoder
from bench.engine.cases import SMALLEST_CONTEXT, Case
from bench.virtual.timed import Pace
from reasoning.engine.contract import Sampling
from reasoning.engine.torch_engine import TorchEngine, TorchSession
from reasoning.errors import EngineFailed, ReasoningError
from reasoning.events import Probe, ReplyText, TurnDone
from reasoning.loop.loop import Loop
from reasoning.native.library import load
from reasoning.options import EngineOptions, LoopOptions

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence

    from reasoning.engine.contract import Token
    from reasoning.engine.schedule import TorchBlock
    from reasoning.events import LoopEvent

_WARM_STEPS: Final = 2
"""Steps of a burst that are not timed: other processes have had the caches, and streams join one after the other."""
_RULES: Final = Sampling(max_tokens=512)
"""Of every stream: far more tokens than are timed, after which a stream that cannot be timed ends."""
_PROBES: Final = 2
"""Questions weighed in a row while a probe is measured."""
_TAIL: Final = {"prompt": 64, "input": 40, "thoughts": 96, "said": 40, "draft": 16}
"""Tokens of the blocks of a conversation without history, which are `SMALLEST_CONTEXT` together."""
_TURN: Final = (48, 80)
"""Tokens of what a user said and heard in an earlier turn."""
_TURNS: Final = 6
"""Earlier turns of that size; what a longer context holds beyond them lies in blocks of `_LONG`."""
_LONG: Final = 512
_FRAME_S: Final = 0.02
"""Seconds after which the loop learns again how much is left to hear."""


def history_sizes(context: int) -> list[int]:
    """Give the lengths of the blocks between prompt and input, so that a writer reads `context` tokens."""
    left = context - SMALLEST_CONTEXT
    sizes: list[int] = []
    while left:
        usual = _TURN[len(sizes) % 2] if len(sizes) < 2 * _TURNS else _LONG
        sizes.append(min(usual, left))
        left -= sizes[-1]
    return sizes


class BenchConversation:
    """One session's blocks, laid out as the loop lays them out.

    What lies before a step is not read by the model but drawn: keys and values cost the same whatever they are, and
    reading thousands of tokens for every session takes minutes.
    """

    def __init__(self, engine: TorchEngine, vocabulary: int) -> None:
        self.session, self._engine = TorchSession(engine), engine
        self._draw, self._vocabulary = random.Random(1), vocabulary

    def tokens(self, count: int) -> list[int]:
        """Give tokens: which ones changes no time."""
        return self._draw.choices(range(self._vocabulary), k=count)

    async def past(self, context: int) -> list[TorchBlock]:
        """Give prompt and history, filled when they are first asked for."""
        view = [await self._block("prompt", _TAIL["prompt"])]
        for number, size in enumerate(history_sizes(context)):
            view.append(await self._block(f"history{number}-{size}", size))
        return view

    async def thinker(self, context: int) -> list[TorchBlock]:
        """Give the thinker's view: prompt, history, input, thoughts."""
        return [*await self.past(context), *[await self._block(name, _TAIL[name]) for name in ("input", "thoughts")]]

    async def writer(self, context: int) -> list[TorchBlock]:
        """Give the writer's view, `context` tokens: the thinker's, what was said, and the draft."""
        return [*await self.thinker(context), *[await self._block(name, _TAIL[name]) for name in ("said", "draft")]]

    async def _block(self, name: str, size: int) -> TorchBlock:
        # Blocks keep their keys at positions of their own, so one block serves views of every length.
        block = self.session.block(name)
        if not len(block):
            await self._engine.between_steps(lambda: fill(block, self.tokens(size)))
        return block


def fill(block: TorchBlock, tokens: Sequence[int]) -> None:
    """Give an empty block tokens, and a cache of as many drawn keys and values."""
    block.cache.reserve(len(tokens))
    for part in (block.cache.keys, block.cache.values):
        # Also the room behind the last token: kernels read whole units.
        part.normal_(generator=torch.Generator(part.device).manual_seed(1))
    block.cache.length = block.delivered = len(tokens)
    block.ids = list(tokens)


class Race:
    """Streams that run side by side, and when their tokens came."""

    def __init__(self) -> None:
        self.arrivals: dict[int, list[float]] = {}
        """By step: when each of its tokens came."""
        self._tasks: list[asyncio.Task[None]] = []
        self._news = asyncio.Event()

    @asynccontextmanager
    async def running(self, streams: Sequence[AsyncGenerator[Token]]) -> AsyncIterator[None]:
        """Read the streams inside the context; end them with it."""
        self._tasks = [asyncio.create_task(self._read(stream)) for stream in streams]
        for task in self._tasks:
            task.add_done_callback(lambda _: self._news.set())
        try:
            yield
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks)

    async def until(self, reached: Callable[[], bool]) -> None:
        """Wait for tokens until something is so.

        Raises:
            EngineFailed: a stream ended before.

        """
        while not reached():
            for task in self._tasks:
                if task.done():
                    task.result()
                    raise EngineFailed("a stream ended before its steps could be timed")
            self._news.clear()
            await self._news.wait()

    def whole(self) -> list[int]:
        """Give the steps in which every stream had a row."""
        return sorted(step for step, at in self.arrivals.items() if len(at) == len(self._tasks))

    def step_s(self, first: int, last: int) -> float:
        """Give seconds of one of the steps after `first` up to `last`."""
        return (max(self.arrivals[last]) - max(self.arrivals[first])) / (last - first)

    async def _read(self, stream: AsyncGenerator[Token]) -> None:
        async with aclosing(stream):
            async for token in stream:
                self.arrivals.setdefault(token.step, []).append(perf_counter())
                self._news.set()


class EngineBench:
    """The engine, its conversations, and the ways to time them."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.options = EngineOptions(threads=request["threads"], native=request["native"])
        start = perf_counter()
        torch.set_num_threads(self.options.threads)
        packed = Path(request["packed"])
        self.decoder, self.script = load_decoder(Path(request["model"]), self.options, packed)
        self.engine = TorchEngine(self.decoder, prefill_rows=self.options.prefill_rows, threads=self.options.threads)
        self.load_s = perf_counter() - start
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

    async def _prefill(self, case: Case) -> float:
        """Give seconds until new text can be read by others."""
        conversation = self._conversations[0]
        block = conversation.session.block("prefill")
        view = [*await conversation.past(case.context - SMALLEST_CONTEXT + _TAIL["prompt"]), block]
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
