"""What was released for speech, held against the thoughts as they went on: which sentence they contradict now.

Only what can be told for certain counts: the same calculation with another result, or another answer of the same kind.
Nothing else is taken back: a repair of what was right is worse than none. Sans-I/O; English.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from reasoning.policies.grounding import last_number, numbers, pieces
from reasoning.policies.readout import readout

if TYPE_CHECKING:
    from collections.abc import Sequence

REPAIR: Final = "Sorry, that was wrong."
"""Said before what is right, where some of what is wrong was heard."""
_SIGNS: Final = frozenset({"times", "plus", "minus", "divided"})
_EITHER_WAY: Final = frozenset({"times", "plus"})
_ANSWER: Final = re.compile(r"\b(?:answer|result)\s*(?:is\b|:|=)", re.IGNORECASE)
_DOUBT: Final = re.compile(r"^\W*(?:(?:wait|no|oh|sorry|actually|correction|hmm)\b[,:.!]*\s*)+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Contradicted:
    """A sentence that the thoughts contradict."""

    sentence: str
    instead: str | None
    """What they say now, fit to be spoken; None where the writer must tell it."""


def contradicted(said: Sequence[str], steps: Sequence[str]) -> Contradicted | None:
    """Give the first sentence that was said and that the newest step about the same thing contradicts."""
    now = {claim.of: (claim, step) for step in steps if (claim := _claim(readout(_plain(step)) or step)) is not None}
    for sentence in said:
        claim = _claim(sentence)
        newest = None if claim is None else now.get(claim.of)
        if claim is not None and newest is not None and newest[0].contradicts(claim):
            return Contradicted(sentence, readout(_plain(newest[1])))
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


def _claim(sentence: str) -> _Claim | None:
    """Read what a sentence claims, if it claims one thing in plain words."""
    answer = _ANSWER.search(sentence)
    if answer:
        told = sentence[answer.end() :]
        # "The answer is 4 plus 5" tells a way to it.
        return None if len(numbers(told)) != 1 else _of(("answer",), told)
    head, verb, told = sentence.rpartition(" is ")
    read = pieces(head)
    values = [piece for piece in read if isinstance(piece, float)]
    signs = [piece for piece in read if piece in _SIGNS]
    if not verb or not signs or len(values) != len(signs) + 1 or len(numbers(told)) != 1:
        return None
    return _of((*(sorted(values) if set(signs) <= _EITHER_WAY and len(set(signs)) == 1 else values), *signs), told)


def _of(what: tuple[object, ...], told: str) -> _Claim | None:
    value = last_number(told)
    if value is None:
        return None
    behind = pieces(told)[pieces(told).index(value) + 1 :]
    return _Claim(what, value, str(behind[0]).removesuffix("s") if behind else "")


def _plain(step: str) -> str:
    """Give a step without the words with which the thoughts turn round."""
    return _DOUBT.sub("", step)
