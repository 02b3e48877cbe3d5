"""The process in which `descant bench engine` measures llama.cpp; run by the Python that has llama-cpp-python.

Speaks the same lines as `worker`. Calls `llama_decode` alone, with ready-made batches: no sampling and no
tokenizer are inside the times. Imports nothing of this program, which that Python does not have.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import queue
import random
import statistics
import sys
import threading
from pathlib import Path
from time import perf_counter
from typing import Any

# Only where it runs: elsewhere the module is read without it.
lib: Any = importlib.import_module("llama_cpp") if __name__ == "__main__" else None

WARM_STEPS = 2
BATCH = 512
TRIED_TOKENS = 512
"""Context at which attention kinds are compared."""
LONGEST_PREFILL = 512
MOST_STREAMS = 8


class LlamaBatch:
    """Tokens for one call of `llama_decode`."""

    def __init__(self, size: int) -> None:
        self.batch = lib.llama_batch_init(size, 0, 1)

    def fill(self, tokens: list[tuple[int, int, int, bool]]) -> Any:  # noqa: ANN401 - a C structure
        """Take (token, position, sequence, whether logits are wanted)."""
        self.batch.n_tokens = len(tokens)
        for i, (token, position, sequence, logits) in enumerate(tokens):
            self.batch.token[i] = token
            self.batch.pos[i] = position
            self.batch.n_seq_id[i] = 1
            self.batch.seq_id[i][0] = sequence
            self.batch.logits[i] = logits
        return self.batch


class LlamaContext:
    """A context of llama.cpp for some sequences, each with a cache of its own."""

    def __init__(self, model: Any, threads: int, tokens: int, sequences: int, *, flash: bool) -> None:  # noqa: ANN401
        params = lib.llama_context_default_params()
        params.n_ctx = tokens * sequences
        params.n_batch = params.n_ubatch = BATCH
        params.n_seq_max = sequences
        params.n_threads = params.n_threads_batch = threads
        params.flash_attn_type = lib.LLAMA_FLASH_ATTN_TYPE_ENABLED if flash else lib.LLAMA_FLASH_ATTN_TYPE_DISABLED
        params.no_perf = True
        self.context = lib.llama_init_from_model(model, params)
        if not self.context:
            raise MemoryError("llama.cpp could not make a context")
        self._memory = lib.llama_get_memory(self.context)
        self._batch, self._sequences = LlamaBatch(BATCH), sequences
        self._vocabulary = lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(model))
        self._draw = random.Random(1)
        self.length = 0

    def close(self) -> None:
        """Give its memory back."""
        lib.llama_free(self.context)

    def decode(self, streams: int, steps: int) -> float:
        """Give seconds of a step with one more token for each of some sequences."""
        times = [
            self._compute([(self._token(), self.length + step, each, True) for each in range(streams)])
            for step in range(WARM_STEPS + steps)
        ]
        for sequence in range(streams):
            lib.llama_memory_seq_rm(self._memory, sequence, self.length, -1)
        return statistics.fmean(times[WARM_STEPS:])

    def prefill(self, count: int) -> float:
        """Give seconds until new tokens are in the cache."""
        taken = self._compute([(self._token(), self.length + i, 0, i == count - 1) for i in range(count)])
        lib.llama_memory_seq_rm(self._memory, 0, self.length, -1)
        return taken

    def take(self, shorter: LlamaContext) -> None:
        """Take the cache of a shorter context: reading it anew would take minutes."""
        size = lib.llama_state_seq_get_size(shorter.context, 0)
        state = (ctypes.c_uint8 * size)()
        lib.llama_state_seq_get_data(shorter.context, state, size, 0)
        if not lib.llama_state_seq_set_data(self.context, state, size, 0):
            raise RuntimeError("llama.cpp could not copy a cache")
        self.length = shorter.length

    def reach(self, context: int) -> None:
        """Let every sequence hold `context` tokens: read once, copied for the others."""
        for first in range(self.length, context, BATCH):
            count = min(BATCH, context - first)
            self._compute([(self._token(), first + i, 0, i == count - 1) for i in range(count)])
        for sequence in range(1, self._sequences):
            lib.llama_memory_seq_cp(self._memory, 0, sequence, -1, -1)
        self.length = context

    def _compute(self, tokens: list[tuple[int, int, int, bool]]) -> float:
        batch = self._batch.fill(tokens)
        start = perf_counter()
        failed = lib.llama_decode(self.context, batch)
        lib.llama_synchronize(self.context)
        if failed:
            raise RuntimeError(f"llama_decode gave {failed}")
        return perf_counter() - start

    def _token(self) -> int:
        return self._draw.randrange(self._vocabulary)


class LlamaBench:
    """A loaded model, a context for one sequence at each length, and one for many."""

    def __init__(self, request: dict[str, Any]) -> None:
        lib.llama_backend_init()
        start = perf_counter()
        params = lib.llama_model_default_params()
        self.model = lib.llama_load_model_from_file(os.fsencode(request["model"]), params)
        if not self.model:
            raise RuntimeError(f"llama.cpp could not load {request['model']}")
        self.threads, self.flash = request["threads"], True
        self.contexts: dict[tuple[int, int], LlamaContext] = {}
        first = LlamaContext(self.model, self.threads, 256, 1, flash=True)
        self.load_s = perf_counter() - start
        self.first_token_s = first.prefill(1)
        first.close()

    def loaded(self) -> dict[str, Any]:
        """Describe the model and what loading it took."""
        size = lib.llama_model_size(self.model)
        return {"load_s": self.load_s, "first_token_s": self.first_token_s, "weight_bytes": size}

    def choose(self) -> dict[str, Any]:
        """Take the kind of attention that decodes faster on this machine."""
        tried: dict[str, float] = {}
        for name, flash in (("flash", True), ("plain", False)):
            context = LlamaContext(self.model, self.threads, TRIED_TOKENS + 64, 1, flash=flash)
            context.reach(TRIED_TOKENS)
            tried[name] = statistics.median(context.decode(1, 4) for _ in range(5))
            context.close()
        self.flash = tried["flash"] <= tried["plain"]
        return {"flash_attention": self.flash, "tried_s": tried}

    def run(self, case: dict[str, Any]) -> float:
        """Time one case once, in seconds."""
        length, streams = case["context"], case["sessions"] * case["streams"]
        context = self._context(length, 1 if streams == 1 else MOST_STREAMS)
        return context.prefill(case["tokens"]) if case["kind"] == "prefill" else context.decode(streams, case["steps"])

    def _context(self, length: int, sequences: int) -> LlamaContext:
        key = (length, sequences)
        if key not in self.contexts:
            new = LlamaContext(self.model, self.threads, length + LONGEST_PREFILL, sequences, flash=self.flash)
            shorter = [size for size, count in self.contexts if count == 1 and size < length]
            # A state fits contexts of as many sequences only.
            if sequences == 1 and shorter:
                new.take(self.contexts[max(shorter), 1])
            new.reach(length)
            self.contexts[key] = new
        return self.contexts[key]


def peak_bytes() -> int:
    """Give the most memory that this process had resident."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def serve() -> None:
    """Answer requests until there are no more; end at once when whoever asks is gone."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    requests: queue.SimpleQueue[str] = queue.SimpleQueue()

    def listen() -> None:
        for line in sys.stdin:
            requests.put(line)
        # What is being computed cannot be interrupted.
        os._exit(0)

    threading.Thread(target=listen, name="requests", daemon=True).start()
    bench: Any = None
    print(json.dumps({"ready": True}), file=answers, flush=True)
    while True:
        request = json.loads(requests.get())
        try:
            if request["do"] == "load":
                bench = LlamaBench(request)
                answer = bench.loaded()
            elif request["do"] == "choose":
                answer = bench.choose()
            elif request["do"] == "run":
                answer = {"s": bench.run(request["case"])}
            else:
                answer = {"peak_bytes": peak_bytes()}
        except (RuntimeError, MemoryError) as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    serve()
