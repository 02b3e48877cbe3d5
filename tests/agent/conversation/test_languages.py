"""A conversation that goes on in another language, on the stage of the driver's tests."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from audio.clock import Sound
from audio.hearing.whisper import DetectedLanguage, Hypothesis
from languages.known import language_of
from languages.language import Language
from tests.agent.conversation.test_driver import ALSO, ASK, LevelDecoder, world
from tests.reasoning.loop.test_loop import Model
from tests.reasoning.scripted_engine import END

EN, DE = language_of("en"), language_of("de")


class TwoLanguages(LevelDecoder):
    """Hears German at one level of sound."""

    def decode(self, sound: Sound, *, final: bool, expected: str = "") -> Hypothesis:
        heard = super().decode(sound, final=final, expected=expected)
        german = bool((np.abs(sound - ALSO) < 0.01).any())
        return replace(heard, language=DetectedLanguage("de" if german else "en", 1.0))


@dataclass
class Bilingual(Model):
    """Thinks in the language that it is asked in."""

    def score_choices(self, before: str) -> float:
        assert any(question in before for question in (EN.prompts.kind_question, DE.prompts.need_question))
        return 20.0

    def write(self, before: str, name: str) -> str:
        german = DE.prompts.think_request in before.rpartition("<|im_start|>user\n")[2]
        if name.startswith("thoughts") and german:
            return f"1. Zwei Kisten: 2 * 24 = 48 Eier\n{END}"
        return super().write(before, name)


async def test_what_is_heard_in_another_language_is_answered_in_it_and_read_aloud_so() -> None:
    async with world(Bilingual(), decoder=TwoLanguages(), languages=(EN, DE)) as one:
        await one.say(ASK)
        await one.reply()
        assert one.driver.language is EN
        assert not {*DE.replies.fillers} & {*one.voice.said}
        english = len(one.voice.said)
        await one.say(ALSO)
        await one.reply()
        assert one.driver.language is DE
        said = one.voice.said[english:]
        # What fills a wait is spoken in advance, once it is known what is spoken.
        assert {*DE.replies.fillers} <= {*said}
        assert "zwei mal vierundzwanzig ist achtundvierzig Eier." in [
            text.strip().lower().replace("eier", "Eier") for text in said
        ]
        await one.say(ASK)
        await one.reply()
        assert one.driver.language is EN


async def test_other_languages_than_those_that_may_be_spoken_are_not_followed() -> None:
    async with world(Bilingual(), decoder=TwoLanguages()) as one:
        await one.say(ALSO)
        await one.reply()
        assert one.driver.language is EN
        assert not {*DE.replies.fillers} & {*one.voice.said}


async def test_a_conversation_may_begin_in_another_language() -> None:
    told: list[Language] = []
    async with world(Bilingual(), decoder=TwoLanguages(), languages=(DE,), on_language=told.append) as one:
        assert told == [DE]
        await one.say(ALSO)
        await one.reply()
        assert one.voice.said[-1].endswith("achtundvierzig Eier.")
