"""`descant bench think`: how much of the gain of thinking first is kept, at which promptness.

Every question is asked in every row (a mode, or a mode with other settings). Rows of one run share the engine, the
measured cost of its steps and the pace of the voice, so they are compared within the run. Knows no task by name.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import torch

from agent.costs.ledger import PowerModel
from agent.models.registry import load_decoder, row_costs
from bench.stopping import stoppable
from bench.think.baselines import Aloud
from bench.think.metrics import Sample, measure
from bench.virtual.simulation import converse
from bench.virtual.stepped import Batch, Lane, VirtualLoop, run_virtual
from reasoning.loop.loop import Loop
from reasoning.options import Mode
from reasoning.policies.choosing import choice_of
from reasoning.policies.sums.switches import ALL_POLICIES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from agent.config.settings import Settings
    from agent.conversation.reasoner import TurnLoop
    from bench.think.scenarios import ScenarioPlan
    from bench.virtual.simulation import MakeSimulatedLoop
    from bench.virtual.stepped import StepCosts
    from bench.virtual.timed import Pace
    from reasoning.engine.contract import EngineSession
    from reasoning.engine.decoder import Decoder
    from reasoning.engine.torch_engine import TorchEngine
    from reasoning.events import LoopEvent
    from reasoning.options import EngineOptions, LoopOptions
    from reasoning.policies.sums.switches import PolicySwitches
    from reasoning.prompting.script import Script

_ASKED: Final = datetime(2026, 6, 9, 15, 40, tzinfo=UTC)
"""When every question is asked: in any run the same."""
BenchMode = Literal["async", "think-first", "no-think", "aloud", "published"]
MODES: Final = get_args(BenchMode)
LOOP_MODES: Final = get_args(Mode)
"""Modes of the loop itself, which takes more than one turn; the others are baselines."""
_FAR_S: Final = 60.0
"""More than any reply takes to play."""


@dataclass(frozen=True, slots=True)
class Row:
    """One way to answer that is measured."""

    name: str
    mode: BenchMode
    options: LoopOptions
    policies: PolicySwitches = ALL_POLICIES

    def mind(self, script: Script, context: int) -> MakeSimulatedLoop:
        """Give what makes this row's mind on an engine session."""

        def make(
            session: EngineSession[Any], emit: Callable[[LoopEvent], None], clock: Callable[[], float]
        ) -> TurnLoop:
            if self.mode == "aloud":
                return Aloud(session, script, self.options, emit, clock)
            if self.mode == "published":
                # Its question alone holds it back, not what is left to play.
                options = replace(self.options, mode="async", policy="published", lead_s=_FAR_S)
            else:
                options = replace(self.options, mode=self.mode)
            choice = choice_of(options.policy, self.policies, tagged=script.thinks_in_tags)
            return Loop(session, script, options, emit, clock, context=context, choice=choice, now=lambda: _ASKED)

        return make


@dataclass(frozen=True, slots=True)
class Model:
    """The language model of a run."""

    decoder: Decoder
    script: Script
    options: EngineOptions


def open_model(file: Path, options: EngineOptions) -> Model:
    """Load the language model without a thread of its own."""
    torch.set_num_threads(options.threads)
    decoder, script = load_decoder(file, options)
    return Model(decoder, script, options)


@dataclass(frozen=True, slots=True)
class ThinkStage:
    """What all conversations of a run have in common."""

    model: Model
    settings: Settings
    pace: Pace

    def joules(self, computed_s: float) -> float | None:
        """Estimate what seconds of the model's steps take; None where they are not the processor's."""
        if self.model.decoder.device.type != "cpu":
            return None
        return PowerModel(self.settings.costs.watts_a_core).joules(computed_s * self.model.options.threads)

    async def conversation(self, engine: TorchEngine, row: Row, plan: ScenarioPlan) -> Sample:
        """Hold one conversation on an engine, on the clock of the running event loop, and measure it."""
        script, options = self.model.script, self.model.options
        async with engine.session() as session:
            record = await converse(
                session,
                row.mind(script, options.context),
                plan.said,
                pace=self.pace,
                ears=self.settings.ears,
                options=row.options,
                encode=script.tokenizer.encode,
            )
        sample = measure(row.name, plan.asked, record, self.pace, script.tokenizer.decode)
        sample.scenario = plan.scenario
        return sample


@dataclass(frozen=True, slots=True)
class Simulated:
    """Samples of a run on virtual clocks."""

    samples: Mapping[tuple[str, ScenarioPlan], Sample]
    """By the row's name and the plan: those of all jobs, or what was measured until the run was stopped."""
    wall_s: float
    forwards: int
    """Forward passes in all."""


def simulate(
    stage: ThinkStage,
    jobs: Sequence[tuple[Row, ScenarioPlan]],
    costs: StepCosts,
    *,
    batch: int,
    done: Callable[[Sample], None],
) -> Simulated:
    """Hold these conversations, `batch` of them at a time, each on a clock of its own.

    The first SIGINT or SIGTERM ends it with what was measured until then.
    """
    model = stage.model
    shared = Batch(model.decoder, model.options.threads)
    waiting: queue.SimpleQueue[tuple[Row, ScenarioPlan]] = queue.SimpleQueue()
    for job in jobs:
        waiting.put(job)
    samples: dict[tuple[str, ScenarioPlan], Sample] = {}
    errors: list[BaseException] = []

    def lane(number: int) -> None:
        try:
            while not errors and not shared.stopped:
                row, plan = waiting.get_nowait()
                engine = Lane(model.decoder, model.options.prefill_rows, row_costs(model.decoder, model.options))
                clock = VirtualLoop(engine, number, shared, costs)
                sample = run_virtual(clock, stage.conversation(engine, row, plan))
                sample.joules = stage.joules(clock.computed_s)
                samples[row.name, plan] = sample
                done(sample)
        except (queue.Empty, asyncio.CancelledError):
            pass
        except BaseException as error:  # noqa: BLE001 - raised by the thread that called
            errors.append(error)
        finally:
            shared.leave()

    count = min(batch, waiting.qsize())
    shared.enter(count)
    threads = [threading.Thread(target=lane, args=(number,), daemon=True) for number in range(count)]
    start = perf_counter()
    for thread in threads:
        thread.start()
    with stoppable(shared.stop):
        shared.serve()
        for thread in threads:
            thread.join()
    if errors:
        raise errors[0]
    return Simulated(samples, perf_counter() - start, shared.forwards)


def settings_document(settings: Settings) -> dict[str, Any]:
    """Give the settings that decide the outcome."""
    return {group: asdict(getattr(settings, group)) for group in ("models", "ears", "voice", "engine", "loop")}
