"""The loop with models that were trained to think between tags: typed turns on a scripted engine."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeVar

import pytest

from reasoning.events import LoopEvent, Probe, ReplyText, Retracted, Thought, TurnDone, Unsaid
from reasoning.loop.loop import Loop
from reasoning.options import LoopOptions, Mode
from reasoning.prompting.chat_template import ChatTemplate
from reasoning.prompting.profiles.profile import UNKNOWN, ModelProfile, RoleBudgets
from reasoning.prompting.script import Script, family_of
from tests.reasoning.prompting import chat_templates
from tests.reasoning.scripted_engine import END, Mind, ScriptedEngine, ScriptedSession, Words

QUESTION = "A box has 6 rows of 4 eggs. How many eggs are in it?"
PROSE = (
    "Okay, let me think. The user wants to know how many eggs there are. There are 6 rows, and each has 4 eggs. "
    "Wait, let me double-check that. Yes, that's right. So 6 times 4 makes 24 eggs altogether.\n\n"
    "I should answer in a short, friendly sentence."
)
EMPTY = "<think>\n\n</think>\n\n"
TAGGED = ChatTemplate(chat_templates.QWEN3)
ALWAYS = ChatTemplate(chat_templates.QWEN3_THINKING)
OPTIONS = LoopOptions(think_tokens=200)
T = TypeVar("T")


class Spelled(Words):
    """Between backquotes, names of control tokens are words."""

    def encode_template(self, text: str) -> list[int]:
        parts = text.split("`")
        return [
            token
            for place, part in enumerate(parts)
            for token in (self.encode(part) if place % 2 else super(Spelled, self).encode_template(part))
        ]


@dataclass
class Thinks:
    """Writes by role."""

    thoughts: str = f"{PROSE}\n</think>"
    forced: str = " 24 eggs.\n</think>"
    step: str = f"So far I count 24 eggs.{END}"
    result: str = f"There are 24 eggs in it.{END}"
    at_once: str = f"Hello to you.{END}"
    profile: ModelProfile = UNKNOWN

    def write(self, before: str, name: str) -> str:
        if name.startswith("thoughts"):
            # A stream that begins amid the thoughts goes on with them.
            _, _, written = before.rpartition("<think>\n")
            return self.forced if before.endswith(self.profile.enough) else self.thoughts.removeprefix(written)
        request = before.rpartition("<|im_start|>user\n")[2].partition(END)[0]
        if request == FAMILY.prompts.result_request:
            return self.result
        if request == FAMILY.prompts.step_request:
            return self.step
        assert request.endswith(FAMILY.prompts.answer_request), request
        return self.at_once.removeprefix(before.rpartition(EMPTY)[2])


FAMILY = family_of("any", TAGGED)


@dataclass
class Stage:
    loop: Loop
    engine: ScriptedEngine
    session: ScriptedSession
    script: Script
    events: list[LoopEvent]

    def of(self, kind: type[T]) -> list[T]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def said(self) -> list[str]:
        return [event.text for event in self.of(ReplyText)]

    @property
    def thought(self) -> str:
        return "".join(event.text for event in self.of(Thought))

    @property
    def done(self) -> TurnDone:
        return self.of(TurnDone)[-1]

    def views(self, name: str) -> list[str]:
        return [text for block, text in self.engine.log if block.startswith(name)]


@asynccontextmanager
async def stage(
    model: Thinks | None = None,
    template: ChatTemplate = TAGGED,
    options: LoopOptions = OPTIONS,
    *,
    context: int = 100_000,
) -> AsyncIterator[Stage]:
    model = model or Thinks()
    engine = ScriptedEngine(
        Mind(model.write, lambda _: pytest.fail("nobody may ask an unmeasured probe")), Spelled(), context
    )
    events: list[LoopEvent] = []
    async with engine.session() as session:
        script = Script(engine.tokenizer, family_of("any", template, model.profile), profile=model.profile)
        loop = Loop(session, script, options, events.append, engine.clock, context=context)
        await loop.open()
        yield Stage(loop, engine, session, script, events)
        await loop.finish("")
        assert engine.running == []
        assert asyncio.all_tasks() == {asyncio.current_task()}


def check_view(text: str) -> None:
    """Messages in turn, thoughts opened once and closed before anything else, replies behind an empty block."""
    messages = text.split("<|im_start|>")[1:]
    roles = [part.partition("\n")[0] for part in messages]
    assert roles == ["system", *["user", "assistant"] * (len(roles) // 2)], text
    assert text.count(END) == len(roles) - 1, text
    assert "/no_think" not in text
    for message in messages[:-1]:
        assert message.count("<think>") == message.count("</think>"), text
    *_, last = messages
    assert EMPTY in last or (last.startswith("assistant\n<think>\n") and "</think>" not in last), text


# --- as it should be ---


@pytest.mark.parametrize("mode", ["async", "think-first", "no-think"])
@pytest.mark.parametrize("template", [TAGGED, ALWAYS], ids=["tagged", "always"])
async def test_thoughts_and_replies_are_opened_and_closed_as_the_template_does(
    mode: Mode, template: ChatTemplate
) -> None:
    async with stage(Thinks(step=END), template, replace(OPTIONS, mode=mode)) as one:
        for question in (QUESTION, "And if I take 2 eggs out of the box, how many are left?"):
            await one.loop.hear(question)
            await one.loop.answer(question)
            await one.loop.finish("There are 24.")
        assert one.engine.log
        for _, text in one.engine.log:
            check_view(text)
        if mode != "no-think":
            assert all(text.endswith("assistant\n<think>\n") for text in one.views("thoughts"))
            ended = [text for text in one.views("reply") if FAMILY.prompts.result_request in text]
            assert all(f"friendly sentence.\n</think>\n\n{END}\n<|im_start|>user" in text for text in ended)
        assert one.said[-1] == ("Hello to you." if mode == "no-think" else "There are 24 eggs in it.")


async def test_nothing_of_the_prose_is_spoken_but_what_the_writer_makes_of_it() -> None:
    async with stage() as one:
        await one.loop.answer(QUESTION)
        assert one.thought.startswith("Okay, let me think.")
        assert set(one.said) == {"So far I count 24 eggs.", "There are 24 eggs in it."}
        assert len(one.views("reply")) == 2


@pytest.mark.parametrize("mode", ["async", "think-first"])
async def test_where_the_writer_has_no_words_no_thought_stands_in_for_them(mode: Mode) -> None:
    sums = "6 * 4 = 24\nAnswer: 24 eggs\n</think>"
    for context in (*range(90, 200, 10), 100_000):
        async with stage(
            Thinks(sums, step=END, result=END), options=replace(OPTIONS, mode=mode), context=context
        ) as one:
            await one.loop.answer(QUESTION)
            assert one.said == [FAMILY.language.replies.no_answer]


async def test_what_the_thoughts_come_to_contradict_is_unsaid_and_their_line_is_not_read_out() -> None:
    thoughts = (
        "Let me see, 6 * 4 = 22 eggs.\nWait, that was wrong. Let me count the rows again.\n6 * 4 = 24 eggs.\n</think>"
    )
    async with stage(Thinks(thoughts, step=f"6 times 4 is 22 eggs.{END}")) as one:
        await one.loop.answer(QUESTION)
        assert one.of(Unsaid)
        assert set(one.said) == {"6 times 4 is 22 eggs.", "There are 24 eggs in it."}


async def test_an_unmeasured_model_thinks_about_all_but_the_smallest_turns_and_is_asked_nothing() -> None:
    async with stage() as one:
        await one.loop.answer("Hi, who are you?")
        assert (one.said, one.session.text("thoughts")) == (["Hello to you."], "")
        assert one.views("reply")[-1].endswith(EMPTY)
        await one.loop.finish("Hello to you.")
        await one.loop.answer("How do I boil an egg for my dog?")
        assert one.thought
        assert one.of(Probe) == []


async def test_a_model_that_never_thinks_replies_at_once() -> None:
    never = replace(UNKNOWN, thinking="none")
    async with stage(Thinks(profile=never)) as one:
        await one.loop.answer(QUESTION)
        assert one.said == ["Hello to you."]
        assert one.thought == ""


# --- the end of the budget ---


@pytest.mark.parametrize("template", [TAGGED, ALWAYS], ids=["tagged", "always"])
async def test_thoughts_that_run_out_of_their_budget_conclude_inside_their_tags(template: ChatTemplate) -> None:
    endless = " ".join(f"Maybe it is {n} after all." for n in range(400))
    async with stage(Thinks(endless, step=END), template, replace(OPTIONS, think_tokens=60)) as one:
        await one.loop.answer(QUESTION)
        assert one.done.reason == "budget"
        assert 60 < one.done.tokens["thinker"] <= 60 + 16
        told = one.views("reply")[-1]
        assert f"{UNKNOWN.enough} 24 eggs.\n</think>\n\n{END}\n<|im_start|>user" in told
        check_view(told)
        assert one.said == ["There are 24 eggs in it."]


@pytest.mark.parametrize("tokens", [1, 5, 16, 40])
async def test_what_is_named_then_takes_the_tokens_that_the_profile_has_for_it(tokens: int) -> None:
    endless = "so and so " * 500
    profile = replace(UNKNOWN, budgets=RoleBudgets(answer_tokens=tokens), enough="\nThat is enough:")
    model = Thinks(endless, forced=endless, profile=profile)
    async with stage(model, options=replace(OPTIONS, think_tokens=30)) as one:
        await one.loop.answer(QUESTION)
        assert one.done.tokens["thinker"] == 30 + tokens
        assert "That is enough:so" in one.views("reply")[-1]
        check_view(one.views("reply")[-1])
        assert one.said == [FAMILY.language.replies.no_answer]


# --- thoughts of thousands of tokens ---


def counted(upto: int) -> str:
    """Thoughts of one sentence for each row, about twenty tokens each."""
    rows = [f"Now for row {n}, there are 4 eggs in it, so that I have {4 * n} eggs." for n in range(1, upto)]
    return " ".join([*rows, "Altogether that makes 24 eggs after all.\n</think>"])


def tokens_of(one: Stage, text: str) -> int:
    return len(one.engine.tokenizer.encode_template(text))


@pytest.mark.parametrize("template", [TAGGED, ALWAYS], ids=["tagged", "always"])
@pytest.mark.parametrize("mode", ["async", "think-first"])
async def test_the_writer_s_view_of_long_thoughts_is_bounded_and_holds_what_they_came_to(
    template: ChatTemplate, mode: Mode
) -> None:
    longest: list[int] = []
    for rows in (40, 90):
        options = replace(OPTIONS, mode=mode, think_tokens=10_000, turn_s=1000.0, stretch_tokens=60)
        async with stage(Thinks(counted(rows)), template, options) as one:
            await one.loop.answer(QUESTION)
            assert one.done.reason == "complete"
            assert one.done.tokens["thinker"] > 15 * rows
            assert one.thought.startswith("Now for row 1,")
            assert one.said[-1] == "There are 24 eggs in it."
            views = one.views("reply")
            longest.append(max(tokens_of(one, text) for text in views))
            last = views[-1]
            check_view(last)
            for text in ("So that I have 4 eggs", "for row 1,"):
                assert text not in last
            assert f"for row {rows - 1}," in last
            assert "Altogether that makes 24 eggs after all." in last
            stretches = sorted(int(row) for row in re.findall(r"for row (\d+),", last))
            # What earlier stretches came to, one sentence for each, and then every row.
            gaps = [b - a for a, b in pairwise(stretches)]
            assert 3 <= sum(gap > 1 for gap in gaps) <= 9
            assert gaps[-3:] == [1] * 3
    assert longest[1] <= longest[0] + 9 * 30


@pytest.mark.parametrize("rows", [12, 30, 60])
async def test_long_thoughts_that_were_interrupted_leave_what_they_came_to(rows: int) -> None:
    options = replace(OPTIONS, think_tokens=10_000, turn_s=1000.0, stretch_tokens=60)
    async with stage(Thinks(counted(80), step=END), options=options) as one:
        await cut_off(one, QUESTION, lambda: f"row {rows}," in one.thought)
        await one.loop.finish("", interrupted=True)
        assert one.session.text("thoughts1", "thoughts2", "digest") == ""
        one.engine.log.clear()
        await one.loop.answer("Sorry, how many?")
        begun = one.views("thoughts")[0]
        check_view(begun)
        assert f"for row {rows - 1}," in begun
        assert tokens_of(one, begun) < 700
        assert one.said == ["There are 24 eggs in it."]


async def test_long_thoughts_that_are_taken_back_leave_nothing() -> None:
    options = replace(OPTIONS, think_tokens=10_000, turn_s=1000.0, stretch_tokens=100)
    async with stage(Thinks(counted(60), step=END), options=options) as one:
        await cut_off(one, QUESTION, lambda: "row 50," in one.thought)
        assert one.session.text("thoughts1")
        await one.loop.take_back()
        assert all(
            not len(block) for name, block in one.session.blocks.items() if name.startswith(("thoughts", "digest"))
        )
        await one.loop.answer(QUESTION)
        assert one.said == ["There are 24 eggs in it."]


@pytest.mark.parametrize("thoughts", ["1 2 3 4 5 6 7 8 9 " * 99, "Wait. Hmm. " * 199])
async def test_long_thoughts_without_an_end_come_to_a_reply(thoughts: str) -> None:
    options = replace(OPTIONS, think_tokens=400, stretch_tokens=40)
    async with stage(Thinks(thoughts, result=f"I cannot tell.{END}"), options=options) as one:
        await one.loop.answer(QUESTION)
        assert one.done.tokens["thinker"] <= 416
        assert one.said[-1] == "I cannot tell."
        assert max(tokens_of(one, text) for text in one.views("reply")) < 700
        for text in one.views("reply"):
            check_view(text)


# --- models that misbehave ---


@pytest.mark.parametrize(
    ("thoughts", "reason"),
    [
        ("</think>", "complete"),
        ("\n\n</think>", "complete"),
        (END, "complete"),
        (PROSE + END, "complete"),
        ("The eggs are counted row by row here. " * 99, "circling"),
        ("Wait. Hmm. " * 999, "budget"),
        ("and then and then and then " * 999, "budget"),
        ("`</think>` I say what it is. `<|im_end|>` " * 99, "complete"),
        ("1 2 3 4 5 6 7 8 9 " * 999, "budget"),
    ],
)
@pytest.mark.parametrize("mode", ["async", "think-first"])
async def test_thoughts_of_any_kind_end_in_a_reply_within_the_bounds(thoughts: str, reason: str, mode: Mode) -> None:
    async with stage(Thinks(thoughts, result=f"I cannot tell.{END}"), options=replace(OPTIONS, mode=mode)) as one:
        await one.loop.answer(QUESTION)
        assert one.done.reason == reason
        assert one.done.tokens["thinker"] <= OPTIONS.think_tokens + 16
        assert one.said[-1] == "I cannot tell."
        for _, text in one.engine.log:
            assert text.count(END) == len(text.split("<|im_start|>")) - 2, text


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        (kind, text)
        for kind in ("step", "result", "at_once")
        for text in (
            "",
            END,
            "`</think>` It is done.",
            "`<|im_end|>` It is done.",
            "`<think>` I wonder. " * 99,
            "a, " * 999,
        )
    ],
)
@pytest.mark.parametrize("mode", ["async", "think-first", "no-think"])
async def test_no_reply_of_any_kind_hangs_or_has_control_tokens_spoken(kind: str, written: str, mode: Mode) -> None:
    model = Thinks()
    setattr(model, kind, written)
    async with stage(model, options=replace(OPTIONS, mode=mode)) as one:
        for question in (QUESTION, "Hello there."):
            await one.loop.answer(question)
            await one.loop.finish("So.")
        assert one.said
        assert not any(name in text for text in one.said for name in ("think>", "im_end"))
        assert len(one.of(TurnDone)) == 2
        assert all(event.reason == "complete" for event in one.of(TurnDone))
    if kind == "result" and "It is done" in written and mode != "no-think":
        assert [event.reason for event in one.of(Retracted)][-1] == "writes a control token as words"


@pytest.mark.parametrize("tags", [("<reason>", "</reason>"), ("[THINK]", "[/THINK]")])
async def test_tags_that_the_vocabulary_has_no_tokens_for_are_found_in_the_text(tags: tuple[str, str]) -> None:
    profile = replace(UNKNOWN, tags=tags, thinking="tagged")
    template = ChatTemplate(chat_templates.QWEN3_INSTRUCT)
    async with stage(Thinks(f"{PROSE}\n{tags[1]}\n\nHello!", profile=profile, step=END), template) as one:
        await one.loop.answer(QUESTION)
        assert one.done.reason == "complete"
        assert one.thought == f"{PROSE}\n{tags[1]}"
        assert one.said == ["There are 24 eggs in it."]
        assert one.views("thoughts")[0].endswith(f"assistant\n{tags[0]}\n")
        assert f"{tags[0]}\n\n{tags[1]}\n\n" in one.views("reply")[-1]


# --- taking back, interrupting ---


async def cut_off(one: Stage, question: str, when: Callable[[], bool]) -> None:
    answer = asyncio.create_task(one.loop.answer(question))
    while not when():
        await one.engine.step()
    answer.cancel()
    await asyncio.wait([answer])


@pytest.mark.parametrize("tokens", [1, 20, 45, 60])
@pytest.mark.parametrize("mode", ["async", "think-first"])
async def test_an_answer_that_is_taken_back_leaves_no_thought(tokens: int, mode: Mode) -> None:
    async with stage(options=replace(OPTIONS, mode=mode)) as one:
        await cut_off(one, QUESTION, lambda: len(one.of(Thought)) >= tokens)
        await one.loop.take_back()
        assert one.session.text("thoughts") == ""
        one.engine.log.clear()
        await one.loop.answer(QUESTION)
        for _, text in one.engine.log:
            check_view(text)
        assert one.said[-1] == "There are 24 eggs in it."


@pytest.mark.parametrize("until", ["Wait,", "24 eggs altogether.", "friendly sentence."])
async def test_thoughts_that_were_interrupted_go_on_inside_their_tags(until: str) -> None:
    async with stage(Thinks(step=END)) as one:
        await cut_off(one, QUESTION, lambda: one.thought.endswith(until))
        await one.loop.finish("", interrupted=True)
        kept = one.session.text("thoughts")
        assert "</think>" not in kept
        one.engine.log.clear()
        await one.loop.answer("Sorry, how many?")
        begun = one.views("thoughts")[0]
        assert "There are 6 rows, and each has 4 eggs." in begun
        assert begun.endswith(f"\n\n{UNKNOWN.told_more}")
        for _, text in one.engine.log:
            check_view(text)
        assert one.said == ["There are 24 eggs in it."]
