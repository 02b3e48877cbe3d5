from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.plan.choice import (
    LARGER_EARS,
    PROMISED_S,
    STEPS,
    TINY_EARS,
    MachineMeasures,
    MachinePlan,
    choose,
    filled_in,
    thread_counts,
)
from agent.plan.machine import Machine
from reasoning.policies.fillers import MOST_IN_A_ROW


def steps(one_s: float, eight_s: float) -> tuple[float, ...]:
    return filled_in({1: one_s, 8: eight_s})


DESKTOP = Machine("a desktop with AVX-512", 16, "avx512-vnni")
SMALL = Machine("two cores with AVX2", 2, "avx2")
CONTAINER = Machine("a container with one core", 1, "avx2")
BOARD = Machine("a board with four Arm cores", 4, "neon")
MEASURED = {
    DESKTOP: MachineMeasures(8, steps(0.018, 0.028), 0.002, 0.08, 0.06),
    SMALL: MachineMeasures(2, filled_in({1: 0.057, 2: 0.066, 4: 0.096, 8: 0.176}), 0.0114, 0.175, 0.219),
    CONTAINER: MachineMeasures(1, filled_in({1: 0.15, 2: 0.165, 4: 0.22, 8: 0.38}), 0.036, 0.3, 0.4),
    BOARD: MachineMeasures(4, filled_in({1: 0.3, 2: 0.34, 4: 0.5, 8: 0.9}), 0.1, 0.9, 0.8),
}
BUSY_MEASURED = replace(MEASURED[SMALL], steps_s=tuple(2 * s for s in MEASURED[SMALL].steps_s), busy=True)


def plan(machine: Machine) -> MachinePlan:
    return choose(MEASURED[machine], machine)


def test_a_fast_machine_keeps_the_promise_and_says_no_filler_before_a_reply_that_comes_at_once() -> None:
    chosen = plan(DESKTOP)
    assert chosen.prompt
    assert chosen.content_s < 1.0 <= chosen.filler_after_s
    assert (chosen.threads, chosen.partial_every_ms, chosen.partial_window_s) == (8, 500, 12)


def test_two_cores_with_avx2() -> None:
    chosen = plan(SMALL)
    assert chosen.threads == 2
    assert chosen.filler_after_s == 1.1
    assert (chosen.partial_every_ms, chosen.partial_window_s) == (500, 12)
    assert chosen.content_s == pytest.approx(2.5, abs=0.05)
    assert chosen.joint_bound_s == pytest.approx(0.066, abs=0.001)


@pytest.mark.parametrize("machine", [CONTAINER, BOARD])
def test_a_machine_that_cannot_keep_the_promise_is_told(machine: Machine) -> None:
    chosen, measured = plan(machine), MEASURED[machine]
    assert not chosen.prompt
    assert chosen.threads == machine.cores
    assert measured.joint_s > chosen.joint_bound_s
    assert chosen.content_s > PROMISED_S


def test_fillers_divide_a_long_wait() -> None:
    assert plan(BOARD).filler_after_s > plan(SMALL).filler_after_s


def test_slow_ears_decode_partials_seldom_and_over_a_shorter_window() -> None:
    chosen = plan(BOARD)
    assert chosen.partial_every_ms == 2000
    assert chosen.partial_window_s == 8


@pytest.mark.parametrize(
    ("machine", "decode_s", "asr"),
    [
        (DESKTOP, 0.08, LARGER_EARS),
        # Its promise would be kept, but partial transcripts would need a shorter window.
        (DESKTOP, 0.27, TINY_EARS),
        # These keep it just so, or not at all.
        (SMALL, 0.175, TINY_EARS),
        (CONTAINER, 0.3, TINY_EARS),
        (BOARD, 0.9, TINY_EARS),
    ],
)
def test_the_larger_speech_model_hears_where_the_promise_is_kept_with_it(
    machine: Machine, decode_s: float, asr: str
) -> None:
    measured = replace(MEASURED[machine], decode_s=decode_s)
    tiny, free = choose(measured, machine), choose(measured, machine, ears_free=True)
    assert (tiny.asr, free.asr) == ("", asr)
    assert free.larger_content_s == pytest.approx(tiny.content_s + 0.9 * decode_s, abs=0.011)
    assert free.content_s == (free.larger_content_s if asr == LARGER_EARS else tiny.content_s)
    assert free.settings()["models.asr"] == asr
    assert "models.asr" not in tiny.settings()


def test_what_the_larger_speech_model_takes_longer_is_reckoned_with() -> None:
    slow = replace(MEASURED[DESKTOP], decode_s=0.23)
    tiny, larger = choose(slow, DESKTOP), choose(slow, DESKTOP, ears_free=True)
    assert (tiny.partial_every_ms, larger.partial_every_ms) == (575, 1092)


def test_a_busy_machine_gets_what_suits_it_now() -> None:
    quiet, busy = plan(SMALL), choose(BUSY_MEASURED, SMALL)
    assert busy.content_s > quiet.content_s
    assert busy.joint_bound_s == quiet.joint_bound_s
    assert busy.prefill_rows == quiet.prefill_rows


def test_the_bound_of_a_step_is_where_the_promise_is_just_kept() -> None:
    bound_s = plan(SMALL).joint_bound_s
    at_bound = replace(MEASURED[SMALL], steps_s=(bound_s,) * 8)
    assert choose(at_bound, SMALL).content_s == pytest.approx(PROMISED_S, abs=STEPS * 1e-4)


def test_more_threads_than_cores_are_never_chosen() -> None:
    assert choose(replace(MEASURED[DESKTOP], threads=64), SMALL).threads == 2


def test_rows_that_cost_little_are_read_by_many() -> None:
    cheap = replace(MEASURED[SMALL], steps_s=steps(0.08, 0.1))
    dear = replace(MEASURED[SMALL], steps_s=steps(0.08, 0.64))
    assert choose(cheap, SMALL).prefill_rows == plan(SMALL).prefill_rows == 8
    assert choose(dear, SMALL).prefill_rows == 4


def test_rows_that_were_not_measured_lie_between_those_that_were() -> None:
    assert filled_in({1: 1.0, 2: 2.0, 4: 4.0, 8: 8.0}) == pytest.approx((1, 2, 3, 4, 5, 6, 7, 8))
    assert filled_in({2: 2.0}) == (2.0,) * 8


@pytest.mark.parametrize(("cores", "counts"), [(1, (1,)), (2, (2,)), (4, (4,)), (6, (3, 5)), (64, (16, 32))])
def test_thread_counts_that_are_worth_a_try(cores: int, counts: tuple[int, ...]) -> None:
    assert thread_counts(cores) == counts


times = st.floats(1e-4, 59.0)


@given(st.dictionaries(st.sampled_from([1, 2, 4, 8]), times, min_size=1), times, times, times, st.integers(1, 256))
def test_whatever_was_measured_the_plan_is_one_that_works(
    found: dict[int, float], token_s: float, decode_s: float, clause_s: float, cores: int
) -> None:
    measured = MachineMeasures(cores, filled_in(found), token_s, decode_s, clause_s)
    assert all(a <= b for a, b in zip(measured.steps_s, measured.steps_s[1:], strict=False))
    chosen = choose(measured, Machine("any", cores, "generic"))
    assert 1 <= chosen.threads <= cores
    assert 2 <= chosen.prefill_rows <= 8
    assert 500 <= chosen.partial_every_ms <= 2000
    assert 1.1 <= chosen.filler_after_s <= 1.7
    assert chosen.fillers <= MOST_IN_A_ROW
