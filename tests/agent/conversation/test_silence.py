"""No wait of the listener is silent for longer than two seconds, and once something of the reply has sounded for no
longer than 1.2 s, whichever way a reply takes, however slow the model.

Each row is one way through the loop and the reply maker, played to the desk and to the server with an engine that takes
its time. `test_every_way_has_a_row` holds the rows to what the loop can do: whoever adds a phase, an end, an event, a
mode, a style of thinking or a kind of work for the reasoner adds a row that comes by there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final, get_args

import pytest

from agent.conversation import work
from agent.conversation.options import TurnOptions
from agent.conversation.replies import ReplyMaker
from agent.conversation.timeline import AudioOut
from agent.conversation.turn_taking import Forget, Hear
from languages.english import ENGLISH
from reasoning.events import LoopEvent, Reason, ReplyText, ToolCall, TurnDone
from reasoning.loop.loop import Loop
from reasoning.loop.turn import Attempt, Phase
from reasoning.options import LoopOptions, Mode
from reasoning.prompting.chat_template import ChatTemplate
from reasoning.prompting.profiles.profile import UNKNOWN, ThinkingStyle
from reasoning.prompting.script import Script, family_of
from reasoning.tools.calls import Tool
from tests.agent.conversation import test_driver as desk
from tests.agent.conversation.test_driver import ALSO, ASK, World
from tests.agent.realtime import test_parity as server
from tests.agent.realtime.test_parity import ServedWorld
from tests.reasoning.loop.test_loop import FAMILY, QUESTION, Model, last_request
from tests.reasoning.prompting import chat_templates
from tests.reasoning.scripted_engine import END, Words

LONGEST_S: Final = 2.0
INSIDE_S: Final = 1.2
SLOW_S: Final = 0.2
"""A step of the slow engine."""
GO_TO: Final = Tool("go_to", "Drive to a place.", {"type": "object", "properties": {"place": {"enum": ["kitchen"]}}})
CALL: Final = '{"name": "go_to", "arguments": {"place": "kitchen"}}'
DECLINE: Final = '{"name": "cannot", "arguments": {}}'


@dataclass
class Slow(Model):
    """Writes by role, and calls where it is to."""

    kind: float = -20.0
    acts: bool = False
    calls: str = CALL
    news: str = f"I have news.{END}"
    acted: str = f"I am on my way.{END}"

    def score_choices(self, before: str) -> float:
        if before.rstrip().endswith("assistant") and FAMILY.prompts.kind_question in before[-300:]:
            return self.kind
        if FAMILY.prompts.need_question in before[-300:]:
            return super().score_choices(before)
        return 3.0 if self.acts else -3.0

    def write(self, before: str, name: str) -> str:
        asked = last_request(before)
        known = (FAMILY.prompts.result_request, FAMILY.prompts.step_request)
        if name.startswith("thoughts") or asked in known or asked.endswith(FAMILY.prompts.answer_request):
            return super().write(before, name)
        if asked.endswith(FAMILY.prompts.note_request):
            return self.news
        return self.acted if "beginning to do this" in asked else self.calls + END


@dataclass
class Prose(Slow):
    """Thinks between tags."""

    forced: str = " 24 eggs.\n</think>"

    def write(self, before: str, name: str) -> str:
        return self.forced if before.endswith("my answer:") else super().write(before, name)


Play = Callable[[World], Awaitable[float]]
"""Does what the user does; gives the second at which they begin to wait."""


async def asks(one: World) -> float:
    await one.say(ASK)
    return one.now


async def asks_twice(one: World) -> float:
    """Interrupts the reply to the first question by a second one."""
    await one.say(ASK)
    await one.wait(lambda: bool(one.heard))
    await one.hear(0.0, 0.3)
    await one.say(ALSO)
    return one.now


async def goes_on(one: World) -> float:
    """Goes on after a pause in which a reply was begun."""
    await one.say(ASK)
    await one.hear(0.0, 0.45)
    await one.say(ALSO)
    return one.now


async def is_stuck(one: World) -> float:
    """Meets an engine that gives no token for a long time, as one does that is asked again and again."""
    await one.say(ASK)
    spoken = one.now
    one.engine.step_s = 1e9
    await one.hear(0.0, 25.0)
    one.engine.step_s = SLOW_S
    return spoken


async def is_told_news(one: World) -> float:
    """Learns something from outside without having asked."""
    await one.driver.note("[The parcel is here.]", unprompted=True)
    await one.tick(0.0)
    return one.now


async def typed(one: World, **response: object) -> float:
    assert isinstance(one, ServedWorld)
    part = [{"type": "input_text", "text": QUESTION}]
    await one.adapter.receive(
        {
            "type": "conversation.item.create",
            "item": {"type": "message", "role": "user", "content": part},
        }
    )
    create = {"type": "response.create"}
    await one.adapter.receive({**create, "response": response} if response else create)
    return one.now


async def types(one: World) -> float:
    return await typed(one)


async def overrides(one: World) -> float:
    """Asks for a reply by other instructions than those of the session, which have to be read first."""
    return await typed(one, instructions="Answer like a pirate. " * 40)


async def configures(one: World) -> float:
    """Gives a tool and asks at once, while the engine is still reading."""
    assert isinstance(one, ServedWorld)
    one.engine.step_s = 1e9
    tool = {"type": "function", "name": GO_TO.name, "description": GO_TO.description, "parameters": GO_TO.parameters}
    await one.adapter.receive({"type": "session.update", "session": {"type": "realtime", "tools": [tool]}})
    await one.settle()
    asked = await typed(one)
    await one.hear(0.0, 36.0)
    one.engine.step_s = SLOW_S
    return asked


async def gives_output(one: World) -> float:
    """Gives what the called function gave, and has a reply to it."""
    assert isinstance(one, ServedWorld)
    await typed(one)
    await one.wait(lambda: bool(one.of(ToolCall)))
    await one.reply()
    call = one.of(ToolCall)[0]
    item = {"type": "function_call_output", "call_id": f"call_{call.id}", "output": "arrived"}
    one.entries.clear()
    await one.adapter.receive({"type": "conversation.item.create", "item": item})
    await one.adapter.receive({"type": "response.create"})
    return one.now


@dataclass(frozen=True)
class Way:
    """A way through everything, and what shows that it was taken."""

    model: Callable[[], Model] = Slow
    options: LoopOptions = field(default_factory=LoopOptions)
    play: Play = asks
    sides: str = "desk server"
    tools: tuple[Tool, ...] = ()
    template: str = ""
    context: int = 100_000
    by: frozenset[object] = frozenset()
    """What it comes by that not every way does."""


USUAL: Final[frozenset[object]] = frozenset({"complete", "async", "prompted", ReplyText, TurnDone, Phase.DONE})


def way(*by: object, **more: object) -> Way:
    return Way(by=frozenset(by), **more)  # type: ignore[arg-type]


ENDLESS: Final = " ".join(f"Maybe it is {n} after all." for n in range(400))
WAYS: Final[dict[str, Way]] = {
    "a direct reply": way(Phase.REPLYING, model=lambda: Slow(small_talk=True, at_once=f"Hello to you.{END}")),
    "a direct reply that has to be thought about": way(
        Phase.REPLYING, Phase.THINKING, model=lambda: Slow(small_talk=True)
    ),
    "sums": way(Phase.PROBING, Phase.THINKING, Phase.TELLING, Phase.CONCLUDING, Hear, work.BeginPreemptive),
    "notes": way(Phase.THINKING, options=LoopOptions(policy="plain")),
    "another policy": way(Phase.PROBING, model=lambda: Slow(need=0.5, kind=20.0)),
    "sentences taken back": way("Retracted", model=lambda: Slow(step=lambda _: f"It costs 99 dollars.{END}")),
    "what was said taken back": way(
        "Unsaid", model=lambda: Slow("25 / 6 = 4 eggs.\nWait, that was wrong, so once more.\n25 / 6 = 5 eggs.\n" + END)
    ),
    "a call": way(Phase.ACTING, ToolCall, model=lambda: Slow(acts=True, small_talk=True), tools=(GO_TO,)),
    "a call after thoughts": way(Phase.ACTING, model=lambda: Slow(acts=True), tools=(GO_TO,)),
    "a call that is declined": way(
        "Retracted", model=lambda: Slow(acts=True, small_talk=True, calls=DECLINE), tools=(GO_TO,)
    ),
    "tools that nothing is wanted of": way(Phase.THINKING, tools=(GO_TO,)),
    "what a function gave": way(
        work.ReplyRequested, model=lambda: Slow(acts=True, small_talk=True), tools=(GO_TO,), play=gives_output,
        sides="server",
    ),
    "news": way(work.NoteTaken, Phase.REPLYING, play=is_told_news, sides="desk"),
    "a full context": way("context", context=150),
    "a budget": way("budget", model=lambda: Slow(ENDLESS), options=LoopOptions(think_tokens=24)),
    "a time": way("time", model=lambda: Slow(ENDLESS), options=LoopOptions(turn_s=6.0)),
    "thoughts in a circle": way("circling", model=lambda: Slow("There are 6 rows.\n" * 99)),
    "nothing": way(model=lambda: Slow(END, step=lambda _: END, result=lambda _: END)),
    "thinking first": way("think-first", options=LoopOptions(mode="think-first")),
    "no thinking": way("no-think", options=LoopOptions(mode="no-think")),
    "long thoughts in tags": way(
        "tagged", "budget", model=lambda: Prose(ENDLESS), template="QWEN3", options=LoopOptions(think_tokens=40)
    ),
    "a template that opens its thoughts": way(
        "always", "budget", model=lambda: Prose(ENDLESS), template="QWEN3_THINKING",
        options=LoopOptions(think_tokens=40),
    ),
    "a model that never thinks": way("none", Phase.REPLYING, template="never"),
    "an engine that is stuck": way(play=is_stuck),
    "an interruption": way(work.ReplyCut, play=asks_twice),
    "going on after a pause": way(work.ReplyRetracted, work.TurnClosed, work.ReplyHeard, play=goes_on, sides="desk"),
    "a typed question": way(work.ReplyRequested, play=types, sides="server"),
    "other instructions": way(work.ReplyRequested, play=overrides, sides="server"),
    "a tool that is still being read": way(
        work.GetReady, ToolCall, model=lambda: Slow(acts=True, small_talk=True), play=configures, sides="server"
    ),
}  # fmt: skip
ELSEWHERE: Final = {
    Phase.LISTENING: "the user has the turn",
    Forget: "the user has said nothing",
    "Thought": "private", "Probe": "private", "StateChanged": "private", "HistoryDropped": "between turns",
}  # fmt: skip
"""What no listener waits for."""
CASES: Final = [(name, side) for name, each in WAYS.items() for side in each.sides.split()]


def script_of(each: Way) -> Callable[[Words], Script]:
    def script(words: Words) -> Script:
        if not each.template:
            return Script(words, FAMILY)
        if each.template == "never":
            return Script(words, FAMILY, profile=replace(UNKNOWN, thinking="none"))
        family = family_of("any", ChatTemplate(getattr(chat_templates, each.template)))
        return Script(words, family)

    return script


def opened(each: Way, side: str) -> AbstractAsyncContextManager[World]:
    common = {"model": each.model(), "options": each.options, "script": script_of(each), "context": each.context}
    if side == "desk":
        return desk.world(**common, tools=each.tools)  # type: ignore[arg-type]
    return server.served(TurnOptions(), **common)  # type: ignore[arg-type]


async def give_tools(one: World, tools: tuple[Tool, ...]) -> None:
    """Give a client's tools, which are read before anybody asks."""
    given = [
        {"type": "function", "name": tool.name, "description": tool.description, "parameters": tool.parameters}
        for tool in tools
    ]
    if isinstance(one, ServedWorld) and given:
        await one.adapter.receive({"type": "session.update", "session": {"type": "realtime", "tools": given}})
        await one.hear(0.0, 0.5)


