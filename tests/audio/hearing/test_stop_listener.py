from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio.clock import FRAME, RATE, Sound, samples_of
from audio.hearing.agreement import Word
from audio.hearing.stops.listener import StopListener
from audio.hearing.whisper import Hypothesis
from audio.messages import Command, StopHeard
from audio.options import EarsOptions

OPTIONS = EarsOptions()


def command(text: str) -> Command | None:
    before, stop, _ = text.lower().partition("stop")
    return Command("stop", heads=not before) if stop else None


class Script:
    """Hears what it is told to hear, and remembers how long the sound was."""

    def __init__(self, *texts: str, confidence: float = 0.9) -> None:
        self.texts, self.confidence = list(texts), confidence
        self.lengths: list[int] = []
        self.times: list[int] = []
        """Where the sounds ended."""

    async def __call__(self, sound: Sound) -> Hypothesis:
        self.lengths.append(len(sound))
        text = self.texts.pop(0) if len(self.texts) > 1 else self.texts[0]
        return Hypothesis(tuple(Word(word, self.confidence) for word in text.split()), -0.2, 0.0)


async def speak(
    script: Script,
    *,
    until_ms: int,
    wanted: bool = True,
    each: Callable[[StopListener, int], None] = lambda *_: None,
    options: EarsOptions = OPTIONS,
    give_way: Callable[[float], None] = lambda _: None,
) -> tuple[StopListener, list[StopHeard]]:
    """Speech from the first sample on; every decode is complete before the next frame."""
    listener, heard = StopListener(script, command, options, give_way), list[StopHeard]()
    listener.tell = lambda told: heard.append(told) if isinstance(told, StopHeard) else None
    listener.wanted = wanted
    listener.began(1, 0, 0)
    for now in range(FRAME, samples_of(until_ms), FRAME):
        each(listener, now)
        start = listener.due(now)
        if start is not None:
            script.times.append(now)
            listener.listen(np.zeros(now - start, np.float32), start, now)
            await listener.judged()
    await listener.close()
    return listener, heard


async def test_a_stop_is_told_once_for_each_breath_when_two_decodes_in_a_row_hear_it() -> None:
    script = Script("sto", "Stop.")
    _, heard = await speak(script, until_ms=1000)
    assert [(stop.turn, stop.phrase) for stop in heard] == [(1, "stop")]
    assert heard[0].at <= samples_of(240 + 2 * OPTIONS.stop_every_ms + 60)
    assert len(script.lengths) == 3


async def test_half_a_word_that_sounds_like_a_stop_is_none_when_more_of_it_is_heard() -> None:
    _, heard = await speak(Script("Stop", "it rains", "Stop", "it rains again"), until_ms=3000)
    assert not heard


@given(
    st.lists(st.sampled_from(["Stop.", "the rain stop", "it rains"]), min_size=1, max_size=12),
    st.sampled_from([60, 120, 200, 350]),
    st.sampled_from([240, 500, 900, None]),
)
def test_a_stop_is_told_where_it_was_heard_for_long_enough_or_speech_paused_behind_it(
    hears: list[str], every_ms: int, pause_ms: int | None
) -> None:
    options = replace(OPTIONS, stop_every_ms=every_ms)
    texts = [*hears, "it rains"]

    def pause(listener: StopListener, now: int) -> None:
        if pause_ms is not None and now == samples_of(pause_ms):
            listener.paused()

    script = Script(*texts)
    _, told = asyncio.run(speak(script, until_ms=5000, each=pause, options=options))
    expected, since = False, None
    for at, text in zip(script.times, texts, strict=False):
        if text == "it rains":
            since = None
        elif since is None:
            since = at
        else:
            expected |= text == "Stop." or at - since >= samples_of(300)
    expected |= since is not None and pause_ms is not None and script.times[-1] <= samples_of(pause_ms)
    assert len(told) == expected


async def test_a_stop_that_only_the_last_decode_before_a_pause_could_hear_is_told_at_the_pause() -> None:
    def pause(listener: StopListener, now: int) -> None:
        if now == samples_of(340):
            listener.paused()

    _, heard = await speak(Script("Stop."), until_ms=1000, each=pause)
    assert [stop.phrase for stop in heard] == ["stop"]


async def test_nothing_is_decoded_while_there_is_nothing_to_stop() -> None:
    script = Script("Stop.")
    _, heard = await speak(script, until_ms=1000, wanted=False)
    assert not script.lengths
    assert not heard


async def test_a_word_that_is_hardly_believed_is_no_stop() -> None:
    _, heard = await speak(Script("Stop.", confidence=OPTIONS.stop_confidence / 2), until_ms=1000)
    assert not heard


