from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio.clock import FRAME, RATE, Sound, samples_of
from audio.errors import EarsUnavailable
from audio.hearing.agreement import Word
from audio.hearing.ears import Ears
from audio.hearing.transcriber import Transcriber
from audio.hearing.vad import VoiceActivity
from audio.hearing.whisper import Hypothesis, WhisperDecoder
from audio.messages import (
    EarsEvent,
    Glimpsed,
    HardEnd,
    SoftEnd,
    SpeechLasts,
    SpeechResumed,
    SpeechStarted,
    ToldAhead,
    Words,
)
from audio.options import EarsOptions
from tests.audio.hearing.test_vad import by_level, sound_of

if TYPE_CHECKING:
    from collections.abc import Sequence

OPTIONS = EarsOptions(statement_end_ms=550, unfinished_end_ms=550)
"""Every pause ends a turn after the same silence: nobody here judges what was said."""


class CountingDecoder:
    """Hears one word for each half second of loud sound, numbered, and remembers what it was asked."""

    def __init__(self, *_: object) -> None:
        self.asked: list[tuple[int, bool]] = []
        self.expected = ""
        self.may_go = threading.Event()
        self.may_go.set()
        self.began = threading.Event()

    def decode(self, sound: Sound, *, final: bool, expected: str = "") -> Hypothesis:
        self.began.set()
        assert self.may_go.wait(10)
        self.asked.append((len(sound), final))
        self.expected = expected
        count = round(float((np.abs(sound) > 0.5).sum()) / (RATE / 2))
        return Hypothesis(tuple(Word(f"w{n}", 0.5) for n in range(count)), -0.1, 0.0)

    def spot(self, sound: Sound) -> Hypothesis:  # noqa: ARG002 - the decoder's own signature
        raise AssertionError("nothing is there to stop")


def transcriber(decoder: CountingDecoder) -> Transcriber:
    return Transcriber(lambda: decoder)


def frames(sound: Sound) -> Sequence[Sound]:
    return list(sound[: len(sound) - len(sound) % FRAME].reshape(-1, FRAME))


async def hear(
    sound: Sound, decoder: CountingDecoder | None = None, *, settle_every: int = 1, slowdown: float = 1.0
) -> list[EarsEvent]:
    """Feed sound; the loop gets time for decodes every so many frames."""
    events: list[EarsEvent] = []
    listener = transcriber(decoder or CountingDecoder())
    async with Ears(VoiceActivity(OPTIONS, by_level), listener, OPTIONS, slowdown=lambda: slowdown) as ears:

        async def read() -> None:
            events.extend([event async for event in ears.events()])

        reader = asyncio.create_task(read())
        for index, frame in enumerate(frames(sound)):
            await ears.receive(frame)
            if index % settle_every == 0:
                await listener._run(lambda: None)
                await asyncio.sleep(0)
        await ears.close()
        await reader
    return events


def kinds(events: Sequence[EarsEvent]) -> str:
    """One letter for each event; F for a final transcript."""
    letters = {SpeechStarted: "S", SoftEnd: "e", SpeechResumed: "r", HardEnd: "E"}
    return "".join(
        ("F" if event.final else "w") if isinstance(event, Words) else letters[type(event)] for event in events
    )


async def test_one_turn() -> None:
    events = await hear(sound_of((0, 300), (0.9, 1900), (0, 1000)))
    assert kinds(events) == "SwwwewFE"
    final = events[-2]
    assert isinstance(final, Words)
    assert final == Words(1, 0, "w0 w1 w2 w3", "", (0.5,) * 4, final=True, language="en")
    partials = [event for event in events if isinstance(event, Words) and not event.final]
    assert partials[0].committed == ""
    assert partials[0].tentative == "w0"
    assert partials[-1].committed == final.committed


