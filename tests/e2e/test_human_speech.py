"""The ears on people: last words, pauses inside a turn, soft speech. Real recordings, real models."""

from __future__ import annotations

import asyncio
import os
import threading
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
import pytest

from agent.conversation.turn_taking import EndTurnAfter, TurnTaking
from audio.clock import FRAME, RATE
from audio.errors import EarsUnavailable
from audio.hearing.agreement import edits, key
from audio.hearing.ears import Ears
from audio.hearing.end_of_turn import EndOfTurn
from audio.hearing.transcriber import Transcriber
from audio.hearing.turn_end import wait_ms
from audio.hearing.vad import VoiceActivity
from audio.hearing.whisper import WhisperDecoder
from audio.messages import EarsEvent, HardEnd, SoftEnd, Words
from audio.options import EarsOptions
from bench.ears.listening import stream
from bench.ears.recordings import clips
from tests.reasoning.model_files import model_path

if TYPE_CHECKING:
    from audio.clock import Sound
    from audio.hearing.whisper import Hypothesis

SPEECH = Path(os.environ.get("DESCANT_TEST_SPEECH") or Path(__file__).parents[2].with_name("shared") / "speech")
THERE = (SPEECH / "index.tsv").is_file()
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not THERE, reason=f"no recordings of people in {SPEECH} (DESCANT_TEST_SPEECH names a folder)"),
]
OPTIONS = EarsOptions()
CLIPS = {clip.name: clip for clip in clips(SPEECH)} if THERE else {}


@pytest.fixture(scope="module", name="whisper")
def _whisper() -> WhisperDecoder:
    return WhisperDecoder(model_path("whisper-tiny.en").parent, OPTIONS)


class Late:
    """A recogniser that takes as much time for its final decodes as the test lets pass."""

    def __init__(self, whisper: WhisperDecoder) -> None:
        self._whisper, self.may_go = whisper, threading.Event()

    def decode(self, sound: Sound, *, final: bool, expected: str = "") -> Hypothesis:
        assert not final or self.may_go.wait(60)
        return self._whisper.decode(sound, final=final, expected=expected)

    def spot(self, sound: Sound) -> Hypothesis:
        return self._whisper.spot(sound)


