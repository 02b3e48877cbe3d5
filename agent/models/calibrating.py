"""Measures where the need question divides small talk from problems, with one model, on the questions that ship.

The question is asked as the loop asks it; nothing is written. What comes of it holds for that model, its wording and
the language of the questions, which is English.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from agent.errors import NotMeasured
from reasoning.prompting.profiles.profile import Calibration
from reasoning.tools.calls import Tool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reasoning.engine.contract import Engine, EngineSession
    from reasoning.prompting.script import Script

_FILE: Final = Path(__file__).with_name("need_questions.toml")
_MOST_BONUS: Final = 1.0
"""Log-odds that numbers count for at most: they are a hint, not the answer."""
_CLEAR: Final = 0.05
"""Log-odds by which a sum is to lie on the right side."""
_MOST_MISPLACED: Final = 0.25
"""Share of the questions on the wrong side with which the question is worth asking."""
_TOOL: Final = Tool(
    "set_lamp",
    "Turn a lamp on or off.",
    {"type": "object", "properties": {"on": {"type": "boolean"}}, "required": ["on"], "additionalProperties": False},
)


@dataclass(frozen=True, slots=True)
class NeedQuestions:
    """What is asked."""

    small_talk: tuple[str, ...]
    problems: tuple[str, ...]
    """With less than two numbers."""
    sums: tuple[str, ...]
    """Problems with two numbers and more."""


@dataclass(frozen=True, slots=True)
class NeedMeasured:
    """What was found."""

    calibration: Calibration
    misplaced: int
    """Questions on the wrong side of it."""
    asked: int
    """Questions in all, without tools."""


@cache
def need_questions() -> NeedQuestions:
    """Read the questions that ship."""
    table: dict[str, list[str]] = tomllib.loads(_FILE.read_text("utf-8"))
    return NeedQuestions(**{name: tuple(questions) for name, questions in table.items()})


async def measure_need(engine: Engine, script: Script, model: str, tell: Callable[[int, int], None]) -> NeedMeasured:
    """Ask all questions, and small talk again with a tool in the prompt; raises NotMeasured where that divides nothing.

    tell: learns how many answers are there, of how many.
    """
    asked = need_questions()
    total, done = 2 * len(asked.small_talk) + len(asked.problems) + len(asked.sums), 0

    async def scored(session: EngineSession[Any], questions: Sequence[str]) -> list[float]:
        nonlocal done
        prompt, words, found = session.block("prompt"), session.block("words"), list[float]()
        for question in questions:
            await session.crop(words, 0)
            await session.append([prompt, words], script.tokenizer.encode(question))
            found.append((await session.score_choices([prompt, words], script.need, script.yes_no)).log_odds)
            done += 1
            tell(done, total)
        return found

    async with engine.session() as session:
        prompt = session.block("prompt")
        await session.append([prompt], script.prompt)
        talk, problems, sums = [await scored(session, each) for each in (asked.small_talk, asked.problems, asked.sums)]
        await session.crop(prompt, 0)
        await session.append([prompt], script.prompt_with([_TOOL]))
        talk_with_tools = await scored(session, asked.small_talk)
    return _divided((model, script.language.code), talk, problems, sums, talk_with_tools)


def _divided(
    of: tuple[str, str],
    talk: Sequence[float],
    problems: Sequence[float],
    sums: Sequence[float],
    talk_with_tools: Sequence[float],
) -> NeedMeasured:
    """Find the calibration of a model in a language."""
    bias = dividing(talk, problems)
    # All but the lowest of the sums: one odd question decides nothing.
    bonus = min(_MOST_BONUS, max(0.0, bias - sorted(sums)[1] + _CLEAR))
    with_tools = bias + median(talk_with_tools) - median(talk)
    wrong = sum(score > bias for score in talk) + sum(score <= bias for score in problems)
    wrong += sum(score + bonus <= bias for score in sums)
    asked = len(talk) + len(problems) + len(sums)
    if wrong > _MOST_MISPLACED * asked:
        raise NotMeasured(
            f"{of[0]} does not tell small talk from problems: {wrong} of {asked} questions are on the wrong side; "
            "leave it without a calibration"
        )
    bias, bonus, with_tools = round(bias, 3), round(bonus, 3), round(with_tools, 3)
    return NeedMeasured(Calibration(*of, bias, bonus, with_tools), wrong, asked)


def dividing(low: Sequence[float], high: Sequence[float]) -> float:
    """Give the value with the fewest of `low` above it and of `high` below, amid the widest such gap."""
    ordered = sorted([*low, *high])
    gaps = [(after - before, (before + after) / 2) for before, after in pairwise(ordered)]

    def badness(gap: tuple[float, float]) -> tuple[int, float]:
        width, value = gap
        return sum(score > value for score in low) + sum(score <= value for score in high), -width

    return min(gaps, key=badness)[1]
