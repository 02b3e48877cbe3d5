from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio.messages import Clip, ClipEnded, ClipStarted, PlayoutEvent
from audio.speaking.playout import Playout

RATE = 22_050


def clip(length: int, value: int = 7, text: str = "text") -> Clip:
    return Clip(text, np.full(length, value, np.int16), RATE)


def test_renders_clips_and_the_silence_between_them() -> None:
    playout = Playout(RATE)
    sound, events = playout.advance(100)
    assert not sound.any()
    assert events == []
    playout.queue(clip(50, 1, "a"), "filler", 1)
    playout.queue(clip(30, 2, "b"), "content", 1)
    sound, events = playout.advance(200)
    assert sound.tolist() == [1] * 50 + [2] * 30 + [0] * 20
    assert events == [
        ClipStarted(1, "a", "filler", 100),
        ClipEnded(1, "a", "filler", 150, 50, complete=True),
        ClipStarted(2, "b", "content", 150),
        ClipEnded(2, "b", "content", 180, 30, complete=True),
    ]
    assert (playout.now, playout.played, playout.unplayed) == (200, 80, 0)


def test_flush_cuts_what_is_heard_and_refuses_what_comes_late() -> None:
    playout = Playout(RATE)
    playout.queue(clip(50, 1), "content", 1)
    playout.queue(clip(50, 2), "content", 1)
    playout.queue(clip(50, 3), "content", 2)
    playout.advance(20)
    assert playout.flush(1) == [ClipEnded(1, "text", "content", 20, 20, complete=False)]
    assert playout.queue(clip(50, 4), "content", 1) is None
    sound, _ = playout.advance(100)
    assert sound.tolist() == [3] * 50 + [0] * 30
    assert playout.played == 70


def test_time_does_not_run_backwards_and_rates_must_fit() -> None:
    playout = Playout(RATE)
    playout.advance(50)
    sound, events = playout.advance(10)
    assert (len(sound), events, playout.now) == (0, [], 50)
    with pytest.raises(ValueError, match="16000"):
        playout.queue(Clip("", np.zeros(1, np.int16), 16_000), "content", 1)


STEPS = st.lists(
    st.tuples(st.just("queue"), st.integers(0, 40))
    | st.tuples(st.just("advance"), st.integers(0, 60))
    | st.tuples(st.just("flush"), st.just(0)),
    max_size=30,
)


@given(STEPS)
def test_every_sample_is_heard_once_in_order(steps: list[tuple[str, int]]) -> None:
    playout = Playout(RATE)
    generation = 0
    heard: list[int] = []
    events: list[PlayoutEvent] = []
    for number, (what, amount) in enumerate(steps, start=1):
        if what == "queue":
            playout.queue(clip(amount, number), "content", generation)
        elif what == "advance":
            sound, more = playout.advance(playout.now + amount)
            heard += sound.tolist()
            events += more
        else:
            events += playout.flush(generation)
            generation += 1
            assert playout.unplayed == 0
    assert len(heard) == playout.now
    assert playout.played == sum(1 for value in heard if value)
    loud = [value for value in heard if value]
    assert loud == sorted(loud)
    ends = [event for event in events if isinstance(event, ClipEnded)]
    starts = [event for event in events if isinstance(event, ClipStarted)]
    assert 0 <= len(starts) - len(ends) <= 1
    assert [event.at for event in events] == sorted(event.at for event in events)
    for start, end in zip(starts, ends, strict=False):
        assert start.clip == end.clip
        assert end.at - start.at == end.played


def test_what_the_device_still_holds_is_not_heard() -> None:
    silenced: list[int] = []
    playout = Playout(RATE, lambda: silenced.append(playout.now))
    playout.queue(clip(50, 1, "a"), "content", 1)
    playout.queue(clip(50, 2, "b"), "content", 1)
    playout.lag(30)
    sound, events = playout.advance(60)
    assert len(sound) == 60
    assert (playout.played, playout.unplayed) == (30, 70)
    assert events == [ClipStarted(1, "a", "content", 0)]
    _, events = playout.advance(100)
    assert [event.clip for event in events] == [1, 2]
    assert playout.flush(1) == [ClipEnded(2, "b", "content", 70, 20, complete=False)]
    assert silenced == [100]
    playout.lag(0)
    playout.queue(clip(50, 3, "c"), "content", 2)
    _, events = playout.advance(200)
    assert events == [
        ClipStarted(3, "c", "content", 100),
        ClipEnded(3, "c", "content", 150, 50, complete=True),
    ]
    assert playout.played == 120


