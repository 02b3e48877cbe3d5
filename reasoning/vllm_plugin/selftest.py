"""Asks the loaded model the same thing twice, flat and as views, before it serves anybody.

A block that reads others which no longer grow must give what one plain prompt gives. This goes through the runner, the
metadata, the kernels and the rotations as they are, with the weights as they are, on whatever device.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor
from vllm.sampling_params import SamplingParams
from vllm.v1.core.sched.output import CachedRequestData, NewRequestData, SchedulerOutput

from .checks import Unsupported

_LENGTHS: Final = (37, 70, 23)
"""Tokens of three blocks; none fills its pages."""
_FIRST: Final = 9
"""The last block is read in chunks, the first of so many tokens."""
_ALLOWED: Final = {torch.float32: 5e-5, torch.bfloat16: 0.1, torch.float16: 0.02}
"""Largest difference of a logit, as a share of the largest logit."""


def check_model(runner: Any) -> tuple[float, float]:  # noqa: ANN401 - vLLM's runner
    """Raise `Unsupported` where views give other logits than a plain prompt; else the difference and its limit."""
    if runner.model_config.max_model_len <= sum(_LENGTHS):
        raise Unsupported(f"the self-test of live views needs a --max-model-len above {sum(_LENGTHS)}")
    vocabulary = runner.model_config.get_vocab_size()
    generator = torch.Generator().manual_seed(7)
    blocks = [torch.randint(min(vocabulary, 1000), (n,), generator=generator).tolist() for n in _LENGTHS]
    test = _Test(runner)
    try:
        flat = test.prefill("flat", [token for block in blocks for token in block], [])
        test.prefill("a", blocks[0], [])
        test.prefill("b", blocks[1], ["a"])
        seen = test.prefill("c", blocks[2], ["a", "b"], first=_FIRST)
    finally:
        test.end()
    scale = max(1.0, float(flat.abs().max()))
    allowed = _ALLOWED[runner.model_config.dtype] * scale
    worst = float((flat - seen).abs().max())
    if not worst <= allowed:
        raise Unsupported(
            f"live views give logits that differ by {worst:.3g} from those of a plain prompt, and {allowed:.3g} is "
            "allowed: something here is not what they are written for; run this server without them"
        )
    return worst, allowed


class _Test:
    """A few requests that no scheduler knows."""

    def __init__(self, runner: Any) -> None:  # noqa: ANN401
        self._runner = runner
        self._page: int = runner.cache_config.block_size
        self._chunk: int = runner.scheduler_config.max_num_batched_tokens
        self._free = iter(range(1, runner.kv_cache_config.num_blocks))
        """Page 0 is vLLM's own."""
        self._pages: dict[str, list[int]] = {}
        self._lengths: dict[str, int] = {}

    def prefill(self, name: str, tokens: list[int], view: list[str], first: int | None = None) -> Tensor:
        """Compute a block under a view, `first` tokens in a first step; give the logits behind its last token."""
        try:
            self._pages[name] = [next(self._free) for _ in range(-(-(len(tokens) + 1) // self._page))]
        except StopIteration:
            raise Unsupported("the cache is too small for the self-test of live views; give the server more") from None
        new = NewRequestData(
            req_id=_id(name),
            prompt_token_ids=tokens,
            mm_features=[],
            sampling_params=SamplingParams(temperature=0, max_tokens=2),
            pooling_params=None,
            block_ids=(list(self._pages[name]),),
            num_computed_tokens=0,
            lora_request=None,
            prefill_token_ids=tokens,
        )
        done, count = 0, min(first or self._chunk, self._chunk)
        while done < len(tokens):
            count = min(count, len(tokens) - done)
            logits = self._step(name, count, view, new=[] if done else [new], cached=done)
            done, count = done + count, self._chunk
        self._lengths[name] = len(tokens)
        return logits

    def end(self) -> None:
        """Let the runner forget them."""
        self._runner.execute_model(_output(finished_req_ids=set(map(_id, self._pages))))

    def _step(self, name: str, count: int, view: list[str], *, new: list[NewRequestData], cached: int) -> Tensor:
        output = _output(
            scheduled_new_reqs=new,
            num_scheduled_tokens={_id(name): count},
            total_num_scheduled_tokens=count,
        )
        if not new:
            output.scheduled_cached_reqs = CachedRequestData(
                req_ids=[_id(name)],
                resumed_req_ids=set(),
                new_token_ids=[],
                all_token_ids={},
                new_block_ids=[None],
                num_computed_tokens=[cached],
                num_output_tokens=[0],
            )
        if view:
            output.live_views = {_id(name): [(self._lengths[read], self._pages[read]) for read in view]}
        model, found = self._runner.model, []
        stock = model.compute_logits

        def compute_logits(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            found.append(stock(*args, **kwargs))
            return found[-1]

        model.compute_logits = compute_logits
        try:
            if self._runner.execute_model(output) is None:
                self._runner.sample_tokens(None)
        finally:
            model.compute_logits = stock
        logits: Tensor = found[-1][-1].float().cpu()
        return logits


def _id(name: str) -> str:
    return f"live-views-self-test-{name}"


def _output(**changes: Any) -> SchedulerOutput:  # noqa: ANN401
    output = SchedulerOutput.make_empty()
    for name, value in changes.items():
        setattr(output, name, value)
    return output
