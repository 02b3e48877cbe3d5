"""Blocks of tokens whose cache is a server's affair, and what a view of them may hold. Sans-I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reasoning.errors import BlockBusy, ContextFull, EngineFailed

if TYPE_CHECKING:
    from collections.abc import Sequence


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

    def check_answer(self, token: int) -> None:
        """Refuse a token of an answer that the model does not have."""
        if not 0 <= token < self.vocabulary:
            raise EngineFailed(
                f"a server answered with token {token}, and the vocabulary of the model has {self.vocabulary}: "
                "it serves another model; behind a router, too, all must serve the same one"
            )

    def check_writable(self, view: Sequence[ServedBlock], more: Sequence[int] = ()) -> None:
        """Refuse what `check` refuses, and a block that a stream writes."""
        if view[-1].writer is not None:
            raise BlockBusy(f"block {view[-1].name!r} is being written; end that stream or crop the block first")
        self.check(view, more)


def flat(view: Sequence[ServedBlock]) -> tuple[int, ...]:
    """Give the tokens of a view."""
    return tuple(token for block in view for token in block.ids)


def lengths(view: Sequence[ServedBlock]) -> dict[str, int]:
    """Give the length of each block of a view."""
    return {block.name: len(block) for block in view}
