"""What a step of a calculation has found, and whether a sentence tells it, or its result, and nothing else.

No engine, no text generation here. Sans-I/O.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from languages.english import ENGLISH
from reasoning.policies.grounding import last_number, names, numbers, pieces
from reasoning.policies.sums.readout import readout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from languages.language import Language

LONG: Final = 6
"""Steps in a row that differ by their numbers alone: hardly any question asks for more, so no more are told."""
ENDLESS: Final = 10
"""As many that there will be no end."""
_CLAUSE: Final = re.compile(r"([^,.;!?]+)([,.;!?])")
_TELLING: Final = 3
"""Words of a question, at least, that tell it from others."""
_LIKENESS: Final = 0.6
"""Share of a question's words that an answer in its own words has."""
_FIGURES: Final = re.compile(r"\d[\d.,]*")


def several_numbers(words: str, language: Language = ENGLISH) -> bool:
    """Say whether there are two numbers or more to compute with, be they equal."""
    return sum(isinstance(piece, float) for piece in pieces(words, language)) > 1


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
    bare = _bare(sentence, language)
    return "sounds like the answer" if bare or _words_the_question(sentence, user, language) else ""


def _bare(sentence: str, language: Language) -> bool:
    """Say whether a sentence has hardly more than a value: "5:15 pm.", "It's 24 eggs."."""
    words = [piece for piece in pieces(sentence, language) if isinstance(piece, str)]
    return len(words) < _TELLING and not language.working.operations.intersection(words)


def _words_the_question(sentence: str, user: str, language: Language) -> bool:
    """Say whether a sentence is worded as the last question is: "I am home at 5:15" answers "When am I home?"."""
    asked = [clause for clause in _CLAUSE.findall(user) if clause[1] == "?"]
    words = {piece for piece in pieces(asked[-1][0], language) if isinstance(piece, str)} if asked else set[str]()
    words -= language.working.operations
    return len(words) >= _TELLING and len(words & set(pieces(sentence, language))) > _LIKENESS * len(words)


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


def run_on(steps: Sequence[str], count: int) -> bool:
    """Say whether that many steps repeat a pattern that only grows, such as "20 * 1.2 = 24", "24 * 1.2 = 28.8"."""
    newest = steps[-count:]
    reckoned = all(len(_FIGURES.findall(step)) > 1 for step in newest)
    return reckoned and len(newest) == count and len({_FIGURES.sub("0", step) for step in newest}) == 1
