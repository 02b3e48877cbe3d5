from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bench.think.baselines import Aloud, Published
from reasoning.events import Probe, ReplyText, Thought, TurnDone
from reasoning.options import LoopOptions
from reasoning.prompting.script import Script, family_of
from tests.reasoning.scripted_engine import END, Mind, ScriptedEngine

if TYPE_CHECKING:
    from collections.abc import Callable

    from reasoning.events import LoopEvent

QUESTION = "How many eggs are in 6 rows of 4?"
STEPS = "There are 6 rows of 4 eggs. So there are 24 eggs. "
FAMILY = family_of("any")


def asked(
    kind: type[Aloud | Published],
    write: Callable[[str, str], str],
    score_choices: Callable[[str], float] = lambda _: 1.0,
) -> tuple[list[LoopEvent], ScriptedEngine]:
    engine = ScriptedEngine(Mind(write, score_choices))
    events: list[LoopEvent] = []

    async def main() -> None:
        script = Script(engine.tokenizer, FAMILY)
        async with engine.session() as session:
            mind = kind(session, script, LoopOptions(), events.append, engine.clock)
            await mind.open()
            await mind.hear("How many eggs")
            await mind.answer(QUESTION)

    asyncio.run(main())
    return events, engine


def spoken(events: list[LoopEvent]) -> list[str]:
    return [event.text for event in events if isinstance(event, ReplyText)]


def test_aloud_speaks_each_step_as_it_is_finished() -> None:
    events, engine = asked(Aloud, lambda _, name: STEPS + END if name == "reply" else "")
    assert spoken(events) == ["There are 6 rows of 4 eggs.", "So there are 24 eggs."]
    assert next(event for event in events if isinstance(event, TurnDone)).reason == "complete"
    assert QUESTION in engine.log[-1][1]


def test_aloud_is_cut_by_the_budget_with_what_it_has() -> None:
    events, _ = asked(Aloud, lambda *_: "and so on " * 1000)
    assert isinstance(events[-1], TurnDone)
    assert events[-1].reason == "budget"
    assert len(spoken(events)) > 1


def published(before: str, name: str) -> str:
    if name == "thoughts":
        return "Six times four. " * 20 + "It is 24.\n" + END
    # The writer states what the thoughts hold when it starts.
    return ("It is 24. " if "It is 24." in before else "It is 20. ") + END


def test_the_published_writer_begins_when_the_question_is_answered_with_yes() -> None:
    events, engine = asked(Published, published)
    kinds = [type(event) for event in events]
    assert spoken(events) == ["It is 20."]
    assert kinds.index(Probe) < kinds.index(ReplyText)
    thoughts = "".join(event.text for event in events if isinstance(event, Thought))
    assert "It is 24." not in thoughts, "the writer's end ends the thinker"
    assert [name for name, _ in engine.log].count("reply") == 1


def test_the_published_writer_waits_while_the_answer_is_no() -> None:
    events, engine = asked(Published, published, lambda _: -1.0)
    assert spoken(events) == ["It is 24."]
    probes = [event for event in events if isinstance(event, Probe)]
    assert len(probes) >= 3
    assert not any(probe.decision for probe in probes)
    reply = next(view for name, view in engine.log if name == "reply")
    assert "It is 24." in reply


def test_a_no_pauses_the_published_writer_and_a_yes_lets_it_go_on() -> None:
    odds = iter([1.0, -1.0, -1.0])
    long = "One and two and three and four and five and six and seven and eight. " * 4

    def write(before: str, name: str) -> str:
        if name == "thoughts":
            return "Six times four. " * 40 + END
        return long.removeprefix(before.rpartition("<|im_start|>assistant\n")[2]) + END

    events, engine = asked(Published, write, lambda _: next(odds, 1.0))
    assert [name for name, _ in engine.log].count("reply") > 1
    assert " ".join(spoken(events)) == long.strip()
