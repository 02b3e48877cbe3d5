"""What is to become of a request: carried out as it was read, asked about, or given to the model. Pure.

A request that is read whole is carried out. One of which a word that matters was hardly heard, or of which another
transcript says something else, is asked about first, and so is one that begins like an order and has words that are not
known. Of two places to choose from, and of no place at all, the place is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.robot.answers import answer_of
from agent.robot.misheard import Doubt
from agent.robot.reading import read
from audio.hearing.agreement import key
from robots.site import spoken

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from agent.robot.reading import AskedStep, Reading
    from languages.language import Language
    from robots.skills import Skill, SkillCall

UNSURE_WORD: Final = 0.5
"""Confidence (0..1) under which a word that says what to do, where or how long is asked about."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """Calls that wait for the user's yes."""

    calls: tuple[SkillCall, ...]
    at: float
    """When it was asked, monotonic s."""


@dataclass(frozen=True, slots=True)
class RequestPlan:
    """What to do with a request."""

    steps: tuple[AskedStep, ...] = ()
    """What it asks for; nothing: the model is to read it."""
    certain: bool = False
    """Whether that may be done without a question."""
    doubt: Doubt | None = None
    """The place that is to be asked for, and how the question goes."""
    choice: tuple[str, ...] = ()
    """The places to choose from; none: all."""


def plan(
    text: str,
    skills: Mapping[str, Skill],
    places: Iterable[str],
    language: Language,
    *,
    confidence: Sequence[float] = (),
    other: str = "",
) -> RequestPlan:
    """Say what is to become of a request.

    confidence: that of the last words; words without one are believed. other: what else may have been said.
    """
    names = tuple(places)
    reading = read(text, skills, names, language)
    if reading.either:
        return RequestPlan(doubt=_between(text, reading.either, language), choice=reading.either)
    negated = language.requests.negated.search(text) is not None
    # "Leave it" is said to take something back, too.
    if reading.whole and not negated and answer_of(text) is None:
        another = read(other, skills, names, language) if other else reading
        agreed = not another.whole or another.steps == reading.steps
        return RequestPlan(reading.steps, certain=agreed and _heard_well(text, reading, confidence))
    if negated or not reading.ordered:
        return RequestPlan()
    if reading.nowhere:
        asked = language.robot.go_to.format("…")
        at = asked.split().index(next(word for word in asked.split() if "…" in word))
        return RequestPlan(doubt=Doubt(asked, at, at + 1, "", language=language))
    return RequestPlan(reading.steps)


def _heard_well(text: str, reading: Reading, confidence: Sequence[float]) -> bool:
    words = [key(word) for word in text.split()]
    sure = [1.0] * (len(words) - len(confidence)) + list(confidence)[-len(words) :]
    matter = {key(word) for word in reading.matter}
    return all(one >= UNSURE_WORD for word, one in zip(words, sure, strict=True) if word in matter)


def _between(text: str, places: Sequence[str], language: Language) -> Doubt:
    """Give the question for one of several places, which stand side by side in a request."""
    words = [key(word) for word in text.split()]
    named = {key(part) for name in places for part in spoken(name).split()}
    at = [number for number, word in enumerate(words) if word in named]
    return Doubt(text, at[0], at[-1] + 1, "", language=language)
