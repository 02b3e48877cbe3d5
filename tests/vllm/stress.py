"""Random requests on the real scheduler and its real memory, with no model; run in the environment of vLLM.

Each slot of each page holds a note of whose token was written there last. In every step all that a reader sees, and all
that a request has computed, must still be there: memory that was let go too early is noticed by what another has
written into it. Steps may overlap, as they do on a GPU. Prints what happened, as JSON.

    python stress.py MODEL REQUESTS SEED fcfs|priority OVERLAP
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter, deque
from typing import Any, Final

import torch
from vllm import SamplingParams
from vllm.engine.arg_utils import EngineArgs
from vllm.utils.hashing import sha256
from vllm.v1.core.kv_cache_utils import get_request_block_hasher, init_none_hash
from vllm.v1.kv_cache_interface import FullAttentionSpec, KVCacheConfig, KVCacheGroupSpec
from vllm.v1.outputs import ModelRunnerOutput
from vllm.v1.request import Request, RequestStatus
from vllm.v1.structured_output import StructuredOutputManager
from vllm_live_views import names, settings
from vllm_live_views.scheduler import AsyncLiveViewScheduler, LiveViewScheduler

PAGE: Final = 16
PAGES: Final = 28
LONGEST: Final = 320
SESSIONS: Final = 3
PATIENCE: Final = 2500
"""Steps after which a request that has not ended counts as starved."""
STILL: Final = 20
"""Steps in a row in which nothing is computed though somebody waits, after which all counts as stuck."""


class Rig:
    """A scheduler, its memory, and the requests that are on their way."""

    def __init__(self, model: str, seed: int, policy: str, overlap: int) -> None:
        scheduler = AsyncLiveViewScheduler if overlap > 1 else LiveViewScheduler
        config = EngineArgs(
            model=model,
            max_model_len=LONGEST,
            block_size=PAGE,
            max_num_batched_tokens=48,
            max_num_seqs=6,
            scheduling_policy=policy,
            worker_cls="vllm_live_views.runner.LiveViewWorker",
            scheduler_cls=f"vllm_live_views.scheduler.{scheduler.__name__}",
        ).create_engine_config()
        config.cache_config.num_gpu_blocks = PAGES
        init_none_hash(sha256)
        self.hasher = get_request_block_hasher(PAGE, sha256)
        spec = FullAttentionSpec(block_size=PAGE, num_kv_heads=1, head_size=64, dtype=torch.float32)
        self.scheduler: Any = scheduler(
            vllm_config=config,
            kv_cache_config=KVCacheConfig(PAGES, [], [KVCacheGroupSpec(["layer"], spec)]),
            structured_output_manager=StructuredOutputManager(config),
            block_size=PAGE,
            hash_block_size=PAGE,
        )
        self.random, self.overlap = random.Random(seed), overlap
        self.sessions = [names.new_session(settings.secret()) for _ in range(SESSIONS)]
        self.memory: list[list[Any]] = [[None] * PAGE for _ in range(PAGES)]
        self.running: dict[str, tuple[Request, int]] = {}
        """With the step at which each came."""
        self.flying: deque[tuple[Any, ModelRunnerOutput]] = deque()
        self.count = self.steps = self.still = 0
        self.happened: Counter[str] = Counter()
        self.longest_wait = 0

    def add(self) -> None:
        """Ask for something: mostly what is meant to be, at times what is not."""
        chosen, session = self.random, self.random.randrange(SESSIONS)
        # Names of which some are alive, some are not, and some are another session's.
        alive = [request.lv_name for request, _ in self.running.values() if request.lv_name is not None]
        view = chosen.sample(alive, min(len(alive), chosen.choice((0, 1, 1, 2, 3)))) if chosen.random() < 0.75 else []
        if view and chosen.random() < 0.9:
            session = int(view[0][1])
            view = [name for name in view if int(name[1]) == session]
        self.count += 1
        request_id, name = f"r{self.count}", f"s{session}-{self.count}"
        arguments = {"live_session": self.sessions[session], "live_block": name}
        kind = "root"
        if view:
            arguments["live_view"] = view
            kind = "reader"
        elif chosen.random() < 0.3:
            arguments, kind = {}, "ordinary"
        length = chosen.choice((3, 20, 40, 90))
        many = chosen.choice((1, 1, 20, 60, 150))
        request = Request(
            request_id=request_id,
            prompt_token_ids=[chosen.randrange(100, 40_000) for _ in range(length)],
            sampling_params=SamplingParams(max_tokens=many, stop_token_ids=[7], extra_args=arguments or None),
            pooling_params=None,
            arrival_time=float(self.steps) + chosen.random(),
            priority=chosen.randrange(3),
            block_hasher=self.hasher,
        )
        request.lv_name = name if arguments else None
        self.running[request_id] = (request, self.steps)
        self.happened[kind] += 1
        self.scheduler.add_request(request)

    def abort(self) -> None:
        request_id = self.random.choice(sorted(self.running))
        if self.scheduler.finish_requests(request_id, RequestStatus.FINISHED_ABORTED):
            self._ended(request_id, "aborted")

    def step(self) -> None:
        """Plan a step, see that all is there, and take the oldest one's result in."""
        self.steps += 1
        output = self.scheduler.schedule()
        self.still = 0 if output.num_scheduled_tokens or not self.running else self.still + 1
        assert self.still <= STILL, "nothing runs, and somebody waits"
        self._write(output)
        self._look(output)
        self.flying.append((output, self._result(output)))
        self.happened["preempted"] += len(output.preempted_req_ids or ())
        self.happened["pinned"] += bool(self.scheduler.blocks.pinned)
        if len(self.flying) >= self.overlap or not output.num_scheduled_tokens:
            while self.flying:
                self._take(*self.flying.popleft())
                if output.num_scheduled_tokens:
                    break
        for request_id, (_, came) in self.running.items():
            self.longest_wait = max(self.longest_wait, self.steps - came)
            if self.steps - came > PATIENCE:
                raise AssertionError(f"{request_id} starves")

    def _write(self, output: Any) -> None:
        for request_id, count in output.num_scheduled_tokens.items():
            last = self.scheduler.requests[request_id].num_computed_tokens
            pages = self._pages(request_id)
            for position in range(last - count, last):
                self.memory[pages[position // PAGE]][position % PAGE] = (request_id, position)

    def _look(self, output: Any) -> None:
        """Whoever computes in this step finds what it has computed, and all that it reads up to this step's tokens."""
        for request_id in output.num_scheduled_tokens:
            request = self.scheduler.requests[request_id]
            self._holds(request_id, request.num_computed_tokens, self._pages(request_id))
            block = self.scheduler.blocks.of(request_id)
            view = output.live_views.get(request_id, [])
            assert len(view) == (len(block.view) if block else 0)
            for read, (length, pages) in zip(block.view if block else (), view, strict=True):
                parent = self.scheduler.requests[read.request_id]
                if not parent.is_finished():
                    assert length == parent.num_computed_tokens
                assert length >= max(parent.num_prompt_tokens, parent.num_tokens - 1)
                self._holds(read.request_id, length, pages)
            if view:
                total = request.num_computed_tokens + sum(length for length, _ in view)
                assert total <= LONGEST, f"a view of {total} tokens"

    def _holds(self, request_id: str, length: int, pages: list[int]) -> None:
        for position in range(length):
            found = self.memory[pages[position // PAGE]][position % PAGE]
            assert found == (request_id, position), f"{found} where token {position} of {request_id} was"

    def _result(self, output: Any) -> ModelRunnerOutput:
        ids, sampled = list(output.num_scheduled_tokens), []
        for request_id in ids:
            request = self.scheduler.requests[request_id]
            token = 7 if self.random.random() < 0.02 else self.random.randrange(100, 40_000)
            sampled.append([] if request.is_prefill_chunk else [token])
        return ModelRunnerOutput(ids, {each: index for index, each in enumerate(ids)}, sampled)

    def _take(self, output: Any, result: ModelRunnerOutput) -> None:
        for answers in self.scheduler.update_from_output(output, result).values():
            for answer in answers.outputs:
                if answer.finish_reason is not None:
                    reason = str(answer.finish_reason)
                    if reason == "error":
                        reason = " ".join(str(answer.stop_reason).split()[:2])
                    self._ended(answer.request_id, reason)

    def _ended(self, request_id: str, reason: str) -> None:
        self.running.pop(request_id)
        self.happened[reason] += 1

    def _pages(self, request_id: str) -> list[int]:
        (pages,) = self.scheduler.kv_cache_manager.get_block_ids(request_id)
        return list(pages)


def main(model: str, requests: int, seed: int, policy: str, overlap: int) -> None:
    settings.make_secret()
    rig = Rig(model, seed, policy, overlap)
    while rig.count < requests or rig.running:
        if rig.count < requests and len(rig.running) < 14 and rig.random.random() < 0.4:
            rig.add()
        if rig.running and rig.random.random() < 0.02:
            rig.abort()
        rig.step()
    rig.step()
    rig.step()
    scheduler, pool = rig.scheduler, rig.scheduler.kv_cache_manager.block_pool
    left = [*scheduler.requests, *scheduler.running, *scheduler.waiting, *scheduler.blocks.pinned]
    assert not left, left
    assert len(scheduler.blocks) == 0
    assert not scheduler.blocks._sessions
    assert pool.get_num_free_blocks() == PAGES - 1, "pages leaked"
    told = {"requests": rig.count, "steps": rig.steps, "longest": rig.longest_wait, **rig.happened}
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], int(sys.argv[5]))
