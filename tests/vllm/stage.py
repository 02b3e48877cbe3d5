"""An engine with live views inside one process, driven line by line; run in the environment of vLLM.

Reads a command with its arguments per line of standard input, as JSON, and answers each with a line. What the model
runner really did in each step is recorded from vLLM's own state: rows, tokens and logits, but nothing about views.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
from vllm import SamplingParams
from vllm.engine.arg_utils import EngineArgs
from vllm.sampling_params import RequestOutputKind
from vllm.v1.engine.llm_engine import LLMEngine
from vllm_live_views import attention, backend, names, selftest, settings


class Stage:
    """The engine, and a record of what it computed."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        self.engine = LLMEngine.from_engine_args(EngineArgs(**arguments))
        core = self.engine.engine_core.engine_core
        self.scheduler = core.scheduler
        self.runner = core.model_executor.driver_worker.worker.model_runner
        self.steps: list[list[dict[str, Any]]] = []
        self.logits: list[np.ndarray] = []
        self.recording = False
        self._record()

    def session(self) -> str:
        token: str = names.new_session(settings.secret())
        return token

    def add(self, request: str, prompt: list[int], arguments: dict[str, Any], **params: Any) -> None:
        priority = params.pop("priority", 0)
        defaults = {"temperature": 0, "ignore_eos": True, "output_kind": RequestOutputKind.DELTA, "detokenize": False}
        sampling = SamplingParams(**{**defaults, **params}, extra_args=arguments or None)
        self.engine.add_request(request, {"prompt_token_ids": prompt}, sampling, priority=priority)

    def abort(self, request: str) -> None:
        self.engine.abort_request([request], internal=False)

    def step(self, count: int = 1) -> list[dict[str, Any]]:
        """Step so many times, or until all have ended; give what came of it."""
        found: list[dict[str, Any]] = []
        for _ in range(count):
            if not self.engine.has_unfinished_requests():
                break
            for output in self.engine.step():
                (one,) = output.outputs
                finish = {"finish": one.finish_reason, "stop": one.stop_reason} if output.finished else {}
                logprobs = [next(iter(each.values())).logprob for each in one.logprobs or ()]
                found.append(
                    {"request": output.request_id, "tokens": list(one.token_ids), "logprobs": logprobs} | finish
                )
        return found

    def timed(self, count: int) -> list[float]:
        """Step so many times; give the milliseconds of each."""
        found = []
        for _ in range(count):
            began = time.perf_counter()
            self.engine.step()
            found.append(1000 * (time.perf_counter() - began))
        return found

    def state(self) -> dict[str, Any]:
        """What is held, after a step that lets go of what has ended."""
        self.engine.step()
        pool, live = self.scheduler.kv_cache_manager.block_pool, getattr(self.scheduler, "blocks", ())
        return {
            "requests": sorted(self.scheduler.requests),
            "worker": sorted(self.runner.requests),
            "blocks": len(live),
            "free": pool.get_num_free_blocks(),
            "pool": pool.num_gpu_blocks - 1,
        }

    def forget_prefixes(self) -> None:
        """Take nothing of what comes from what was."""
        assert self.scheduler.reset_prefix_cache()

    def record(self, on: bool) -> None:
        self.recording = on

    def trace(self, path: str) -> list[list[dict[str, Any]]]:
        """Give the recorded steps, write their logits to a file, and forget both."""
        steps, logits = self.steps, self.logits
        self.steps, self.logits = [], []
        np.save(path, np.concatenate(logits) if logits else np.zeros((0, 0)))
        return steps

    def mutate(self, name: str) -> None:
        """Break the arithmetic in one of the ways that tests must notice; "" mends it."""
        backend.view_attention = _mutants(self.runner).get(name, attention.view_attention)

    def self_test(self) -> None:
        selftest.check_model(self.runner)

    def _record(self) -> None:
        model = self.runner.model
        stock = model.compute_logits

        def compute_logits(*args: Any, **kwargs: Any) -> Any:
            logits = stock(*args, **kwargs)
            if self.recording and logits is not None:
                self._note(logits)
            return logits

        model.compute_logits = compute_logits

    def _note(self, logits: Any) -> None:
        batch, starts = self.runner.input_batch, self.runner.query_start_loc.np
        rows = []
        for row, request in enumerate(batch.req_ids):
            first, count = int(batch.num_computed_tokens_cpu[row]), int(starts[row + 1] - starts[row])
            tokens = batch.token_ids_cpu[row, first : first + count].tolist()
            # The engine has made names unique by a suffix.
            rows.append({"request": request.rsplit("-", 1)[0], "first": first, "tokens": tokens})
        self.steps.append(rows)
        self.logits.append(logits[: len(rows)].float().numpy().copy())


def _mutated(**changes: Any) -> Any:
    """Make a view's attention whose plan is changed in some parts."""

    def attend(kernel: Any, q: Any, k: Any, v: Any, plan: Any, **rest: Any) -> Any:
        changed = replace(plan, **{name: change(plan) for name, change in changes.items()})
        return attention.view_attention(kernel, q, k, v, changed, **rest)

    return attend


def _mutants(runner: Any) -> dict[str, Any]:
    cos, sin = runner._turns[1]
    return {
        "no rotation": _mutated(cos=lambda plan: plan.cos * 0 + 1, sin=lambda plan: plan.sin * 0),
        "off by one": _mutated(
            cos=lambda plan: plan.cos * cos - plan.sin * sin, sin=lambda plan: plan.sin * cos + plan.cos * sin
        ),
        "one token stale": _mutated(view_lengths=lambda plan: (plan.view_lengths - 1).clamp(min=0)),
        # Of two blocks that are read, each in the other's place.
        "wrong parent": _mutated(view_pages=lambda plan: plan.view_pages.flip(0)),
        "own segment twice": _mutated(
            view_pages=lambda plan: plan.pages.repeat(len(plan.cos), 1),
            view_lengths=lambda plan: plan.lengths.repeat(len(plan.cos)),
        ),
    }


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    # Whatever prints goes to the log.
    os.dup2(2, 1)
    stage: Any = None
    for line in sys.stdin:
        name, arguments = json.loads(line)
        try:
            if name == "start":
                stage, answer = Stage(arguments), None
            else:
                answer = getattr(stage, name)(**arguments)
            told = {"answer": answer}
        except Exception as error:  # noqa: BLE001 - told to the test
            told = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(told) + "\n")
        answers.flush()
    with suppress(Exception):
        stage.engine.engine_core.shutdown()


if __name__ == "__main__":
    main()
