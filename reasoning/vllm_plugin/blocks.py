"""Which blocks live, who reads them, and when their memory may go: sans-I/O.

A block is one request's cache. It lives while its request runs, and after that as long as somebody reads it. Views are
resolved when a request arrives, so that a block can only read older ones: there are no cycles.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from .names import RequestedView, RequestRefused


@dataclass(frozen=True, slots=True)
class PluginLimits:
    """What one session may have."""

    blocks: int = 32
    """Requests that it has at a time, and ended ones that are still read."""
    view: int = 8
    """Blocks of a view, without the request's own."""


@dataclass(eq=False, slots=True)
class SharedBlock:
    """One request's cache."""

    request_id: str
    session: str
    name: str | None
    view: tuple[SharedBlock, ...]
    """The blocks that it reads, in order."""
    readers: set[SharedBlock] = field(default_factory=set)
    ended: bool = False
    """Its request is over; the cache stays while it has readers."""


class Blocks:
    """All blocks of a server."""

    def __init__(self, limits: PluginLimits) -> None:
        self.limits: Final = limits
        self._of_request: dict[str, SharedBlock] = {}
        self._sessions: dict[str, dict[str, SharedBlock]] = {}
        """Blocks of each session, by request."""

    def __len__(self) -> int:
        return len(self._of_request)

    def of(self, request_id: str) -> SharedBlock | None:
        """Give the block that a request writes; None for an ordinary request."""
        return self._of_request.get(request_id)

    @property
    def pinned(self) -> list[SharedBlock]:
        """Blocks whose request is over and whose memory is still needed."""
        return [block for block in self._of_request.values() if block.ended]

    def add(self, request_id: str, wanted: RequestedView) -> SharedBlock:
        """Take a request in.

        Raises `RequestRefused` where its session has no such blocks, has the name already, or has too many.
        """
        mine = self._sessions.get(wanted.session, {})
        if len(mine) >= self.limits.blocks:
            raise RequestRefused(f"the session has {len(mine)} blocks already; end some of them first", 429)
        named = {block.name: block for block in mine.values() if block.name is not None}
        if wanted.block in named:
            raise RequestRefused(
                f"the session has a block {wanted.block!r} already; end it first, or take another name", 409
            )
        for name in wanted.view:
            if name not in named:
                raise RequestRefused(
                    f"the session has no block {name!r}; a block can be read from the first token of its request on, "
                    "while the request or one of its readers runs",
                    404,
                )
        block = SharedBlock(request_id, wanted.session, wanted.block, tuple(named[name] for name in wanted.view))
        for read in block.view:
            read.readers.add(block)
        self._sessions.setdefault(wanted.session, {})[request_id] = block
        self._of_request[request_id] = block
        return block

    def end(self, block: SharedBlock) -> list[SharedBlock]:
        """Take note that the block's request is over; give the blocks whose memory nobody needs any more."""
        block.ended = True
        for read in block.view:
            read.readers.discard(block)
        gone = [each for each in dict.fromkeys((block, *block.view)) if each.ended and not each.readers]
        for each in gone:
            del self._of_request[each.request_id]
            mine = self._sessions[each.session]
            del mine[each.request_id]
            if not mine:
                del self._sessions[each.session]
        return gone
