"""How many tokens a turn's thoughts may take: by what thinking brings for its kind of question, and by the price. Pure.

A right answer is worth so many tokens at the mean price of the day; of all lengths that were measured the one is
taken at which the right answers that thoughts bring are worth most above what the thoughts cost. So a dearer hour never
has longer thoughts than a cheaper one. The user's own floor and `loop.think_tokens` bound it, whatever comes of that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reasoning.options import BudgetName, LoopOptions


class Gain(NamedTuple):
    """What thoughts of so many tokens at most bring."""

    tokens: int
    right: float
    """Share of questions that are right by thoughts that ended by then."""
    spent: float
    """Tokens that they take in the mean: most thoughts end before."""


WORTH: Final[Mapping[BudgetName, float]] = {"frugal": 180.0, "generous": 1000.0}
"""Tokens that one more right answer may cost at the mean price."""
GAINS: Final[Mapping[str, Sequence[Gain]]] = {
    "sums": (Gain(32, 0.20, 30), Gain(48, 0.40, 40), Gain(96, 0.53, 53), Gain(128, 0.53, 58), Gain(320, 0.53, 71)),
    "plain": (Gain(32, 0.11, 30), Gain(64, 0.22, 50), Gain(96, 0.33, 59), Gain(128, 0.38, 64), Gain(320, 0.44, 74)),
}
"""By policy, of qwen2.5-coder-1.5b: 15 generated and 45 public questions (`descant bench budget`); thoughts that had
not ended by then count as wrong. The last of each stands for all that `loop.think_tokens` allows."""


def thinking_tokens(
    options: LoopOptions, policy: str, price: float, gains: Mapping[str, Sequence[Gain]] = GAINS
) -> int:
    """Give the tokens that thoughts by a policy may take.

    price: of energy now, by its mean over the day; 1 where it is not known.
    """
    most, curve = options.think_tokens, gains.get(policy)
    if options.budget == "fixed" or not curve:
        return most
    worth = WORTH[options.budget]
    best = max(curve, key=lambda gain: (worth * gain.right - price * gain.spent, -gain.tokens))
    if best is curve[-1]:
        return most
    return min(most, max(options.least_think_tokens, best.tokens))
