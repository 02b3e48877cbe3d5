"""Who the assistant is, and what time it is: read where a reply comes at once, and nowhere else."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from languages.known import known_languages, language_of
from reasoning.events import LoopEvent
from reasoning.loop.loop import Loop
from reasoning.options import LoopOptions
from reasoning.prompting.script import Script, family_of
from tests.reasoning.scripted_engine import END, Mind, ScriptedEngine, Words

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from languages.language import Language

EN, DE = language_of("en"), language_of("de")
NOON = datetime(2026, 11, 30, 12, 5, tzinfo=UTC)
ABOUT, TIME = EN.prompts.identity, "It is Monday, November 30, 2026, 12:05 pm."


class Rig:
    """A loop on a clock of its own, and all that its model has read."""

    def __init__(self, *, sum_asked: bool = False, instructions: str = "") -> None:
        self.now, self.sum_asked = NOON, sum_asked
        self.replies: list[str] = []
        self.others: list[str] = []
        """What thoughts and probes read."""
        self.engine = ScriptedEngine(Mind(self.write, self.score), Words(), 100_000)
        self.events: list[LoopEvent] = []
        script = Script(self.engine.tokenizer, family_of("any"))
        self.script = script.instructed(instructions) if instructions else script
        self.loop: Loop

    def score(self, before: str) -> float:
        self.others.append(before)
        return 20.0 if self.sum_asked else -20.0

    def write(self, before: str, name: str) -> str:
        (self.others if name.startswith("thoughts") else self.replies).append(before)
        return f"2 + 2 = 4\n{END}" if name.startswith("thoughts") else f"All right.{END}"

    async def turn(self, words: str = "Who are you?", language: Language = EN) -> str:
        """Say it, and give what the last sentence was written behind; nothing where it was read out of the thoughts."""
        await self.loop.hear(words)
        self.loop.speak(language)
        await self.loop.answer(words)
        await self.loop.finish("All right.")
        return self.replies[-1] if self.replies else ""


@asynccontextmanager
async def rig(*, sum_asked: bool = False, instructions: str = "", knows_time: bool = True) -> AsyncIterator[Rig]:
    one = Rig(sum_asked=sum_asked, instructions=instructions)
    async with one.engine.session() as session:
        one.loop = Loop(
            session,
            one.script,
            LoopOptions(),
            one.events.append,
            one.engine.clock,
            context=100_000,
            now=(lambda: one.now) if knows_time else None,
        )
        await one.loop.open()
        yield one


async def test_a_reply_at_once_is_written_behind_name_and_time() -> None:
    async with rig() as one:
        read = await one.turn()
    assert ABOUT in read
    assert TIME in read
    assert read.index(TIME) < read.index("Who are you?")


async def test_probes_and_thoughts_do_not_read_them() -> None:
    async with rig(sum_asked=True) as one:
        await one.turn("What is 2 plus 2?")
    assert len(one.others) > 1
    assert not any(ABOUT in read or TIME in read for read in [*one.others, *one.replies])


async def test_every_turn_has_the_time_of_its_own_words() -> None:
    async with rig() as one:
        await one.turn()
        one.now += timedelta(hours=13)
        read = await one.turn("And now?")
    assert "Tuesday, December 1, 2026, 1:05 am" in read
    assert TIME not in read


async def test_without_a_clock_nothing_is_said_of_the_time() -> None:
    async with rig(knows_time=False) as one:
        read = await one.turn()
    assert ABOUT in read
    assert "2026" not in read


async def test_instructions_follow_the_name_so_that_they_may_give_another() -> None:
    async with rig(instructions="You are Mia.") as one:
        read = await one.turn()
    assert read.count(ABOUT) == 1
    assert read.index(ABOUT) < read.index("You are Mia.") < read.index(TIME)


async def test_it_is_told_in_the_language_that_is_spoken_now() -> None:
    async with rig() as one:
        read = await one.turn("Wer bist du?", DE)
    assert DE.prompts.identity in read
    assert "Heute ist Montag, der 30. November 2026, es ist 12:05 Uhr." in read


@pytest.mark.parametrize("language", known_languages().values(), ids=lambda language: language.code)
def test_every_hour_and_day_is_told_apart(language: Language) -> None:
    hours = {language.calendar.told(NOON.replace(hour=hour)) for hour in range(24)}
    days = {language.calendar.told(NOON + timedelta(days=day)) for day in range(366)}
    assert (len(hours), len(days)) == (24, 366)
    assert "12:05 am" in EN.calendar.told(NOON.replace(hour=0))
