"""What new words leave standing of thoughts that they interrupted.

"Sorry, I meant six tickets" replaces one number of the question. Steps of the thoughts that used the old number fall,
and with them all that rests on their results; the others stand, and are not thought again. Words with numbers that fit
none of the question's are a question of their own, and nothing stands. What stands is written anew behind the head of
the thoughts, from the first token that differs: nothing of it is thought again. English.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from reasoning.grounding import numbers, pieces
from reasoning.turn import Carried

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reasoning.context import Context
    from reasoning.turn import Turn

_BEFORE: Final = 3
_BEHIND: Final = 4
"""Words around a number that tell which quantity it is."""
_SAME_THING: Final = 3
"""What a quantity of the same thing counts for, in other words that are the same."""
_NEGATED: Final = re.compile(r"\b(?:not|instead of|rather than)\s+", re.IGNORECASE)
_ADDS: Final = re.compile(r"\b(?:more|another|extra|additional|as well)\b", re.IGNORECASE)
_SAYS_NOTHING: Final = frozenset((
    "a", "an", "the", "of", "in", "on", "at", "to", "for", "with", "or", "but", "is", "are", "was", "were", "be",
    "it", "its", "he", "she", "they", "i", "you", "we", "my", "his", "her", "their", "that", "this", "no", "not",
    "sorry", "wait", "actually", "oh", "mean", "meant", "said", "say", "make", "about", "from", "by", "there",
    "one", "how", "many", "much", "what", "do", "does", "did", "have", "has", "had", "so", "if", "only", "just",
    "now", "instead",
))  # fmt: skip
_RESULT: Final = re.compile(r"(?:=|\b(?:is|are|was|equals|makes|leaves|gives)\b)(?!.*(?:=|\b(?:is|are|was|equals)\b))")


def carried(turn: Turn) -> Carried | None:
    """Give what an interrupted turn leaves to the next one; nothing if it had not begun to work anything out."""
    before = turn.carried
    if before is None and len(turn.steps.finished) == turn.facts:
        return None
    told = turn.input_text if before is None else f"{before.told}\n{turn.input_text}"
    return Carried([*turn.steps.finished], told)


async def resume(context: Context, turn: Turn, old: Carried) -> None:
    """Open the thoughts of a turn with what its words leave standing of the interrupted turn's."""
    script = context.script
    kept = standing(old.steps, old.told, turn.text) if context.options.resume else []
    if kept == [*old.steps] == turn.steps.finished[: len(kept)]:
        await context.session.append(context.view(turn), script.resume_open)
        return
    written = script.tokenizer.encode("".join(f"{step}\n" for step in kept))
    await context.rewrite(turn.thoughts, context.view(turn), [*script.think_open, *written])
    turn.steps.finished[:], turn.steps.rest = kept, ""
    turn.facts_end, turn.facts = len(turn.thoughts), len(kept)


def standing(steps: Sequence[str], told: str, words: str) -> list[str]:
    """Give the steps that stand once `words` were said to what had been `told`, in their order."""
    if _ADDS.search(words) or not numbers(words) - {1.0}:
        return list(steps)
    fallen = replaced(told, words)
    if not fallen:
        return []
    kept: list[str] = []
    for step in steps:
        given, found = _parts(step)
        if given & fallen:
            fallen |= found
        elif fallen & numbers(step):
            # It states a number that has fallen as its result: "There are four tickets."
            continue
        elif _calculates(step):
            kept.append(step)
    return kept


def replaced(told: str, words: str) -> set[float]:
    """Give the numbers of `told` that `words` replace: those named as wrong, or said of the same thing."""
    named = _named_as_wrong(words) & numbers(told)
    if named:
        return named
    found: set[float] = set()
    there = _quantities(told)
    for one in _quantities(words):
        alike = [(one.likeness(other), other.value) for other in there if other.value != one.value]
        most = max((likeness for likeness, _ in alike), default=0)
        found |= {value for likeness, value in alike if most and likeness == most}
    return found


def _named_as_wrong(words: str) -> set[float]:
    ends = [match.end() for match in _NEGATED.finditer(words)]
    heads = [next(iter(pieces(words[end:])), "") for end in ends]
    return {head for head in heads if isinstance(head, float)}


@dataclass(frozen=True, slots=True)
class _Quantity:
    value: float
    thing: str
    """The word that says what is counted, without its ending."""
    around: frozenset[str]
    """Other words that tell it from quantities of the same thing."""

    def likeness(self, other: _Quantity) -> int:
        return _SAME_THING * (self.thing == other.thing != "") + len(self.around & other.around)


def _quantities(text: str) -> list[_Quantity]:
    read = pieces(re.sub(r"\$(\d[\d,.]*)", r"\1 dollars", text))
    found: list[_Quantity] = []
    for at, piece in enumerate(read):
        if isinstance(piece, float):
            behind = _telling(read[at + 1 : at + 1 + _BEHIND])
            before = _telling(read[max(0, at - _BEFORE) : at][::-1])
            found.append(_Quantity(piece, behind[0] if behind else "", frozenset([*before, *behind[1:]])))
    return found


def _telling(side: Sequence[float | str]) -> list[str]:
    """Give the words next to a number, as far as the next one or another clause."""
    words: list[str] = []
    for piece in side:
        if isinstance(piece, float) or piece in {"and", "then"}:
            break
        if piece not in _SAYS_NOTHING:
            words.append(_stem(piece))
    return words


def _stem(word: str) -> str:
    return re.sub(r"(?:ies|es|s|ed|ing|y|e)$", "", word) or word


def _parts(step: str) -> tuple[set[float], set[float]]:
    """Give the numbers that a step uses, and those that it finds."""
    cut = _RESULT.search(step)
    if cut is None:
        return numbers(step), set()
    return numbers(step[: cut.start()]), numbers(step[cut.end() :])


def _calculates(step: str) -> bool:
    """Say whether a step is worth keeping: it has a number, so it does not only say what comes next."""
    return bool(numbers(step))
