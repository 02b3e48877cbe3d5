from __future__ import annotations

import numpy as np

from agent.conversation import timeline
from bench.think.speech import content


def test_clauses_are_cut_out_as_far_as_they_were_heard() -> None:
    sound = np.zeros(16_000 * 4, np.float32)
    sound[16_000:32_000] = 1.0
    sound[40_000:48_000] = 0.5
    events: list[timeline.Event] = [
        timeline.AudioOut(200.0, 900.0, "Well,", "filler"),
        timeline.AudioOut(1000.0, 2000.0, "That is 4.", "content"),
        timeline.AudioOut(2500.0, 4000.0, "Or is it?", "content"),
        timeline.AudioCut(2500.0, 3000.0),
    ]
    first, second = content(sound, events)
    assert len(first) == 16_000
    assert first.min() == 1.0
    assert len(second) == 8_000
    assert second.min() == 0.5
