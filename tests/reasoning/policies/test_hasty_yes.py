"""Questions that a model says yes to because it likes to say yes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from languages.known import language_of
from reasoning.events import YES, LoopEvent, Probe, ReplyText
from reasoning.loop.loop import Loop
from reasoning.options import LoopOptions, Mode
from reasoning.prompting.profiles.profile import UNKNOWN
from reasoning.prompting.script import Script, family_of
from tests.reasoning.scripted_engine import END, Mind, ScriptedEngine, Words

if TYPE_CHECKING:
    from languages.language import Language
    from reasoning.prompting.profiles.profile import ModelProfile

EN, DE = language_of("en"), language_of("de")
BIAS = EN.prompts.yes_bias
YES_SAID, NO_SAID = "Yes, I am a real person.", "No, I am an assistant."


async def asked(
    odds: float,
    *,
    likely: float = -0.5,
    mode: Mode = "async",
    language: Language = EN,
    profile: ModelProfile | None = None,
    begins: str = YES_SAID,
) -> tuple[list[str], list[LoopEvent]]:
    """Ask the one question; `odds` of yes to no, and the log-probability of the first word, are the model's."""

    def write(before: str, _: str) -> str:
        said = before.rpartition("assistant\n")[2]
        reply = NO_SAID if said.startswith("No") else begins
        return f"{reply.removeprefix(said)}{END}"

    def score(before: str) -> float:
        return odds if before.endswith("assistant\n") and language.prompts.answer_request in before else -20.0

    mind = Mind(write, score, log_prob=lambda text: likely if text == "Yes" else -0.1)
    engine, events = ScriptedEngine(mind, Words(), 100_000), list[LoopEvent]()
    async with engine.session() as session:
        script = Script(engine.tokenizer, family_of("any"), profile=profile)
        loop = Loop(session, script, LoopOptions(mode=mode), events.append, engine.clock, context=100_000)
        await loop.open()
        loop.speak(language)
        await loop.hear("Are you real?")
        await loop.answer("Are you real?")
        await loop.finish("")
    return [event.text for event in events if isinstance(event, ReplyText)], events


@pytest.mark.parametrize("mode", ["async", "no-think"])
async def test_a_yes_that_is_no_likelier_than_any_becomes_a_no(mode: Mode) -> None:
    said, events = await asked(BIAS - 0.1, mode=mode)
    assert said == [NO_SAID]
    (probe,) = [event for event in events if isinstance(event, Probe) and event.question == YES]
    assert not probe.decision
    assert probe.log_odds == pytest.approx(-0.1)


async def test_a_yes_that_is_likelier_stays() -> None:
    assert (await asked(BIAS + 0.1))[0] == [YES_SAID]


async def test_nothing_is_asked_where_the_yes_is_sure_or_there_is_none() -> None:
    for said, events in (await asked(-9.0, likely=-0.01), await asked(-9.0, begins="I am here.")):
        assert said[0] != NO_SAID
        assert not any(isinstance(event, Probe) and event.question == YES for event in events)


async def test_nothing_is_turned_round_where_nobody_has_measured_it() -> None:
    assert (await asked(-9.0, profile=replace(UNKNOWN, name="other")))[0] == [YES_SAID]
    assert (await asked(-9.0, language=DE))[0] == [YES_SAID]
