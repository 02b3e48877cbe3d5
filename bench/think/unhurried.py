"""The parts of `descant bench think` that take as long as they last: the check of the clock, and spoken items.

Each runs conversation by conversation; told to end, it gives what was measured until then.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from agent.models.registry import row_costs
from bench.stopping import run_until_stopped
from bench.think.counting import counted
from bench.think.scenarios import plain
from bench.think.speech import SpeechStage
from reasoning.engine.torch_engine import TorchEngine

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from agent.models.registry import Files
    from bench.think.items.question import TaskQuestion
    from bench.think.metrics import Sample
    from bench.think.scenarios import ScenarioPlan
    from bench.think.think import Row, ThinkStage

_CLOCKED: Final = ("first_sound_s", "first_content_s", "total_delay_s", "reply_end_s")
"""Figures that are put side by side, simulated and real."""


def checked(
    stage: ThinkStage,
    rows: Sequence[Row],
    items: Sequence[TaskQuestion],
    simulated: Mapping[tuple[str, ScenarioPlan], Sample],
) -> tuple[list[dict[str, Any]], bool]:
    """Run items in real time as well, and put both clocks side by side; False: stopped before the end."""
    lines: list[dict[str, Any]] = []

    async def all_of_them(engine: TorchEngine) -> bool:
        with counted(len(items) * len(rows), "conversations in real time") as count:
            for item in items:
                for row in rows:
                    real = await stage.conversation(engine, row, plain(item))
                    lines.append(_beside(real, simulated[row.name, plain(item)]))
                    count(real)
        return True

    return lines, not items or _on_an_engine(stage, all_of_them)


def spoken(
    stage: ThinkStage,
    rows: Sequence[Row],
    items: Sequence[TaskQuestion],
    simulated: Mapping[tuple[str, ScenarioPlan], Sample],
    files: Files,
) -> tuple[list[dict[str, Any]], bool]:
    """Speak items, listen to the replies, and put them beside the simulated ones; False: stopped before the end."""
    lines: list[dict[str, Any]] = []

    async def all_of_them(engine: TorchEngine) -> bool:
        speech = SpeechStage(stage, engine, files)
        with counted(len(items) * len(rows), "spoken conversations") as count:
            for item in items:
                for row in rows:
                    told = await speech.ask(row, item)
                    twin = simulated[row.name, plain(item)]
                    lines.append(_beside(told.sample, twin) | asdict(told) | {"simulated_right": twin.right})
                    count(told)
        return True

    return lines, not items or _on_an_engine(stage, all_of_them)


def _on_an_engine(stage: ThinkStage, work: Callable[[TorchEngine], Coroutine[object, object, bool]]) -> bool:
    options = stage.model.options
    engine = TorchEngine(
        stage.model.decoder,
        prefill_rows=options.prefill_rows,
        threads=options.threads,
        row_costs=row_costs(stage.model.decoder, options),
    )
    try:
        return run_until_stopped(work(engine)) is not None
    finally:
        engine.close()


def _beside(real: Sample, twin: Sample) -> dict[str, Any]:
    line: dict[str, Any] = {"row": real.row, "task": real.task, "number": real.number}
    for name in _CLOCKED:
        values = getattr(twin, name), getattr(real, name)
        line[name] = [None if value is None else round(value, 2) for value in values]
    return {**line, "same_words": real.spoken == twin.spoken}
