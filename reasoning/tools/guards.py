"""What calls are held to beyond their schema, where a call that nobody meant does harm, such as moving a robot.

Data of one tool; `reasoning.loop.actions` holds calls to it. Knows no tokens and no tool.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reasoning.tools.written import WrittenCall


def _nothing(_: Sequence[WrittenCall]) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class CallGuard:
    """Holds the calls of a tool to what the user said."""

    named: frozenset[str] = frozenset()
    """Values that nobody names for nothing and that are not to be guessed, such as places: one that the user names and
    no call has was left out, and one that a call has and nobody named was made up. Where there are any, the tool's
    numbers are not guessed either."""
    does: frozenset[str] = frozenset()
    """Words that ask for the tool by name, such as "dock": one that the user says and no call does was left out."""
    alone: bool = False
    """Whether a call of the tool beside others can only be a misunderstanding."""
    senseless: Callable[[Sequence[WrittenCall]], str] = field(default=_nothing, compare=False)
    """Says what makes no sense in all calls for one request together; empty where they can be meant."""
