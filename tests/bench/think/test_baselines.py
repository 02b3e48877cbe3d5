from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bench.think.baselines import Aloud
from reasoning.events import ReplyText, TurnDone
from reasoning.options import LoopOptions
from reasoning.prompting.script import Script, family_of
from tests.reasoning.scripted_engine import END, Mind, ScriptedEngine

if TYPE_CHECKING:
    from collections.abc import Callable

    from reasoning.events import LoopEvent

QUESTION = "How many eggs are in 6 rows of 4?"
STEPS = "There are 6 rows of 4 eggs. So there are 24 eggs. "
FAMILY = family_of("any")


def asked(write: Callable[[str, str], str]) -> tuple[list[LoopEvent], ScriptedEngine]:
    engine = ScriptedEngine(Mind(write, lambda _: 1.0))
    events: list[LoopEvent] = []

    async def main() -> None:
        script = Script(engine.tokenizer, FAMILY)
        async with engine.session() as session:
            mind = Aloud(session, script, LoopOptions(), events.append, engine.clock)
            await mind.open()
            await mind.hear("How many eggs")
            await mind.answer(QUESTION)

    asyncio.run(main())
    return events, engine


def spoken(events: list[LoopEvent]) -> list[str]:
    return [event.text for event in events if isinstance(event, ReplyText)]


def test_aloud_speaks_each_step_as_it_is_finished() -> None:
    events, engine = asked(lambda _, name: STEPS + END if name == "reply" else "")
    assert spoken(events) == ["There are 6 rows of 4 eggs.", "So there are 24 eggs."]
    assert next(event for event in events if isinstance(event, TurnDone)).reason == "complete"
    assert QUESTION in engine.log[-1][1]


def test_aloud_is_cut_by_the_budget_with_what_it_has() -> None:
    events, _ = asked(lambda *_: "and so on " * 1000)
    assert isinstance(events[-1], TurnDone)
    assert events[-1].reason == "budget"
    assert len(spoken(events)) > 1
