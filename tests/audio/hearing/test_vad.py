from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio.clock import FRAME, RATE, Sound, samples_of
from audio.hearing.vad import CHUNK, VoiceActivity
from audio.io.sound_files import read_sound
from audio.messages import Activity, HardEnd, SoftEnd, SpeechResumed, SpeechStarted
from audio.options import EarsOptions
from tests.e2e.stage.make_recordings import RECORDINGS

OPTIONS = EarsOptions(statement_end_ms=550, unfinished_end_ms=550)
"""Every pause ends a turn after the same silence, as nobody tells what was said."""


def by_level(chunk: Sound) -> float:
    """A pure stand-in for the network: the loudest sample is the probability."""
    return float(np.abs(chunk).max())


def sound_of(*pieces: tuple[float, int]) -> Sound:
    """Stretches of constant level: (level, milliseconds)."""
    return np.concatenate([np.full(samples_of(ms), level, np.float32) for level, ms in pieces])


def run(sound: Sound, options: EarsOptions = OPTIONS, frame: int = FRAME) -> list[Activity]:
    activity = VoiceActivity(options, by_level)
    return [event for start in range(0, len(sound), frame) for event in activity.receive(sound[start : start + frame])]


def names(events: list[Activity]) -> list[str]:
    return [type(event).__name__ for event in events]


def test_one_utterance() -> None:
    started, soft, hard = run(sound_of((0, 500), (0.9, 1000), (0, 1000)))
    assert isinstance(started, SpeechStarted)
    assert isinstance(soft, SoftEnd)
    assert isinstance(hard, HardEnd)
    assert abs(started.start - samples_of(500)) <= 128
    assert abs(soft.last_sample - samples_of(1500)) <= 128
    assert hard.last_sample == soft.last_sample
    assert abs(started.at - started.start - samples_of(OPTIONS.min_speech_ms)) <= CHUNK + FRAME
    assert 0 <= soft.at - soft.last_sample - samples_of(OPTIONS.soft_end_ms) <= CHUNK + FRAME
    assert 0 <= hard.at - hard.last_sample - samples_of(OPTIONS.hard_end_ms) <= CHUNK + FRAME


