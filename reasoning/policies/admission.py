"""Whether a sentence may be spoken: it must say something new that the user or the thoughts support.

No engine, no text generation here. Sans-I/O; English.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from reasoning.policies.grounding import last_number, names, numbers, pieces, ungrounded
from reasoning.policies.readout import readout

if TYPE_CHECKING:
    from collections.abc import Sequence

Kind = Literal["step", "result", "direct", "unthought", "acted"]
"""What a sentence is: a step of the thoughts, their result, a reply without thoughts that may still be thought about,
one that may not, or what is said of calls."""
_ECHO: Final = 5
"""Words in a row that are no accident."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is to happen with a finished sentence."""

    speak: bool
    reason: str = ""
    """Why not: `ungrounded: …`, `said before`, `empty`."""


def judge(sentence: str, user: str, thoughts: str, said: str, *, grounding: bool) -> Judgement:
    """Judge a sentence before it is spoken: it must say something new that the user or the thoughts support."""
    if not re.search(r"\w", sentence):
        return Judgement(speak=False, reason="empty")
    if grounding and (strange := ungrounded(sentence, user, thoughts)):
        return Judgement(speak=False, reason=f"ungrounded: {', '.join(strange)}")
    if _repeats(sentence, said):
        return Judgement(speak=False, reason="said before")
    return Judgement(speak=True)


def several_numbers(words: str) -> bool:
    """Say whether there are two numbers or more to compute with, be they equal."""
    return sum(isinstance(piece, float) for piece in pieces(words)) > 1


def reckons(sentence: str, user: str) -> bool:
    """Say whether a sentence states a number that nobody said, to words that hold numbers to compute with.

    What everybody knows, such as the year of an event or the legs of a spider, is asked for without such numbers.
    """
    return several_numbers(user) and not numbers(sentence) <= numbers(user) | {0.0, 1.0}


_LIST_MARK: Final = re.compile(r"^\W*(?:step\s+)?\d{1,2}[.):]\s*", re.IGNORECASE)
_ANNOUNCES: Final = re.compile(
    r"^\W*(?:(?:let's|let us|we|i|first|next|then|now|finally|need to|have to|must|will),?\s+)*"
    r"(?:add|calculate|check|combine|compare|compute|consider|convert|count|determine|divide|figure|find|identify|"
    r"look|multiply|recall|start|subtract|sum|think|use|work)\b",
    re.IGNORECASE,
)
"""Opens a step that says what is to be done, not what was found."""


def finds(step: str, known: str) -> bool:
    """Say whether a finished step of the thoughts has found something: a new number, or a plain statement."""
    body = _LIST_MARK.sub("", step)
    if numbers(body):
        return not numbers(body) <= numbers(known)
    return not _ANNOUNCES.match(body) and not body.endswith(("?", ":"))


_CALLED: Final = re.compile(r"The answer is ((?:(?!\bis\b).)+)\.")
"""A step that is read out as the answer alone, without its calculation."""
_CLAIM: Final = re.compile(r"\b(?:answer|result|conclusion|final)\b", re.IGNORECASE)
"""Calls something the end of the working."""


def objection_to_step(sentence: str, user: str, steps: Sequence[str], said: str) -> str:
    """Say why a sentence does not tell one finished step; nothing when it does.

    The thoughts go on while it is written, so that it may join a number that was found to a question that is still
    open. All its numbers must stand in one step, and where steps have found numbers it must tell one.
    """
    if re.search(r"\bsteps?\b", sentence, re.IGNORECASE) and not re.search(r"\bsteps?\b", user, re.IGNORECASE):
        return "about the working, not of it"
    if _CLAIM.search(sentence) and not _CLAIM.search(steps[-1] if steps else ""):
        return "calls a step the answer"
    told = numbers(sentence)
    found = numbers("\n".join(steps)) - numbers(user)
    if not finds(sentence, f"{user}\n{said}") or (found and not told & found - numbers(said)):
        return "nothing new"
    if told and not any(told <= numbers(step) | {0.0, 1.0} for step in steps):
        return "no single step says so"
    return ""


def tells_result(sentence: str, steps: Sequence[str]) -> bool:
    """Say whether a sentence ends with the result of the thoughts; false where they have none that can be compared."""
    values, called = _result(steps)
    if values and last_number(sentence) not in values:
        return False
    return bool(values or called) and values <= numbers(sentence) and called <= set(pieces(sentence))


def objection_to_result(sentence: str, steps: Sequence[str]) -> str:
    """Say why a sentence does not tell the result of the thoughts; nothing when it does, or they have none."""
    values, called = _result(steps)
    other_value = numbers(sentence) and not values <= numbers(sentence)
    other_name = names(sentence) and not called <= set(pieces(sentence))
    return "not the result of the thoughts" if other_value or other_name else ""


def _result(steps: Sequence[str]) -> tuple[set[float], set[str]]:
    """Give the numbers and names of what the last step calls the answer, else the last number of all steps."""
    called = _CALLED.fullmatch(readout(steps[-1]) or "") if steps else None
    if called is not None:
        return numbers(called[1]), names(f"is {called[1]}")
    result = last_number("\n".join(steps))
    return set() if result is None else {result}, set()


def _repeats(sentence: str, said: str) -> bool:
    """Say whether an earlier sentence has the same numbers and nearly the same words."""
    mine = set(re.findall(r"[a-z]+", sentence.lower()))
    for other in re.split(r"(?<=[.!?])\s+", said):
        words = set(re.findall(r"[a-z]+", other.lower()))
        if words and numbers(sentence) <= numbers(other) and len(mine & words) >= 0.6 * len(mine):
            return True
    return False


def echoes(sentence: str, request: str) -> bool:
    """Say whether a sentence says back, five words in a row, what only the writer was asked."""
    words, asked = (re.findall(r"[a-z']+", text.lower()) for text in (sentence, request))
    runs = {tuple(asked[at : at + _ECHO]) for at in range(len(asked) - _ECHO + 1)}
    return any(tuple(words[at : at + _ECHO]) in runs for at in range(len(words) - _ECHO + 1))
