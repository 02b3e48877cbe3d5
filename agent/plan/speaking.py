"""Which voices a machine has the time for: told in a line, never chosen; a voice is a matter of taste, and fetched.

Kokoro sounds better than piper and takes several times as long for a clause. There is time for it where a reply would
still begin to tell something within the promise, and where a clause is spoken in half the time for which it sounds: the
language model computes meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agent.plan.choice import PROMISED_S
from audio.speaking.voices import VOICES, VoiceBackend

if TYPE_CHECKING:
    from agent.plan.choice import MachineMeasures, MachinePlan

QUICK: Final = "piper-en-us-joe"
"""What speaks where nobody set anything."""
_KOKORO_CLAUSES: Final = 8.0
"""Clauses of piper in the time of one of Kokoro: 7 to 9 with five to eight words, CPU seconds of one thread, AVX2."""
_CLAUSE_SOUND_S: Final = 2.0
"""For which the clause that is measured sounds."""
_AHEAD: Final = 0.5
"""Part of that time in which it should be spoken."""


def voice_told(plan: MachinePlan, measured: MachineMeasures, voice: str) -> str:
    """Tell that there is time for better voices, or none for the one in use; empty where neither is so."""
    if voice == QUICK:
        clause_s = _KOKORO_CLAUSES * measured.clause_s
        in_time = plan.content_s + clause_s - measured.clause_s <= PROMISED_S
        if plan.prompt and in_time and clause_s <= _AHEAD * _CLAUSE_SOUND_S:
            return "there is time for the voices of Kokoro, too: `descant voices`"
    elif voice in VOICES and VOICES[voice].backend is VoiceBackend.KOKORO and not plan.prompt:
        gained_s = measured.clause_s * (1 - 1 / _KOKORO_CLAUSES)
        return f"with {QUICK} as voice it would be {plan.content_s - gained_s:.1f} s"
    return ""