async def test_that_speech_lasts_is_told_once_for_each_breath_ahead_of_transcripts() -> None:
    decoder, told = CountingDecoder(), list[ToldAhead]()
    decoder.may_go.clear()
    sign_ms = OPTIONS.sign_ms
    async with Ears(VoiceActivity(OPTIONS, by_level), transcriber(decoder), OPTIONS) as ears:
        ears.listen_for_stops(wanted=False, tell=told.append)
        for frame in frames(sound_of((0, 320), (0.9, sign_ms - 96), (0, 320), (0.9, 2 * sign_ms), (0, 320))):
            await ears.receive(frame)
        decoder.may_go.set()
    assert [type(event) for event in told] == [SpeechLasts]
    assert abs(told[0].at - samples_of(320 + sign_ms - 96 + 320 + sign_ms)) <= 2 * FRAME


class Spotter(CountingDecoder):
    def spot(self, sound: Sound) -> Hypothesis:  # noqa: ARG002 - the same to it
        return Hypothesis((Word("and", 0.9), Word("then", 0.8)))


@pytest.mark.parametrize("own", [False, True])
async def test_what_short_decodes_hear_is_told_unless_it_is_an_echo(*, own: bool) -> None:
    told = list[ToldAhead]()
    listener, activity = transcriber(Spotter()), VoiceActivity(OPTIONS, by_level)
    async with Ears(activity, listener, OPTIONS, own=lambda words, _: own and words.committed == "and then") as ears:
        ears.listen_for_stops(wanted=True, tell=told.append)
        for frame in frames(sound_of((0, 320), (0.9, 480))):
            await ears.receive(frame)
            await ears.caught_up()
    seen = {(event.turn, event.text, event.confidence) for event in told if isinstance(event, Glimpsed)}
    assert seen == (set() if own else {(1, "and then", (0.9, 0.8))})


async def test_final_decode_is_the_only_one_that_hears_the_end() -> None:
    decoder = CountingDecoder()
    await hear(sound_of((0, 1000), (0.9, 1400), (0, 1000)), decoder)
    assert [final for _, final in decoder.asked] == [False, False, True]
    lead, tail = OPTIONS.preroll_ms, 150
    assert decoder.asked[-1][0] == pytest.approx(samples_of(lead + 1400 + tail), abs=samples_of(10))


async def test_partials_give_way_to_a_reply_on_a_busy_machine_and_the_final_decode_does_not() -> None:
    asked = {}
    for slowdown in (1.0, 2.0):
        decoder = CountingDecoder()
        await hear(sound_of((0.9, 4300), (0, 1000)), decoder, slowdown=slowdown)
        asked[slowdown] = [final for _, final in decoder.asked]
    assert asked[1.0].count(False) == 8
    assert 4 <= asked[2.0].count(False) <= 5
    assert asked[1.0].count(True) == asked[2.0].count(True) == 1


async def test_resumed_speech_is_a_new_revision_of_the_same_turn() -> None:
    events = await hear(sound_of((0.9, 1000), (0, 400), (0.9, 1000), (0, 1000)))
    assert kinds(events).replace("w", "") == "SereFE"
    transcripts = [event for event in events if isinstance(event, Words)]
    assert {event.turn for event in transcripts} == {1}
    assert transcripts[-1].revision == 1
    assert transcripts[-1].committed == "w0 w1 w2 w3"


async def test_a_final_decode_that_speech_overtakes_is_dropped() -> None:
    decoder = CountingDecoder()
    listener = transcriber(decoder)
    sound = sound_of((0.9, 400), (0, 400), (0.9, 400), (0, 1000))
    async with Ears(VoiceActivity(OPTIONS, by_level), listener, OPTIONS) as ears:
        decoder.may_go.clear()
        for frame in frames(sound):
            await ears.receive(frame)
        decoder.may_go.set()
        await ears.close()
        events = [event async for event in ears.events()]
    assert kinds(events) == "SerewFE"
    assert [event.revision for event in events if isinstance(event, Words)] == [1, 1]


