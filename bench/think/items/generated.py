"""Verifiable questions, worded so that they can be spoken: small sizes of reasoning-gym's generators.

A task is a generator with its sizes, a way to word its questions for the ear, and the kind of its answers. Nothing else
in the house knows these names or their wording. Items are fixed by split and number: each split draws from seeds of its
own, and a test question whose words also occur in the development split is left out.

Needs the extra "think" of bench; imported when items are made.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from agent.errors import BadQuestion
from bench.errors import BenchExtraMissing
from bench.think.items.question import TaskQuestion

if TYPE_CHECKING:
    from bench.think.items.question import Kind, Split

SEEDS: Final[Mapping[Split, int]] = {"dev": 1_000_000, "test": 2_000_000}
"""First seed of each split. Item i of a generator is drawn from seed + i, and no split draws more than `_DRAWN`."""
_DRAWN: Final = 2000
_DEVELOPED: Final = 300
"""Development items of a task that no test item may repeat."""
_LONGEST: Final = 65
"""Words of a question that people still follow by ear."""


@dataclass(frozen=True, slots=True)
class Task:
    """A generator, its sizes and its wording."""

    config: Mapping[str, Any]
    """Sizes; the generator's own defaults are beyond a small model, and beyond listening."""
    word: Callable[[str], str]
    """Words a question for the ear; an empty text leaves the item out."""
    kind: Kind = "number"
    answer: Callable[[str], str] = field(default=str)
    """Brings the generator's answer into the form of its kind; an empty text leaves the item out."""
    generator: str = ""
    """Its name at reasoning-gym, where it is not the task's."""


_SIGNS: Final = {"+": "plus", "-": "minus", "*": "times", "/": "divided by", "=": "equals", "×": "times"}
_PLURALS: Final = {
    "sheeps": "sheep", "deers": "deer", "jellyfishs": "jellyfish", "starfishs": "starfish", "fishs": "fish",
    "cockroachs": "cockroaches", "leechs": "leeches", "woodlouses": "woodlice", "wolfs": "wolves",
    "octopuss": "octopuses", "shrimps": "shrimp", "flys": "flies", "butterflys": "butterflies",
    "fireflys": "fireflies", "mosquitos": "mosquitoes", "mantiss": "mantises",
}  # fmt: skip


def formula(text: str) -> str:
    """Say a formula: "4*x - 3" is "4 times x minus 3"."""
    text = re.sub(r"(?<=[\dA-Za-z)])\s*([-+*/=×])\s*", lambda sign: f" {_SIGNS[sign[1]]} ", text)
    return re.sub(r"\s+", " ", re.sub(r"-(?=\d)", "minus ", text)).strip()


def prose(text: str) -> str:
    """Take signs and requests about the form of the answer out of running text."""
    text = re.sub(r"\s*(?:Give the result as your final answer|Do not include units)\.", "", text)
    text = re.sub(r"([$€£])\s?(\d[\d,]*(?:\.\d+)?)", _money, text)
    text = re.sub(r"(\d)\s?%", r"\1 percent", text)
    text = re.sub(r"(\d)\s?°", r"\1 degrees", text).replace(".0 degrees", " degrees")
    return re.sub(r"\s+", " ", text).strip()


def _money(match: re.Match[str]) -> str:
    name = {"$": "dollar", "€": "euro", "£": "pound"}[match[1]]
    return f"{match[2]} {name}{'' if match[2] == '1' else 's'}"


def _between(text: str, pattern: str, wording: str) -> str:
    match = re.search(pattern, text, re.DOTALL)
    return wording.format(*map(formula, match.groups())) if match else ""


def _legs(text: str) -> str:
    match = re.search(r"if you have (.*?)\?", text)
    if match is None:
        return ""
    animals = [re.sub(r"\w+$", lambda word: _PLURALS.get(word[0], word[0]), part) for part in match[1].split(", ")]
    return f"How many legs are there in total if you have {', '.join(animals[:-1])} and {animals[-1]}?"


def _clock(text: str) -> str:
    text = prose(re.sub(r"\s*(?:Please )?(?:answer|Answer|Give your answer|Express the result) in [^.]*\.$", "", text))
    return re.sub(r"\b0(\d:\d\d)", r"\1", text)


def _calendar(text: str) -> str:
    return prose(re.sub(r"(?<=[.?])\s+(?:Answer|Reply|Respond|State|Give|Write|Provide)\b.*$", "", text))


def _family(text: str) -> str:
    return prose(re.sub(r"\s*(?:Provide the|Respond only|Answer with)[^.]*\.$", "", text))


def _friends(text: str) -> str:
    text = text.replace("1 brothers", "1 brother").replace("1 sisters", "1 sister").replace(" aside", " besides")
    return prose(re.sub(r"\b1 (male|female) (friend|colleague)s", r"1 \1 \2", text))


def _angles(text: str) -> str:
    return prose(re.sub(r"\?? ?Return only.*$", "?", text.replace("-gon", " sided polygon"))).replace(".?", ".")


