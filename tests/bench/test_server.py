from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from bench.errors import ReportError
from bench.server.levels import ServerAnswer, ServerLevel
from bench.server.plot import draw
from bench.server.server import ServerBenchOptions, _levels
from tests.agent.realtime.fakes import served

if TYPE_CHECKING:
    from pathlib import Path

QUESTION = np.full(12_000, round(0.9 * 32768), "<i2").tobytes()
"""Half a second at the level that the scripted ears take for a question, at 24 kHz."""


def level(*times_s: float | None) -> ServerLevel:
    return ServerLevel(len(times_s), [ServerAnswer(time_s) for time_s in times_s], memory_mb=100)


def test_a_level_is_in_time_when_95_percent_of_its_answers_are_and_none_is_missing() -> None:
    assert level(*[1.0] * 30, 9.0).in_time
    assert not level(*[1.0] * 15, 9.0).in_time
    assert not level(1.0, None).in_time
    assert level(1.0, None).times_s == [1.0]


async def test_every_answer_of_a_level_is_timed() -> None:
    async with served() as one:
        (only,) = await _levels(one.url(), [QUESTION], ServerBenchOptions(1, 2, None, None))
    # The turn ends after half a second of silence, and then nothing has to be computed.
    assert [time_s > 0.4 for time_s in only.times_s] == [True, True]
    assert [answer.first_content_s for answer in only.answers] == only.times_s
    assert only.memory_mb > 1


def test_the_growth_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    draw([level(1.0), level(1.2, 1.4)], tmp_path / "growth.png")
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ReportError, match="cannot be written"):
        draw([level(1.0)], tmp_path / "nowhere" / "growth.png")