async def test_the_first_clause_of_a_window_that_begins_amid_speech_does_not_count() -> None:
    def after_two_seconds(text: str) -> Script:
        return Script(*["so I said"] * 17, text)

    _, heard = await speak(after_two_seconds("stop is at the corner"), until_ms=4000)
    assert not heard
    _, heard = await speak(after_two_seconds("at the corner. Stop!"), until_ms=4000)
    assert [stop.phrase for stop in heard] == ["stop"]


async def test_at_most_two_seconds_are_heard_at_a_time_and_not_more_often_than_asked() -> None:
    script = Script("so")
    await speak(script, until_ms=5000)
    assert max(script.lengths) == 2 * RATE
    assert len(script.lengths) <= 5000 / OPTIONS.stop_every_ms


async def test_the_model_leaves_the_processor_from_the_onset_on_but_not_for_ever() -> None:
    asked: list[float] = []
    times: list[int] = []

    passed = [0]

    def given(seconds: float) -> None:
        if passed[-1]:
            asked.append(seconds)
            times.append(passed[-1])

    await speak(Script("so"), until_ms=5000, each=lambda _, now: passed.append(now), give_way=given)
    assert asked
    assert max(times) <= samples_of(OPTIONS.stop_yield_ms)
    gaps = np.diff(times) / RATE
    assert max(gaps) <= min(asked), "it computes again between two decodes"


async def test_a_louder_voice_over_another_one_is_listened_to_from_its_own_beginning() -> None:
    rng = np.random.default_rng(0)

    def voices(listener: StopListener, now: int) -> None:
        loud = 0.3 if now > samples_of(1500) else 0.03
        listener.hear(rng.normal(0, loud, FRAME).astype(np.float32), now)

    script = Script("so")
    await speak(script, until_ms=1900, each=voices)
    assert max(script.lengths) > RATE
    assert script.lengths[-1] < RATE / 1.5


@pytest.mark.parametrize("level", [0.03, 0.3])
async def test_a_steady_voice_is_one_voice(level: float) -> None:
    rng = np.random.default_rng(0)
    script = Script("so")
    await speak(
        script,
        until_ms=1900,
        each=lambda listener, now: listener.hear(rng.normal(0, level, FRAME).astype(np.float32), now),
    )
    assert script.lengths == sorted(script.lengths)


def sure(*spans: tuple[int, int]) -> Callable[[Sound], float]:
    """Give a second ear that is sure within these milliseconds."""
    at = [0]

    def word(frame: Sound) -> float:
        at[0] += len(frame)
        return 0.8 if any(samples_of(start) <= at[0] <= samples_of(end) for start, end in spans) else 0.0

    return word


async def with_word(
    script: Script,
    word: Callable[[Sound], float],
    *,
    until_ms: int = 1000,
    knows: Callable[[str], Command | None] = command,
) -> list[StopHeard]:
    listener, heard = StopListener(script, knows, OPTIONS, word=word), list[StopHeard]()
    listener.tell = lambda told: heard.append(told) if isinstance(told, StopHeard) else None
    listener.wanted = True
    listener.began(1, 0, 0)
    for now in range(FRAME, samples_of(until_ms), FRAME):
        listener.hear(np.full(FRAME, 0.1, np.float32), now)
        start = listener.due(now)
        if start is not None:
            script.times.append(now)
            listener.listen(np.zeros(now - start, np.float32), start, now)
            await listener.judged()
    await listener.close()
    return heard


async def test_one_decode_is_enough_where_the_second_ear_has_heard_the_word() -> None:
    script = Script("sto", "Stop.", "it rains")
    heard = await with_word(script, sure((330, 420)))
    assert [(stop.phrase, stop.at) for stop in heard] == [("stop", script.times[1])]
    assert not await with_word(Script("sto", "Stop.", "it rains"), sure())


async def test_the_second_ear_has_a_decode_made_at_once() -> None:
    alone, hinted = Script("so"), Script("so")
    await with_word(alone, sure())
    await with_word(hinted, sure((310, 350)))
    assert next(time for time in hinted.times if time not in alone.times) <= samples_of(310) + FRAME


async def test_what_the_second_ear_takes_for_the_word_is_none_where_decodes_hear_another_one() -> None:
    assert not await with_word(Script("No."), sure((310, 550)))


async def test_whoever_has_other_words_for_a_stop_does_not_mean_the_second_ears() -> None:
    def halt(text: str) -> Command | None:
        return Command("halt", heads=True) if "halt" in text else None

    assert await with_word(Script("so", "so", "Stop.", "it rains"), sure((310, 800)))
    assert not await with_word(Script("so", "so", "halt", "it rains"), sure((310, 800)), knows=halt)
