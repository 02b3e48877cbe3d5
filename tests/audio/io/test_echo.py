from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from audio.clock import FRAME, RATE, Sound
from audio.io.echo import CleanMicrophone, own_words
from audio.io.sound_files import read_sound

pytest.importorskip("pywebrtc_audio")
RECORDINGS = Path(__file__).parents[2] / "e2e" / "recordings"
DEVICE = 48_000


def speech(*names: str) -> Sound:
    return np.concatenate([np.concatenate(list(read_sound(RECORDINGS / f"{name}.wav"))) for name in names])


def at_the_microphone(played: Sound, rate: int, *, delay_ms: int, seed: int = 0) -> Sound:
    """The echo of a small room at -20 dB, a delay later, in a little noise."""
    chance = np.random.default_rng(seed)
    room = 0.25 * chance.standard_normal(rate // 4) * np.exp(-np.arange(rate // 4) / (0.05 * rate))
    room[0] = 1
    spectrum = np.fft.rfft(room, 2 * len(played)) * np.fft.rfft(played, 2 * len(played))
    echo = 0.1 * np.fft.irfft(spectrum)[: len(played)] / np.sqrt((room**2).sum())
    delay = delay_ms * rate // 1000
    late = np.concatenate((np.zeros(delay), echo[: len(played) - delay]))
    return np.asarray(late + 1e-4 * chance.standard_normal(len(late)), np.float32)


def hear(microphone: CleanMicrophone, recorded: Sound, played: Sound, block: int) -> Sound:
    frames = [
        frame
        for at in range(0, len(played) - block, block)
        for frame in microphone.receive(recorded[at : at + block], played[at : at + block])
    ]
    assert {len(frame) for frame in frames} == {FRAME}
    return np.concatenate(frames)


@pytest.mark.parametrize("delay_ms", [20, 60, 150, 300])
def test_the_echo_of_a_room_is_cancelled(delay_ms: int) -> None:
    played = speech("tickets", "marbles")
    microphone = CleanMicrophone(RATE, cancel=True)
    clean = hear(microphone, at_the_microphone(played, RATE, delay_ms=delay_ms), played, FRAME)
    assert 15 < microphone.meter.return_loss_db < 25
    assert microphone.meter.enhancement_db > 20
    assert np.sqrt(np.mean(clean[2 * RATE :] ** 2)) < 0.003


def test_who_speaks_over_the_agent_is_heard() -> None:
    played = speech("tickets", "marbles", "loaves")
    microphone = CleanMicrophone(RATE, cancel=True)
    user = np.zeros_like(played)
    words = speech("weekday")
    user[8 * RATE : 8 * RATE + len(words)] = words
    clean = hear(microphone, at_the_microphone(played, RATE, delay_ms=60) + user, played, FRAME)
    during = slice(8 * RATE, 8 * RATE + len(words))
    kept = np.sqrt(np.mean(clean[during] ** 2)) / np.sqrt(np.mean(user[during] ** 2))
    assert kept > 0.5


@pytest.mark.parametrize("after_s", [1.5, 3.0, 6.0])
def test_the_first_sounds_of_who_is_near_are_not_taken_away(after_s: float) -> None:
    played = speech("tickets", "marbles", "loaves")
    words = speech("weekday")
    words = words[int(np.flatnonzero(np.abs(words) > 0.02)[0]) :][: RATE // 4]
    user = np.zeros_like(played)
    at = round(after_s * RATE)
    user[at : at + len(words)] = words
    clean = hear(CleanMicrophone(RATE, cancel=True), at_the_microphone(played, RATE, delay_ms=60) + user, played, FRAME)
    kept = np.sqrt(np.mean(clean[at : at + len(words)] ** 2)) / np.sqrt(np.mean(words**2))
    assert kept > 0.8


def test_a_room_that_gets_louder_is_learnt() -> None:
    played = speech("tickets", "marbles", "loaves")
    echo = at_the_microphone(played, RATE, delay_ms=60)
    echo[5 * RATE :] *= 6
    clean = hear(CleanMicrophone(RATE, cancel=True), echo, played, FRAME)
    assert np.sqrt(np.mean(clean[8 * RATE :] ** 2)) < 0.1 * np.sqrt(np.mean(echo[8 * RATE :] ** 2))


def test_nothing_is_heard_while_the_agent_speaks_until_the_canceller_knows_the_room() -> None:
    played = speech("tickets")
    user = 0.1 * np.ones_like(played)
    microphone = CleanMicrophone(RATE, cancel=True, warmup_ms=1000)
    assert not microphone.warm
    clean = hear(microphone, user, played, FRAME)
    assert microphone.warm
    first = int(np.flatnonzero(np.abs(played) > 0.01)[0])
    assert not clean[first + RATE // 10 : first + RATE // 2].any()
    assert clean[-RATE // 2 :].any()


def test_before_the_agent_ever_spoke_the_microphone_is_open() -> None:
    microphone = CleanMicrophone(RATE, cancel=True, warmup_ms=1000)
    user = speech("weekday")
    assert np.abs(hear(microphone, user, np.zeros_like(user), FRAME)).max() > 0.1


def test_with_headphones_the_microphone_is_left_as_it_is() -> None:
    user = speech("weekday")
    loud = np.ones_like(user)
    microphone = CleanMicrophone(RATE, cancel=False, warmup_ms=1000)
    heard = hear(microphone, user, loud, FRAME)
    assert (heard == user[: len(heard)]).all()
    assert microphone.meter.blocks == 0


def test_the_rate_of_the_device_is_brought_to_the_input_clock() -> None:
    tone = np.sin(2 * np.pi * 300 * np.arange(DEVICE) / DEVICE).astype(np.float32)
    heard = hear(CleanMicrophone(DEVICE, cancel=False), tone, np.zeros_like(tone), DEVICE // 50)
    assert RATE - 3 * FRAME <= len(heard) <= RATE
    expected = np.sin(2 * np.pi * 300 * np.arange(len(heard)) / RATE)
    assert np.abs(heard - expected)[FRAME : -2 * FRAME].max() < 1e-2


@pytest.mark.parametrize(
    ("heard", "confidence", "own"),
    [
        ("the tickets cost thirty six dollars", 0.9, True),
        ("tickets cost 36 dollars", 0.9, True),
        ("cost thirty", 0.9, True),
        ("dollars thirty cost", 0.9, False),
        ("no I meant five tickets", 0.9, False),
        ("stop", 0.3, False),
        ("dollars", 0.9, False),
        ("dollars", 0.3, True),
        ("", 0.9, False),
    ],
)
def test_the_agents_own_words_are_known(heard: str, confidence: float, own: bool) -> None:
    words = heard.split()
    assert own_words(words, [confidence] * len(words), "So, the tickets cost thirty-six dollars. 36 dollars.") is own