def test_speech_lasts_as_long_as_it_is_certain_and_begins_anew_after_a_pause() -> None:
    activity, lasted = VoiceActivity(OPTIONS, by_level), []
    for ms, level in ((500, 0.0), (608, 0.9), (96, 0.4), (320, 0.0), (192, 0.9)):
        for _ in range(0, ms, 32):
            activity.receive(sound_of((level, 32)))
        lasted.append(activity.lasted * 1000 // RATE)
    assert lasted[0] == lasted[3] == 0
    assert abs(lasted[1] - 608) <= 32
    assert lasted[2] == lasted[1], "what hangs over is not certain"
    assert abs(lasted[4] - 192) <= 32


def test_a_pause_resumes_and_a_dip_is_none() -> None:
    assert names(run(sound_of((0.9, 500), (0, 350), (0.9, 500), (0, 900)))) == [
        "SpeechStarted", "SoftEnd", "SpeechResumed", "SoftEnd", "HardEnd",
    ]  # fmt: skip
    assert names(run(sound_of((0.9, 500), (0.4, 400), (0.9, 500), (0, 900)))) == ["SpeechStarted", "SoftEnd", "HardEnd"]


@pytest.mark.parametrize("late", range(0, 36, 4))
@pytest.mark.parametrize("click_ms", [4, 16, 32])
def test_a_click_neither_starts_nor_resumes_wherever_it_falls(click_ms: int, late: int) -> None:
    assert run(sound_of((0, 500 + late), (0.9, click_ms), (0, 900))) == []
    with_click = run(sound_of((0, 512), (0.9, 512), (0, 320 + late), (0.9, click_ms), (0, 900)))
    assert names(with_click) == ["SpeechStarted", "SoftEnd", "HardEnd"]
    # While it may still become speech the turn is held open.
    assert abs(with_click[-1].at - samples_of(512 + 512 + OPTIONS.hard_end_ms)) <= 3 * CHUNK + FRAME


@pytest.mark.parametrize("late", range(0, 36, 4))
@pytest.mark.parametrize("min_speech_ms", [32, 64, 96])
def test_what_lasts_longer_than_a_click_starts_and_resumes_wherever_it_falls(min_speech_ms: int, late: int) -> None:
    options, longer = replace(OPTIONS, min_speech_ms=min_speech_ms), (0.9, max(min_speech_ms, 64) + 1)
    assert names(run(sound_of((0, 500 + late), longer, (0, 900)), options)) == ["SpeechStarted", "SoftEnd", "HardEnd"]
    resumed = run(sound_of((0, 512), (0.9, 512), (0, 320 + late), longer, (0, 900)))
    assert names(resumed) == ["SpeechStarted", "SoftEnd", "SpeechResumed", "SoftEnd", "HardEnd"]


def test_soft_speech_right_behind_a_click_is_speech() -> None:
    activity = VoiceActivity(OPTIONS, lambda chunk: float(np.abs(chunk).max() > 0.005))
    (started,) = activity.receive(sound_of((0, 500), (0.9, 8), (0.01, 300)))
    assert isinstance(started, SpeechStarted)
    assert started.start <= samples_of(508)


@pytest.mark.parametrize("click_ms", [2, 10, 32])
def test_no_click_is_speech_to_the_real_network(click_ms: int) -> None:
    rng, quiet = np.random.default_rng(click_ms), 16_000
    for late in range(0, CHUNK, 64):
        sound = rng.normal(0, 0.001, 2 * quiet).astype(np.float32)
        start = quiet // 2 + late
        sound[start : start + samples_of(click_ms)] += rng.uniform(-0.9, 0.9, samples_of(click_ms)).astype(np.float32)
        activity = VoiceActivity(OPTIONS)
        assert [event for at in range(0, len(sound), FRAME) for event in activity.receive(sound[at : at + FRAME])] == []


@pytest.mark.parametrize("known_ms", [300, 900])
def test_a_pause_ends_the_turn_as_its_words_ask_and_after_the_longest_wait_while_they_are_not_known(
    known_ms: int,
) -> None:
    """Three turns: words known after a while, words of a pause that was none, words never known."""
    activity, waits = VoiceActivity(EarsOptions(), by_level), []
    sound = sound_of((0.9, 512), (0, 2000), (0.9, 512), (0, 480), (0.9, 512), (0, 2000))
    paused_at = 0
    for frame in sound[: len(sound) - len(sound) % FRAME].reshape(-1, FRAME):
        for event in activity.receive(frame):
            if isinstance(event, SoftEnd):
                paused_at = event.last_sample
            if isinstance(event, HardEnd):
                waits.append((event.at - event.last_sample) * 1000 / RATE)
        early = activity.now < samples_of(2512 + 512 + 480)
        if early and paused_at and activity.now - paused_at >= samples_of(known_ms if not waits else 300):
            activity.end_turn_after(EarsOptions().hard_end_ms)
            paused_at = 0
    longest = EarsOptions().unfinished_end_ms
    assert waits == pytest.approx([max(EarsOptions().hard_end_ms, known_ms), longest], abs=(CHUNK + FRAME) / 16)


def marked_speech(chunk: Sound) -> float:
    """A stand-in for a network that knows soft speech from rustle: speech is what is positive."""
    return float(chunk.max() > 0)


@pytest.mark.parametrize("quiet_ms", [0, 2000])
def test_the_end_of_soft_speech_after_a_rustle_is_where_it_ends(quiet_ms: int) -> None:
    rustle, loud, soft = (-0.02, 500), (0.5, 512), (0.009, 640)
    sound = sound_of((0, quiet_ms), rustle, loud, soft, (0, 1500))
    activity = VoiceActivity(OPTIONS, marked_speech)
    events = [event for at in range(0, len(sound), FRAME) for event in activity.receive(sound[at : at + FRAME])]
    assert names(events) == ["SpeechStarted", "SoftEnd", "HardEnd"]
    end = samples_of(quiet_ms + 500 + 512 + 640)
    assert isinstance(events[1], SoftEnd)
    assert abs(events[1].last_sample - end) <= CHUNK


def test_a_rustle_before_the_first_word_is_not_the_background() -> None:
    sound = sound_of((-0.001, 2000), (-0.02, 500), (0.03, 1000), (-0.001, 1500))
    activity = VoiceActivity(OPTIONS, marked_speech)
    events = [event for at in range(0, len(sound), FRAME) for event in activity.receive(sound[at : at + FRAME])]
    soft = events[1]
    assert isinstance(soft, SoftEnd)
    assert abs(soft.last_sample - samples_of(3500)) <= 128


def test_noise_without_end_is_cut_into_turns() -> None:
    events = run(np.full(7 * RATE, 0.9, np.float32), replace(OPTIONS, max_turn_s=2.0))
    assert names(events)[:6] == ["SpeechStarted", "SoftEnd", "HardEnd"] * 2
    for started, _, hard in zip(events[::3], events[1::3], events[2::3], strict=False):
        assert isinstance(started, SpeechStarted)
        assert hard.at - started.start <= 2 * RATE + CHUNK + FRAME


def test_since_returns_what_was_heard() -> None:
    activity = VoiceActivity(OPTIONS, by_level)
    sound = np.random.default_rng(0).uniform(-0.1, 0.1, RATE).astype(np.float32)
    for start in range(0, RATE, FRAME):
        activity.receive(sound[start : start + FRAME])
    assert np.array_equal(activity.since(RATE // 2), sound[RATE // 2 :])
    assert len(activity.since(RATE + 5)) == 0
    for _ in range(500):
        activity.receive(sound[:FRAME])
    assert len(activity.since(0)) == 2 * RATE


LEVELS = st.lists(
    st.tuples(st.sampled_from([0.0, 0.001, 0.2, 0.4, 0.6, 0.95]), st.integers(10, 700)), min_size=1, max_size=12
)


@settings(max_examples=150, deadline=None)
@given(LEVELS, st.sampled_from([160, 320, 500, 1024]))
def test_events_keep_their_order_and_their_places(pieces: list[tuple[float, int]], frame: int) -> None:
    sound = sound_of(*pieces, (0.0, 1500))
    events = run(sound, frame=frame)
    follows = {
        "": {"SpeechStarted"},
        "SpeechStarted": {"SoftEnd"},
        "SoftEnd": {"SpeechResumed", "HardEnd"},
        "SpeechResumed": {"SoftEnd"},
        "HardEnd": {"SpeechStarted"},
    }
    for before, after in itertools.pairwise(["", *names(events)]):
        assert after in follows[before]
    assert not events or isinstance(events[-1], HardEnd)
    assert [event.turn for event in events] == sorted(event.turn for event in events)
    place = 0
    for event in events:
        assert event.at <= len(sound)
        if isinstance(event, SpeechStarted):
            assert place <= event.start <= event.at
        elif not isinstance(event, SpeechResumed):
            assert place <= event.last_sample <= event.at
            place = event.last_sample
    starts = [getattr(event, "start", None) or getattr(event, "last_sample", None) for event in events]
    again = run(sound)
    assert starts == [getattr(event, "start", None) or getattr(event, "last_sample", None) for event in again]


def loud_blocks(sound: Sound, part: float) -> npt.NDArray[np.intp]:
    """Numbers of the 10 ms blocks whose energy is above that part of the loudest one's."""
    loudness = np.sqrt(np.mean(np.square(sound.reshape(-1, 160)), axis=1))
    return np.flatnonzero(loudness > part * loudness.max())


@pytest.mark.parametrize("noise", [0.0, 0.001, 0.005])
@pytest.mark.parametrize("name", ["eggs", "apples", "tickets", "loaves", "marbles", "weekday", "greeting"])
def test_last_sample_is_where_the_recording_ends(name: str, noise: float) -> None:
    clean = np.concatenate(list(read_sound(RECORDINGS / f"{name}.wav")))
    # A final "t" may be as soft as a breath: speech ends somewhere between -26 and -40 dB.
    certain, possible = loud_blocks(clean, 0.05), loud_blocks(clean, 0.01)
    noisy = clean + np.random.default_rng(0).normal(0, noise, len(clean)).astype(np.float32)
    activity = VoiceActivity(OPTIONS)
    events = [
        event for start in range(0, len(noisy), FRAME) for event in activity.receive(noisy[start : start + FRAME])
    ]
    assert isinstance(events[0], SpeechStarted)
    assert isinstance(events[-1], HardEnd)
    assert events[-1].turn == 1
    near = samples_of(60)
    assert possible[0] * 160 - near <= events[0].start <= certain[0] * 160 + near
    assert certain[-1] * 160 + 160 - near <= events[-1].last_sample <= possible[-1] * 160 + 160 + near


@pytest.mark.parametrize("level", [0.0, 0.001, 0.05, 0.3])
def test_silence_and_noise_are_no_speech(level: float) -> None:
    noise = np.random.default_rng(1).normal(0, level, 6 * RATE).astype(np.float32)
    activity = VoiceActivity(OPTIONS)
    events = [
        event for start in range(0, len(noise), FRAME) for event in activity.receive(noise[start : start + FRAME])
    ]
    assert events == []