@pytest.mark.parametrize(("name", "side"), CASES, ids=[f"{name} ({side})" for name, side in CASES])
async def test_no_wait_is_silent_for_long(name: str, side: str, monkeypatch: pytest.MonkeyPatch) -> None:
    each, came_by = WAYS[name], set[object]()
    note_what_is_come_by(monkeypatch, came_by)
    async with opened(each, side) as one:
        await give_tools(one, each.tools)
        one.engine.step_s = SLOW_S
        began = 1000 * await each.play(one)
        await one.wait(lambda: bool(one.of(TurnDone)) and one.driver.idle, at_most_s=150.0)
        check_sounds(one, began)
        came_by |= {event.reason for event in one.of(TurnDone)} | {type(entry.event) for entry in one.entries}
        came_by |= {type(entry.event).__name__ for entry in one.entries}
    missed = {
        what for what in each.by if what not in came_by and what not in {*get_args(Mode), *get_args(ThinkingStyle)}
    }
    assert not missed, f"{name} does not come by {missed}"


def note_what_is_come_by(monkeypatch: pytest.MonkeyPatch, came_by: set[object]) -> None:
    """Write down which phases attempts enter and which work is done, on their way."""
    enter, do = Loop._enter, ReplyMaker._do

    def entering(loop: Loop, attempt: Attempt, phase: Phase) -> None:
        came_by.add(phase)
        enter(loop, attempt, phase)

    async def doing(maker: ReplyMaker, what: work.Work) -> None:
        came_by.add(type(what))
        await do(maker, what)

    monkeypatch.setattr(Loop, "_enter", entering)
    monkeypatch.setattr(ReplyMaker, "_do", doing)