async def test_expected_words_reach_the_decoder_while_it_hears() -> None:
    decoder = CountingDecoder()
    listener = transcriber(decoder)
    async with Ears(VoiceActivity(OPTIONS, by_level), listener, OPTIONS) as ears:
        ears.expect("Go to the hall.")
        for frame in frames(sound_of((0.9, 1400), (0, 1000))):
            await ears.receive(frame)
        await ears.caught_up()
    assert decoder.expected == "Go to the hall."


async def test_a_cough_gives_an_empty_final() -> None:
    events = await hear(sound_of((0, 300), (0.9, 130), (0, 1000)))
    assert kinds(events) == "SewFE"
    final = events[-2]
    assert isinstance(final, Words)
    assert (final.committed, final.tentative, final.confidence) == ("", "", ())


async def test_frames_are_taken_while_a_decode_hangs() -> None:
    decoder = CountingDecoder()
    listener = transcriber(decoder)
    async with Ears(VoiceActivity(OPTIONS, by_level), listener, OPTIONS) as ears:
        decoder.may_go.clear()
        for frame in frames(sound_of((0.9, 2000), (0, 1000), (0.9, 1000), (0, 1000))):
            await ears.receive(frame)
        decoder.may_go.set()
        await ears.close()
        events = [event async for event in ears.events()]
    assert kinds(events).replace("w", "") == "SeFESeFE"
    assert len(decoder.asked) <= 4


async def test_the_final_waits_for_one_partial_at_most() -> None:
    decoder = CountingDecoder()
    listener = transcriber(decoder)
    async with listener:
        listener.start_turn(1, 0, sound_of((0.9, 1000)))
        decoder.may_go.clear()
        partial = asyncio.create_task(listener.partial())
        await asyncio.get_running_loop().run_in_executor(None, decoder.began.wait)
        assert await listener.partial() is None
        final = asyncio.create_task(listener.final(RATE))
        decoder.may_go.set()
        words = await final
        await partial
    assert words.final
    assert [final for _, final in decoder.asked] == [False, True]


async def test_a_long_turn_is_cut_at_its_pauses_and_loses_no_word() -> None:
    decoder = CountingDecoder()
    listener = transcriber(decoder)
    phrase = sound_of((0.9, 4000), (0, 300))
    async with listener:
        listener.start_turn(1, 0, phrase)
        for _ in range(10):
            listener.feed(phrase)
            await listener.partial()
        words = await listener.final(11 * len(phrase))
    assert len(words.committed.split()) == 11 * 8
    assert len(words.confidence) == 11 * 8
    assert max(length for length, _ in decoder.asked) <= 30 * RATE
    assert len(listener._turn.until(11 * len(phrase))) <= 25 * RATE


async def test_a_missing_model_is_told() -> None:
    with pytest.raises(EarsUnavailable, match="descant models pull"):
        async with Transcriber(lambda: WhisperDecoder(Path("/nowhere"), OPTIONS)):
            pytest.fail("started without a model")


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.9]), st.integers(20, 1200)), min_size=1, max_size=6),
    st.sampled_from([1, 7, 1000]),
)
def test_each_turn_has_one_final_and_one_end(pieces: list[tuple[float, int]], settle_every: int) -> None:
    events = asyncio.run(hear(sound_of(*pieces, (0.0, 1000)), settle_every=settle_every))
    turns = {event.turn for event in events}
    for turn in turns:
        of_turn = kinds([event for event in events if event.turn == turn])
        assert of_turn.startswith("S")
        assert of_turn.endswith("FE")
        assert of_turn.count("F") == of_turn.count("E") == of_turn.count("S") == 1
    assert [event.turn for event in events] == sorted(event.turn for event in events)
    revisions = [(event.turn, event.revision) for event in events if isinstance(event, Words)]
    assert revisions == sorted(revisions)
    for event in events:
        if isinstance(event, Words):
            assert len(event.confidence) == len((event.committed + " " + event.tentative).split())
