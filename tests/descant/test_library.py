"""The library over the scripted engine: what a program sees."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest

import descant
from agent.config.settings import Settings
from agent.library.agent import Agent
from agent.models.assembly import OpenModels, Speech
from descant import events
from reasoning.engine.contract import Engine
from reasoning.options import LoopOptions
from reasoning.prompting.script import Script, family_of
from reasoning.tools.written import WrittenCall
from tests.agent.command_line import write_babbler
from tests.reasoning.loop.test_actions import request
from tests.reasoning.scripted_engine import END, Mind, ScriptedEngine, Words

FAMILY = family_of("any")


@dataclass
class Model:
    """Calls `weather` when it is asked for weather and nobody has told it, and says what it was told."""

    city: str = "Oslo"
    again: bool = False
    """Whether it answers every result with a call."""
    heard: list[str] = field(default_factory=list)

    def score_choices(self, before: str) -> float:
        asked = request(before)
        if asked.endswith((FAMILY.prompts.need_question, FAMILY.prompts.kind_question)):
            return -20.0
        calls = "weather" in asked and (self.again or "[result" not in asked)
        return 3.0 if calls else -3.0

    def write(self, before: str, name: str) -> str:  # noqa: ARG002 - blocks are told apart by what is asked
        asked = request(before)
        self.heard.append(asked)
        if "beginning to do this" in asked:
            return f"I am looking.{END}"
        if self.score_choices(before) > 0:
            return WrittenCall("weather", {"city": self.city}).text() + END
        if "[result" in asked:
            return f"It is {asked.partition('] ')[2].partition(chr(10))[0]}.{END}"
        return f"Hello to you.{END}"


@asynccontextmanager
async def opened(
    model: Model | None = None, load: Callable[[], Speech] | None = None, *, persona: str = ""
) -> AsyncIterator[Agent]:
    model = model or Model()
    engine = ScriptedEngine(Mind(model.write, model.score_choices), Words(), 100_000)
    settings = Settings(loop=LoopOptions(mode="no-think", persona=persona))
    script = Script(engine.tokenizer, FAMILY)
    yield Agent(OpenModels(settings, cast("Engine", engine), script, load or pytest.fail))
    assert engine.running == []
    for _ in range(4):
        # The event loop closes a generator that somebody left.
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


@descant.tool
async def weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"rain in {city}"


async def test_a_question_is_answered() -> None:
    async with opened() as agent:
        assert await agent.ask("Good morning.") == "Hello to you."


async def test_a_persona_stands_behind_the_instructions() -> None:
    class Named(Model):
        def write(self, before: str, name: str) -> str:
            persona = f"{FAMILY.prompts.identity}\n\nYou are Mia.{END}"
            return f"I am Mia.{END}" if persona in before else super().write(before, name)

    async with opened(Named(), persona=" You are Mia.\n") as agent:
        assert await agent.ask("Who are you?") == "I am Mia."


async def test_a_tool_is_called_and_the_answer_is_what_is_said_of_its_result() -> None:
    async with opened() as agent:
        assert await agent.ask("What is the weather in Oslo?", tools=[weather]) == "It is rain in Oslo."


async def test_what_happens_is_streamed_with_the_call_by_its_id() -> None:
    async with opened() as agent:
        seen = [event async for event in agent.stream("What is the weather in Oslo?", tools=[weather])]
    assert seen[0] == events.TurnEnded("What is the weather in Oslo?")
    call = next(event for event in seen if isinstance(event, events.ToolCall))
    assert (call.name, call.arguments) == ("weather", {"city": "Oslo"})
    assert events.ToolResult(call.id, "weather", "rain in Oslo", failed=False) in seen
    said = [event.text for event in seen if isinstance(event, events.ReplyText)]
    assert said == ["I am looking.", "It is rain in Oslo."]


async def test_an_error_of_a_tool_is_told_to_the_model() -> None:
    @descant.tool(name="weather", timeout_s=0.01)
    async def slow(city: str) -> str:
        """Tell the weather of a city."""
        await asyncio.Event().wait()
        return city

    async with opened() as agent:
        told = await agent.ask("What is the weather in Oslo?", tools=[slow])
    assert told == "It is failed: no result within 0.01 seconds."


async def test_a_model_that_calls_for_ever_comes_to_an_end() -> None:
    calls: list[str] = []

    @descant.tool(name="weather")
    async def counted(city: str) -> str:
        """Tell the weather of a city."""
        calls.append(city)
        return "weather"

    async with opened(Model(again=True)) as agent:
        await agent.ask("What is the weather in Oslo?", tools=[counted])
    assert 2 < len(calls) < 20


async def test_a_conversation_remembers_and_takes_notes() -> None:
    model = Model()
    async with opened(model) as agent, agent.conversation() as talk:
        await talk.note("[door] it is open")
        assert await talk.ask("Good morning.") == "Hello to you."
        await talk.ask("And again.")
    # In front of them stands who the assistant is.
    first, second = (heard.removesuffix(FAMILY.prompts.answer_request).rpartition(")\n")[2] for heard in model.heard)
    assert (first, second) == ("[door] it is open\nGood morning.", "And again.")


async def test_a_conversation_does_one_thing_at_a_time() -> None:
    async with opened() as agent, agent.conversation() as talk:
        first = asyncio.create_task(talk.ask("Good morning."))
        await asyncio.sleep(0)
        with pytest.raises(descant.TalkBusy, match="wait for it"):
            await talk.ask("And you?")
        assert await first == "Hello to you."
        assert await talk.ask("And you?") == "Hello to you."


@pytest.mark.parametrize("text", ["", " \n"])
async def test_nothing_is_no_question(text: str) -> None:
    async with opened() as agent:
        with pytest.raises(descant.BadQuestion, match="is empty"):
            await agent.ask(text)


async def test_a_question_can_be_given_up_and_the_conversation_goes_on() -> None:
    go = asyncio.Event()

    @descant.tool(name="weather")
    async def waits(city: str) -> str:
        """Tell the weather of a city."""
        go.set()
        await asyncio.Event().wait()
        return city

    async with opened() as agent, agent.conversation(tools=[waits]) as talk:
        asked = asyncio.create_task(talk.ask("What is the weather in Oslo?"))
        await go.wait()
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        assert await talk.ask("Good morning.") == "Hello to you."


async def test_who_stops_reading_ends_the_turn() -> None:
    async with opened() as agent, agent.conversation(tools=[weather]) as talk:
        async for _ in talk.stream("What is the weather in Oslo?"):
            break
    async with opened() as agent, agent.conversation(tools=[weather]) as talk:
        stream = talk.stream("What is the weather in Oslo?")
        await anext(stream)
        await stream.aclose()
        assert await talk.ask("Good morning.") == "Hello to you."


async def test_a_bad_tool_is_refused_when_the_conversation_begins() -> None:
    with pytest.raises(descant.BadTool, match="no tool may be called 'cannot'"):
        async with opened() as agent:
            await agent.ask("Good morning.", tools=[replace(weather, name="cannot")])
    with pytest.raises(descant.BadTool, match="no handler"):
        async with opened() as agent:
            await agent.ask("Good morning.", tools=[descant.Tool("look", "", {"type": "object"})])


# --- what is opened ---


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


SMALL = {"engine.native": "off", "loop.think_tokens": 20, "loop.reply_tokens": 20, "models.offline": True}


async def test_a_model_file_is_opened_by_keyword_arguments(home: Path) -> None:
    model = write_babbler(home / "babbler.gguf")
    async with descant.open(model=model, settings={**SMALL, "loop.mode": "no-think"}) as agent:
        assert agent.settings.loop.mode == "no-think"
        assert await agent.ask("why?")


async def test_settings_come_from_the_file_and_the_environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = write_babbler(home / "babbler.gguf")
    config = home / "my.toml"
    config.write_text(f'[models]\nllm = "{model}"\n[loop]\nthink_tokens = 20\n[engine]\nnative = "off"\n')
    monkeypatch.setenv("DESCANT_LOOP__REPLY_TOKENS", "21")
    async with descant.open(config=config) as agent:
        assert (agent.settings.loop.think_tokens, agent.settings.loop.reply_tokens) == (20, 21)


@pytest.mark.parametrize(
    ("given", "kind", "why"),
    [
        ({"settings": {"loop.mod": "async"}}, descant.ConfigError, r"loop.mod .*keyword argument.*loop.mode"),
        ({"settings": {"loop.mode": "asink"}}, descant.ConfigError, r"loop.mode = 'asink' \(keyword argument\)"),
        ({"config": "none.toml"}, descant.ConfigError, "none.toml"),
        ({"model": "qwen2.5-coder-1.5"}, descant.UnknownModel, "qwen2.5-coder-1.5b"),
        ({"model": "smollm2-135m"}, descant.ModelUnavailable, "smollm2-135m"),
        ({"voice": object()}, descant.ConfigError, "voice = object: it has no rate and no speak"),
        ({"recogniser": object()}, descant.ConfigError, "recogniser = object: it has no decode and no spot"),
    ],
)
@pytest.mark.usefixtures("home")
async def test_what_is_wrong_is_told_before_anything_is_loaded(
    given: dict[str, object], kind: type[Exception], why: str
) -> None:
    settings = {**SMALL, **cast("dict[str, object]", given.get("settings", {}))}
    with pytest.raises(kind, match=why):
        async with descant.open(**{**given, "settings": settings}):  # type: ignore[arg-type]
            pytest.fail("it was opened")
