"""Many conversations on one decoder, each on a clock of its own that counts what its steps cost when it is alone.

    VirtualLoop (one a conversation, in a thread of its own)      Batch (one thread)
      tasks run until all of them wait
      idle -> the lane's step, planned as the engine plans it ->  waits for every live lane, one forward for all
      clock += the cost of the lane's own rows                <-  each lane's logits

Nothing that happens in a conversation depends on wall time or on who shares the forward pass: its streams, appended
words and questions meet in the same steps as they do alone. As on the engine's own thread, a step is laid out the
moment the last one is delivered, and what tasks ask for meanwhile is served after it.

Knows nothing of speech, tasks or policies.
"""

from __future__ import annotations

import asyncio
import selectors
import threading
from bisect import bisect_left
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Final, TypeVar

import torch

from reasoning.engine.attention import Run
from reasoning.engine.drafts import MOST_ROWS
from reasoning.engine.torch_engine import TorchEngine

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping, Sequence

    from torch import Tensor

    from reasoning.engine.cache import BlockCache
    from reasoning.engine.decoder import Decoder

T = TypeVar("T")


class Stalled(RuntimeError):
    """Every task of a conversation waits for something that will never happen."""


@dataclass(frozen=True, slots=True)
class StepCosts:
    """Seconds of one step, by how many rows end in logits and how many rows there are in all."""

    seconds: Mapping[int, Sequence[tuple[int, float]]]
    """By rows with logits (the largest stands for more): pairs of rows in all and seconds, in rising order."""

    def of(self, runs: Sequence[Run]) -> float:
        """Give the cost of a step with these runs, interpolated between the measured ones."""
        rows = sum(len(run.tokens) for run in runs)
        logits = min(sum(run.logits for run in runs), max(self.seconds))
        points = self.seconds[logits]
        at = bisect_left(points, (rows, 0.0))
        if at == 0:
            return points[0][1]
        (left, low), (right, high) = points[at - 1 : at + 1] if at < len(points) else points[-2:]
        return low + (high - low) * (rows - left) / (right - left)


_MEASURED: Final = {
    0: (1, 8, 32, 128),
    1: (1, 2, 4, 9, 32, 128),
    2: (2, 4, 6, 10, 32),
    3: (3, 5, 11, 32),
    **{logits: (logits, 12) for logits in range(4, MOST_ROWS + 1)},
}
"""Rows in all, by rows with logits, whose cost is measured."""
_READ: Final = (64, 64, 160, 16)
"""Tokens of the blocks in front of a measured row: prompt, input, thoughts, reply."""


def measure_costs(decoder: Decoder, repeats: int = 7) -> StepCosts:
    """Time steps of every size on this machine; the quickest of `repeats` each, as others may use the machine."""
    shared = [decoder.cache() for _ in _READ]
    for i, (block, length) in enumerate(zip(shared, _READ, strict=True)):
        decoder.forward([Run([1] * length, [*shared[:i], block], logits=False)])

    def once(logits: int, rows: int) -> float:
        blocks: list[BlockCache] = [decoder.cache() for _ in range(max(1, logits))]
        sizes = [1] * len(blocks)
        sizes[-1] += rows - len(blocks)
        runs = [
            Run([1] * size, [*shared, block], logits > 0) for size, block in zip(sizes, blocks, strict=True)
        ]  # fmt: skip
        start = perf_counter()
        decoder.forward(runs)
        return perf_counter() - start

    once(1, 1)
    table = {
        (logits, rows): min(once(logits, rows) for _ in range(repeats))
        for logits, counts in _MEASURED.items()
        for rows in counts
    }
    return settled(table)


def settled(measured: Mapping[tuple[int, int], float]) -> StepCosts:
    """Take noise out of costs by (rows with logits, rows in all): a step costs no more than one that does more.

    Noise only ever adds, so the quickest of all steps that do at least as much bounds it from above.
    """
    table: dict[int, list[tuple[int, float]]] = {}
    for logits, rows in sorted(measured):
        larger = (taken for (more, all_rows), taken in measured.items() if more >= logits and all_rows >= rows)
        table.setdefault(logits, []).append((rows, min(larger)))
    return StepCosts(table)


class Lane(TorchEngine):
    """An engine without a thread: whoever drives it computes its steps."""

    def __init__(self, decoder: Decoder, prefill_rows: int, row_costs: Sequence[float] = ()) -> None:
        super().__init__(decoder, prefill_rows=prefill_rows, row_costs=row_costs)
        self._planned_step = self._schedule.next_step()

    def _work(self) -> None:
        """Leave all work to the driver."""

    def plan(self) -> Sequence[Run]:
        """Serve what was asked for between steps, and lay out the next one."""
        while self._commands:
            self._commands.popleft()()
        self._planned_step = self._schedule.next_step()
        return self._planned_step.runs

    def deliver(self, logits: Tensor) -> None:
        """Take the logits of the step that was laid out."""
        self._deliver(self._planned_step, logits)


