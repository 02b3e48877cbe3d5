"""What steps of the engine cost on the device, from one stream to 64 conversations, and the bandwidth they reach."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from bench.engine.cases import SMALLEST_CONTEXT
from bench.engine.conversation import BenchConversation, Race
from bench.gpu.card import wait
from bench.gpu.shapes import RandomModel
from reasoning.engine.attention import Run
from reasoning.engine.contract import Sampling
from reasoning.engine.decoder import Decoder
from reasoning.engine.tiles import tiles_work
from reasoning.engine.torch_engine import TorchEngine
from reasoning.errors import EngineFailed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from bench.gpu.shapes import Bits
    from reasoning.engine.device import Placement

_CONVERSATIONS: Final = (1, 2, 4, 8, 16, 32, 64)
_CONTEXT: Final = 1024
"""Tokens that a writer reads."""
_STEPS: Final = 16
_WARM: Final = 3
"""Steps that are not timed: streams join one after the other."""
_RULES: Final = Sampling(max_tokens=4096)


async def measured(name: str, bits: Bits, at: Placement, *, quick: bool) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """Load a model of a shape, and time one case after the other; a case that does not fit ends it."""
    model, start = RandomModel(name, bits), perf_counter()
    decoder = Decoder(model, at.dtype, at.device, max_context=model.shape.context, portable=True)
    model.give_back()
    wait(at.device)
    loaded = perf_counter() - start
    weights = model.step_bytes(four_bit=at.dtype == torch.bfloat16 and tiles_work(at.device))
    yield "model", {"load_s": loaded, "step_weight_gb": weights / 1e9, "dtype": str(at.dtype).removeprefix("torch.")}
    yield "launches", _launches(decoder, at)
    context = SMALLEST_CONTEXT if quick else _CONTEXT
    engine = TorchEngine(decoder)
    try:
        conversations: list[BenchConversation] = []
        for count, streams in [(1, 1), *((count, 2) for count in (_CONVERSATIONS[:2] if quick else _CONVERSATIONS))]:
            while len(conversations) < count:
                conversations.append(BenchConversation(engine, decoder.config.vocabulary))
            try:
                step_s = await _step(conversations[:count], streams, context, 3 if quick else _STEPS)
            except (EngineFailed, RuntimeError) as error:
                yield _named(count, streams), {"failed": str(error).splitlines()[0]}
                return
            yield _named(count, streams), _figures(step_s, count * streams, weights, at)
    finally:
        await asyncio.to_thread(engine.close)


def _named(count: int, streams: int) -> str:
    return "one stream" if streams == 1 else "thinker + writer" if count == 1 else f"{count} conversations"


def _figures(step_s: float, rows: int, weights: int, at: Placement) -> dict[str, Any]:
    found: dict[str, Any] = {"step_s": step_s, "tokens_s": rows / step_s, "weights_gb_s": weights / step_s / 1e9}
    if at.device.type == "cuda":
        found["peak_memory_gb"] = torch.cuda.max_memory_allocated(at.device) / 1e9
    return found


async def _step(conversations: Sequence[BenchConversation], streams: int, context: int, steps: int) -> float:
    """Give seconds of a step that carries a row of every stream: writers, or thinkers and writers."""
    views = []
    for conversation in conversations:
        writer = await conversation.writer(context)
        views += [(conversation.session, view) for view in (writer, writer[:-2])[:streams]]
    lengths = [len(view[-1]) for _, view in views]
    race, wanted = Race(), _WARM + steps
    async with AsyncExitStack() as after:
        for (session, view), length in zip(views, lengths, strict=True):
            after.push_async_callback(session.crop, view[-1], length)
        async with race.running([session.generate(view, _RULES) for session, view in views]):
            await race.until(lambda: len(race.whole()) >= wanted)
    whole = race.whole()
    # A reader that was late leaves out a step, which then is not whole but takes its time all the same.
    return race.step_s(whole[_WARM - 1], whole[wanted - 1])


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts operations."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401 - torch's
        self.count += 1
        return func(*args, **(kwargs or {}))


def _launches(decoder: Decoder, at: Placement) -> dict[str, Any]:
    """Tell how many operations a step of thinker and writer is, and how much of its time passes in giving them out."""
    prompt, thoughts, said = (decoder.cache() for _ in range(3))
    decoder.forward([Run([1] * 64, [prompt], logits=False)])

    def step() -> None:
        decoder.forward([Run([1], [prompt, thoughts], logits=True), Run([2], [prompt, thoughts, said], logits=True)])

    given, whole = [], []
    for _ in range(_WARM + 5):
        wait(at.device)
        start = perf_counter()
        step()
        given.append(perf_counter() - start)
        wait(at.device)
        whole.append(perf_counter() - start)
    with _Counter() as counter:
        step()
    return {"operations": counter.count, "given_out_s": min(given), "whole_s": min(whole)}
