"""Live views of a server that has them (docs/live-views.md): which running requests a new one may read. Sans-I/O.

A stream's request can be read from its first token on until it ends or is asked anew. It stands for the stream's whole
view, so that whoever has that view at the beginning of its own reads it there, growing, in place of a copy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reasoning.vllm.blocks import ServedBlock


class ViewLost(Exception):
    """What was to be read is there no more, or the server wants no view: to be asked again without one."""


@dataclass(frozen=True, slots=True)
class LiveViews:
    """What one request says of views."""

    block: str | None
    """Name under which it can be read."""
    view: tuple[str, ...]
    """Requests that it reads."""
    own: int
    """Tokens at the end of the prompt that are its own; those before them are what it reads."""

    def arguments(self, session: str) -> dict[str, object]:
        """Give the request's extra arguments."""
        named = {} if self.block is None else {"live_block": self.block}
        return {"live_session": session, **named, **({"live_view": list(self.view)} if self.view else {})}


@dataclass(frozen=True, slots=True)
class _Offer:
    blocks: tuple[ServedBlock, ...]
    names: tuple[str, ...]
    kept_up: Callable[[], bool]
    """Whether all that has come was taken: else the request is ahead of its block."""


class Board:
    """The requests of one session that can be read."""

    def __init__(self) -> None:
        self._offers: dict[object, _Offer] = {}
        self._names = 0

    def new_name(self) -> str:
        """Give a name that no other request of the session has."""
        self._names += 1
        return f"b{self._names}"

    def offer(
        self, owner: object, blocks: tuple[ServedBlock, ...], live: LiveViews, kept_up: Callable[[], bool]
    ) -> None:
        """Let a request be read, which stands for these blocks."""
        if live.block is not None:
            self._offers[owner] = _Offer(blocks, (*live.view, live.block), kept_up)

    def withdraw(self, owner: object) -> None:
        """Take it back: the request ends."""
        self._offers.pop(owner, None)

    def find(self, blocks: Sequence[ServedBlock]) -> tuple[tuple[str, ...], int]:
        """Give the requests to read for the longest beginning of a view, and how many blocks they stand for."""
        for count in range(len(blocks), 0, -1):
            for offer in self._offers.values():
                if offer.blocks == tuple(blocks[:count]) and offer.kept_up():
                    return offer.names, count
        return (), 0

    def has(self, names: tuple[str, ...]) -> bool:
        """Whether these can still be read."""
        return any(offer.names == names for offer in self._offers.values())