class Batch:
    """Computes the steps of all lanes in one forward pass each time all of them wait for one."""

    def __init__(self, decoder: Decoder, threads: int) -> None:
        self._decoder, self._threads = decoder, threads
        self._changed = threading.Condition()
        self._asked: dict[int, Sequence[Run]] = {}
        self._given: dict[int, Tensor] = {}
        self._live = 0
        self._error: BaseException | None = None
        self.forwards = 0
        self.stopped = False

    def stop(self) -> None:
        """Have every conversation cancelled at its next step; may be called by a handler of signals."""
        self.stopped = True

    def enter(self, lanes: int) -> None:
        """Announce lanes, before the first of them asks."""
        with self._changed:
            self._live += lanes

    def leave(self) -> None:
        """Take one lane away."""
        with self._changed:
            self._live -= 1
            self._changed.notify_all()

    def compute(self, lane: int, runs: Sequence[Run]) -> Tensor:
        """Compute a lane's step together with everybody's; blocks."""
        with self._changed:
            self._asked[lane] = runs
            self._changed.notify_all()
            self._changed.wait_for(lambda: lane in self._given or self._error is not None)
            if self._error is not None:
                raise RuntimeError("the batch has failed") from self._error
            return self._given.pop(lane)

    def serve(self) -> None:
        """Compute until no lane is left; runs in the thread that owns torch's thread pool."""
        torch.set_num_threads(self._threads)
        while True:
            with self._changed:
                self._changed.wait_for(lambda: len(self._asked) >= self._live)
                if not self._live:
                    return
                asked, self._asked = self._asked, {}
            try:
                given = self._forward(asked)
            except BaseException as error:
                with self._changed:
                    self._error = error
                    self._changed.notify_all()
                raise
            with self._changed:
                self._given.update(given)
                self._changed.notify_all()

    def _forward(self, asked: Mapping[int, Sequence[Run]]) -> dict[int, Tensor]:
        order = sorted(asked)
        logits = self._decoder.forward([run for lane in order for run in asked[lane]])
        self.forwards += 1
        counts = [sum(run.logits for run in asked[lane]) for lane in order]
        return dict(zip(order, torch.split(logits, counts), strict=True))


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only by timers and by the steps of its lane."""

    def __init__(self, lane: Lane, number: int, batch: Batch, costs: StepCosts) -> None:
        self._lane, self._number, self._batch, self._costs = lane, number, batch, costs
        self._now = 0.0
        self._runs: Sequence[Run] = ()
        self._step_ends = 0.0
        self._cancelled = False
        self.computed_s = 0.0
        """Seconds in which the lane's steps were computed."""
        super().__init__(_IdleSelector(self))

    def time(self) -> float:
        """Seconds of virtual time."""
        return self._now

    def idle(self, timeout: float | None) -> bool:
        """Let time pass when all tasks wait, the next timer being due in `timeout`; False: somebody was woken."""
        if self._batch.stopped and not self._cancelled:
            self._cancelled = True
            for task in asyncio.all_tasks(self):
                task.cancel()
            return False
        if not self._runs:
            self._runs = self._lane.plan()
            self._step_ends = self._now + self._costs.of(self._runs) if self._runs else 0.0
            if self._runs or self._woken():
                return False
        if timeout is not None and (not self._runs or self._now + timeout < self._step_ends):
            self._now += timeout
            return True
        if not self._runs:
            raise Stalled("every task waits, and nothing is going on")
        self._now = self._step_ends
        self.computed_s += self._costs.of(self._runs)
        self._lane.deliver(self._batch.compute(self._number, self._runs))
        self._runs = self._lane.plan()
        self._step_ends = self._now + self._costs.of(self._runs) if self._runs else 0.0
        return True

    def _woken(self) -> bool:
        return bool(self._ready)  # type: ignore[attr-defined] # the one way to see that a task can go on


class _IdleSelector(selectors.DefaultSelector):
    """Tells its loop when there is nothing to do but wait."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout > 0:
            self._loop.idle(timeout)
        return super().select(0)


def run_virtual(loop: VirtualLoop, main: Coroutine[object, object, T]) -> T:
    """Run one conversation to its end in the calling thread."""
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(main)
