"""Where conversations are kept while they run and some time after: in Redis or Valkey, or in this process.

A conversation has one holder, the session that goes on with it. Whoever takes it is the holder from then on, and what
an older one would put there is refused: that is how it learns that it is over. Each call is one atomic step of the
store, so that two who take at once cannot both hold.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from agent.errors import ConfigError
from agent.realtime.protocol.keeping import VERSION
from agent.realtime.server.keys import read_line

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from agent.realtime.server.options import StoreOptions

_LOG: Final = logging.getLogger("descant.store")
_Result = TypeVar("_Result")
_MEMORY: Final = "memory:"
_REST_S: Final = 2.0
"""Seconds for which a store that failed is not asked, so that nobody waits for it again and again."""
_MOST_IN_MEMORY: Final = 200
"""Conversations; of more the one that changed longest ago is forgotten."""
_PREFIX: Final = "descant:conversation:"
_TAKE: Final = """
local kept = redis.call('HMGET', KEYS[1], 'version', 'owner', 'text')
if not kept[1] or kept[2] ~= ARGV[1] then return {} end
if kept[1] ~= ARGV[2] then return {kept[1]} end
redis.call('HSET', KEYS[1], 'holder', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
local found, piece = {kept[1]}, tonumber(ARGV[5])
for at = 1, #kept[3], piece do found[#found + 1] = string.sub(kept[3], at, at + piece - 1) end
return found
"""
_PART: Final = """
local holder = redis.call('HGET', KEYS[1], 'holder')
if holder and holder ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[2], ARGV[3], ARGV[4])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return 1
"""
_PUT: Final = """
local holder = redis.call('HGET', KEYS[1], 'holder')
if holder and holder ~= ARGV[3] then return 0 end
local parts = {}
for number = 1, tonumber(ARGV[6]) do
  parts[number] = redis.call('HGET', KEYS[2], number)
  if not parts[number] then return -1 end
end
parts[#parts + 1] = ARGV[5]
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'version', ARGV[2], 'holder', ARGV[3], 'text', table.concat(parts))
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('DEL', KEYS[2])
return 1
"""
_PIECE: Final = 262_144
"""Characters, all of them ASCII, that pass to or from the network at a time: the event loop copies them on the way."""
_HOLDS: Final = """
local holder = redis.call('HGET', KEYS[1], 'holder')
if holder and holder ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
"""


class StoreUnavailable(Exception):
    """The store cannot be used now; the conversation goes on without it."""


class StoredOtherwise(Exception):
    """What the store holds was written in another version's form."""


@dataclass(frozen=True, slots=True)
class Held:
    """A conversation in the hands of one session."""

    conversation_id: str
    owner: str
    """Tells whose it is, and cannot be turned into a key."""
    holder: str
    """The session."""


class ConversationStore(Protocol):
    """A place for conversations."""

    async def take(self, held: Held) -> str | None:
        """Become the holder, and give what was put; None: its owner has no such conversation."""
        ...

    async def put(self, held: Held, text: str) -> bool:
        """Put the whole conversation there; False: somebody else holds it."""
        ...

    async def holds(self, held: Held) -> bool:
        """Whether this is the holder, as far as there is one; what is kept is kept for longer then."""
        ...


class MemoryStore:
    """Memory of this process: a client that has lost its connection can come back."""

    def __init__(self, keep_s: float, now: Callable[[], float]) -> None:
        self._keep_s, self._now = keep_s, now
        self._kept: dict[str, tuple[Held, str, float]] = {}
        """Each with the time at which it is forgotten."""

    async def take(self, held: Held) -> str | None:
        """Become the holder."""
        self._forget()
        before, text, _ = self._kept.get(held.conversation_id, (None, "", 0.0))
        if before is None or before.owner != held.owner:
            return None
        await self.put(held, text, taking=True)
        return text

    async def put(self, held: Held, text: str, *, taking: bool = False) -> bool:
        """Put it there, at the end of the order in which they are forgotten."""
        self._forget()
        if not taking and not self._is_held(held):
            return False
        self._kept.pop(held.conversation_id, None)
        self._kept[held.conversation_id] = (held, text, self._now() + self._keep_s)
        return True

    async def holds(self, held: Held) -> bool:
        """Whether this is the holder."""
        if held.conversation_id in self._kept and self._is_held(held):
            return await self.put(held, self._kept[held.conversation_id][1])
        return self._is_held(held)

    def _is_held(self, held: Held) -> bool:
        before = self._kept.get(held.conversation_id)
        return before is None or before[0].holder == held.holder

    def _forget(self) -> None:
        while self._kept:
            oldest = next(iter(self._kept))
            if self._kept[oldest][2] > self._now() and len(self._kept) <= _MOST_IN_MEMORY:
                return
            del self._kept[oldest]


