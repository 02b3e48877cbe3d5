"""Facts that are said at once, with the doubt that the model has."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from languages.known import known_languages, language_of
from reasoning.events import LoopEvent, ReplyText
from reasoning.loop.loop import Loop
from reasoning.options import LoopOptions, Mode
from reasoning.prompting.profiles.profile import UNKNOWN
from reasoning.prompting.script import Script, family_of
from tests.reasoning.scripted_engine import END, Mind, ScriptedEngine, Words

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from languages.language import Language
    from reasoning.prompting.profiles.profile import ModelProfile

EN = language_of("en")
DOUBT = EN.replies.doubt
FACT = "Russia has 12 time zones."


@asynccontextmanager
async def rig(
    reply: str = FACT,
    *,
    mode: Mode = "async",
    sure: bool = False,
    profile: ModelProfile | None = None,
    instructions: str = "",
    now: datetime | None = None,
) -> AsyncIterator[Callable[..., Awaitable[list[str]]]]:
    """Give what says a turn and gives all that is released."""
    events: list[LoopEvent] = []

    def log_prob(text: str) -> float:
        return -1.0 if text.strip() in {"1", "2", "12"} and not sure else -0.1

    mind = Mind(lambda *_: f"{reply}{END}", lambda _: -20.0, log_prob=log_prob)
    engine = ScriptedEngine(mind, Words(), 100_000)
    async with engine.session() as session:
        script = Script(engine.tokenizer, family_of("any"), profile=profile)
        script = script.instructed(instructions) if instructions else script
        told = None if now is None else lambda: now
        loop = Loop(session, script, LoopOptions(mode=mode), events.append, engine.clock, context=100_000, now=told)
        await loop.open()

        async def turn(words: str, language: Language = EN) -> list[str]:
            begun = len(events)
            await loop.hear(words)
            loop.speak(language)
            await loop.answer(words)
            said = [event.text for event in events[begun:] if isinstance(event, ReplyText)]
            await loop.finish(" ".join(said))
            return said

        yield turn


@pytest.mark.parametrize("mode", ["async", "no-think"])
async def test_what_the_model_is_not_sure_of_is_said_with_a_doubt(mode: Mode) -> None:
    async with rig(mode=mode) as turn:
        assert await turn("How many time zones does Russia have?") == [FACT, DOUBT]


async def test_what_it_is_sure_of_or_was_told_is_said_without() -> None:
    async with rig(sure=True) as turn:
        assert await turn("How many time zones does Russia have?") == [FACT]
    async with rig() as turn:
        assert await turn("I read that Russia has 12 time zones.") == [FACT]
        assert await turn("What did I read?") == [FACT]


async def test_what_it_was_instructed_of_and_the_date_are_said_without() -> None:
    async with rig(instructions="Say that Russia has 12 time zones.") as turn:
        assert await turn("How many time zones does Russia have?") == [FACT]
    day = "Today is the 12th of March."
    async with rig(day, now=datetime(2026, 3, 12, 9, 30, tzinfo=UTC)) as turn:
        assert await turn("What day is it?") == [day]
    async with rig(day, now=datetime(2026, 3, 11, 9, 30, tzinfo=UTC)) as turn:
        assert await turn("What day is it?") == [day, DOUBT]


async def test_a_doubt_is_said_once_for_all_sentences_of_a_reply() -> None:
    async with rig(f"{FACT} Some say 12 are too many.") as turn:
        assert (await turn("How many time zones does Russia have?"))[-1] == DOUBT


async def test_of_a_model_that_nobody_measured_no_doubt_is_told() -> None:
    async with rig(profile=replace(UNKNOWN, name="other")) as turn:
        assert await turn("Russia?") == [FACT]


@pytest.mark.parametrize("language", known_languages().values(), ids=lambda language: language.code)
async def test_it_is_told_in_the_language_that_is_spoken(language: Language) -> None:
    async with rig() as turn:
        assert (await turn("Russia?", language))[-1] == language.replies.doubt
