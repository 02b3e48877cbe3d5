"""One question with its answer, or with the rules that stand in for one. Data, and the check of the rules."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["number", "weekday", "duration", "relation", "date", "option", "claim", "manner"]
"""What an answer is: something that has a form of its own; one of the options or of the claims of its item; or, as a
manner, a reply that fulfils its rules."""
Split = Literal["dev", "test"]


@dataclass(frozen=True, slots=True)
class Rules:
    """What a reply has to hold, and must not; regular expressions, whatever their case."""

    must: tuple[str, ...]
    must_not: tuple[str, ...]
    most_words: int

    def broken(self, reply: str) -> str:
        """Give the first rule that a reply breaks; an empty text: it is acceptable."""
        count = len(reply.split())
        if not 0 < count <= self.most_words:
            return f"{count} words, not 1 to {self.most_words}"
        missing = next((rule for rule in self.must if not re.search(rule, reply, re.IGNORECASE)), None)
        if missing is not None:
            return f"nothing like {missing}"
        found = next((rule for rule in self.must_not if re.search(rule, reply, re.IGNORECASE)), None)
        return "" if found is None else f"holds {found}"


@dataclass(frozen=True, slots=True)
class TaskQuestion:
    """One question with its answer."""

    task: str
    number: int
    """Its number in the split."""
    question: str
    answer: str
    """In the form of its kind: a number, a weekday, minutes, a relation, an ISO date, an option, a claim's name."""
    kind: Kind
    before: str = ""
    """What was asked, and answered, before it; empty where it stands alone."""
    options: tuple[str, ...] = ()
    """The texts of which one is the answer."""
    claims: tuple[tuple[str, str], ...] = ()
    """Names of what a sentence may claim, each with the regular expression that finds it; what denies comes first."""
    rules: Rules | None = None
    """What a reply without one right answer has to be like."""
