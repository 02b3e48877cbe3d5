"""The realtime server with the real models: a spoken question, and functions of the client."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest
import soxr

from audio.io.sound_files import read_sound
from tests.agent.realtime.fakes import transcript
from tests.e2e.stage.serving import say, served

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.agent.realtime.fakes import Client
    from tests.e2e.stage.serving import Served

pytestmark = [pytest.mark.e2e, pytest.mark.live, pytest.mark.timeout(300)]

RECORDINGS: Final = Path(__file__).parent / "recordings"
WEATHER: Final = {
    "type": "function", "name": "get_weather", "description": "Tell the weather that a city has now.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}  # fmt: skip
LAMP: Final = {
    "type": "function", "name": "set_lamp", "description": "Turn a lamp on or off.",
    "parameters": {
        "type": "object",
        "properties": {"room": {"type": "string", "enum": ["kitchen", "bedroom"]}, "on": {"type": "boolean"}},
        "required": ["room", "on"],
    },
}  # fmt: skip
SUNNY: Final = "sunny, 23 degrees"


@asynccontextmanager
async def tooled(one: Served, *extensions: str) -> AsyncIterator[Client]:
    async with one.client(*extensions) as client:
        await client.configure(tools=[WEATHER, LAMP], audio={"input": {"turn_detection": None}})
        yield client


async def called(client: Client) -> tuple[str, str, dict[str, Any]]:
    """Wait for a call; give its id, the function and its arguments."""
    while (done := await client.next())["type"] != "response.function_call_arguments.done":
        assert done["type"] != "response.done", f"nothing was called, but it was said: {transcript(client.events)!r}"
    return done["call_id"], done["name"], json.loads(done["arguments"])


async def give(client: Client, call_id: str, output: str) -> None:
    item = {"type": "function_call_output", "call_id": call_id, "output": output}
    await client.send("conversation.item.create", item=item)


async def said(client: Client) -> str:
    """Wait for the end of a response; give its words."""
    start = len(client.events)
    done = (await client.until("response.done"))["response"]
    assert done["status"] == "completed"
    assert not client.of("error")
    words = transcript(client.events[start:])
    print(f"said: {words}")
    return words


async def test_a_spoken_question_is_answered_cancelled_and_truncated() -> None:
    recorded = np.concatenate(list(read_sound(RECORDINGS / "eggs.wav")))
    async with served() as one, one.client() as client:
        await client.configure(audio={"input": {"turn_detection": None}})
        await say(client, soxr.resample(recorded, 16_000, 24_000))
        await client.send("input_audio_buffer.commit")
        await client.send("response.create")
        first = await client.until("response.output_audio.delta")
        await client.send("response.cancel")
        done = (await client.until("response.done"))["response"]
        assert done["status"] in ("cancelled", "completed")
        await client.send("conversation.item.truncate", item_id=first["item_id"], content_index=0, audio_end_ms=100)
        await client.until("conversation.item.truncated")
        (heard,) = client.of("conversation.item.input_audio_transcription.completed")
        assert "eggs" in heard["transcript"].lower()
        done = await client.ask("What is twelve times seven?")
        assert done["status"] == "completed"
        assert done["output"][0]["content"][0]["transcript"]


async def test_functions_run_while_the_agent_goes_on_and_late_results_are_told() -> None:
    async with served() as one:
        async with tooled(one) as client:
            await _speaks_while_the_function_runs(client)
        # A conversation of its own: where the weather of one city stands above, the model makes up that of another.
        async with tooled(one) as client:
            await _is_asked_for_the_result(client)
        async with tooled(one, "follow-ups") as client:
            await _answers_something_else_meanwhile(client)
        async with tooled(one) as client:
            await _calls_only_where_a_call_is_due(client)


async def _speaks_while_the_function_runs(client: Client) -> None:
    """The call comes before the reply has ended, and its result, that comes too late for it, is told unasked."""
    await client.write("What is the weather in Lisbon now?")
    await client.send("response.create")
    call_id, name, arguments = await called(client)
    assert (name, arguments) == ("get_weather", {"city": "Lisbon"})
    await give(client, call_id, SUNNY)
    start = len(client.events)
    words = await said(client)
    assert any(event["type"] == "response.output_audio.delta" for event in client.events[start:])
    if not tells(words):
        assert tells(await said(client))
    assert len(client.of("response.function_call_arguments.done")) == 1


async def _is_asked_for_the_result(client: Client) -> None:
    """As most clients do: the result, and a `response.create` after it."""
    client.events.clear()
    await client.write("What is the weather in Rome now?")
    await client.send("response.create")
    call_id, name, arguments = await called(client)
    assert (name, arguments) == ("get_weather", {"city": "Rome"})
    await said(client)
    await give(client, call_id, "rainy, 14 degrees")
    await client.send("response.create")
    words = await said(client)
    assert "rain" in words or "14" in words
    assert len(client.of("response.function_call_arguments.done")) == 1


async def _answers_something_else_meanwhile(client: Client) -> None:
    """The function takes its time; the agent answers another question, then tells the result unasked."""
    await client.write("What is the weather in Lisbon now?")
    await client.send("response.create")
    call_id, *_ = await called(client)
    await said(client)
    await client.write("Meanwhile, what is twelve times seven?")
    await client.send("response.create")
    words = await said(client)
    assert "84" in words or "eighty-four" in words.lower()
    await give(client, call_id, SUNNY)
    assert tells(await said(client))
    assert len(client.of("response.function_call_arguments.done")) == 1


async def _calls_only_where_a_call_is_due(client: Client) -> None:
    done = await client.ask("How are you today?")
    assert [item["type"] for item in done["output"]] == ["message"]
    await client.write("Turn the lamp in the kitchen on.")
    await client.send("response.create")
    _, name, arguments = await called(client)
    assert (name, arguments) == ("set_lamp", {"room": "kitchen", "on": True})


def tells(words: str) -> bool:
    return "sunny" in words.lower() or "23" in words or "twenty-three" in words.lower()