class RedisStore:
    """Redis or Valkey, by the official client."""

    def __init__(self, client: Any, keep_s: float) -> None:  # noqa: ANN401 - the client is an extra
        self._keep_ms = round(keep_s * 1000)
        scripts = (client.register_script(script) for script in (_TAKE, _PART, _PUT, _HOLDS))
        self._take, self._part, self._put, self._holds = scripts

    async def take(self, held: Held) -> str | None:
        """Become the holder. Raises StoredOtherwise."""
        args = [held.owner, VERSION, held.holder, self._keep_ms, _PIECE]
        match await self._take(keys=[_PREFIX + held.conversation_id], args=args):
            case [version, *pieces] if version == VERSION:
                return await asyncio.to_thread("".join, pieces)
            case [version, *_]:
                raise StoredOtherwise(f"it was kept by another version ({str(version)[:20]}, this one has {VERSION})")
            case _:
                return None

    async def put(self, held: Held, text: str) -> bool:
        """Put it there: a long one in pieces beside the old one, whose place they take with the last of them."""
        key = _PREFIX + held.conversation_id
        keys, count = [key, f"{key}:{held.holder}"], max(0, len(text) - 1) // _PIECE
        for number in range(count):
            piece = text[number * _PIECE : (number + 1) * _PIECE]
            if not await self._part(keys=keys, args=[held.holder, self._keep_ms, number + 1, piece]):
                return False
        args = [held.owner, VERSION, held.holder, self._keep_ms, text[count * _PIECE :], count]
        outcome = int(await self._put(keys=keys, args=args))
        if outcome < 0:
            raise OSError("it has lost a piece of what it was given a moment ago")
        return outcome > 0

    async def holds(self, held: Held) -> bool:
        """Whether this is the holder."""
        args = [held.holder, self._keep_ms]
        return bool(await self._holds(keys=[_PREFIX + held.conversation_id], args=args))


class PatientStore:
    """A store that nobody waits for long: one line of the log when it fails, one when it is back."""

    def __init__(
        self,
        store: ConversationStore,
        timeout_s: float,
        now: Callable[[], float],
        troubles: tuple[type[Exception], ...] = (OSError,),
    ) -> None:
        """`troubles`: what calls of this store raise where it cannot be used."""
        self._store, self._timeout_s, self._now = store, timeout_s, now
        self._troubles: tuple[type[Exception], ...] = (TimeoutError, *troubles)
        self._failed_at: float | None = None
        self.failures = 0

    async def take(self, held: Held) -> str | None:
        """Become the holder. Raises StoreUnavailable and StoredOtherwise."""
        return await self._asked(lambda: self._store.take(held))

    async def put(self, held: Held, text: str) -> bool:
        """Put it there. Raises StoreUnavailable."""
        return await self._asked(lambda: self._store.put(held, text))

    async def holds(self, held: Held) -> bool:
        """Whether this is the holder. Raises StoreUnavailable."""
        return await self._asked(lambda: self._store.holds(held))

    async def _asked(self, ask: Callable[[], Awaitable[_Result]]) -> _Result:
        if self._failed_at is not None and self._now() - self._failed_at < _REST_S:
            raise StoreUnavailable("it failed a moment ago")
        try:
            async with asyncio.timeout(self._timeout_s):
                result = await ask()
        except self._troubles as problem:
            late = isinstance(problem, TimeoutError)
            why = f"no answer within {self._timeout_s:g} s" if late else str(problem) or type(problem).__name__
            self._fails(why)
            raise StoreUnavailable(why) from problem
        if self._failed_at is not None:
            self._failed_at = None
            _LOG.warning("conversations are kept again: the store answers")
        return result

    def _fails(self, why: str) -> None:
        self.failures += 1
        if self._failed_at is None:
            _LOG.warning("conversations are not kept, and go on all the same: the store fails (%s)", why[:200])
        self._failed_at = self._now()


@asynccontextmanager
async def open_store(options: StoreOptions, now: Callable[[], float]) -> AsyncIterator[PatientStore | None]:
    """Open the store of the settings; None where conversations are kept nowhere. Raises ConfigError."""
    if not options.url:
        yield None
        return
    if options.url == _MEMORY:
        yield PatientStore(MemoryStore(options.keep_s, now), options.timeout_s, now)
        return
    try:
        from redis.asyncio import Redis  # noqa: PLC0415 - an extra
        from redis.asyncio.retry import Retry  # noqa: PLC0415 - the same
        from redis.backoff import NoBackoff  # noqa: PLC0415 - the same
        from redis.exceptions import RedisError  # noqa: PLC0415 - the same
    except ImportError as missing:
        raise ConfigError(
            f"store.url needs the client of Redis and Valkey ({missing}); add it with: pip install 'descant[store]'"
        ) from None
    password = None if options.password_file is None else read_line(options.password_file)
    try:
        client = Redis.from_url(
            options.url,
            password=password,
            decode_responses=True,
            socket_timeout=options.timeout_s,
            socket_connect_timeout=options.timeout_s,
            # Once more, since a store that was started again has closed the connections that are kept open.
            retry=Retry(NoBackoff(), 1),
        )
    except ValueError as wrong:
        raise ConfigError(f"store.url cannot be used ({wrong}); write redis://HOST:6379/0, or memory:") from None
    try:
        yield PatientStore(RedisStore(client, options.keep_s), options.timeout_s, now, (RedisError, OSError))
    finally:
        await client.aclose()
