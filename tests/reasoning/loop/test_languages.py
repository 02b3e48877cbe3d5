"""Typed turns in other languages than English, through the loop with a scripted model."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from languages.known import language_of
from reasoning.events import LoopEvent, ReplyText
from reasoning.loop.loop import Loop
from reasoning.options import LoopOptions
from reasoning.policies.corrections import restated
from reasoning.prompting.script import Script, family_of
from tests.reasoning.scripted_engine import END, Mind, ScriptedEngine, Words

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from languages.language import Language

EN, DE, ES = map(language_of, ("en", "de", "es"))


@dataclass(frozen=True)
class Said:
    """A turn, and what the model makes of it."""

    language: Language
    question: str
    thoughts: str
    result: str
    talk: str = ""
    """Small talk, and its answer."""
    answer: str = ""


GERMAN = Said(
    DE,
    "Vier Karten kosten je neun Euro und eine Gebühr 2,50 Euro. Was kostet das?",
    "1. Karten: 4 * 9 = 36 Euro\n2. Mit der Gebühr: 36 + 2,50 = 38,50 Euro\n",
    "36 plus 2,50 ist 38,50 Euro.",
    "Hallo, wie geht es dir?",
    "Gut, danke!",
)
SPANISH = Said(
    ES,
    "Cuatro entradas cuestan nueve euros cada una y hay una tasa de 2,50 euros. ¿Cuánto es?",
    "1. Entradas: 4 * 9 = 36 euros\n2. Con la tasa: 36 + 2,50 = 38,50 euros\n",
    "36 más 2,50 es 38,50 euros.",
    "Hola, ¿cómo estás?",
    "Muy bien, gracias.",
)
both = pytest.mark.parametrize("said", [GERMAN, SPANISH], ids=["de", "es"])


class Rig:
    """A loop whose model answers in the language that it is asked in."""

    def __init__(self, said: Said, *, thoughts: str = "", needs: bool = True) -> None:
        self.said, self.thoughts, self.needs = said, thoughts or said.thoughts, needs
        self.seen: list[str] = []
        self.engine = ScriptedEngine(Mind(self.write, self.score), Words(), 100_000)
        self.events: list[LoopEvent] = []
        self.loop: Loop

    def score(self, _: str) -> float:
        return 20.0 if self.needs else -20.0

    def write(self, before: str, name: str) -> str:
        self.seen.append(before)
        if name.startswith("thoughts"):
            return f"{self.thoughts}{END}"
        prompts = self.said.language.prompts
        last = before.rpartition("<|im_start|>user\n")[2].partition(END)[0]
        if last == prompts.result_request:
            return f"{self.said.result}{END}"
        return f"{self.said.answer}{END}" if last.endswith(prompts.answer_request) else END

    @property
    def replies(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, ReplyText)]

    async def turn(self, text: str, language: Language) -> list[str]:
        before = len(self.replies)
        self.loop.speak(language)
        await self.loop.hear(text)
        await self.loop.answer(text)
        replies = self.replies[before:]
        await self.loop.finish(" ".join(replies))
        return replies


@asynccontextmanager
async def rig(said: Said, opening: Language = EN, *, thoughts: str = "", needs: bool = True) -> AsyncIterator[Rig]:
    one = Rig(said, thoughts=thoughts, needs=needs)
    async with one.engine.session() as session:
        script = Script(one.engine.tokenizer, family_of("any")).in_language(opening)
        one.loop = Loop(session, script, LoopOptions(), one.events.append, one.engine.clock, context=100_000)
        await one.loop.open()
        yield one


@both
async def test_a_problem_is_thought_and_told_in_its_language(said: Said) -> None:
    async with rig(said, said.language) as one:
        replies = await one.turn(said.question, said.language)
        assert replies[-1] == said.result
        assert all("*" not in reply and "=" not in reply for reply in replies)
        assert said.language.prompts.system in one.seen[0]
        assert said.language.prompts.think_request in one.seen[0]


@both
async def test_small_talk_is_answered_at_once(said: Said) -> None:
    async with rig(said, said.language, needs=False) as one:
        assert await one.turn(said.talk, said.language) == [said.answer]


@both
async def test_what_nobody_said_is_not_said(said: Said) -> None:
    wrong = "77"
    async with rig(said, said.language, thoughts="xyz\n") as one:
        one.said = Said(said.language, said.question, "", f"{wrong}.", said.talk, said.answer)
        assert await one.turn(said.question, said.language) == [said.language.replies.no_answer]


@both
async def test_a_language_is_changed_in_mid_conversation(said: Said) -> None:
    async with rig(said, EN) as one:
        assert one.loop.language is EN
        assert (await one.turn(said.question, said.language))[-1] == said.result
        assert one.loop.language is said.language
        # The head stays what it was: nothing of the conversation is read anew.
        assert EN.prompts.system in one.seen[-1]
        assert said.language.prompts.think_request in "".join(one.seen)
        other = GERMAN if said is SPANISH else SPANISH
        one.said, one.thoughts = other, other.thoughts
        assert (await one.turn(other.question, other.language))[-1] == other.result
        assert said.result in one.seen[-1]


@pytest.mark.parametrize(
    ("language", "told", "words", "meant"),
    [
        (EN, "Four tickets cost nine dollars each.", "Sorry, six tickets.", "six tickets cost nine dollars each."),
        (DE, "Vier Karten kosten je neun Euro.", "Entschuldigung, sechs Karten.", "sechs Karten kosten je neun Euro."),
        (DE, "Es sind einundzwanzig Kinder.", "Nein, nicht 21, sondern 22 Kinder.", "Es sind 22 Kinder."),
        (ES, "Cuatro entradas cuestan nueve euros.", "Perdón, seis entradas.", "seis entradas cuestan nueve euros."),
    ],
)
def test_a_correction_replaces_what_it_is_about(language: Language, told: str, words: str, meant: str) -> None:
    assert restated(told, words, language) == meant
