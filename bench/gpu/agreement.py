"""What the device must compute as the processor does, on a tiny model: its numbers, its tokens, and no waiting.

Needs nothing but torch, so that it runs wherever the engine does. The engine's contract is tested by its own tests.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any, Final

import torch

from bench.gpu.shapes import RandomModel
from reasoning.engine.attention import Run
from reasoning.engine.contract import Sampling
from reasoning.engine.decoder import Decoder
from reasoning.engine.sampling import Sampler
from reasoning.engine.tiles import tiles_work
from reasoning.engine.torch_engine import TorchEngine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from bench.gpu.shapes import Bits
    from reasoning.engine.cache import BlockCache
    from reasoning.engine.device import Placement

_STEPS: Final = 12
_EXACT: Final = 1e-3
"""Relative error of float32 logits; sums are added in another order."""
_ROUNDED: Final = 0.06
"""The same for half precision."""
_TOKENS: Final = 12


def checks(at: Placement) -> Iterator[tuple[str, dict[str, Any]]]:
    """Compare one thing after the other; each has `ok`, where it can be right or wrong, and what was found."""
    exact = Decoder(RandomModel("tiny", "4-bit"), torch.float32)
    expected = _conversation(exact)
    for name, dtype, bits, bound in (
        ("float32 logits", torch.float32, "4-bit", _EXACT),
        ("half-precision logits, 4-bit weights", at.dtype, "4-bit", _ROUNDED),
        ("half-precision logits, 16-bit weights", at.dtype, "16-bit", _ROUNDED),
    ):
        kind: Bits = "16-bit" if bits == "16-bit" else "4-bit"
        truth = expected if kind == "4-bit" else _conversation(Decoder(RandomModel("tiny", kind), torch.float32))
        error = _error(_conversation(_on_device(at, dtype, kind)), truth)
        yield name, {"ok": error <= bound, "relative_error": error, "at_most": bound}
    yield "4-bit kernel", {"used": tiles_work(at.device)}
    on_device = _on_device(at, torch.float32, "4-bit")
    plain, drawn = Sampling(max_tokens=_TOKENS), Sampling(max_tokens=_TOKENS, temperature=1.5, top_k=50, seed=7)
    same = asyncio.run(_tokens(on_device, plain)) == asyncio.run(_tokens(exact, plain))
    yield "greedy tokens of four sessions in one step", {"ok": same}
    yield (
        "a seed draws the same tokens again",
        {"ok": asyncio.run(_tokens(on_device, drawn)) == asyncio.run(_tokens(on_device, drawn))},
    )
    yield "a step waits for nothing", _waiting(at)


def _on_device(at: Placement, dtype: torch.dtype, bits: Bits) -> Decoder:
    return Decoder(RandomModel("tiny", bits), dtype, at.device, portable=True)


def _conversation(decoder: Decoder) -> list[Tensor]:
    """Logits of a prompt, then of thinker and writer side by side over shared blocks that grow."""
    draw, vocabulary = random.Random(1), range(decoder.config.vocabulary)
    prompt, thoughts, said = decoder.cache(), decoder.cache(), decoder.cache()
    found = [decoder.forward([Run(draw.choices(vocabulary, k=70), [prompt], logits=True)])]
    for _ in range(_STEPS):
        writer = Run(draw.choices(vocabulary, k=draw.choice([1, 1, 3])), [prompt, thoughts, said], logits=True)
        found.append(decoder.forward([Run(draw.choices(vocabulary), [prompt, thoughts], logits=True), writer]))
    return [logits.cpu() for logits in found]


def _error(found: list[Tensor], expected: list[Tensor]) -> float:
    one, other = torch.cat(found), torch.cat(expected)
    return float((one - other).norm() / other.norm())


async def _tokens(decoder: Decoder, rules: Sampling) -> list[list[int]]:
    """Give what four sessions write side by side."""
    engine = TorchEngine(decoder)

    async def written(number: int) -> list[int]:
        async with engine.session() as session:
            text = session.block("text")
            await session.append([text], range(number + 1, 20 + 5 * number))
            return [token.id async for token in session.generate([text], rules)]

    try:
        return await asyncio.gather(*map(written, range(4)))
    finally:
        await asyncio.to_thread(engine.close)


def _waiting(at: Placement) -> dict[str, Any]:
    """Have torch refuse whatever makes the program wait for the card, from tokens to what is chosen."""
    if at.device.type != "cuda":
        return {"told": "only CUDA tells"}
    decoder = _on_device(at, at.dtype, "4-bit")
    prompt, block = decoder.cache(), decoder.cache()
    samplers = [Sampler(Sampling(), at.device), Sampler(Sampling(temperature=1.0, top_k=20, top_p=0.9), at.device)]
    _one_step(decoder, prompt, block, samplers)
    torch.cuda.set_sync_debug_mode("error")
    try:
        _one_step(decoder, prompt, block, samplers)
    except RuntimeError as error:
        return {"ok": False, "told": str(error).splitlines()[0]}
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return {"ok": True}


def _one_step(decoder: Decoder, prompt: BlockCache, block: BlockCache, samplers: list[Sampler]) -> None:
    logits = decoder.forward([Run([1, 2], [prompt], logits=True), Run([3], [prompt, block], logits=True)])
    for sampler, row in zip(samplers, logits, strict=True):
        next(sampler.choose(row))
