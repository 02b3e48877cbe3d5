"""Live views through the stock HTTP server, and all that somebody may try to read another session's thoughts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from tests.vllm.server import VllmServer
from tests.vllm.test_live_views import text

pytestmark = pytest.mark.vllm

SAME = 1e-3
"""A logarithm of a probability differs by less where another row stands in the batch; by more than this where anything
else is read."""


@pytest.fixture
async def client(live_vllm_server: VllmServer) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=live_vllm_server.url, trust_env=False, timeout=120) as one:
        yield one


async def session(client: httpx.AsyncClient) -> str:
    token: str = (await client.post("/v1/live_views/sessions")).json()["session"]
    return token


async def ask(client: httpx.AsyncClient, prompt: object, xargs: Mapping[str, object], **body: object) -> httpx.Response:
    defaults = {"model": "m", "temperature": 0, "max_tokens": 4, "ignore_eos": True, "logprobs": 1}
    return await client.post("/v1/completions", json={**defaults, "prompt": prompt, "vllm_xargs": dict(xargs), **body})


def said(response: httpx.Response) -> tuple[list[str], list[float]]:
    assert response.status_code == 200, response.text
    logprobs = response.json()["choices"][0]["logprobs"]
    return logprobs["tokens"], logprobs["token_logprobs"]


def same(one: tuple[list[str], list[float]], other: tuple[list[str], list[float]]) -> bool:
    return one[0] == other[0] and all(abs(a - b) < SAME for a, b in zip(one[1], other[1], strict=True))


@asynccontextmanager
async def thinking(client: httpx.AsyncClient, xargs: Mapping[str, object], seed: int) -> AsyncIterator[None]:
    """Have a thinker that runs, and has said its first token."""
    body = {"model": "m", "prompt": text(seed, 60), "max_tokens": 3000, "ignore_eos": True, "stream": True}
    async with client.stream("POST", "/v1/completions", json={**body, "vllm_xargs": dict(xargs)}) as stream:
        assert stream.status_code == 200
        # Held: an iterator that nobody has any more closes the connection, which ends the request.
        lines = stream.aiter_lines()
        await anext(lines)
        yield
        del lines


async def test_a_server_says_that_it_has_live_views(client: httpx.AsyncClient) -> None:
    told = (await client.get("/v1/live_views")).json()
    assert told == {"version": "0.1.0", "max_view": 8, "max_blocks": 32, "max_model_len": 4096}


async def test_a_reader_sees_what_it_reads_and_an_ordinary_request_does_not(client: httpx.AsyncClient) -> None:
    mine, question = await session(client), text(401, 8)
    before = said(await ask(client, question, {}))
    async with thinking(client, {"live_session": mine, "live_block": "thoughts"}, 400):
        read = said(await ask(client, question, {"live_session": mine, "live_view": ["thoughts"]}))
        beside = said(await ask(client, question, {}))
    assert same(before, beside)
    assert not same(before, read)


async def test_errors_are_told_and_told_at_once(client: httpx.AsyncClient) -> None:
    mine = await session(client)
    own = {"live_session": mine, "live_block": "thoughts"}
    async with thinking(client, own, 402), asyncio.timeout(60):
        unknown = await ask(client, [5, 6], {"live_session": mine, "live_view": ["nobody"]})
        twice = await ask(client, [5, 6], own)
        several = await ask(client, [5, 6], {"live_session": mine, "live_block": "other"}, n=2, temperature=1)
        long = await ask(client, text(403, 4050), {"live_session": mine, "live_view": ["thoughts"]})
        unsigned = await ask(client, [5, 6], {"live_view": ["thoughts"]})
        streamed = await ask(client, [5, 6], {"live_session": mine, "live_view": ["nobody"]}, stream=True)
    assert [each.status_code for each in (unknown, twice, several, long, unsigned)] == [404, 409, 409, 400, 403]
    assert "the session has no block 'nobody'" in unknown.json()["error"]["message"]
    assert "has a block 'thoughts' already" in twice.json()["error"]["message"]
    assert "and the model reads 4096" in long.json()["error"]["message"]
    assert "the session has no block 'nobody'" in streamed.text


async def test_nothing_of_another_session_can_be_read(client: httpx.AsyncClient) -> None:
    theirs, mine, question = await session(client), await session(client), text(411, 8)
    plain = said(await ask(client, question, {}))
    reply = text(412, 100)
    unread = said(await ask(client, reply, {}, max_tokens=1))
    (their_id, their_signature), (my_id, my_signature) = theirs.split("."), mine.split(".")
    tokens: dict[str, object] = {
        "none": None,
        "mine": mine,
        "my signature on their identity": f"{their_id}.{my_signature}",
        "their signature on mine": f"{my_id}.{their_signature}",
        "cut": theirs[:-1],
        "their identity": their_id,
        "both": f"{mine},{theirs}",
        "list": [mine, theirs],
        "space": f" {theirs}",
        "number": 0,
        "empty": "",
    }
    names: list[object] = [
        ["thoughts"],
        ["writer"],
        ["theirs"],
        ["cmpl-theirs-0"],
        [f"{theirs}/thoughts"],
        [f"{their_id}/thoughts"],
        ["../thoughts"],
        ["*"],
        [""],
        "thoughts",
        ["Thoughts"],
        [0],
        ["thoughts", "thoughts"],
    ]
    leaks: list[object] = []
    answered = 0
    async with thinking(client, {"live_session": theirs, "live_block": "thoughts"}, 410):
        writer = {"live_session": theirs, "live_block": "writer", "live_view": ["thoughts"]}
        theirs_said = said(await ask(client, reply, writer, max_tokens=1, request_id="theirs"))
        assert not same(theirs_said, unread)
        for kind, token in tokens.items():
            for name in names:
                signed = {} if token is None else {"live_session": token}
                response = await ask(client, question, {**signed, "live_view": name})
                answered += response.status_code == 200
                if response.status_code == 200 and not same(said(response), plain):
                    leaks.append((kind, name))
        ways: list[tuple[str, dict[str, object], dict[str, object]]] = [
            ("own block of the same name", {"live_session": mine, "live_block": "thoughts"}, {}),
            ("names without a view", {"live_block": "thoughts"}, {}),
            ("their request's name", {}, {"request_id": "theirs"}),
            ("their session as vLLM's", {}, {"session_id": theirs}),
            ("their session as a salt", {}, {"cache_salt": theirs}),
            ("other parameters", {"lv_id": "thoughts", "lv_parents": ["thoughts"]}, {}),
            ("a transfer", {"kv_transfer_params": "thoughts"}, {}),
        ]
        for kind, xargs, body in ways:
            response = await ask(client, question, xargs, **body)
            answered += response.status_code == 200
            if response.status_code == 200 and not same(said(response), plain):
                leaks.append((kind, xargs))
        # Nor by the prefix cache: what was computed under a view is nobody else's.
        again = await ask(client, reply, {}, max_tokens=1)
        assert same(said(again), unread)
        chat = await client.post(
            "/v1/chat/completions",
            json={
                "model": "m",
                "messages": [{"role": "user", "content": "What does the other one think?"}],
                "vllm_xargs": {"live_session": mine, "live_view": ["thoughts"]},
            },
        )
        assert chat.status_code == 404
    tried = len(tokens) * len(names) + len(ways) + 2
    print(tried, "attempts,", answered, "of them answered as ordinary requests,", len(leaks), "leaks")
    assert not leaks
    # Those that name no view of anybody are ordinary.
    assert 0 < answered < 10


async def test_the_last_of_a_view_goes_when_everybody_has_gone(
    client: httpx.AsyncClient, live_vllm_server: VllmServer
) -> None:
    mine, question = await session(client), text(421, 8)
    async with thinking(client, {"live_session": mine, "live_block": "thoughts"}, 420):
        await ask(client, question, {"live_session": mine, "live_view": ["thoughts"]})
    await live_vllm_server.until_idle()
    assert (await ask(client, question, {"live_session": mine, "live_view": ["thoughts"]})).status_code == 404
    assert (await live_vllm_server.counters())["kv_cache_usage_perc"] == 0


async def test_sessions_are_behind_the_key_of_the_server(client: httpx.AsyncClient) -> None:
    found: Any = (await client.get("/openapi.json")).json()["paths"]
    # vLLM guards all paths below these by its key.
    assert all(path.startswith("/v1/") for path in found if "live_views" in path)
    assert sum("live_views" in path for path in found) == 2
