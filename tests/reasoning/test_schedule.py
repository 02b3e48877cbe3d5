"""Steps: who takes part (streams, then the shortest text, and always the oldest), how long they take, and rests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reasoning.engine.cache import BlockCache
from reasoning.engine.decoder import Decoder
from reasoning.engine.pace import Rests, StepPace, step_seconds
from reasoning.engine.schedule import Job, Schedule, TorchBlock
from reasoning.formats.gguf import open_gguf
from tests.reasoning.tiny_models import Tiny, write_tiny

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from reasoning.engine.sampling import Reading

USUAL = (0.1, 0.11, 0.15)


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


# --- how long, and rests ---


def test_steps_that_take_what_they_should_are_not_slow() -> None:
    pace = StepPace(USUAL)
    for rows, seconds in ((1, 0.1), (2, 0.1), (3, 0.15)):
        pace.took(rows, seconds)
    assert pace.slowdown == 1.0


def test_a_busy_machine_is_noticed_within_some_steps_and_forgotten_as_soon() -> None:
    pace = StepPace(USUAL)
    for _ in range(20):
        pace.took(2, 0.33)
    assert pace.slowdown == pytest.approx(2.0, rel=0.05)
    for _ in range(20):
        pace.took(2, 0.11)
    assert pace.slowdown == pytest.approx(1.0, abs=0.05)


def test_ears_and_voice_of_ones_own_are_no_busy_machine() -> None:
    pace = StepPace(USUAL)
    for _ in range(20):
        pace.took(2, 0.11 * 1.5)
    assert pace.slowdown == 1.0


def test_one_step_during_which_the_machine_slept_is_soon_forgotten() -> None:
    pace = StepPace(USUAL)
    pace.took(1, 3600.0)
    assert pace.slowdown < 1.2


def test_steps_of_more_rows_than_were_measured_say_nothing() -> None:
    pace = StepPace(USUAL)
    pace.took(128, 5.0)
    assert pace.slowdown == 1.0


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(-1e9, 1e9))))
def test_slowness_is_bounded_whatever_clocks_say(steps: list[tuple[int, float]]) -> None:
    pace = StepPace(USUAL)
    for rows, seconds in steps:
        pace.took(rows, seconds)
        assert 1.0 <= pace.slowdown <= 4.0


def test_a_step_is_timed_on_blocks_of_its_own(tmp_path: Path) -> None:
    decoder = Decoder(open_gguf(write_tiny(tmp_path / "tiny.gguf", Tiny())), native="off")
    assert step_seconds(decoder, streams=2, reading=3, context=70) > 0


def test_the_longest_counts_and_each_ends_for_itself() -> None:
    rests, ended = Rests(), list[str]()
    assert rests.left(5.0) <= 0
    voice = rests.give(0.8, 10.0, lambda: ended.append("voice"))
    ears = rests.give(0.3, 10.0, lambda: ended.append("ears"))
    assert 0.6 < rests.left(10.1) < 0.8
    voice()
    voice()
    assert ended == ["voice"], "once"
    assert 0 < rests.left(10.1) < 0.3
    ears()
    assert rests.left(10.1) <= 0


def test_one_that_is_over_is_forgotten() -> None:
    rests = Rests()
    for now in range(1000):
        over = rests.give(0.5, float(now), lambda: None)
    assert len(rests._until) == 1
    over()
    assert not rests._until
