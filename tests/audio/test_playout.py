from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio.messages import Clip, ClipEnded, ClipStarted, PlayoutEvent
from audio.playout import Playout

RATE = 22_050


def clip(length: int, value: int = 7, text: str = "text") -> Clip:
    return Clip(text, np.full(length, value, np.int16), RATE)


def test_renders_clips_and_the_silence_between_them() -> None:
    playout = Playout(RATE)
    sound, events = playout.advance(100)
    assert not sound.any()
    assert events == []
    playout.queue(clip(50, 1, "a"), "hold", 1)
    playout.queue(clip(30, 2, "b"), "content", 1)
    sound, events = playout.advance(200)
    assert sound.tolist() == [1] * 50 + [2] * 30 + [0] * 20
    assert events == [
        ClipStarted(1, "a", "hold", 100),
        ClipEnded(1, "a", "hold", 150, 50, complete=True),
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
