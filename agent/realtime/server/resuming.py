"""Keeps a session's conversation in the store while it runs, and gets one back by its id.

Items that come and go are put there at once, the pieces of a reply a few times a second; so a server that is killed
loses no more than that. Nothing of a conversation waits for the store but its beginning and its end.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.realtime.protocol.fields import InvalidRequest
from agent.realtime.protocol.keeping import KeptConversation, kept_conversation
from agent.realtime.server.store import Held, StoredOtherwise, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.realtime.server.keys import Keys
    from agent.realtime.server.store import PatientStore

_ID: Final = re.compile(r"conv_[0-9a-f]{20}")
_EVERY_S: Final = 0.25
"""Seconds between two times that a reply which is being made is put into the store, for each 64 kB of conversation."""
_SOONEST_S: Final = 0.02
"""The same where items come and go, which is put there at once."""
_LOOK_S: Final = 2.0
"""Seconds without a change until it is asked whether somebody else has taken the conversation."""
_PIECE: Final = 65_536


class TakenOver(Exception):
    """Another session goes on with the conversation."""


@dataclass(frozen=True, slots=True)
class Resumption:
    """What came of the wish to go on with a conversation."""

    held: Held
    kept: KeptConversation | None = None
    """None: it is a new one."""
    problem: InvalidRequest | None = None
    """Why it is a new one, if it was to be an old one."""


async def resumed(
    store: PatientStore | None, wanted: str, keys: Keys, new_id: Callable[[str], str], wall_s: float
) -> Resumption:
    """Take the conversation that is wanted, from whoever holds it. Raises Refused: there is none for this key.

    wanted: an id, or nothing for a new conversation.
    wall_s: the time of day in seconds.
    """
    fresh = _held(new_id("conv"), keys)
    if not wanted:
        return Resumption(fresh)
    if store is None:
        return Resumption(fresh, problem=_not_resumed("this server keeps none: its setting store.url is empty"))
    held = _held(wanted, keys)
    try:
        text = await store.take(held) if _ID.fullmatch(wanted) else None
        if text is None:
            # Whether it is somebody else's is not told.
            raise InvalidRequest(
                "There is no such conversation for this key, or it is over for too long; connect without "
                "'conversation' to begin another one.",
                code="conversation_not_found",
                param="conversation",
            )
        # In a thread, as all that takes the longer the longer the conversation is: the other sessions go on.
        return Resumption(held, await asyncio.to_thread(kept_conversation, text, wall_s))
    except StoreUnavailable:
        return Resumption(fresh, problem=_not_resumed("the store of conversations cannot be used now"))
    except (StoredOtherwise, ValueError) as unread:
        return Resumption(fresh, problem=_not_resumed(str(unread)))


def _held(conversation_id: str, keys: Keys) -> Held:
    return Held(conversation_id, keys.owner(conversation_id), secrets.token_hex(8))


def _not_resumed(why: str) -> InvalidRequest:
    return InvalidRequest(
        f"The conversation is not gone on with ({why}); this is a new one.",
        code="conversation_not_resumed",
        param="conversation",
    )


class Keeping:
    """`run` it in a task beside the session, tell it what has `changed`, and put the `last` state at the end."""

    def __init__(self, store: PatientStore, held: Held, draft: Callable[[], Callable[[], str]]) -> None:
        """`draft` notes the whole conversation as it stands; what it gives writes it, in any thread."""
        self._store, self._held, self._draft = store, held, draft
        self._changed, self._urgent = asyncio.Event(), asyncio.Event()
        self._put = ""

    def changed(self, *, at_once: bool) -> None:
        """Say that something is different, more than that a reply goes on if `at_once`; never waits."""
        self._changed.set()
        if at_once:
            self._urgent.set()

    async def run(self) -> None:
        """Put it into the store whenever it has changed. Raises TakenOver."""
        self._changed.set()
        while True:
            try:
                async with asyncio.timeout(_LOOK_S):
                    await self._changed.wait()
            except TimeoutError:
                with suppress(StoreUnavailable):
                    self._check(await self._store.holds(self._held))
                continue
            self._changed.clear()
            self._urgent.clear()
            try:
                await self.last()
            except StoreUnavailable:
                self._changed.set()
                await asyncio.sleep(_LOOK_S)
            else:
                await self._rest(max(1.0, len(self._put) / _PIECE))

    async def _rest(self, size: float) -> None:
        await asyncio.sleep(_SOONEST_S * size)
        with suppress(TimeoutError):
            async with asyncio.timeout(_EVERY_S * size):
                await self._urgent.wait()

    async def last(self) -> None:
        """Put it there as it stands. Raises TakenOver and StoreUnavailable."""
        text = await asyncio.to_thread(self._draft())
        self._check(await self._store.put(self._held, text))
        self._put = text

    @staticmethod
    def _check(held: bool) -> None:  # noqa: FBT001 - what the store has answered
        if not held:
            raise TakenOver