def _minutes(text: str) -> str:
    hours, _, minutes = text.partition(":")
    return str(int(hours) * 60 + int(minutes))


def _blood(text: str) -> str:
    # The generator turns in-laws round: a son's wife is called his mother's mother-in-law.
    return "" if text.endswith("-in-law") else text


def _whole(text: str) -> str:
    return text if re.fullmatch(r"-?\d{1,5}", text) else ""


TASKS: Final[Mapping[str, Task]] = {
    "gsm_symbolic": Task({}, prose, answer=_whole),
    "chain_sum": Task(
        {"min_terms": 3, "max_terms": 4, "min_digits": 1, "max_digits": 2},
        lambda text: _between(text, r"problem: (.*) =$", "What is {}?"),
    ),
    "products": Task(
        {"min_digits": 2, "max_digits": 2}, lambda text: _between(text, r"multiplication: ([\d *]+)\.", "What is {}?")
    ),
    "basic_arithmetic": Task(
        {"min_terms": 3, "max_terms": 3, "max_digits": 2, "operators": ("+", "-", "*"), "allow_parentheses": False,
         "allow_negation": False},
        lambda text: _between(text, r"Calculate (.*)\.", "What is {}?"),
    ),
    "simple_equations": Task(
        {"min_terms": 2, "max_terms": 3, "min_value": 2, "max_value": 15},
        lambda text: _between(text, r"(?:Solve for|value of) (\w)(?:| in the equation| that satisfies): (.*)$",
                              "If {1}, what is {0}?"),
    ),
    "leg_counting": Task({"min_animals": 2, "max_animals": 3, "max_instances": 9}, _legs),
    "time_intervals": Task(
        {"task_types": ["time"], "max_time_difference_seconds": 6 * 3600}, _clock, kind="duration", answer=_minutes
    ),
    "calendar_arithmetic": Task(
        {"tasks": ["weekday_offset", "weekday_of_date_from_first_date"], "offset_upper_bound": 20},
        _calendar, kind="weekday",
    ),
    "family_relationships": Task({"min_family_size": 4, "max_family_size": 5}, _family, kind="relation",
                                 answer=_blood),
    "gcd": Task({"min_value": 4, "max_value": 60},
                lambda text: _between(text, r": (\d+), (\d+)", "What is the greatest common divisor of {} and {}?")),
    "lcm": Task({"min_value": 2, "max_value": 20},
                lambda text: _between(text, r": (\d+), (\d+)", "What is the least common multiple of {} and {}?")),
    "siblings_and_friends": Task({"task_type_weights": [0.5, 0.5, 0.0]}, _friends, generator="aiw"),
    "simple_geometry": Task({"min_sides": 3, "max_sides": 4, "min_angle": 30, "max_angle": 85}, _angles),
    "number_sequence": Task(
        {"min_terms": 4, "max_terms": 5, "max_complexity": 2},
        lambda text: f"Which number comes next: {formula(text.removesuffix(', ?'))}?", answer=_whole,
    ),
}  # fmt: skip


def items(task: str, split: Split, count: int) -> list[TaskQuestion]:
    """Give the first `count` items of a task's split, always the same ones.

    Raises:
        BadQuestion: there is no such task.
        BenchExtraMissing: reasoning-gym is not installed.

    """
    if task not in TASKS:
        raise BadQuestion(f"there is no task {task!r}; there are {', '.join(TASKS)}.")
    known = _developed(task) if split == "test" else frozenset()
    found: list[TaskQuestion] = []
    for item in _drawn(task, split):
        if len(found) == count:
            return found
        if item.question not in known:
            found.append(item)
    return found


@cache
def _developed(task: str) -> frozenset[str]:
    return frozenset(item.question for item, _ in zip(_drawn(task, "dev"), range(_DEVELOPED), strict=False))


def dataset(name: str, split: Split) -> Any:  # noqa: ANN401 - the generators have no types
    """Give a task's generator, as the split draws from it: entry i belongs to the item of that number.

    Raises:
        BenchExtraMissing: reasoning-gym is not installed.

    """
    try:
        from reasoning_gym import create_dataset  # noqa: PLC0415 - optional
    except ImportError as error:
        raise BenchExtraMissing(
            f"the tasks are not installed ({error}); add them with: pip install -e 'bench[think]'"
        ) from error
    task = TASKS[name]
    return create_dataset(task.generator or name, seed=SEEDS[split], size=_DRAWN, **task.config)


def _drawn(name: str, split: Split) -> Iterator[TaskQuestion]:
    task, drawn = TASKS[name], dataset(name, split)
    seen: set[str] = set()
    for number in range(_DRAWN):
        entry = drawn[number]
        question, answer = task.word(entry["question"]), task.answer(str(entry["answer"]))
        if question and answer and question not in seen and len(question.split()) <= _LONGEST:
            seen.add(question)
            yield TaskQuestion(name, number, question, answer, task.kind)
