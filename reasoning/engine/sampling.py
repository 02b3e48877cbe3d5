"""Chooses the next token from logits, by the rules of one stream.

Everything stays in tensors; greedy is exact and needs no random numbers. Knows nothing about streams or blocks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from reasoning.engine.contract import Sampling
    from reasoning.tools.grammar import Matcher


class Sampler:
    """One stream's rules with its own random generator."""

    def __init__(self, rules: Sampling, device: torch.device, matcher: Matcher | None = None) -> None:
        """Take the rules, and the place in their grammar where they have one."""
        self._rules, self._matcher = rules, matcher
        self._ban = torch.tensor(sorted(rules.ban), dtype=torch.long, device=device)
        self._random = torch.Generator(device=device).manual_seed(rules.seed)

    def choose(self, logits: Tensor) -> tuple[int, float]:
        """Choose from float32 logits [vocabulary]; give the id and its log-probability."""
        normal = logits.logsumexp(dim=-1)
        adjusted = logits
        if len(self._ban):
            adjusted = adjusted.index_fill(0, self._ban, -torch.inf)
        if self._matcher is not None:
            adjusted = self._matcher.restrict(adjusted)
        chosen = adjusted.argmax() if self._rules.temperature <= 0 else self._drawn(adjusted)
        if self._matcher is not None:
            self._matcher.take(int(chosen))
        return int(chosen), float(logits[chosen] - normal)

    def _drawn(self, logits: Tensor) -> Tensor:
        rules = self._rules
        ordered, ids = (logits / rules.temperature).sort(descending=True)
        share = ordered.softmax(dim=-1)
        keep = share >= rules.min_p * share[0]
        # A token stays when the tokens before it have not reached top_p yet: the first always does.
        keep &= share.cumsum(dim=-1) - share < rules.top_p
        if rules.top_k:
            keep[rules.top_k :] = False
        drawn = torch.multinomial(share * keep, 1, generator=self._random)
        return ids[drawn[0]]


def scored_choices(logits: Tensor, choices: Sequence[frozenset[int]]) -> float:
    """Give log-odds of the first set of tokens against the second."""
    log_probs = logits.log_softmax(dim=-1)
    yes, no = (log_probs[torch.tensor(sorted(choice), device=logits.device)].logsumexp(dim=-1) for choice in choices)
    return float(yes - no)