def test_sound_that_a_lost_device_held_is_handed_out_again() -> None:
    playout = Playout(RATE)
    playout.queue(clip(50), "content", 1)
    playout.lag(30)
    playout.advance(40)
    playout.hand_out_again()
    playout.lag(0)
    sound, events = playout.advance(100)
    assert int((sound != 0).sum()) == 40
    assert events == [ClipEnded(1, "text", "content", 80, 50, complete=True)]


LAGGING = st.lists(
    st.tuples(st.sampled_from(["queue", "advance", "lag", "flush", "again", "drop"]), st.integers(0, 40)), max_size=40
)


@given(LAGGING)
def test_a_device_that_honours_silence_has_played_what_is_told_as_heard(steps: list[tuple[str, int]]) -> None:
    """A model of the device: what waits in it is played in order, unless it is silenced."""
    waiting: list[int] = []
    played: list[int] = []

    def silence() -> None:
        waiting[:] = [0] * len(waiting)

    playout = Playout(RATE, silence)
    generation = 0
    for number, (what, amount) in enumerate(steps, start=1):
        match what:
            case "queue":
                playout.queue(clip(amount, number), "content", generation)
            case "advance":
                # The listener is where the device is before it is given more.
                playout.lag(len(waiting) + amount)
                sound, _ = playout.advance(playout.now + amount)
                waiting += sound.tolist()
            case "lag":
                played += waiting[:amount]
                del waiting[:amount]
                playout.lag(len(waiting))
                playout.advance(playout.now)
            case "flush":
                playout.flush(generation)
                generation += 1
            case "drop":
                playout.drop({amount, amount + 1})
            case _:
                playout.hand_out_again()
        assert playout.played == sum(1 for value in played if value)
        assert playout.now == len(played) + len(waiting)


def test_what_is_paused_goes_on_where_it_was_heard() -> None:
    flushes: list[int] = []
    playout = Playout(RATE, lambda: flushes.append(playout.now))
    playout.queue(Clip("a", np.arange(1, 101, dtype=np.int16), RATE), "content", 1)
    playout.lag(20)
    sound, events = playout.advance(60)
    playout.pause()
    playout.pause()
    assert flushes == [60]
    assert playout.played == 40
    silence, _ = playout.advance(500)
    assert not silence.any()
    assert (playout.played, playout.unplayed) == (40, 60)
    playout.go_on()
    rest, more = playout.advance(580)
    assert [*sound[:40].tolist(), *rest[:60].tolist()] == list(range(1, 101))
    playout.lag(0)
    _, last = playout.advance(600)
    assert [*events, *more, *last] == [
        ClipStarted(1, "a", "content", 0),
        ClipEnded(1, "a", "content", 560, 100, complete=True),
    ]


def test_what_is_flushed_while_it_is_paused_ended_at_the_pause() -> None:
    playout = Playout(RATE)
    playout.queue(clip(100), "content", 1)
    playout.advance(60)
    playout.pause()
    playout.advance(900)
    assert playout.flush(1) == [ClipEnded(1, "text", "content", 60, 60, complete=False)]


def test_what_is_dropped_is_not_heard_and_what_follows_moves_up() -> None:
    silenced: list[int] = []
    playout = Playout(RATE, lambda: silenced.append(playout.now))
    for value in (1, 2, 3):
        playout.queue(clip(50, value), "content", 1)
    playout.lag(10)
    _, events = playout.advance(90)
    assert playout.drop({2}) == [ClipEnded(2, "text", "content", 80, 30, complete=False)]
    assert silenced == [90]
    sound, more = playout.advance(150)
    assert sound.tolist() == [3] * 50 + [0] * 10
    assert [event.clip for event in [*events, *more]] == [1, 1, 2, 3, 3]
    playout.lag(0)
    playout.advance(160)
    assert playout.played == 130
    assert playout.drop({1, 3, 7}) == []