async def listen(sound: Sound, whisper: WhisperDecoder, late_s: float) -> list[EarsEvent]:
    """Hear a clip with the waits of a conversation; final decodes come so late after a pause was noticed."""
    recogniser, turns, events = Late(whisper), TurnTaking(), list[EarsEvent]()
    padded = np.pad(sound, (RATE // 2, 2 * RATE - len(sound) % FRAME))
    asked = np.inf
    async with Ears(VoiceActivity(OPTIONS), Transcriber(lambda: recogniser), OPTIONS) as ears:

        async def read() -> None:
            nonlocal asked
            async for event in ears.events():
                events.append(event)
                if isinstance(event, SoftEnd):
                    asked = event.at
                for action in turns.receive(event, ears.now / RATE):
                    if isinstance(action, EndTurnAfter):
                        ears.end_turn_after(wait_ms(action.ending, action.heard, OPTIONS))
                if isinstance(event, HardEnd):
                    turns.replied()

        reader = asyncio.create_task(read())
        for start in range(0, len(padded) - FRAME + 1, FRAME):
            await ears.receive(padded[start : start + FRAME])
            await asyncio.sleep(0)
            if ears.now - asked >= late_s * RATE:
                recogniser.may_go.set()
                await ears.caught_up()
                recogniser.may_go.clear()
                asked = np.inf
            elif not np.isfinite(asked):
                await ears.caught_up()
            await asyncio.sleep(0)
        recogniser.may_go.set()
        await ears.close()
        await reader
    return events


async def test_few_pauses_of_people_end_their_turns_and_few_ends_are_waited_for_long(whisper: WhisperDecoder) -> None:
    """On the sample clock, so on any machine: what `descant bench ears` promises."""
    judge = EndOfTurn(model_path("smart-turn-v3.2"))
    # What is shown while they speak decides nothing.
    options = replace(OPTIONS, partial_every_ms=10**6)
    heard = [await stream(clip, whisper, judge, options) for clip in CLIPS.values()]
    cut = [clip.name for clip in heard if clip.turns > 1]
    waits = [clip.waits_s[-1] for clip in heard if clip.waits_s]
    print(f"{len(cut)} of {len(heard)} cut: {', '.join(cut)}; median wait {median(waits):.2f} s")
    assert len(waits) == len(heard)
    assert len(cut) <= 0.05 * len(heard)
    assert 0.55 <= median(waits) <= 0.8


def text_of(heard: Hypothesis) -> str:
    return " ".join(word.text for word in heard.words)


def said(text: str) -> list[str]:
    return [key(word) for word in text.replace("-", " ").split()]


@pytest.mark.parametrize("name", ["order_a31d4e67", "order_5d8141e7", "libri_2412_1", "libri_1088_fast", "austen_0870"])
def test_the_last_words_of_a_person_who_speaks_fast_are_heard(name: str, whisper: WhisperDecoder) -> None:
    clip = CLIPS[name]
    heard = said(text_of(whisper.decode(clip.sound(), final=True)))
    expected = said(clip.text)
    assert edits(expected[-3:], heard[-3:]) <= 1
    assert len(heard) > 0.9 * len(expected)


def test_a_decode_has_the_tokens_that_it_is_given_and_one_that_runs_out_of_them_is_doubtful(
    whisper: WhisperDecoder,
) -> None:
    sound = CLIPS["libri_2412_1"].sound()
    few, enough = (whisper.decode_window(sound, 15, most=most) for most in (12, 100))
    assert few.doubtful
    assert not enough.doubtful
    # Nearly every token is a word here.
    assert 10 <= len(few.words) <= 12
    hinted = whisper.decode_window(sound, 15, most=12, expected="The pencils have all been used. " * 10)
    assert 10 <= len(hinted.words) <= 12


def test_a_multilingual_model_hears_the_language_that_is_spoken_among_those_that_come_into_question() -> None:
    base = WhisperDecoder(model_path("whisper-base").parent, OPTIONS)
    sound = CLIPS["austen_0920"].sound()
    heard = base.hearing(()).decode(sound, final=True)
    assert heard.language.code == "en"
    assert 0.9 < heard.language.probability < 1
    assert heard.words == base.decode(sound, final=True).words
    assert base.hearing(("de", "en")).detect_language(sound).code == "en"
    # It writes what it hears in the only language that it is left with.
    assert {"und", "hat", "er", "wäre", "mann"} & set(said(text_of(base.hearing(("de",)).decode(sound, final=True))))
    with pytest.raises(EarsUnavailable, match="does not hear xx"):
        base.hearing(("en", "xx"))


def test_expected_words_mend_what_a_multilingual_model_hears() -> None:
    base = WhisperDecoder(model_path("whisper-base").parent, OPTIONS)
    sound = CLIPS["order_eebba4ad"].sound()
    alone, hinted = (
        said(text_of(base.decode(sound, final=True, expected=expected)))
        for expected in ("", "We have mocha, light roast and dark roast.")
    )
    assert "ice" in alone
    assert "iced" in hinted
    assert edits(alone, hinted) <= 3


def test_a_model_of_english_alone_takes_no_other_language(whisper: WhisperDecoder) -> None:
    assert whisper.languages == ("en",)
    with pytest.raises(EarsUnavailable, match=r"does not hear de: set models.asr = whisper-base"):
        whisper.hearing(("en", "de"))


@pytest.mark.parametrize("late_s", [0.0, 0.5])
@pytest.mark.parametrize(("name", "until_s"), [("jfk", 11.0), ("steve_hesitates", 8.4)])
async def test_a_pause_inside_a_sentence_ends_no_turn_however_late_its_words_are_known(
    name: str, until_s: float, late_s: float, whisper: WhisperDecoder
) -> None:
    """Of the second, up to where its transcript ends."""
    events = await listen(CLIPS[name].sound()[: int(until_s * RATE)], whisper, late_s)
    finals = [event.committed for event in events if isinstance(event, Words) and event.final]
    print(*finals, sep="\n")
    assert len(finals) == 1
    assert edits(said(CLIPS[name].text), said(finals[0])) <= 0.15 * len(said(CLIPS[name].text))
