"""What one stream asks of a server, and when it has to ask anew: sans-I/O.

A server computes on the view as it was when it was asked, so a stream is cut into segments. While an earlier block is
being written by another stream, a segment is short, and the next one reads what was written meanwhile. What comes
from outside (appended text, a crop) ends a segment at once. Prefix caching makes the common beginning cost nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

from reasoning.engine.contract import Token
from reasoning.vllm.blocks import flat, lengths
from reasoning.vllm.wire import Ask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reasoning.engine.contract import Sampling
    from reasoning.tools.grammar import Matcher
    from reasoning.vllm.blocks import ServedBlock, ServerLimits
    from reasoning.vllm.wire import CompletionPiece

_SEEDS: Final = 2**31


class Writing:
    """One stream's account of its block: what it asks for next, and what becomes of each token."""

    def __init__(
        self, view: Sequence[ServedBlock], rules: Sampling, limits: ServerLimits, matcher: Matcher | None = None
    ) -> None:
        """Take the block; `BlockBusy` and `ContextFull` where it cannot be had."""
        limits.check_writable(view)
        self.view, self._rules, self._limits, self._matcher = tuple(view), rules, limits, matcher
        self._block = view[-1]
        self._block.writer = self
        self._made = self._asked = self._since = 0
        self._seen: Mapping[str, int] = {}
        self._live: tuple[ServedBlock, ...] = ()
        """Blocks that the request reads as they grow."""
        self._free: frozenset[int] | None = None
        """What the grammar allows, where the model has just chosen something else."""

    @property
    def over(self) -> bool:
        """Whether the stream has ended: it wrote its last token, or somebody took the block away."""
        return self._block.writer is not self

    def release(self) -> None:
        """End the stream; the block keeps what was delivered."""
        if not self.over:
            self._block.writer = None

    @property
    def held(self) -> bool:
        """Whether a grammar may refuse what the server writes."""
        return self._matcher is not None

    @property
    def due(self) -> bool:
        """Whether the next token should be asked for anew, since the view has grown long enough ago."""
        grown = any(len(block) != self._seen.get(block.name) for block in self.view[len(self._live) : -1])
        return grown and self._since >= self._limits.segment

    def freeze(self) -> None:
        """Take note that what was read as it grew has ended, without its last token: it must be read again."""
        self._seen = {**self._seen, **dict.fromkeys((block.name for block in self._live), -1)}
        self._live = ()

    def ask(self, live: int = 0) -> Ask:
        """Ask for the next tokens, by the view as it is now; the first `live` blocks will be seen as they grow."""
        self._live = self.view[:live]
        self._limits.check(self.view)
        prompt, rules = flat(self.view), self._rules
        self._seen, self._since = lengths(self.view), 0
        self._asked += 1
        most = min(rules.max_tokens - self._made, self._limits.context + 1 - len(prompt))
        if any(block.writer is not None for block in self.view[live:-1]):
            most = min(most, self._limits.segment)
        allowed, ban = self._free, rules.ban
        if allowed is not None:
            most = 1
            if 2 * len(allowed) > self._limits.vocabulary:
                ban |= frozenset(range(self._limits.vocabulary)) - allowed
                allowed = None
        return Ask(
            prompt,
            most,
            stop=rules.stop,
            ban=ban,
            allowed=allowed,
            temperature=rules.temperature,
            top_k=rules.top_k,
            top_p=rules.top_p,
            min_p=rules.min_p,
            # Each request draws by a seed of its own: what was drawn and refused is not drawn again.
            seed=(rules.seed * 1_000_003 + self._asked) % _SEEDS,
            label=self._block.name,
        )

    def take(self, piece: CompletionPiece, step: int) -> Token | None:
        """Deliver a token; None where the grammar refuses it, so that one that it allows must be asked for.

        A token that is drawn freely and kept if it is allowed, and else drawn among those that are, has the same
        distribution as one drawn among those that are.
        """
        if self._matcher is not None:
            self._free = self._refusal(self._matcher, piece.id)
            if self._free is not None:
                return None
            self._matcher.take(piece.id)
        self._seen = {**self._seen, **lengths(self._live)}
        seen = {**self._seen, self._block.name: len(self._block)}
        self._block.ids.append(piece.id)
        self._made += 1
        self._since += 1
        if piece.id in self._rules.stop or self._made >= self._rules.max_tokens:
            self.release()
        return Token(piece.id, piece.log_prob, seen, step)

    def _refusal(self, matcher: Matcher, token: int) -> frozenset[int] | None:
        """Give what the grammar allows in place of this token; None where it allows it."""
        allowed = matcher.restrict(torch.zeros(self._limits.vocabulary)).isfinite()
        if token < len(allowed) and allowed[token]:
            return None
        return frozenset(allowed.nonzero().squeeze(1).tolist())
