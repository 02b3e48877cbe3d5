"""Every client event with every field wrong, to a whole server: each is answered, nothing breaks, the session lives."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.realtime.server.options import ServerOptions
from tests.agent.realtime.attack.events import EVENTS, client_event, every_field_wrong
from tests.agent.realtime.fakes import Client, Served, served
from tests.agent.realtime.invariants import Rig

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FREE: Final = ServerOptions(drain_s=0.1, mistakes=1_000_000, events_per_s=1e6, burst=1_000_000)
"""Whoever sends nothing but mistakes would be dropped."""
TOGETHER: Final = 25
"""Events that are sent until all of them must have been answered."""


async def alive(client: Client, mark: str) -> None:
    """Wait until all that was sent is carried out; nothing of it may have broken anything."""
    await client.send("conversation.item.retrieve", item_id="nothing", event_id=mark)
    while True:
        event = json.loads(await asyncio.wait_for(client.socket.recv(), 60))
        if event["type"] == "error":
            assert event["error"]["code"] != "internal_error", event
            assert len(event["error"]["message"]) <= 600
            if event["error"]["event_id"] == mark:
                return


async def play(one: Served, events: Iterable[Any]) -> int:
    """Send events to a session of their own; give how many."""
    count = 0
    async with one.client() as client:
        rest = iter(events)
        while batch := list(itertools.islice(rest, TOGETHER)):
            for event in batch:
                await client.socket.send(json.dumps(event))
            count += len(batch)
            await alive(client, f"mark {count}")
        await client.send("session.update", session={"type": "realtime"})
        while json.loads(await asyncio.wait_for(client.socket.recv(), 60))["type"] != "session.updated":
            pass
    return count


def test_every_event_is_known() -> None:
    (refused,) = Rig().send("no.such.event")
    known = refused["error"]["message"].partition("Supported are: ")[2].removesuffix(".").split(", ")
    assert sorted(EVENTS) == sorted(known)


async def test_some_hundreds_of_wrong_fields_break_nothing() -> None:
    every = list(every_field_wrong())
    async with served(options=FREE) as one:
        assert await play(one, random.Random(18).sample(every, 400)) == 400


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[asyncio.Runner, Served]]:
    with asyncio.Runner() as runner:
        opened = served(options=FREE)
        one = runner.run(opened.__aenter__())
        yield runner, one
        runner.run(opened.__aexit__(None, None, None))


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(events=st.lists(client_event(), min_size=5, max_size=15))
def test_clients_at_random_break_nothing(running: tuple[asyncio.Runner, Served], events: list[Any]) -> None:
    runner, one = running
    runner.run(play(one, events))


@pytest.mark.attack
async def test_every_field_wrong_breaks_nothing() -> None:
    every = list(every_field_wrong())
    async with served(options=FREE) as one:
        count = await play(one, every)
        for seed in (1, 2):
            # In another order they meet other states.
            count += await play(one, random.Random(seed).sample(every, len(every)))
    print(f"{count} events with one field wrong")
    assert count > 10_000


@pytest.mark.attack
@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(events=st.lists(client_event(), min_size=19, max_size=25))
def test_clients_at_random_break_nothing_for_long(running: tuple[asyncio.Runner, Served], events: list[Any]) -> None:
    runner, one = running
    runner.run(play(one, events))
