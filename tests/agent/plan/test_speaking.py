from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from agent.config.settings import load
from agent.plan.choice import choose
from agent.plan.fitting import Fitting
from agent.plan.speaking import QUICK, voice_told
from tests.agent.plan.test_choice import DESKTOP, MEASURED, SMALL
from tests.agent.plan.test_fitting import KEY

if TYPE_CHECKING:
    from pathlib import Path

    from agent.plan.choice import MachineMeasures
    from agent.plan.machine import Machine


def line(measured: MachineMeasures, machine: Machine, voice: str = QUICK) -> str:
    return voice_told(choose(measured, machine), measured, voice)


def test_kokoro_is_offered_where_the_promise_is_kept_with_it() -> None:
    quick = replace(MEASURED[DESKTOP], clause_s=0.1)
    assert "voices of Kokoro" in line(quick, DESKTOP)
    assert line(quick, DESKTOP, "espeak-de") == ""
    # Eight times as long as this is more than half of what the clause sounds.
    assert line(replace(quick, clause_s=0.15), DESKTOP) == ""
    late = choose(quick, DESKTOP).content_s
    slow = replace(quick, token_s=quick.token_s + (2.3 - late) / 45)
    assert choose(slow, DESKTOP).prompt
    assert line(slow, DESKTOP) == ""


def test_where_kokoro_makes_replies_late_the_quick_voice_is_named_with_what_it_would_gain() -> None:
    slow = replace(MEASURED[SMALL], clause_s=1.4)
    plan = choose(slow, SMALL)
    assert not plan.prompt
    told = line(slow, SMALL, "kokoro-af_heart")
    assert told == f"with {QUICK} as voice it would be {plan.content_s - 7 / 8 * 1.4:.1f} s"
    assert line(slow, SMALL, "espeak-de") == ""
    assert line(replace(MEASURED[DESKTOP], clause_s=0.7), DESKTOP, "kokoro-af_heart") == ""


@pytest.mark.parametrize("voice", [QUICK, "kokoro-af_heart"])
def test_it_stands_in_the_line_of_the_plan_and_changes_no_setting(tmp_path: Path, voice: str) -> None:
    settings = load(overrides={"models.voice": voice}).settings
    measured = replace(MEASURED[DESKTOP], clause_s=0.1)
    one = Fitting(settings, (), DESKTOP, KEY, tmp_path, print, measured)
    assert ("voices of Kokoro" in one.told()) == (voice == QUICK)
    assert one.now.models.voice == voice