def check_sounds(one: World, began_ms: float) -> None:
    pieces = [piece for piece in one.of(AudioOut) if piece.end_ms >= began_ms]
    assert any(piece.kind == "content" for piece in pieces)
    silent_since = began_ms
    for piece in pieces:
        waited_s = (piece.start_ms - silent_since) / 1000
        longest_s = LONGEST_S if silent_since == began_ms else INSIDE_S
        assert waited_s <= longest_s, f"{waited_s:.2f} s of silence before {piece.text!r} in {shown(pieces)}"
        silent_since = max(silent_since, piece.end_ms)
    kinds = [piece.kind for piece in pieces]
    for place in range(len(kinds) - 2):
        assert kinds[place : place + 3] != ["filler"] * 3, shown(pieces)
    waits = [piece for piece in pieces if piece.kind != "content"]
    assert all(one.text != other.text for one, other in pairwise(waits)), shown(pieces)


def shown(pieces: list[AudioOut]) -> str:
    return "\n".join(f"{piece.start_ms / 1000:7.2f} {piece.kind:7} {piece.text}" for piece in pieces)


def test_every_way_has_a_row() -> None:
    covered = USUAL.union(*(each.by for each in WAYS.values()), ELSEWHERE)
    names = {what.__name__ if isinstance(what, type) else what for what in covered}
    needed = {*Phase, *get_args(Reason), *get_args(Mode), *get_args(ThinkingStyle)}
    needed |= {kind.__name__ for kind in (*get_args(LoopEvent), *get_args(work.Work))}
    assert needed - names == set()


def test_phrases_for_waits_differ() -> None:
    sayings = ENGLISH.replies
    said = [*sayings.fillers, *sayings.statuses, *(sayings.elapsed.format(n) for n in (5, 10))]
    assert len(set(said)) == len(said)
