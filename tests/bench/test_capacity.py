from __future__ import annotations

from dataclasses import replace

import hypothesis.strategies as st
import pytest
from hypothesis import given

from bench.server.capacity import FleetLoad, Hardware, conversations

LOAD = FleetLoad(tokens_per_s=60.0, streams_each=2.0, tokens_to_first=20.0, answering=0.5)
GPU = Hardware(bandwidth=900e9, batch=256, weights=16e9, cache_per_token=150e3, context=1500, first_s=0.5)


def step_s(streams: float, hardware: Hardware) -> float:
    return (hardware.weights + streams * hardware.context * hardware.cache_per_token) / hardware.bandwidth


@given(
    st.builds(FleetLoad, st.floats(1, 500), st.floats(0.5, 4), st.floats(1, 200), st.floats(0.05, 1)),
    st.builds(
        Hardware,
        *(st.floats(1e10, 8e12), st.integers(1, 2000), st.floats(1e9, 2e11), st.just(150e3), st.just(1500)),
        st.floats(0.2, 3),
    ),
)
def test_so_many_keep_up_and_one_more_does_not(load: FleetLoad, hardware: Hardware) -> None:
    def keeps_up(count: int) -> bool:
        streams = count * load.streams_each * load.answering
        slowest_s = min(load.streams_each / load.tokens_per_s, hardware.first_s / load.tokens_to_first)
        in_time = step_s(streams, hardware) <= slowest_s * (1 + 1e-9)
        return streams <= hardware.batch * (1 + 1e-9) and in_time

    found = conversations(load, hardware)
    assert found == 0 or keeps_up(found)
    assert not keeps_up(found + 2)


@pytest.mark.parametrize(
    ("change", "more"),
    [({"bandwidth": 2e12}, True), ({"weights": 8e9}, True), ({"batch": 10}, False), ({"first_s": 0.4}, False)],
)
def test_what_helps_helps(change: dict[str, float], more: bool) -> None:
    before, after = conversations(LOAD, GPU), conversations(LOAD, replace(GPU, **change))  # type: ignore[arg-type]
    assert before > 0
    assert (after > before) if more else (after < before)


def test_a_load_that_was_not_measured_gives_nothing() -> None:
    assert conversations(FleetLoad(0.0, 0.0, 0.0, 0.0), GPU) == 0
