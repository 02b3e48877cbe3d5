"""Does once, before anybody waits for it, what the first answer of a process would be the first to do.

The voice is warm once it has spoken the fillers (`audio.speaking.rehearsed`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from audio.clock import RATE

if TYPE_CHECKING:
    from agent.models.spans import StartTimes
    from audio.hearing.transcriber import Judge, Recogniser
    from reasoning.engine.contract import Engine
    from reasoning.prompting.script import Script


async def warm_mind(engine: Engine, script: Script, times: StartTimes) -> None:
    """Have the instructions read, for all conversations: that brings the weights into memory, too."""
    with times.span(f"instructions read ({len(script.prompt)} tokens)"):
        await engine.keep_prompt(script.prompt)


def warm_ears(recogniser: Recogniser, judge: Judge | None, times: StartTimes) -> None:
    """Hear a second of silence by all that hears, in the calling thread."""
    silence = np.zeros(RATE, np.float32)
    with times.span("ears: first decodes"):
        recogniser.decode(silence, final=False)
        recogniser.spot(silence)
    if judge is not None:
        with times.span("judge of turns: first judgement"):
            judge.complete(silence)
