from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from audio.io.ring import Ring

STEPS = st.lists(st.tuples(st.sampled_from(["put", "take"]), st.integers(0, 12)), max_size=40)


@given(STEPS)
def test_what_goes_in_comes_out_in_order_and_never_more_than_fits(steps: list[tuple[str, int]]) -> None:
    ring = Ring(10)
    waiting: list[float] = []
    count = 0
    for what, amount in steps:
        if what == "put":
            sound = np.arange(count, count + amount, dtype=np.float32)
            fits = ring.put(sound)
            assert fits == min(amount, 10 - len(waiting))
            waiting += sound[:fits].tolist()
            count += amount
        else:
            into = np.full(amount, -1, np.float32)
            taken = ring.take(into)
            assert into[:taken].tolist() == waiting[:taken]
            assert (into[taken:] == -1).all()
            assert taken == min(amount, len(waiting))
            del waiting[:taken]
        assert ring.fill == len(waiting)


@given(st.integers(0, 9), st.integers(0, 10), st.integers(1, 12))
def test_a_fade_out_leaves_silence_behind_it_and_loses_no_sample(start: int, length: int, fade: int) -> None:
    ring = Ring(10)
    ring.put(np.zeros(start, np.float32))
    ring.take(np.zeros(start, np.float32))
    ring.put(np.ones(length, np.float32))
    gains = np.linspace(1, 0, fade, dtype=np.float32)
    ring.fade_out(gains)
    assert ring.fill == length
    into = np.full(length, -1, np.float32)
    ring.take(into)
    assert into.tolist() == [*gains[:length].tolist(), *[0.0] * (length - fade)]
