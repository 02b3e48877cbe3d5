"""Whether a sentence may be spoken: it must say something new that the user or the thoughts support.

No engine, no text generation here. Sans-I/O.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from languages.english import ENGLISH
from reasoning.policies.grounding import last_number, names, numbers, pieces, ungrounded
from reasoning.policies.readout import readout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from languages.language import Language

Kind = Literal["step", "result", "direct", "unthought", "acted"]
"""What a sentence is: a step of the thoughts, their result, a reply without thoughts that may still be thought about,
one that may not, or what is said of calls."""
_WORD: Final = re.compile(r"[^\W\d_]+")
_APOSTROPHED: Final = re.compile(r"(?:[^\W\d_]|')+")
_TINY: Final = 5
"""Words of a turn that is answered without thoughts where no probe can be asked."""
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


def several_numbers(words: str, language: Language = ENGLISH) -> bool:
    """Say whether there are two numbers or more to compute with, be they equal."""
    return sum(isinstance(piece, float) for piece in pieces(words, language)) > 1


def tiny(words: str, language: Language = ENGLISH) -> bool:
    """Say whether words are so few, without two numbers to compute with, that they are small talk or a plain question.

    It takes the place of a measured probe: "Hi, who are you?" is tiny, "How do I boil an egg for my dog?" is not.
    """
    return len(words.split()) <= _TINY and not several_numbers(words, language)


def reckons(sentence: str, user: str, language: Language = ENGLISH) -> bool:
    """Say whether a sentence states a number that nobody said, to words that hold numbers to compute with.

    What everybody knows, such as the year of an event or the legs of a spider, is asked for without such numbers.
    """
    return several_numbers(user, language) and not numbers(sentence, language) <= numbers(user, language) | {0.0, 1.0}


def finds(step: str, known: str, language: Language = ENGLISH) -> bool:
    """Say whether a finished step of the thoughts has found something: a new number, or a plain statement."""
    body = language.working.list_mark.sub("", step)
    if numbers(body, language):
        return not numbers(body, language) <= numbers(known, language)
    return not language.working.announces.match(body) and not body.endswith(("?", ":"))


def objection_to_step(sentence: str, user: str, steps: Sequence[str], said: str, language: Language = ENGLISH) -> str:
    """Say why a sentence does not tell one finished step; nothing when it does.

    The thoughts go on while it is written, so that it may join a number that was found to a question that is still
    open. All its numbers must stand in one step, and where steps have found numbers it must tell one.
    """
    working = language.working
    if working.steps.search(sentence) and not working.steps.search(user):
        return "about the working, not of it"
    if working.claim.search(sentence) and not working.claim.search(steps[-1] if steps else ""):
        return "calls a step the answer"
    told = numbers(sentence, language)
    found = numbers("\n".join(steps), language) - numbers(user, language)
    if not finds(sentence, f"{user}\n{said}", language) or (found and not told & found - numbers(said, language)):
        return "nothing new"
    if told and not any(told <= numbers(step, language) | {0.0, 1.0} for step in steps):
        return "no single step says so"
    return ""


def tells_result(sentence: str, steps: Sequence[str], language: Language = ENGLISH) -> bool:
    """Say whether a sentence ends with the result of the thoughts; false where they have none that can be compared."""
    values, called = _result(steps, language)
    if values and last_number(sentence, language) not in values:
        return False
    told = values <= numbers(sentence, language) and called <= set(pieces(sentence, language))
    return bool(values or called) and told


def objection_to_result(sentence: str, steps: Sequence[str], language: Language = ENGLISH) -> str:
    """Say why a sentence does not tell the result of the thoughts; nothing when it does, or they have none."""
    values, called = _result(steps, language)
    told = numbers(sentence, language)
    other_value = told and not values <= told
    other_name = names(sentence, language) and not called <= set(pieces(sentence, language))
    return "not the result of the thoughts" if other_value or other_name else ""


def _result(steps: Sequence[str], language: Language) -> tuple[set[float], set[str]]:
    """Give the numbers and names of what the last step calls the answer, else the last number of all steps."""
    called = language.working.called.fullmatch(readout(steps[-1], language) or "") if steps else None
    if called is not None:
        # Behind a word, so that a name that is written large does not begin a sentence.
        return numbers(called[1], language), names(f"{language.working.verb}{called[1]}", language)
    result = last_number("\n".join(steps), language)
    return set() if result is None else {result}, set()


def _repeats(sentence: str, said: str, language: Language) -> bool:
    """Say whether an earlier sentence has the same numbers and nearly the same words."""
    mine = set(_WORD.findall(sentence.lower()))
    for other in re.split(r"(?<=[.!?])\s+", said):
        words = set(_WORD.findall(other.lower()))
        if words and numbers(sentence, language) <= numbers(other, language) and len(mine & words) >= 0.6 * len(mine):
            return True
    return False


def echoes(sentence: str, request: str) -> bool:
    """Say whether a sentence says back, five words in a row, what only the writer was asked."""
    words, asked = (_APOSTROPHED.findall(text.lower()) for text in (sentence, request))
    runs = {tuple(asked[at : at + _ECHO]) for at in range(len(asked) - _ECHO + 1)}
    return any(tuple(words[at : at + _ECHO]) in runs for at in range(len(words) - _ECHO + 1))
