"""What is read and thought while the user speaks: how much, when it begins anew, and that nothing else comes of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from languages.known import language_of
from reasoning.events import Probe, StateChanged, Thought, TurnDone
from reasoning.options import LoopOptions, Mode, PolicyName
from reasoning.policies.choosing import choice_of
from reasoning.tools.calls import Tool
from tests.reasoning.loop import test_loop
from tests.reasoning.loop.test_loop import FAMILY, Model, Rig, cancelled_after, rig
from tests.reasoning.scripted_engine import END

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from reasoning.engine.contract import Block, Sampling, Token

over = test_loop.over
OFF, QUESTIONS, HEADS = LoopOptions(listening="off"), LoopOptions(), LoopOptions(listening="heads")
THOUGHTS = LoopOptions(listening="thoughts")
PARTS = (
    "A shop has 6 boxes",
    "A shop has 6 boxes of 4 red eggs",
    "A shop has 6 boxes of 4 red eggs and 3 boxes of white",
    "A shop has 6 boxes of 4 red eggs and 3 boxes of white ones, and sells half of them",
    "A shop has 6 boxes of 4 red eggs and 3 boxes of white ones, and sells half of them on the first day.",
)
"""What is heard of a question, each time that words come."""
QUESTION = f"{PARTS[-1]} How many red eggs are there at first?"
NEARLY_ALL = (*PARTS, f"{PARTS[-1]} How many red eggs are there at")
PIECE = 36
TELLING = Tool("tell", "Tells.", {"type": "object", "properties": {}})


async def spoken(one: Rig, parts: Sequence[str] = PARTS) -> None:
    """Speak as people do: words come a while after each other."""
    for part in [*parts, *[*parts[-1:]] * 3]:
        await one.loop.hear(part)
        await one.settle(4)


def contents(one: Rig) -> dict[str, str]:
    """Give the text of all blocks that hold anything but the questions that were read ahead."""
    names = [name for name in one.session.blocks if not name.startswith("asked")]
    return {name: text for name in names if (text := one.session.text(name))}


async def test_the_heads_are_read_while_words_come_and_nothing_is_told() -> None:
    async with rig(options=HEADS) as one:
        await spoken(one)
        assert one.session.text("thoughts") == one.engine.tokenizer.shown(one.script.think_open)
        assert one.session.text("asked0") == one.engine.tokenizer.shown(one.script.need[:-1])
        assert not [event for event in one.events if not isinstance(event, StateChanged)]
        one.engine.log.clear()
        await one.loop.answer(QUESTION)
        (need,) = [text for name, text in one.engine.log if name == "question"]
        assert need.endswith(f"{QUESTION}{one.engine.tokenizer.shown(one.script.need)}")
        assert one.thought == test_loop.THOUGHTS


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (OFF, PARTS),
        (LoopOptions(mode="no-think"), PARTS),
        (HEADS, ("Hello you",)),
        (HEADS, ()),
    ],
)
async def test_nothing_is_read_where_it_would_not_be_needed(options: LoopOptions, parts: Sequence[str]) -> None:
    async with rig(options=options) as one:
        await spoken(one, parts)
        assert one.session.text("thoughts", "asked0") == ""


async def test_a_piece_is_read_each_time_that_words_come() -> None:
    async with rig(options=HEADS) as one:
        lengths = [0]
        for part in [PARTS[2]] * 5:
            await one.loop.hear(part)
            await one.settle(4)
            lengths.append(len(one.session.block("thoughts")) + len(one.session.block("asked0")))
        assert all(0 <= later - sooner <= PIECE for sooner, later in pairwise(lengths))
        assert lengths[1] > 0
        assert lengths[-1] == len(one.script.think_open) + len(one.script.need) - 1


async def test_questions_alone_are_read_where_nothing_else_is_wanted() -> None:
    async with rig(options=QUESTIONS) as one:
        await spoken(one)
        assert one.session.text("thoughts") == ""
        assert one.session.text("asked0") == one.engine.tokenizer.shown(one.script.need[:-1])


async def test_a_question_that_was_read_with_too_few_words_is_read_again_before_it_is_asked() -> None:
    async with rig(options=QUESTIONS) as one:
        asked = []
        for part in (PARTS[1], PARTS[3], PARTS[3]):
            await one.loop.hear(part)
            await one.settle(4)
            asked.append(len(views(one, "question")))
        assert asked == [0, 0, 1]


async def test_the_head_is_read_again_when_the_words_have_doubled_and_questions_before() -> None:
    async with rig(options=HEADS) as one:
        await spoken(one, [PARTS[1]])
        whole, asked = len(one.session.block("thoughts")), len(views(one, "question"))
        assert whole == len(one.script.think_open)
        assert asked == 1
        await spoken(one, [f"{PARTS[1]} and"])
        assert (len(one.session.block("thoughts")), len(views(one, "question"))) == (whole, asked)
        await spoken(one, [PARTS[2]])
        assert (len(one.session.block("thoughts")), len(views(one, "question"))) == (whole, asked + 1)
        lengths = []
        for _ in range(6):
            await one.loop.hear(PARTS[3])
            await one.settle(4)
            lengths.append(len(one.session.block("thoughts")))
        assert PIECE in lengths
        assert lengths[-1] == whole
        assert len(views(one, "question")) == asked + 2


@pytest.mark.parametrize("mode", ["async", "think-first"])
async def test_the_first_thought_comes_sooner(mode: Mode) -> None:
    waits = []
    for options in (OFF, HEADS):
        async with rig(options=replace(options, mode=mode)) as one:
            await spoken(one)
            begun, answer = one.engine.steps, asyncio.create_task(one.loop.answer(QUESTION))
            while not one.thought:
                await one.engine.step()
            waits.append(one.engine.steps - begun)
            await answer
    if test_loop._over == "served":
        # Servers are asked nothing before there is something to write.
        assert waits[1] == waits[0]
    else:
        assert waits[1] < waits[0]


# --- nothing else comes of it ---


@dataclass(frozen=True)
class Way:
    """One way in which a turn that was read ahead ends."""

    name: str
    go: Callable[[Rig], Awaitable[object]]
    context: int = 100_000


async def _whole(one: Rig) -> None:
    await spoken(one)
    await one.loop.answer(QUESTION)


async def _words_go_on(one: Rig) -> None:
    await spoken(one, PARTS[:3])
    answer = asyncio.create_task(one.loop.answer(PARTS[2]))
    while len(one.of(Thought)) < 3:
        await one.engine.step()
    await cancelled_after(0, answer)
    await one.loop.take_back()
    one.events.clear()
    await spoken(one, PARTS[3:])
    await one.loop.answer(QUESTION)


async def _note(one: Rig) -> None:
    await spoken(one, PARTS[:4])
    await one.loop.note("The shop is closed.")
    await spoken(one, PARTS[4:])
    await one.loop.answer(QUESTION)


async def _note_alone(one: Rig) -> None:
    await one.loop.note("The shop is closed.")
    await spoken(one, PARTS)
    await one.loop.hear("")
    await one.loop.answer("")


async def _tools(one: Rig) -> None:
    await spoken(one)
    # Without a real vocabulary only the simplest engine takes a grammar.
    await one.loop.set_tools([TELLING] if test_loop._over == "live" else ())
    await one.loop.set_tools(())
    await one.loop.answer(QUESTION)


async def _interrupted(one: Rig, after: int = 12) -> int:
    """Interrupt behind so many tokens; give how many it were: a step may bring several of those that were guessed."""
    await spoken(one)
    answer = asyncio.create_task(one.loop.answer(QUESTION))
    while len(one.of(Thought)) < after:
        await one.engine.step()
    await cancelled_after(0, answer)
    came = len(one.of(Thought))
    await one.loop.finish("There", interrupted=True)
    await spoken(one, ["No, I meant 5 boxes of them, not 6."])
    await one.loop.answer("No, I meant 5 boxes of them, not 6.")
    return came


async def _other_language(one: Rig) -> None:
    await spoken(one)
    one.loop.speak(language_of("de"))
    await one.loop.answer(QUESTION)


async def _finished_unanswered(one: Rig) -> None:
    await spoken(one)
    await one.loop.finish("")
    await one.loop.answer(QUESTION)


async def _at_once(one: Rig) -> None:
    """The answer comes while a piece is being read."""
    for part in PARTS:
        await one.loop.hear(part)
    await one.loop.answer(QUESTION)


WAYS = (
    Way("whole", _whole),
    Way("words go on", _words_go_on),
    Way("note", _note),
    Way("note alone", _note_alone),
    Way("tools", _tools),
    Way("interrupted", _interrupted),
    Way("another language", _other_language),
    Way("finished unanswered", _finished_unanswered),
    Way("at once", _at_once),
    *(Way(f"context {context}", _whole, context) for context in range(80, 260, 20)),
)


@pytest.mark.parametrize("way", WAYS, ids=[way.name for way in WAYS])
async def test_a_turn_has_the_blocks_words_and_tokens_that_it_would_have_without(way: Way) -> None:
    outcomes: list[Any] = []
    after = 12
    for options in (THOUGHTS, OFF, QUESTIONS, HEADS):
        async with rig(AnyLanguage(), options, context=way.context) as one:
            if way.go is _interrupted:
                after = await _interrupted(one, after)
            else:
                await way.go(one)
            done = one.of(TurnDone)[-1]
            # A head that found no room stands where it was begun, until the turn is over.
            blocks = {} if done.reason == "context" else contents(one)
            spent = {role: count for role, count in done.tokens.items() if role != "early"}
            told = one.said, one.thought, spent, done.reason, one.of(Probe)
            await one.loop.finish("")
            assert one.session.text("thoughts", "asked0", "early") == ""
            outcomes.append((*told, blocks, contents(one)))
    assert outcomes[0] == outcomes[1] == outcomes[2] == outcomes[3]


class AnyLanguage(Model):
    """Writes the same whatever it is asked in."""

    def score_choices(self, before: str) -> float:
        del before
        return 20.0

    def write(self, before: str, name: str) -> str:
        del before
        return self.thoughts if name.startswith(("thoughts", "early")) else f"There are 24 eggs.{END}"


@pytest.mark.parametrize("turns", range(0, 12, 2))
async def test_it_ends_wherever_the_answer_comes(turns: int) -> None:
    async with rig(options=HEADS) as one:
        await one.loop.hear(PARTS[3])
        for _ in range(turns):
            await asyncio.sleep(0)
        await one.loop.answer(QUESTION)
        opening = one.engine.tokenizer.shown(one.script.think_open)
        assert one.session.text("thoughts").startswith(opening)
        assert one.session.text("thoughts").count(FAMILY.prompts.work_open) == 1
        assert one.thought == test_loop.THOUGHTS


# --- what was asked early counts only where it is clear ---


@dataclass
class Asked(Model):
    """Answers the questions by these log-odds."""

    kind: float = 0.0

    def score_choices(self, before: str) -> float:
        assert self.need is not None
        return self.kind if FAMILY.prompts.kind_question in before else self.need


_NEED = FAMILY.prompts.need_bias - FAMILY.prompts.need_of_numbers
_KIND = FAMILY.prompts.kind_bias - FAMILY.prompts.need_of_numbers
"""Log-odds at the borders, of words with two numbers."""


@pytest.mark.parametrize(
    ("choice", "need", "kind", "asked"),
    [
        ("sums", 0.7, 0.0, ["need"]),
        ("sums", 0.5, 0.0, ["need", "need"]),
        ("sums", -1.1, 0.0, ["need", "need"]),
        ("sums", -1.3, 0.0, ["need"]),
        ("auto", 9.0, -1.3, ["kind"]),
        ("auto", 9.0, -1.1, ["kind", "need", "kind"]),
        ("auto", 9.0, 0.3, ["kind", "need", "kind", "need"]),
        ("auto", 0.7, 1.0, ["kind", "need"]),
        ("auto", 0.5, 1.0, ["kind", "need", "kind", "need"]),
        ("auto", -1.3, 0.7, ["kind", "need", "kind", "need"]),
        ("auto", -9.0, 2.4, ["kind"]),
    ],
)
async def test_what_was_read_early_counts_only_where_no_doubt_would_change_it(
    choice: PolicyName, need: float, kind: float, asked: list[str]
) -> None:
    outcomes = []
    model = Asked(need=_NEED + need, kind=_KIND + kind, at_once=f"There are some eggs.{END}")
    for options in (OFF, QUESTIONS, HEADS, THOUGHTS):
        async with rig(model, options, choice=choice_of(choice, test_loop.WRITTEN)) as one:
            await spoken(one, [*NEARLY_ALL, *NEARLY_ALL[-1:] * 3])
            one.engine.log.clear()
            await one.loop.answer(QUESTION)
            questions = [
                "kind" if FAMILY.prompts.kind_question in text else "need"
                for name, text in one.engine.log
                if name == "question"
            ]
            outcomes.append((one.of(Probe), one.said, one.of(TurnDone)[0].tokens["probe"]))
    assert questions == asked
    assert outcomes[0] == outcomes[1] == outcomes[2] == outcomes[3]


async def test_what_was_read_with_few_of_the_words_does_not_count() -> None:
    async with rig(Asked(need=9.0)) as one:
        await spoken(one, PARTS[:4])
        one.engine.log.clear()
        await one.loop.answer(QUESTION)
        assert len(views(one, "question")) == 1
        assert QUESTION in views(one, "question")[0]


# --- thoughts about half a question: when, on which words, and without a trace in the answer ---

LONG_HEARD = (*PARTS[:3], *[PARTS[2]] * 4)
"""Words, and time enough to think about them."""
GAP_STEPS = 5
"""Steps in a quarter of a second."""


def views(one: Rig, name: str) -> list[str]:
    """Give the text that each stream of a block began behind."""
    return [text for block, text in one.engine.log if block == name]


def answered(one: Rig) -> tuple[object, ...]:
    """Give everything that a turn has told and spent on its answer after its end, but for early thoughts."""
    done = one.of(TurnDone)[-1]
    spent = {role: count for role, count in done.tokens.items() if role not in {"early", "dropped"}}
    return one.said, one.thought, spent, done.reason


async def test_half_a_question_is_thought_about_and_nothing_is_told() -> None:
    async with rig(options=THOUGHTS) as one:
        await spoken(one, LONG_HEARD)
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
        await spoken(one, LONG_HEARD)
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
