"""A finished step of the thoughts as a spoken sentence, where it can be read out as it stands.

"2. Cost of the tickets: 4 * 9 = 36 dollars" is "4 times 9 is 36 dollars." Nothing is computed, so nothing can be
invented, and no token is written. Only plain calculations and what is called the answer are read out: other words of
the thoughts are private, and left to the writer. Sans-I/O; English.
"""

from __future__ import annotations

import re
from typing import Final

_LONGEST: Final = 16
"""Words that a listener takes in as one step."""
_MARK: Final = re.compile(r"^\W*(?:step\s+)?\d{1,2}[.):]\s+|^[-*•]\s+", re.IGNORECASE)
_ANSWER: Final = re.compile(r"^(?:final\s+)?(?:answer|result)\s*(?::|=|is\b)\s*", re.IGNORECASE)
_ANNOUNCED: Final = re.compile(r"^[^=:]*:\s+(?=[^=]*=)")
"""Says what will be computed, in front of the calculation."""
_CLOSES: Final = re.compile(r"^(?:so|thus|therefore|hence|then|now|finally|next),?\s+", re.IGNORECASE)
_SIGNS: Final = (
    (re.compile(r"(?<=[\w)%°])\s*[*×·]\s*"), " times "),
    (re.compile(r"(?<=\d)\s+x\s+(?=\d)"), " times "),
    (re.compile(r"(?<=[A-Za-z])/(?=[A-Za-z])"), " per "),
    (re.compile(r"(?<=[\w)%°])\s*[/÷]\s*"), " divided by "),
    (re.compile(r"(?<=[\w)%°])\s*\+\s*"), " plus "),
    (re.compile(r"(?<=[\w)%°])\s+[-−–]\s*|(?<=\d)[-−–](?=\d)"), " minus "),
    (re.compile(r"(?:(?<=\s)|^)[-−–](?=\w)"), "minus "),
)
_FOREIGN: Final = re.compile(r"[\\^{}\[\]<>|_`~#*()+=×÷·]|\?\s*$|:\s*$|\.\.\.|--")
"""What is not spoken language: markup, formulas that were not understood, questions, announcements."""
_QUANTITY: Final = re.compile(
    r"(?:minus |about )?(?!.*\b(?:plus|minus|times|divided)\b)[$€£]?[\d,]*\.?\d+(?:%|°)?(?: [a-z0-9]+){0,6}",
    re.IGNORECASE,
)


def readout(step: str) -> str | None:
    """Give the sentence to speak, None where the step cannot be read out."""
    text = _MARK.sub("", step.strip()).replace("**", "")
    text = _ANNOUNCED.sub("", _CLOSES.sub("", text)).strip().rstrip(".")
    answer = _ANSWER.match(text)
    if answer:
        text = text[answer.end() :]
    if "=" in text:
        first, *_, last = (_verbal(part) for part in text.split("="))
        if not re.search(r"\d", first) or not _QUANTITY.fullmatch(last):
            return None
        text = f"{first} is {last}"
    elif answer:
        text = _verbal(text)
    else:
        return None
    if answer:
        text = f"The answer is {text}"
    if _FOREIGN.search(text) or len(text.split()) > _LONGEST or not re.search(r"\w", text):
        return None
    return f"{text[0].upper()}{text[1:]}."


def _verbal(expression: str) -> str:
    """Say the signs of an expression."""
    for pattern, word in _SIGNS:
        expression = pattern.sub(word, expression)
    return re.sub(r"\s+", " ", expression).strip()
