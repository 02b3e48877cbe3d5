"""Chooses the next token from logits, by the rules of one stream.

What is chosen stays in tensors until the numbers of all streams of a step come over in one transfer; greedy is exact
and needs no random numbers. Knows nothing about streams or blocks.
"""

from __future__ import annotations

from collections.abc import Generator
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import torch

from reasoning.engine.device import carried
from reasoning.errors import EngineFailed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import Tensor

    from reasoning.engine.contract import Sampling
    from reasoning.tools.grammar import Matcher

T = TypeVar("T")
Reading = Generator["Tensor", "Sequence[float]", T]
"""Yields a float32 vector on the device, is sent its numbers, and so on until it returns what it makes of them."""


class Sampler:
    """One stream's rules with its own random generator."""

    def __init__(self, rules: Sampling, device: torch.device, matcher: Matcher | None = None) -> None:
        """Take the rules, and the place in their grammar where they have one."""
        self._rules, self._matcher = rules, matcher
        self._ban = carried(torch.tensor(sorted(rules.ban), dtype=torch.long), device)
        self._random = torch.Generator(device).manual_seed(rules.seed) if rules.temperature > 0 else None

    def choose(self, logits: Tensor) -> Reading[tuple[int, float]]:
        """Choose from float32 logits [vocabulary]; give the id and its log-probability.

        Raises:
            EngineFailed: the rules leave no token, or the logits are no numbers.

        """
        normal = logits.logsumexp(dim=-1)
        adjusted = logits
        if len(self._ban):
            adjusted = adjusted.index_fill(0, self._ban, -torch.inf)
        if self._matcher is not None:
            adjusted = self._matcher.restrict(adjusted)
        chosen = adjusted.argmax(dim=0, keepdim=True) if self._random is None else self._drawn(adjusted)
        # A float32 holds the ids of any vocabulary exactly.
        token, log_prob, left = yield torch.cat(
            (chosen.float(), logits.gather(0, chosen) - normal, adjusted.gather(0, chosen))
        )
        if not left > -torch.inf:
            raise EngineFailed("no token could be chosen: bans and grammar leave none, or the logits are no numbers")
        if self._matcher is not None:
            self._matcher.take(int(token))
        return int(token), log_prob

    def _drawn(self, logits: Tensor) -> Tensor:
        rules = self._rules
        ordered, ids = (logits / rules.temperature).sort(descending=True)
        share = ordered.softmax(dim=-1)
        keep = share >= rules.min_p * share[0]
        # A token stays when the tokens before it have not reached top_p yet: the first always does.
        keep &= share.cumsum(dim=-1) - share < rules.top_p
        if rules.top_k:
            keep[rules.top_k :] = False
        # The least of exponential times with these rates, as torch.multinomial draws after a wait for the device.
        times = torch.empty_like(share).exponential_(generator=self._random)
        return ids.gather(0, (share * keep / times).argmax(dim=0, keepdim=True))


def scored_choices(logits: Tensor, choices: Sequence[frozenset[int]]) -> Reading[float]:
    """Give log-odds of the first set of tokens against the second."""
    log_probs = logits.log_softmax(dim=-1)
    tokens = (carried(torch.tensor(sorted(choice), dtype=torch.long), logits.device) for choice in choices)
    yes, no = (log_probs.index_select(0, chosen).logsumexp(dim=-1) for chosen in tokens)
    (odds,) = yield (yes - no).unsqueeze(0)
    return odds


def read_together(readings: Iterable[Reading[T]]) -> list[T | EngineFailed]:
    """Run readings side by side; what all of them wait for comes over in one transfer. An error ends only its own."""
    waiting = list(enumerate(readings))
    found: dict[int, T | EngineFailed] = {}
    sent: list[Sequence[float] | None] = [None] * len(waiting)
    while waiting:
        wanted: list[tuple[int, Reading[T], Tensor]] = []
        for (number, reading), numbers in zip(waiting, sent, strict=True):
            try:
                # The first time there is nothing to send.
                wanted.append((number, reading, next(reading) if numbers is None else reading.send(numbers)))
            except StopIteration as end:
                found[number] = end.value
            except EngineFailed as error:
                found[number] = error
            except (RuntimeError, IndexError) as error:
                found[number] = EngineFailed(f"no token could be chosen: {error}")
        waiting = [(number, reading) for number, reading, _ in wanted]
        try:
            numbers_of_all = iter(torch.cat([vector for _, _, vector in wanted]).tolist() if wanted else ())
        except RuntimeError as error:
            found |= {number: EngineFailed(f"no token could be read: {error}") for number, _ in waiting}
            waiting = []
        sent = [list(islice(numbers_of_all, len(vector))) for _, _, vector in wanted] if waiting else []
    return [found[number] for number in sorted(found)]
