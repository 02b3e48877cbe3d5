"""What was released for speech, held against the thoughts as they went on: which sentence they contradict now.

Only what can be told for certain counts: the same calculation with another result, or another answer of the same kind.
Nothing else is taken back: a repair of what was right is worse than none. Sans-I/O.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from languages.english import ENGLISH
from reasoning.policies.grounding import last_number, numbers, pieces
from reasoning.policies.policy import Contradicted
from reasoning.policies.sums.readout import readout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from languages.language import Language

_STEPS: Final = 4096
"""Steps of thoughts of which it is remembered what they claim."""


def contradicted(said: Sequence[str], steps: Sequence[str], language: Language = ENGLISH) -> Contradicted | None:
    """Give the first sentence that was said and that the newest step about the same thing contradicts."""
    now: dict[tuple[object, ...], tuple[_Claim, str]] = {}
    for step in steps:
        if (new := _claim_of(step, language)) is not None:
            now[new.of] = new, step
    for sentence in said:
        claim = _claim(sentence, language)
        newest = None if claim is None else now.get(claim.of)
        if claim is not None and newest is not None and newest[0].contradicts(claim):
            return Contradicted(sentence, readout(_plain(newest[1], language), language))
    return None


@dataclass(frozen=True, slots=True)
class _Claim:
    of: tuple[object, ...]
    """What it is about: the numbers and signs of a calculation, or that it is called the answer."""
    value: float
    unit: str
    """The word behind the value, in the singular; empty if there is none."""

    def contradicts(self, other: _Claim) -> bool:
        return self.value != other.value and (not self.unit or not other.unit or self.unit == other.unit)


@lru_cache(_STEPS)
def _claim_of(step: str, language: Language) -> _Claim | None:
    """Read what a step claims; all steps are asked whenever one comes, so it is remembered."""
    return _claim(readout(_plain(step, language), language) or step, language)


def _claim(sentence: str, language: Language) -> _Claim | None:
    """Read what a sentence claims, if it claims one thing in plain words."""
    working = language.working
    answer = working.answer_in.search(sentence)
    if answer:
        told = sentence[answer.end() :]
        # "The answer is 4 plus 5" tells a way to it.
        return None if len(numbers(told, language)) != 1 else _of(("answer",), told, language)
    head, verb, told = sentence.rpartition(working.verb)
    read = pieces(head, language)
    values = [piece for piece in read if isinstance(piece, float)]
    signs = [piece for piece in read if piece in working.operations]
    if not verb or not signs or len(values) != len(signs) + 1 or len(numbers(told, language)) != 1:
        return None
    exchanged = set(signs) <= working.either_way and len(set(signs)) == 1
    return _of((*(sorted(values) if exchanged else values), *signs), told, language)


def _of(what: tuple[object, ...], told: str, language: Language) -> _Claim | None:
    value = last_number(told, language)
    if value is None:
        return None
    read = pieces(told, language)
    behind = read[read.index(value) + 1 :]
    return _Claim(what, value, language.working.plural.sub("", str(behind[0])) if behind else "")


def _plain(step: str, language: Language) -> str:
    """Give a step without the words with which the thoughts turn round."""
    return language.working.doubt.sub("", step)
