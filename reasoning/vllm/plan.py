"""What one stream asks of a server, and when it has to ask anew: sans-I/O.

A server computes on the view as it was when it was asked, so a stream is cut into segments. While an earlier block is
being written by another stream, a segment is short, and the next one reads what was written meanwhile. What comes
from outside (appended text, a crop) ends a segment at once. Prefix caching makes the common beginning cost nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import torch

from reasoning.engine.contract import Token
from reasoning.errors import BlockBusy, ContextFull
from reasoning.vllm.wire import Ask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reasoning.engine.contract import Sampling
    from reasoning.tools.grammar import Matcher
    from reasoning.vllm.wire import CompletionPiece

_SEEDS: Final = 2**31


@dataclass(eq=False, slots=True)
class ServedBlock:
    """A block of this engine: tokens only. Their cache is the server's affair."""

    name: str
    ids: list[int] = field(default_factory=list)
    writer: object | None = None
    """The stream that writes the block."""

    @property
    def tokens(self) -> Sequence[int]:
        """Token ids that were appended or delivered."""
        return tuple(self.ids)

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """What a view may hold, and how long a segment is."""

    context: int
    """Tokens of a view."""
    segment: int
    """Tokens of a segment whose view is growing."""
    vocabulary: int

    def check(self, view: Sequence[ServedBlock], more: Sequence[int] = ()) -> None:
        """Refuse tokens that the model does not have, and views that are too long."""
        unknown = [token for token in more if not 0 <= token < self.vocabulary]
        if unknown:
            raise ValueError(f"the model has no token {unknown[0]}: it has {self.vocabulary}")
        length = sum(map(len, view)) + len(more)
        if length > self.context:
            raise ContextFull(
                f"a view of {length} tokens does not fit the {self.context} that are set; "
                "drop history, raise engine.context, or start the server with a larger --max-model-len"
            )

    def check_writable(self, view: Sequence[ServedBlock], more: Sequence[int] = ()) -> None:
        """Do so, and refuse a block that a stream writes."""
        if view[-1].writer is not None:
            raise BlockBusy(f"block {view[-1].name!r} is being written; end that stream or crop the block first")
        self.check(view, more)


def flat(view: Sequence[ServedBlock]) -> tuple[int, ...]:
    """Give the tokens of a view."""
    return tuple(token for block in view for token in block.ids)


def lengths(view: Sequence[ServedBlock]) -> dict[str, int]:
    """Give the length of each block of a view."""
    return {block.name: len(block) for block in view}


class Writing:
    """One stream's account of its block: what it asks for next, and what becomes of each token."""

    def __init__(
        self, view: Sequence[ServedBlock], rules: Sampling, limits: ServerLimits, matcher: Matcher | None = None
    ) -> None:
        """Take the block; `BlockBusy` and `ContextFull` where it cannot be had."""
        limits.check_writable(view)
        if rules.repetition_penalty != 1.0:
            # A server's penalty looks back over the whole prompt, ours over a window of the block.
            raise ValueError("this engine has no repetition_penalty: leave it at 1")
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
        if not matcher.active:
            return None
        allowed = matcher.restrict(torch.zeros(self._limits.vocabulary)).isfinite()
        if token < len(allowed) and allowed[token]:
            return None
        return frozenset(allowed.nonzero().squeeze(1).tolist())
