from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from agent.apps.loading import tell_start
from agent.config.settings import Settings
from agent.models.assembly import OpenModels
from agent.models.spans import StartTimes
from agent.plan.fitting import Fitting
from tests.agent.plan.test_choice import BOARD, MEASURED
from tests.agent.plan.test_fitting import KEY

if TYPE_CHECKING:
    from pathlib import Path

    from reasoning.engine.contract import Engine
    from reasoning.prompting.script import Script


@pytest.mark.parametrize("verbose", [False, True])
def test_a_start_says_what_was_chosen_and_in_detail_what_took_the_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], *, verbose: bool
) -> None:
    fitting = Fitting(Settings(), (), BOARD, KEY, tmp_path, print, MEASURED[BOARD])
    times = StartTimes()
    with times.span("a long thing"):
        pass
    none = (cast("Engine", None), cast("Script", None))
    tell_start(OpenModels(Settings(), *none, pytest.fail, fitting=fitting, times=times), verbose=verbose)
    told = capsys.readouterr().err.splitlines()
    assert "a step of thinker and writer takes 340 ms" in told[0]
    assert any("a long thing" in line for line in told) is verbose
    assert len(told) == (3 if verbose else 1)


def test_a_start_without_a_plan_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    none = (cast("Engine", None), cast("Script", None))
    tell_start(OpenModels(Settings(), *none, pytest.fail), verbose=False)
    assert capsys.readouterr().err == ""
