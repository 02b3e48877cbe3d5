"""Thoughts while the user speaks: when they come, on which words, and that the answer has no trace of them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest

from reasoning.events import StateChanged, Thought, TurnDone
from reasoning.options import LoopOptions
from tests.reasoning.loop import test_loop
from tests.reasoning.loop.test_ahead import PARTS, QUESTION, spoken
from tests.reasoning.loop.test_loop import Model, Rig, cancelled_after, rig
from tests.reasoning.scripted_engine import END

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from reasoning.engine.contract import Block, Sampling, Token

over = test_loop.over
OFF, THOUGHTS = LoopOptions(listening="off"), LoopOptions(listening="thoughts")
LONG_HEARD = (*PARTS[:3], *[PARTS[2]] * 4)
"""Words, and time enough to think about them."""
GAP_STEPS = 5
"""Steps in a quarter of a second."""


def views(one: Rig, name: str) -> list[str]:
    """Give the text that each stream of a block began behind."""
    return [text for block, text in one.engine.log if block == name]


def answered(one: Rig) -> tuple[object, ...]:
    """Give everything that a turn has told and spent after its end, but for early thoughts."""
    done = one.of(TurnDone)[-1]
    spent = {role: count for role, count in done.tokens.items() if role != "early"}
    return one.said, one.thought, spent, done.reason


async def test_half_a_question_is_thought_about_and_nothing_is_told() -> None:
    async with rig(options=THOUGHTS) as one:
        await spoken(one, PARTS[:3])
        opening = one.engine.tokenizer.shown(one.script.think_open)
        early = one.session.text("early").removeprefix(opening)
        assert early
        assert test_loop.THOUGHTS.startswith(early)
        assert all(f"{PARTS[2]}{opening}" in text for text in views(one, "early"))
        assert one.session.text("thoughts") == ""
        assert not [event for event in one.events if not isinstance(event, StateChanged)]
        await one.loop.answer(QUESTION)
        assert one.session.text("early") == ""
        assert one.thought == test_loop.THOUGHTS
        assert one.of(TurnDone)[0].tokens["early"] == len(one.engine.tokenizer.encode(early))


async def test_no_longer_than_the_recogniser_can_spare_the_processor() -> None:
    async with rig(options=THOUGHTS) as one:
        await spoken(one, PARTS[:3])
        for _ in range(3):
            length = len(one.session.block("early"))
            await one.loop.hear(PARTS[2])
            await one.settle(4 * GAP_STEPS)
            assert len(one.session.block("early")) - length <= GAP_STEPS + 1
            assert one.engine.running == []


async def test_they_begin_anew_when_there_are_more_words() -> None:
    async with rig(options=THOUGHTS) as one:
        await spoken(one, PARTS[:3])
        before = len(views(one, "early"))
        await spoken(one, [PARTS[4]])
        fresh = [text for text in views(one, "early")[before:] if text.endswith(test_loop.FAMILY.prompts.work_open)]
        assert len(fresh) == 1
        assert PARTS[4] in fresh[0]


async def test_they_end_where_the_model_ends_them() -> None:
    thoughts = f"6 * 4 = 24{END}"
    async with rig(Model(thoughts=thoughts), THOUGHTS) as one:
        await spoken(one, [*PARTS[:3], *[PARTS[2]] * 20])
        assert one.session.text("early").endswith(thoughts)
        assert one.session.text("early").count("24") == 1


@pytest.mark.parametrize(
    ("model", "options"),
    [
        (Model(small_talk=True), THOUGHTS),
        (Model(), replace(THOUGHTS, mode="no-think")),
        (Model(), LoopOptions()),
        (Model(), OFF),
    ],
)
async def test_nothing_is_thought_where_no_thoughts_are_needed(model: Model, options: LoopOptions) -> None:
    async with rig(model, options) as one:
        await spoken(one)
        await one.loop.answer(QUESTION)
        assert views(one, "early") == []
        assert "early" not in one.of(TurnDone)[0].tokens


async def test_words_that_correct_an_interrupted_turn_are_not_thought_about_early() -> None:
    async with rig(options=THOUGHTS) as one:
        answer = asyncio.create_task(one.loop.answer(QUESTION))
        while len(one.of(Thought)) < 12:
            await one.engine.step()
        await cancelled_after(0, answer)
        await one.loop.finish("There", interrupted=True)
        await spoken(one)
        assert views(one, "early") == []


async def _turn(one: Rig, parts: Sequence[str], steps: int) -> None:
    """Speak, and have the turn end so many steps after the last words were heard."""
    await spoken(one, parts)
    await one.loop.hear(parts[-1])
    await one.settle(steps)
    await one.loop.answer(QUESTION)


@pytest.mark.parametrize("steps", range(8))
async def test_the_answer_has_no_trace_of_them_wherever_the_turn_ends(steps: int) -> None:
    outcomes = []
    for options in (OFF, THOUGHTS):
        async with rig(options=options) as one:
            await _turn(one, LONG_HEARD, steps)
            assert ("early" in one.of(TurnDone)[0].tokens) == (options == THOUGHTS)
            outcomes.append((answered(one), one.session.text("thoughts")))
    assert outcomes[0] == outcomes[1]


def _noted(
    generate: Callable[..., AsyncGenerator[Token]],
    drawn: list[tuple[str, int]],
    view: Sequence[Block],
    rules: Sampling,
) -> AsyncGenerator[Token]:
    """Generate, and note for which block and by which seed."""
    drawn.append((view[-1].name, rules.seed))
    return generate(view, rules)


async def test_what_others_draw_does_not_depend_on_them(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = list[list[tuple[str, int]]]()
    for options in (OFF, THOUGHTS):
        async with rig(options=options, seed=3) as one:
            drawn: list[tuple[str, int]] = []
            monkeypatch.setattr(one.session, "generate", partial(_noted, one.session.generate, drawn))
            await spoken(one, LONG_HEARD)
            await one.loop.answer(QUESTION)
            assert ("early" in dict(drawn)) == (options == THOUGHTS)
            seeds.append([(name, seed) for name, seed in drawn if name != "early"])
    assert seeds[0] == seeds[1]


@pytest.mark.parametrize("steps", range(0, 40, 5))
async def test_the_answer_has_no_trace_of_them_when_the_user_goes_on_at_any_point(steps: int) -> None:
    outcomes = []
    for options in (OFF, THOUGHTS):
        async with rig(options=options) as one:
            await spoken(one, LONG_HEARD)
            await cancelled_after(steps, asyncio.create_task(one.loop.answer(PARTS[2])))
            await one.loop.take_back()
            one.events.clear()
            await _turn(one, PARTS[3:], 2)
            assert ("early" in one.of(TurnDone)[0].tokens) == (options == THOUGHTS)
            outcomes.append((answered(one), one.session.text("thoughts")))
            assert one.session.text("early") == ""
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("turns", range(10))
async def test_a_turn_that_is_ended_and_cancelled_at_any_point_leaves_nothing(turns: int) -> None:
    async with rig(options=THOUGHTS) as one:
        await spoken(one, PARTS[:3])
        await one.loop.hear(PARTS[2])
        answer = asyncio.create_task(one.loop.answer(QUESTION))
        await cancelled_after(turns, answer)
        await one.loop.finish("", interrupted=True)
        assert one.session.text("early") == ""
        await one.loop.hear(QUESTION)
        await one.loop.answer(QUESTION)
        assert one.said
