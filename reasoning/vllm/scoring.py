"""Weighs sets of tokens by the log-probabilities of a few: sans-I/O.

A server tells the log-probabilities of some twenty tokens for each request. A set that holds nearly the whole
vocabulary, such as "everything but these words", is weighed by the few tokens that it does not hold.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from reasoning.errors import EngineFailed
from reasoning.vllm.wire import TOKENS_AT_ONCE, Ask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MOST: Final = 10 * TOKENS_AT_ONCE
"""Tokens that one question may ask for: each twenty are a request."""
_LEAST: Final = 1e-12
"""The smallest share that a rest is given, whose exact value no difference of float32 numbers can tell."""


class ChoiceScoring:
    """A question with two sets of answers, as requests for single tokens."""

    def __init__(self, choices: Sequence[frozenset[int]], vocabulary: int) -> None:
        """Find out what to ask for; `EngineFailed` where it cannot be weighed."""
        self._vocabulary = vocabulary
        self._choices = [self._few(choice) for choice in choices]
        wanted = sorted({token for tokens, _ in self._choices for token in tokens})
        if len(wanted) > _MOST:
            raise EngineFailed(
                f"a choice among {len(wanted)} tokens cannot be weighed by a server; at most {_MOST} can"
            )
        self._wanted = wanted or [0]

    def asks(self, prompt: Sequence[int]) -> list[Ask]:
        """Give the requests, which may be made at the same time."""
        parts = range(0, len(self._wanted), TOKENS_AT_ONCE)
        return [
            Ask(tuple(prompt), 1, weighed=tuple(self._wanted[first : first + TOKENS_AT_ONCE]), label="question")
            for first in parts
        ]

    def log_odds(self, log_probs: Mapping[int, float]) -> float:
        """Give log-odds of the first set of tokens against the second."""
        yes, no = (self._log_share(tokens, log_probs, rest=rest) for tokens, rest in self._choices)
        return yes - no

    def _few(self, choice: frozenset[int]) -> tuple[frozenset[int], bool]:
        """Give a set by its own tokens, or by those that it does not hold, whichever are fewer."""
        if 2 * len(choice) <= self._vocabulary:
            return choice, False
        return frozenset(range(self._vocabulary)) - choice, True

    @staticmethod
    def _log_share(tokens: frozenset[int], log_probs: Mapping[int, float], *, rest: bool) -> float:
        if rest:
            return math.log(max(_LEAST, 1.0 - math.fsum(math.exp(log_probs[token]) for token in tokens)))
        most = max(log_probs[token] for token in tokens)
        return most + math.log(math.fsum(math.exp(log_probs[token] - most) for token in tokens))
