"""A finished step of the thoughts as a spoken sentence, where it can be read out as it stands.

"2. Cost of the tickets: 4 * 9 = 36 dollars" is "4 times 9 is 36 dollars." Nothing is computed, so nothing can be
invented, and no token is written. Only plain calculations and what is called the answer are read out: other words of
the thoughts are private, and left to the writer; so is a sentence that is called the answer and has no value, for a
model that has to name an answer may name anything. Sans-I/O.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from languages.english import ENGLISH
from reasoning.policies.grounding import names, numbers

if TYPE_CHECKING:
    from languages.language import Language

_LONGEST: Final = 16
"""Words that a listener takes in as one step."""
_SENTENCE: Final = 4
"""Words of an answer that is a sentence by itself: "We are home at 5:40 pm"."""
_BULLET: Final = re.compile(r"^[-*•]\s+")
_ANNOUNCED: Final = re.compile(r"^[^=:]*:\s+(?=[^=]*=)")
"""Says what will be computed, in front of the calculation."""
_FOREIGN: Final = re.compile(r"[\\^{}\[\]<>|_`~#*()+=×÷·]|\?\s*$|:\s*$|\.\.\.|--")
"""What is not spoken language: markup, formulas that were not understood, questions, announcements."""


def readout(step: str, language: Language = ENGLISH) -> str | None:
    """Give the sentence to speak, None where the step cannot be read out."""
    working = language.working
    text = step.strip()
    text = (working.numbered if working.numbered.match(text) else _BULLET).sub("", text).replace("**", "")
    text = _ANNOUNCED.sub("", working.closes.sub("", text)).strip().rstrip(".")
    answer = working.answer.match(text)
    if answer:
        text = text[answer.end() :]
    if "=" in text:
        first, *_, last = (_verbal(part, language) for part in text.split("="))
        if not re.search(r"\d", first) or not working.quantity.fullmatch(last):
            return None
        text = f"{first}{working.verb}{last}"
    elif answer:
        text = _verbal(text, language)
    else:
        return None
    if answer and not _whole(text, language):
        text = working.the_answer.format(text)
    elif answer and not (numbers(text, language) or names(text, language)):
        return None
    if _FOREIGN.search(text) or len(text.split()) > _LONGEST or not re.search(r"\w", text):
        return None
    return f"{text[0].upper()}{text[1:]}."


def _whole(answer: str, language: Language) -> bool:
    """Say whether an answer is a sentence by itself, and no date."""
    first, *others = answer.split() or [""]
    large = first[:1].isupper() and first.lower().rstrip(",") not in language.names.calendar
    return large and len(others) + 1 >= _SENTENCE


def _verbal(expression: str, language: Language) -> str:
    """Say the signs of an expression."""
    for pattern, word in language.working.signs:
        expression = pattern.sub(word, expression)
    return re.sub(r"\s+", " ", expression).strip()
