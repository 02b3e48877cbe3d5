"""Who takes part in a step: streams, then waiting text, the shortest first, and a part of it always the oldest's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from reasoning.engine.cache import BlockCache
from reasoning.engine.schedule import Job, Schedule, TorchBlock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from reasoning.engine.sampling import Reading


class Plan(Schedule):
    """A schedule whose steps take no time."""

    def __init__(self, rows: int) -> None:
        super().__init__(prefill_rows=rows, context=100_000, vocabulary=100)
        self.rows = 0
        """That were computed so far."""

    def block(self, name: str) -> TorchBlock:
        return TorchBlock(name, BlockCache(1, 1, 2, torch.float32, torch.device("cpu")))

    def read(self, name: str, count: int, *before: TorchBlock) -> TorchBlock:
        """Have so many tokens of a new block computed."""
        block = self.block(name)
        self.add(Job((*before, block), leave=0), [1] * count)
        return block

    def step(self) -> dict[str, int]:
        """Carry out a step; give its rows by the names of their blocks."""
        step, taken = self.next_step(), dict[str, int]()
        for run, job in zip(step.runs, step.jobs, strict=True):
            block = next(one for one in self._blocks(job) if one.cache is run.view[-1])
            assert block.name not in taken
            taken[block.name] = len(run.tokens)
        self.rows += sum(taken.values())
        for run in step.runs:
            # What a run reads is whole by then, or it reads what nobody computed.
            assert all(cache in [other.view[-1] for other in step.runs] or cache.length for cache in run.view[:-1])
            run.view[-1].reserve(len(run.tokens))
            run.view[-1].length += len(run.tokens)
        return taken

    def _blocks(self, job: Job) -> list[TorchBlock]:
        return [*job.view, *(other for block in job.view for other in block.view)]


def _goes_on(
    _logits: Tensor, _guesses: Sequence[int], _step: int, _seen: Mapping[str, int]
) -> Reading[object]:  # pragma: no cover - nothing is computed
    raise AssertionError


def test_the_shortest_text_is_read_first_and_the_rest_goes_to_the_others() -> None:
    plan = Plan(8)
    plan.read("long", 300)
    plan.read("middle", 100)
    plan.read("short", 10)
    assert plan.step() == {"short": 10, "middle": 86, "long": 32}
    assert plan.step() == {"middle": 14, "long": 114}


@pytest.mark.parametrize("rows", [2, 8])
def test_short_texts_without_end_do_not_hold_up_a_long_one(rows: int) -> None:
    plan = Plan(rows)
    stream = plan.block("stream")
    plan.add(Job((stream,), leave=0, on_logits=_goes_on), [1])  # type: ignore[arg-type]
    plan.read("long", 60)
    shorts = steps = 0
    while any(job.block.name == "long" for job in plan.jobs):
        if not any(job.block.name.startswith("short") for job in plan.jobs):
            shorts += 1
            plan.read(f"short {shorts}", 7)
        taken = plan.step()
        steps += 1
        assert taken.pop("stream") == 1
        assert sum(taken.values()) <= rows
    assert steps <= 2 + 60 / -(-rows // 4)
    assert shorts > 2


def test_several_that_begin_at_once_are_done_one_after_the_other() -> None:
    plan = Plan(8)
    done, waits = list[str](), list[int]()
    sessions = {name: plan.read(f"prompt {name}", 300) for name in "abcd"}
    while sessions:
        plan.step()
        waited_for = {job.block.name for job in plan.jobs if not job.done}
        for name, prompt in list(sessions.items()):
            if prompt.name not in waited_for and f"question {name}" not in waited_for:
                if prompt.name.startswith("prompt"):
                    sessions[name] = plan.read(f"question {name}", 30, prompt)
                else:
                    done.append(name)
                    waits.append(plan.rows)
                    del sessions[name]
    assert done == ["a", "b", "c", "d"]
    # The first does not wait for the others, but for the part that is the oldest's.
    assert waits[0] < 640
    assert waits[1] < 900


def test_nothing_reads_what_is_half_computed() -> None:
    plan = Plan(4)
    stream = plan.block("stream")
    plan.add(Job((stream,), leave=0, on_logits=_goes_on), [1])  # type: ignore[arg-type]
    shared = plan.block("shared")
    shared.ids, shared.delivered, shared.view = [1] * 9, 9, (shared,)
    plan.read("oldest", 50, shared)
    plan.read("short", 2, shared)
    taken = [plan.step() for _ in range(4)]
    assert taken[:2] == [{"stream": 1, "shared": 3}] * 2
    assert taken[2:] == [{"stream": 1, "shared": 3, "oldest": 1}, {"stream": 1, "short": 2, "oldest": 2}]
