"""Questions of which one number was not meant: what is said first, what is meant, and the generator's answer to both.

Where a generator takes its numbers from a source of chance that can be handed to it, the same draws are played again
with one of them changed, so that question and answer are the generator's own. The others state what their answer is,
and it is worked out anew from the changed question, after it was checked that this gives the generator's own answer to
the old one. A pair counts when exactly one number of the question differs, and the answer does.

Needs the extra "think" of bench.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Any, Final

from bench.think.items.generated import SEEDS, TASKS, dataset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bench.think.items.question import Split, TaskQuestion

_NUMBER: Final = re.compile(r"\d+(?:[.,:]\d+)*")
_TRIES: Final = 8
"""Other values that are tried for each number of a question."""


@dataclass(frozen=True, slots=True)
class Correction:
    """A question with one number that the user corrects."""

    said: TaskQuestion
    """As it is asked first, with the answer to that."""
    meant: TaskQuestion
    words: str
    """What corrects the one into the other."""


def correction(item: TaskQuestion, split: Split) -> Correction | None:
    """Correct one number of an item; None where no number of it can be corrected."""
    task = TASKS[item.task]
    if item.task not in _RECOMPUTED and item.task not in _REDRAWN:
        return None
    changed = _redrawn if item.task in _REDRAWN else _rewritten
    for question, answer in changed(item, split):
        meant = replace(item, question=task.word(question), answer=task.answer(answer))
        numbers = _changed_number(item.question, meant.question)
        if numbers is not None and meant.answer not in ("", item.answer):
            old, new = numbers
            return Correction(item, meant, f"Sorry, I meant {new}, not {old}.")
    return None


def _changed_number(old: str, new: str) -> tuple[str, str] | None:
    """Give the one number that differs, old and new: a whole one that nothing else in the question could be."""
    if _NUMBER.sub("#", old) != _NUMBER.sub("#", new):
        return None
    one, other = _NUMBER.findall(old), _NUMBER.findall(new)
    differ = [(mine, yours) for mine, yours in zip(one, other, strict=True) if mine != yours]
    if len(differ) != 1:
        return None
    mine, yours = differ[0]
    plain = mine.isdigit() and yours.isdigit() and min(int(mine), int(yours)) > 1
    return (mine, yours) if plain and one.count(mine) == 1 and yours not in one else None


class _Replayed(Random):
    """The draws of a seed, with one whole number changed."""

    def __init__(self, seed: int, changed: int, chance: Random) -> None:
        super().__init__(seed)
        self._changed, self._chance = changed, chance
        self.drawn = 0
        """Whole numbers drawn."""

    def randrange(self, start: int, stop: int | None = None, step: int = 1) -> int:
        value = super().randrange(start, stop, step)
        self.drawn += 1
        return self._chance.randrange(start, stop, step) if self.drawn == self._changed else value


def _redrawn(item: TaskQuestion, split: Split) -> Iterator[tuple[str, str]]:
    """Have the generator make the question again, from the same draws but one."""
    drawn: Any = dataset(item.task, split)
    generate, seed = drawn.generators[drawn.task_indices[item.number]], SEEDS[split] + item.number
    chance = Random(seed)
    first = _Replayed(seed, 0, chance)
    generate(first, drawn.config.difficulty)
    for number in chance.sample(range(1, first.drawn + 1), first.drawn):
        for _ in range(_TRIES):
            example = generate(_Replayed(seed, number, chance), drawn.config.difficulty)
            yield example["question"], str(example["answer"])


def _rewritten(item: TaskQuestion, split: Split) -> Iterator[tuple[str, str]]:
    """Change one number or the other in the generator's question, and work the answer out."""
    entry = dataset(item.task, split)[item.number]
    work_out, question = _RECOMPUTED[item.task], str(entry["question"])
    if work_out(question) != str(entry["answer"]):
        return
    chance = Random(SEEDS[split] + item.number)
    places = list(re.finditer(r"\d+", question))
    for match in chance.sample(places, len(places)):
        least = 10 ** (len(match[0]) - 1)
        for _ in range(_TRIES):
            other = str(chance.randrange(max(2, least), 10 * least))
            changed = f"{question[: match.start()]}{other}{question[match.end() :]}"
            yield changed, work_out(changed)


def _formula(text: str) -> str:
    """Work out a chain of sums and products, as in "12 + 3 * 4 - 5"."""
    found = re.search(r"\d+(?: [-+*] \d+)+", text)
    if found is None:
        return ""
    terms = re.findall(r"([-+]?) ?(\d+(?: \* \d+)*)", found[0])
    return str(sum((-1 if sign == "-" else 1) * math.prod(map(int, term.split(" * "))) for sign, term in terms))


def _legs(text: str) -> str:
    from reasoning_gym.arithmetic.leg_counting import ANIMALS  # noqa: PLC0415 - optional

    list_of = text.partition("if you have ")[2].partition("?")[0]
    legs = 0
    for count, animal in re.findall(r"(\d+) ([a-z ]+)", list_of):
        name = animal if animal in ANIMALS else animal.removesuffix("s")
        if name not in ANIMALS:
            return ""
        legs += int(count) * ANIMALS[name]
    return str(legs)


def _of_two(figure: Callable[[int, int], int]) -> Callable[[str], str]:
    def work_out(text: str) -> str:
        found = re.search(r": (\d+), (\d+)", text)
        return "" if found is None else str(figure(int(found[1]), int(found[2])))

    return work_out


_REDRAWN: Final = frozenset({"gsm_symbolic"})
_RECOMPUTED: Final[Mapping[str, Callable[[str], str]]] = {
    "chain_sum": _formula,
    "products": _formula,
    "basic_arithmetic": _formula,
    "leg_counting": _legs,
    "gcd": _of_two(math.gcd),
    "lcm": _of_two(math.lcm),
}
CORRECTABLE: Final = (*sorted(_REDRAWN), *_RECOMPUTED)
"""Tasks whose questions can be corrected."""
