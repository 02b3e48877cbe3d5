from __future__ import annotations

import asyncio
import threading
import time

import numpy as np
import pytest

from agent.conversation import timeline
from agent.conversation.timeline import Event, TimelineEntry
from audio.clock import RATE
from bench.latency.command import summarise, targets
from bench.latency.dialogues import SpokenDialogue
from bench.latency.latency import SpokenExchange, longest_hold, measure, silent_after, word_errors
from bench.latency.room import Room

SECOND = np.full(RATE, 0.1, np.float32)
QUIET = np.zeros(RATE, np.float32)


def room(*played: np.ndarray) -> Room:
    one = Room()
    one.played = list(played)
    one.now = sum(map(len, played))
    return one


def exchange(
    dialogue: SpokenDialogue, one: Room, *events: tuple[float, Event], over: int | None = None
) -> SpokenExchange:
    return measure(dialogue, one, [TimelineEntry(t_ms, event) for t_ms, event in events], (RATE, over), underruns=0)


PLAIN = SpokenDialogue("plain", "What is twelve times seven?", SECOND)
HEARD: list[tuple[float, Event]] = [
    (1500, timeline.WordsHeard("What is", "", final=False, revision=0)),
    (2200, timeline.WordsHeard("What is 12 times 7?", "", final=False, revision=0)),
    (2500, timeline.WordsHeard("What is 12 times 7?", "", final=True, revision=0)),
    (2500, timeline.TurnEnded("What is 12 times 7?")),
    (3100, timeline.AudioOut(3000, 3500, "One moment.", "filler")),
    (3600, timeline.ReplyText("It is eighty four.")),
    (4000, timeline.AudioOut(4000, 5000, "It is eighty four.", "content")),
]


def test_stages_count_from_the_last_sample_of_speech() -> None:
    found = exchange(PLAIN, room(QUIET, QUIET, QUIET, SECOND, SECOND, QUIET), *HEARD)
    assert found.first_sound_s == pytest.approx(1.0, abs=0.01)
    assert found.first_content_s == pytest.approx(2.0, abs=0.01)
    assert found.end_of_turn_s == pytest.approx(0.5, abs=0.01)
    assert found.recognised_s == pytest.approx(0.2, abs=0.01)
    assert found.first_sentence_s == pytest.approx(1.6, abs=0.01)
    assert found.voice_s == pytest.approx(0.4, abs=0.01)
    assert found.spoken_s == pytest.approx(2.0, abs=0.01)
    assert (found.words, found.word_errors) == (5, 0)
    assert (found.cut_off, found.missed, found.self_interruptions) == (False, False, 0)


def test_a_turn_that_ends_too_soon_or_not_at_all_is_told() -> None:
    quiet = room(*[QUIET] * 9)
    assert exchange(PLAIN, quiet, (1500, timeline.TurnEnded("What"))).cut_off
    assert exchange(PLAIN, quiet, (2500, timeline.TurnEnded("What")), (4000, timeline.TurnEnded("is it?"))).cut_off
    assert exchange(PLAIN, quiet).missed
    assert exchange(PLAIN, quiet, (7000, timeline.TurnEnded("What is it?"))).missed


def test_a_barge_in_is_measured_to_silence() -> None:
    dialogue = SpokenDialogue("barge-in", PLAIN.text, SECOND, SECOND, "No.")
    heard = room(QUIET, QUIET, QUIET, SECOND, SECOND[: RATE // 5], QUIET, QUIET, QUIET)
    found = exchange(dialogue, heard, *HEARD, (4200, timeline.Interrupted("It")), over=4 * RATE)
    assert found.silent_s == pytest.approx(0.2, abs=0.01)
    assert not found.not_stopped
    assert found.self_interruptions == 0
    ignored = exchange(dialogue, room(QUIET, QUIET, *[SECOND] * 6), *HEARD, over=4 * RATE)
    assert ignored.not_stopped
    assert ignored.silent_s == pytest.approx(4.0, abs=0.01)


def test_a_stop_for_a_cough_or_for_nothing_is_told() -> None:
    dialogue = SpokenDialogue("cough", PLAIN.text, SECOND, SECOND[:4000])
    heard = room(QUIET, QUIET, QUIET, *[SECOND] * 6)
    assert exchange(dialogue, heard, *HEARD, (4300, timeline.Interrupted("It")), over=4 * RATE).wrongly_stopped
    assert not exchange(dialogue, heard, *HEARD, (4100, timeline.Paused()), over=4 * RATE).wrongly_stopped
    assert exchange(PLAIN, heard, *HEARD, (5000, timeline.Interrupted("It"))).self_interruptions == 1
    assert exchange(PLAIN, heard, *HEARD, (5000, timeline.Paused())).self_interruptions == 1
    # Whoever goes on with a question that was cut off is somebody.
    assert exchange(PLAIN, heard, *HEARD, (1900, timeline.Paused())).self_interruptions == 0


def test_silence_is_longer_than_a_pause_between_clauses() -> None:
    pause = np.zeros(RATE // 5, np.float32)
    assert silent_after(np.concatenate([SECOND, pause, SECOND, QUIET]), 0) == pytest.approx(2.2, abs=0.01)
    assert silent_after(QUIET, 0) == 0.0


@pytest.mark.parametrize(
    ("said", "heard", "errors"),
    [
        ("What is twenty seven?", "what is 27", 0),
        ("I buy four tickets.", "I buy for tickets", 1),
        ("Hello, um, you", "hello you there", 1),
        ("one two three", "", 3),
    ],
)
def test_word_errors(said: str, heard: str, errors: int) -> None:
    assert word_errors(said, heard)[1] == errors


def test_targets_without_measurements_are_not_met() -> None:
    rows = {target.name: target for target in targets(summarise([SpokenExchange("plain", "", "x", missed=True)]))}
    assert not rows["first_sound_p50_s"].met
    assert not rows["turns"].met
    assert rows["underruns"].met


def test_the_microphone_hears_the_user_and_a_faint_loudspeaker() -> None:
    one = Room(echo_db=-20.0)
    block = np.full(160, 0.5, np.float32)
    at = one.say(np.full(240, 0.1, np.float32))
    heard = [one.exchange(block) for _ in range(8)]
    assert at == 0
    assert heard[0] == pytest.approx(np.full(160, 0.1))
    assert heard[1] == pytest.approx(np.r_[np.full(80, 0.1), np.zeros(80)])
    assert heard[-1] == pytest.approx(np.full(160, 0.05))
    assert one.now == 8 * 160
    assert not one.talking


def test_the_sound_card_calls_in_real_time_until_it_is_closed() -> None:
    one, called = Room(), threading.Event()
    stream = one.Stream(blocksize=160, callback=lambda *_: called.set())
    stream.start()
    assert called.wait(5)
    stream.abort()
    assert not stream.active


async def test_how_long_the_event_loop_was_held_is_found() -> None:
    async def hold() -> None:
        await asyncio.sleep(0.02)
        until = time.perf_counter() + 0.1
        while time.perf_counter() < until:
            pass

    running = asyncio.ensure_future(hold())
    assert await longest_hold(running) >= 0.09
