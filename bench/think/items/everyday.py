"""Everyday questions, which have no one right answer: everyday.toml has the rules by which a reply is acceptable."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from bench.think.items.question import Rules, TaskQuestion

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.think.items.question import Split

ACCEPTABLE: Final = "acceptable"
_MOST_WORDS: Final = 60
"""Some 25 seconds of speech."""
_NEVER: Final = (
    r"^\s*(?:\d+[.)]|[-*•])\s",
    r"\n\s*(?:\d+[.)]|[-*•])\s",
    r"[*#_`|<>{}\[\]=]",
    r"\b(?:openai|chatgpt|alibaba|anthropic|google assistant)\b",
    r"\bread aloud\b|\bone short calculation\b|\b(?:the|my) (?:thoughts|working|notes)\b",
)
"""What no reply holds: a list, signs that are not spoken, another maker's name, words of the prompts."""


def kinds() -> tuple[str, ...]:
    """Name the kinds of questions."""
    return tuple(_read())


def items(kind: str, split: Split, count: int) -> list[TaskQuestion]:
    """Give the first `count` questions of a kind: of its first half for development, of its second to report on."""
    asked = _read()[kind]
    half = len(asked) // 2
    chosen = asked[:half] if split == "dev" else asked[half:]
    return list(chosen[:count])


@cache
def _read() -> Mapping[str, tuple[TaskQuestion, ...]]:
    found = tomllib.loads(files("bench.think.items").joinpath("everyday.toml").read_text(encoding="utf-8"))
    return {
        kind: tuple(
            TaskQuestion(
                kind,
                number,
                one["ask"],
                ACCEPTABLE,
                "manner",
                before=one.get("before", ""),
                rules=Rules(tuple(one["must"]), (*_NEVER, *one.get("must_not", ())), one.get("words", _MOST_WORDS)),
            )
            for number, one in enumerate(asked)
        )
        for kind, asked in found.items()
    }
