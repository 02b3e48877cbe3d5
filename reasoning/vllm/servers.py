"""The HTTP shell: asks servers for tokens, and another one where the first breaks off.

A request is tokens in, tokens out. So where a server fails in the middle of an answer, the rest is asked for behind
the tokens that have come: nothing is repeated and nothing is lost, whoever answers. Knows no blocks and no streams.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections import defaultdict
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import httpx

from reasoning.errors import EngineFailed
from reasoning.vllm.live import ViewLost
from reasoning.vllm.replicas import Home, Replica, Replicas
from reasoning.vllm.wire import COMPLETIONS, Ask, Completion, CompletionPiece, Unavailable, refusal

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from reasoning.options import VllmOptions

_LOG: Final = logging.getLogger(__name__)
_CACHE: Final = re.compile(
    r'^vllm:cache_config_info\{(?=[^}]*enable_prefix_caching="True")[^}]*block_size="(\d+)"', re.MULTILINE
)
_FIGURE: Final = re.compile(r"^vllm:(\w+)(?:\{[^}]*\})? (\S+)$", re.MULTILINE)
_LIVE_VIEWS: Final = "/v1/live_views"
_CONVERSATION: Final = "X-Session-ID"
"""The header by which vllm-router keeps a conversation at one server."""
_BEHIND_A_ROUTER: Final = 8
"""Times that a single address is asked what only some of the servers behind it may answer otherwise."""
_LIMITS: Final = httpx.Limits(max_connections=None, max_keepalive_connections=64, keepalive_expiry=2.0)
"""Servers close idle connections after five seconds; one that is used at that moment would break."""


@dataclass(frozen=True, slots=True)
class ServedModel:
    """What a server says of its model."""

    name: str
    root: str
    """Where the server has it from: a folder of its machine, or a name."""
    context: int
    """Tokens of a prompt and its answer together."""


@dataclass(frozen=True, slots=True)
class Look:
    """What was found at one server."""

    url: str
    wrong: str
    """Why it is of no use; empty where it is."""
    model: ServedModel | None = None
    cache_block: int = 0
    """Tokens of a block of its prefix cache; 0: it has none, or does not tell."""
    live_views: bool = False
    """Whether its requests can read each other's growing caches (docs/live-views.md)."""


