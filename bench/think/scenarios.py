"""What users do beside asking one question in one breath: pieces, corrections, interruptions, second questions.

A plan is what a user says and when, and the item by which the reply to the last of it is judged. Each scenario makes a
pair of plans: the conversation itself, and starting anew: a fresh session that is asked what was meant in the end, in
one breath. Knows no task by name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from bench.think.items.corrections import correction
from bench.virtual.timed import Utterance

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bench.think.items.question import Split, TaskQuestion

_LONG_S: Final = 2.0
"""A pause that ends a turn, whatever the words before it: the longest wait of the ears is 1.4 s."""
_SHORT_S: Final = 0.4
"""A pause inside a turn: a question that is complete ends after 0.55 s."""
_SOON_S: Final = 1.0
"""After the question, when the thoughts have begun and nothing is told yet."""
_INTO_REPLY_S: Final = 0.6
"""After the reply begins to tell something: in the middle of its first clause."""
_THOUGHT_S: Final = 1.0
"""After a reply that was heard to its end, before somebody goes on."""
_SHARDS: Final = (2, 5)
"""Pieces of a question, as in sharded MATH-500."""
_SENTENCE_ENDS: Final = re.compile(r"(?<=[.?!;])\s+(?=\S)")
_CLAUSE_ENDS: Final = re.compile(r"(?<=[,:])\s+")


@dataclass(frozen=True, slots=True)
class ScenarioPlan:
    """What a user says, and what is right then."""

    item: TaskQuestion
    """By which the reply to the last words is judged."""
    said: tuple[Utterance, ...]
    scenario: str = ""

    @property
    def asked(self) -> TaskQuestion:
        """The item with all that was said in the place of its question: what is in there is no news."""
        return replace(self.item, question=" ".join(utterance.text for utterance in self.said))


@dataclass(frozen=True, slots=True)
class Pair:
    """A conversation, and starting anew instead of it."""

    there: ScenarioPlan
    anew: ScenarioPlan
    first: TaskQuestion | None = None
    """A question that stays open when another one is asked."""


def plain(item: TaskQuestion) -> ScenarioPlan:
    """Ask the question, and wait; where it follows another one, after the reply to that."""
    if item.before:
        return ScenarioPlan(item, (Utterance(item.before), Utterance(item.question, _THOUGHT_S, after="silence")))
    return ScenarioPlan(item, (Utterance(item.question),))


def shards(question: str) -> list[str]:
    """Cut a question at the ends of its sentences, else of its clauses, into 2 to 5 pieces; one piece: it has none."""
    least, most = _SHARDS
    pieces = _SENTENCE_ENDS.split(question)
    if len(pieces) < least:
        pieces = _CLAUSE_ENDS.split(question)
    while len(pieces) > most:
        joined = [f"{one} {other}" for one, other in pairwise(pieces)]
        at = min(range(len(joined)), key=lambda place: len(joined[place]))
        pieces[at : at + 2] = [joined[at]]
    return pieces


def pairs(scenario: str, items: Sequence[TaskQuestion], split: Split) -> list[Pair]:
    """Make a scenario of every item that it can be made of; `BENCH_SCENARIOS` has the names."""
    found: list[Pair] = []
    for number, item in enumerate(items):
        others = [*items[number + 1 :], *items[:number]]
        # A neighbour of the same task would be the same question with other numbers.
        other = next((one for one in others if one.task != item.task), others[0] if others else None)
        pair = _MADE[scenario](item, other, split)
        if pair is not None:
            found.append(replace(pair, there=replace(pair.there, scenario=scenario)))
    return found


def _sharded(item: TaskQuestion, pause_s: float) -> Pair | None:
    pieces = shards(item.question)
    if len(pieces) < _SHARDS[0]:
        return None
    said = [Utterance(piece, pause_s if number else 0.0) for number, piece in enumerate(pieces)]
    return Pair(ScenarioPlan(item, tuple(said)), plain(item))


def _corrected(item: TaskQuestion, split: Split, *, pause_s: float, in_reply: bool) -> Pair | None:
    found = correction(item, split)
    if found is None:
        return None
    words = Utterance(found.words, pause_s, after="reply" if in_reply else "words")
    return Pair(ScenarioPlan(found.meant, (Utterance(item.question), words)), plain(found.meant))


def _halted(item: TaskQuestion) -> Pair:
    over = (Utterance("Wait a moment.", _INTO_REPLY_S, after="reply"), Utterance("Go on, please.", _LONG_S))
    return Pair(ScenarioPlan(item, (Utterance(item.question), *over)), plain(item))


def _another(item: TaskQuestion, other: TaskQuestion | None, words: str, *, stays: bool) -> Pair | None:
    if other is None:
        return None
    new = Utterance(f"{words} {other.question}", _INTO_REPLY_S, after="reply")
    return Pair(ScenarioPlan(other, (Utterance(item.question), new)), plain(other), first=item if stays else None)


_MADE: Final[Mapping[str, Callable[[TaskQuestion, TaskQuestion | None, Split], Pair | None]]] = {
    "shards": lambda item, _, __: _sharded(item, _LONG_S),
    "pauses": lambda item, _, __: _sharded(item, _SHORT_S),
    "early-correction": lambda item, _, split: _corrected(item, split, pause_s=_SOON_S, in_reply=False),
    "correction": lambda item, _, split: _corrected(item, split, pause_s=_INTO_REPLY_S, in_reply=True),
    "interruption": lambda item, _, __: _halted(item),
    "barge-in": lambda item, other, _: _another(item, other, "No, forget that.", stays=False),
    "second-question": lambda item, other, _: _another(item, other, "And another question:", stays=True),
}
BENCH_SCENARIOS: Final = tuple(_MADE)
