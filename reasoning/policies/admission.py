"""Whether a sentence may be spoken at all: it must say something new that the user or the thoughts support.

What is asked of every sentence, whatever it answers; what else a policy asks is its own. No engine, no text generation
here. Sans-I/O.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from languages.english import ENGLISH
from reasoning.policies.grounding import numbers, ungrounded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from languages.language import Language

_WORD: Final = re.compile(r"[^\W\d_]+")
_APOSTROPHED: Final = re.compile(r"(?:[^\W\d_]|')+")
_LONGER: Final = 5
"""Words of a sentence that does not come again by chance."""
_ECHO: Final = 5
"""Words in a row that are no accident."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is to happen with a finished sentence."""

    speak: bool
    reason: str = ""
    """Why not: `ungrounded: …`, `said before`, `empty`."""


def judge(
    sentence: str, user: str, thoughts: str, said: str, *, grounding: bool, language: Language = ENGLISH
) -> Judgement:
    """Judge a sentence before it is spoken: it must say something new that the user or the thoughts support."""
    if not re.search(r"\w", sentence):
        return Judgement(speak=False, reason="empty")
    if grounding and (strange := ungrounded(sentence, user, thoughts, language=language)):
        return Judgement(speak=False, reason=f"ungrounded: {', '.join(strange)}")
    if _repeats(sentence, said, language):
        return Judgement(speak=False, reason="said before")
    return Judgement(speak=True)


def _repeats(sentence: str, said: str, language: Language) -> bool:
    """Say whether an earlier sentence has the same numbers and nearly the same words."""
    mine = set(_WORD.findall(sentence.lower()))
    for other in re.split(r"(?<=[.!?])\s+", said):
        words = set(_WORD.findall(other.lower()))
        if words and numbers(sentence, language) <= numbers(other, language) and len(mine & words) >= 0.6 * len(mine):
            return True
    return False


def circles_in_prose(steps: Sequence[str]) -> bool:
    """Say whether prose repeats itself: a sentence is there a fourth time; short ones ("Wait.") may come again."""
    newest = steps[-1] if steps else ""
    return len(newest.split()) >= _LONGER and steps.count(newest) > 3


def echoes(sentence: str, request: str) -> bool:
    """Say whether a sentence says back, five words in a row, what only the writer was asked."""
    words, asked = (_APOSTROPHED.findall(text.lower()) for text in (sentence, request))
    runs = {tuple(asked[at : at + _ECHO]) for at in range(len(asked) - _ECHO + 1)}
    return any(tuple(words[at : at + _ECHO]) in runs for at in range(len(words) - _ECHO + 1))