class Servers:
    """Several servers of the same model, or one."""

    def __init__(
        self, options: VllmOptions, key: str | None = None, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        """`key` is sent as a bearer token; `transport` replaces the sockets."""
        self._options = options
        self._replicas = Replicas([_base(url) for url in options.servers])
        self._name = options.model
        self._names: set[str] = set()
        """All names that the servers listed; an answer tells one of them, not always that which was asked for."""
        self._http = httpx.AsyncClient(
            headers={} if key is None else {"Authorization": f"Bearer {key}"},
            timeout=httpx.Timeout(options.stall_s, connect=options.connect_s),
            limits=_LIMITS,
            transport=transport,
            trust_env=False,
        )

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Look after the servers' health while the block runs, and close all connections at its end."""
        watching = [asyncio.create_task(self._watch(replica), name="health") for replica in self._replicas.all]
        try:
            yield
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
            await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def model(self) -> ServedModel:
        """Ask what the servers serve; `EngineFailed` where they cannot be reached, or serve different models."""
        found = {}
        for replica in self._replicas.all:
            try:
                found[replica.url] = self._served(await self._get(replica, "/v1/models"), replica)
                replica.live_views = self._options.live_views and await self._has_live_views(replica)
            except Unavailable as error:
                self._replicas.failed(replica, time.monotonic())
                _LOG.warning("language model server %s: %s", replica.url, error)
        if not found:
            raise EngineFailed(f"no language model server answers at {', '.join(self._options.servers)}")
        if len({(model.name, model.context) for model in found.values()}) > 1:
            told = ", ".join(f"{url}: {model.name} with {model.context} tokens" for url, model in found.items())
            raise EngineFailed(f"the servers serve different models ({told}); give servers of one model")
        model = next(iter(found.values()))
        self._name = model.name
        told = "writers read growing thoughts there" if self.live_views else "writers are re-submitted as thoughts grow"
        _LOG.info("live views: %s", told)
        return model

    @property
    def live_views(self) -> bool:
        """Whether all servers that were found have live views."""
        return all(replica.live_views for replica in self._replicas.all)

    async def look(self) -> list[Look]:
        """Look at each server, for somebody who wants to know why something does not work."""
        return [await self._look(replica) for replica in self._replicas.all]

    async def counters(self) -> dict[str, float]:
        """Read the servers' own counters and gauges, added up, by their names without `vllm:`."""
        found: dict[str, float] = defaultdict(float)
        for replica in self._replicas.all:
            told = await self._get(replica, "/metrics")
            for name, value in _FIGURE.findall(told.text):
                found[name] += float(value)
        return found

    async def tokenized(self, text: str) -> list[list[int]]:
        """Let each server tokenise text, without special tokens; empty where they do not offer that.

        A single address is asked some times, since it may be that of a router with several behind it.
        """
        body = {"model": self._name, "prompt": text, "add_special_tokens": False}
        found: list[list[int]] = []
        for replica in self._replicas.all if len(self._replicas.all) > 1 else self._replicas.all * _BEHIND_A_ROUTER:
            with suppress(httpx.TransportError, ValueError, KeyError, TypeError):
                response = await self._http.post(f"{replica.url}/tokenize", json=body)
                if response.is_success:
                    found.append([int(token) for token in response.json()["tokens"]])
        return found

    async def complete(self, home: Home, ask: Ask) -> AsyncGenerator[CompletionPiece]:
        """Give the tokens that are asked for, whatever happens to servers meanwhile.

        Raises `EngineFailed` when a request is refused, or when no token has come for `patience_s`, by all tries;
        `ViewLost` where a request that reads others cannot, or can no longer, read them.
        """
        last = time.monotonic()
        while ask.max_tokens > 0:
            replica = await self._place(home, last)
            began = time.monotonic()
            try:
                session = None if ask.live is None else await self._live_session(home, replica)
                reads = ask.live is not None and bool(ask.live.view)
                async with aclosing(self._attempt(replica, ask, session, home.name)) as pieces:
                    async for piece in pieces:
                        ask, last = ask.after(piece), time.monotonic()
                        yield piece
            except Unavailable as error:
                now = time.monotonic()
                self._replicas.failed(replica, now, began)
                home.live_sessions.pop(replica.url, None)
                if reads:
                    raise ViewLost(str(error)) from error
                if now - last > self._options.patience_s:
                    raise self._given_up(error) from error
            else:
                self._replicas.well(replica)
                return

    def leave(self, home: Home) -> None:
        """End a conversation's stay."""
        self._replicas.leave(home)

    async def _place(self, home: Home, last: float) -> Replica:
        before, told = home.replica, False
        while (replica := self._replicas.place(home, now := time.monotonic())) is None:
            if now - last > self._options.patience_s:
                raise self._given_up("all rest after failures")
            if not told:
                _LOG.warning("no language model server answers; trying again for %g s", self._options.patience_s)
                told = True
            await asyncio.sleep(self._replicas.wait_s(now))
        if before is not None and replica is not before:
            _LOG.warning("language model server %s failed; its conversation goes on at %s", before.url, replica.url)
        return replica

    def _given_up(self, cause: object) -> EngineFailed:
        return EngineFailed(
            f"no language model server answered within {self._options.patience_s:g} s ({cause}); "
            f"look after {', '.join(self._options.servers)}, or raise vllm.patience_s"
        )

    async def _live_session(self, home: Home, replica: Replica) -> str | None:
        """Give the conversation's session with a server that has live views; None where it has none."""
        if replica.live_views and replica.url not in home.live_sessions:
            try:
                where = f"{replica.url}{_LIVE_VIEWS}/sessions"
                response = await self._http.post(where, headers={_CONVERSATION: home.name})
                # Two streams may ask at once; the conversation has one session.
                home.live_sessions.setdefault(replica.url, response.raise_for_status().json()["session"])
            except httpx.TransportError as error:
                raise Unavailable(str(error) or type(error).__name__) from error
            except (httpx.HTTPStatusError, ValueError, KeyError) as error:
                _LOG.warning("language model server %s opens no session for live views: %s", replica.url, error)
                replica.live_views = False
        return home.live_sessions.get(replica.url)

    async def _has_live_views(self, replica: Replica) -> bool:
        try:
            await self._get(replica, _LIVE_VIEWS)
        except EngineFailed:
            return False
        return True

    async def _attempt(
        self, replica: Replica, ask: Ask, session: str | None = None, conversation: str = ""
    ) -> AsyncGenerator[CompletionPiece]:
        if session is None and ask.live is not None:
            if ask.live.view:
                raise ViewLost("the conversation has moved to a server without live views")
            ask = replace(ask, live=None)
        body, answer = (
            ask.body(self._name, priorities=self._options.priorities, session=session),
            Completion(ask, self._names),
        )
        replica.running += 1
        try:
            where, headers = f"{replica.url}{COMPLETIONS}", {_CONVERSATION: conversation} if conversation else {}
            async with self._http.stream("POST", where, json=body, headers=headers) as response:
                if response.status_code != httpx.codes.OK:
                    refused = refusal(response.status_code, await response.aread())
                    raise refused if ask.live is None else ViewLost(str(refused))
                if "html" in response.headers.get("content-type", ""):
                    raise Unavailable("a web page came in place of tokens; is a proxy in between?")
                async for line in response.aiter_lines():
                    for piece in answer.read(line):
                        yield piece
            if not answer.complete:
                raise Unavailable("the answer broke off")
        except httpx.TransportError as error:
            raise Unavailable(str(error) or type(error).__name__) from error
        finally:
            replica.running -= 1

    async def _watch(self, replica: Replica) -> None:
        while True:
            await asyncio.sleep(self._options.health_s)
            try:
                await self._get(replica, "/health")
            except (Unavailable, EngineFailed):
                self._replicas.failed(replica, time.monotonic())
            else:
                self._replicas.well(replica)

    async def _get(self, replica: Replica, path: str) -> httpx.Response:
        try:
            response = await self._http.get(f"{replica.url}{path}", timeout=self._options.health_s)
        except httpx.TransportError as error:
            raise Unavailable(str(error) or type(error).__name__) from error
        if response.status_code != httpx.codes.OK:
            raise refusal(response.status_code, response.content)
        return response

    async def _look(self, replica: Replica) -> Look:
        try:
            model = self._served(await self._get(replica, "/v1/models"), replica)
            # One token, with everything that the engine relies on.
            ask = Ask((1, 2, 3), 1, ban=frozenset({4}), weighed=(5, 6), label="look")
            self._name = self._name or model.name
            async with aclosing(self._attempt(replica, ask)) as pieces:
                async for _ in pieces:
                    pass
            told = await self._get(replica, "/metrics")
            live_views = await self._has_live_views(replica)
        except (Unavailable, EngineFailed) as error:
            return Look(replica.url, str(error))
        block = _CACHE.search(told.text)
        return Look(replica.url, "", model, int(block[1]) if block else 0, live_views)

    def _served(self, response: httpx.Response, replica: Replica) -> ServedModel:
        try:
            models: list[dict[str, Any]] = response.json()["data"]
            self._names.update(str(model["id"]) for model in models)
            wanted = [model for model in models if self._options.model in {"", model["id"]}]
            # Adapters are listed behind the model that they belong to.
            first = wanted[0]
            return ServedModel(str(first["id"]), str(first.get("root") or first["id"]), int(first["max_model_len"]))
        except IndexError:
            raise EngineFailed(f"{replica.url} does not serve {self._options.model!r}; see vllm.model") from None
        except (ValueError, KeyError, TypeError) as error:
            raise EngineFailed(f"{replica.url} does not speak vLLM's interface: {error!r}") from error


def _base(url: str) -> str:
    """Give a server's address without the path that other clients want to have in it."""
    return url.rstrip("/").removesuffix("/v1")
