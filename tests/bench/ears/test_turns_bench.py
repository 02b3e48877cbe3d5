from __future__ import annotations

from dataclasses import replace

import pytest

from agent.conversation.turn_taking import EndTurnAfter
from audio.hearing.turn_end import NAMES, TurnSoFar, openness
from audio.options import EarsOptions
from bench.ears.fitting import PRIOR, CurvePoint, crossed, fit, measure
from bench.ears.pauses import PauseSample, samples

OPTIONS = EarsOptions()
END = PauseSample("a", "Ann", "people", None, True, "statement", TurnSoFar(0.9))
PAUSE = replace(END, lasted_s=0.8, over=False, heard=TurnSoFar(0.9, paused_s=0.8))


def test_what_waits_do_is_told_by_recording() -> None:
    pauses = [PAUSE, PAUSE, END, replace(END, clip="b"), replace(PAUSE, clip="b", lasted_s=0.4)]
    voice = [replace(pause, source="voice", clip="c") for pause in pauses]
    assert measure([*pauses, *voice], lambda _: 0.6) == CurvePoint(1, 2, 0.6, 0.6, 0.6)
    assert measure(pauses, lambda _: 0.3).cut == 2
    assert measure(pauses, lambda pause: 0.5 if pause.over else 1.0) == CurvePoint(0, 2, 0.5, 0.5, 0.5)


def test_weights_learn_what_tells_a_pause_from_an_end_and_a_dearer_cut_waits_longer() -> None:
    flat = tuple(-1.0 if name == "bias" else 0.0 for name in NAMES)
    pauses = [END, PAUSE] * 20
    weights = fit(pauses, 2.0, OPTIONS, near=0.1, prior=flat)
    assert weights[NAMES.index("paused")] > 1
    assert openness("statement", PAUSE.heard, weights) > openness("statement", END.heard, weights) + 0.2
    ends = [openness("statement", END.heard, fit(pauses, price, OPTIONS)) for price in (0.5, 2.0, 8.0)]
    assert ends == sorted(ends)
    assert ends[0] < ends[-1]


def test_data_outweigh_what_was_believed_without_them_only_where_there_are_enough() -> None:
    contrary = [END, replace(PAUSE, heard=TurnSoFar(1.0)), replace(END, heard=TurnSoFar(0.0))]
    melody = NAMES.index("melody")
    assert fit(contrary * 30, 2.0, OPTIONS)[melody] < fit(contrary, 2.0, OPTIONS)[melody] < PRIOR[melody]


def test_nobody_is_waited_for_by_weights_that_knew_them() -> None:
    pauses = [END, PAUSE, replace(END, speaker="Bob"), replace(PAUSE, speaker="Bob", lasted_s=1.2)]
    found = crossed(pauses, 2.0, OPTIONS)
    assert found["Bob"] == fit(pauses[:2], 2.0, OPTIONS) != found["Ann"] == fit(pauses[2:], 2.0, OPTIONS)


@pytest.mark.parametrize("broken", [False, True])
def test_a_recording_ends_with_its_last_pause_unless_it_was_broken_off(broken: bool) -> None:
    found = [(EndTurnAfter("unfinished", TurnSoFar(0.1)), 0.5), (EndTurnAfter("statement", TurnSoFar(0.9)), None)]
    taken = samples("a", "Ann", "people, broken off" if broken else "people", found)
    assert [pause.over for pause in taken] == ([False] if broken else [False, True])
    assert taken[-1].ending == "statement"
