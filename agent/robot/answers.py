"""What a user answers to a question of the robot's: yes, no, that all of it is to be left, or a place. Pure.

The grammar of an answer, in the words of one language (`AnswerWords`), polite words anywhere:

    yes        a yes, once or more, beside words that leave it one: "Sure, go ahead", "Yes, sir", "Okay, do that"
    no         a no, once or more: "No, thank you", "Not there"
    withdrawn  at least one phrase that takes the request back, perhaps beside a no: "No, wait", "Never mind"

Whatever holds any other word, or a yes beside a no, is no answer: "Yes, but to the hall" is another request. Nor is
"Okay" alone, which people hum and recognisers hear in noise.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from audio.hearing.agreement import key
from languages.known import known_languages
from robots.site import spoken

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agent.robot.misheard import Doubt
    from languages.language import AnswerWords

_LONGEST: Final = 6
"""Most words of a phrase."""
_RESUME: Final = frozenset(word for language in known_languages().values() for word in language.answers.resume)
_NO: Final = frozenset(word for language in known_languages().values() for word in language.answers.no)
_AMENDS: Final = frozenset(word for language in known_languages().values() for word in language.answers.amends)
_POLITE: Final = frozenset(word for language in known_languages().values() for word in language.answers.polite)


class UserAnswer(Enum):
    """What was answered."""

    YES = auto()
    NO = auto()
    """To what was asked; another thing may be meant."""
    WITHDRAWN = auto()
    """Nothing is to be done, now."""


def answer_of(text: str) -> UserAnswer | None:
    """Read an answer in any language: whatever is being spoken, a person in need takes the first word that comes.

    None: it is no answer, or languages differ on what it says.
    """
    words = [key(word) for word in text.split() if any(sign.isalnum() for sign in word)]
    read = {_answer(words, language.answers) for language in known_languages().values()} - {None}
    return read.pop() if len(read) == 1 else None


def asks_to_resume(text: str) -> bool:
    """Say whether an end of a stop or a pause is asked for, and nothing else."""
    return bare(text) in _RESUME


def place_chosen(text: str, asked: Doubt, places: Iterable[str]) -> str:
    """Give the place with which a question for it is answered, or nothing.

    Beside a no it is one only where another was asked about: "no, the hall" says nothing clear of the hall.
    """
    found = named(text, places)
    rest = set(bare(text).split()) - {word for name in found for word in bare(spoken(name)).split()}
    if len(found) != 1 or not rest <= _AMENDS:
        return ""
    unclear = bool(rest & _NO) and (not asked.name or found[0] in {asked.name, *asked.also})
    return "" if unclear else found[0]


def named(text: str, places: Iterable[str]) -> list[str]:
    """Give the places that a text names."""
    return [name for name in places if f" {bare(spoken(name))} " in f" {bare(text)} "]


def bare(text: str) -> str:
    """Return words without case, punctuation and politeness."""
    words = [key(word) for word in re.sub(r"[.,!?;:]", " ", text).split()]
    return " ".join(word for word in words if word not in _POLITE)


def _answer(words: Sequence[str], known: AnswerWords) -> UserAnswer | None:
    """Read an answer in one language; of phrases that begin alike, the longest counts."""
    kinds = (
        (known.yes, UserAnswer.YES),
        (known.no, UserAnswer.NO),
        (known.withdrawn, UserAnswer.WITHDRAWN),
    )
    found: set[UserAnswer] = set()
    beside = False
    at = 0
    while at < len(words):
        for length in range(min(_LONGEST, len(words) - at), 0, -1):
            phrase = " ".join(words[at : at + length])
            kind = next((kind for phrases, kind in kinds if phrase in phrases), None)
            if kind is not None:
                found.add(kind)
            elif phrase in known.beside_yes or phrase in known.resume:
                beside = True
            elif phrase not in known.polite:
                continue
            at += length
            break
        else:
            return None
    if found == {UserAnswer.YES}:
        return UserAnswer.YES
    if beside or not found or UserAnswer.YES in found:
        return None
    return UserAnswer.WITHDRAWN if UserAnswer.WITHDRAWN in found else UserAnswer.NO
