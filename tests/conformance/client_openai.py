"""The official `openai` client plays every scenario. Runs in its own virtual environment."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import openai
from openai import AsyncOpenAI
from stage import Stage, main

MANUAL = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}


class Heard:
    """Events as they came."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def of(self, kind: str) -> list[Any]:
        return [event for event in self.events if event.type == kind]

    def text(self, kind: str) -> str:
        return "".join(event.delta for event in self.of(kind))


class Talk:
    """A connection, and what came over it."""

    def __init__(self, connection: Any) -> None:
        self.wire = connection
        self._events = aiter(connection)

    async def until(self, *kinds: str) -> Heard:
        heard = Heard()
        while True:
            event = await anext(self._events)
            heard.events.append(event)
            if event.type in kinds:
                return heard
            assert event.type != "error" or "error" in kinds, event.error

    async def update(self, **session: Any) -> None:
        await self.wire.session.update(session={"type": "realtime", **session})
        await self.until("session.updated")

    async def say(self, text: str, **options: Any) -> None:
        content = [{"type": "input_text", "text": text}]
        await self.wire.conversation.item.create(
            item={"type": "message", "role": "user", "content": content}, **options
        )
        await self.until("conversation.item.done")

    async def append(self, sound: bytes) -> None:
        await self.wire.input_audio_buffer.append(audio=base64.b64encode(sound).decode())

    @asynccontextmanager
    async def speaking(self, stage: Stage) -> AsyncIterator[None]:
        async def speak() -> None:
            async for sound in stage.spoken():
                await self.append(sound)

        task = asyncio.create_task(speak())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])


@asynccontextmanager
async def connected(stage: Stage, **options: Any) -> AsyncIterator[Talk]:
    client = AsyncOpenAI(api_key=options.pop("key", stage.key), base_url=stage.http)
    async with client.realtime.connect(model="descant", **options) as connection:
        talk = Talk(connection)
        await talk.until("session.created")
        yield talk


async def text_turn(stage: Stage) -> str:
    async with connected(stage) as talk:
        await talk.update(output_modalities=["text"])
        await talk.say("Hello, how are you?")
        await talk.wire.response.create()
        heard = await talk.until("response.done")
    response = heard.events[-1].response
    said = heard.text("response.output_text.delta")
    assert said.strip()
    assert response.status == "completed"
    assert response.usage.total_tokens > 0
    assert response.output[0].content[0].text == said
    return said[:80]


async def audio_turn(stage: Stage) -> str:
    async with connected(stage) as talk, talk.speaking(stage):
        heard = await talk.until("response.done")
    order = [event.type for event in heard.events]
    expected = [
        "input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped", "input_audio_buffer.committed",
        "conversation.item.added", "conversation.item.done", "response.created", "response.output_item.added",
        "response.content_part.added", "response.output_audio.delta", "response.output_audio.done",
        "response.output_audio_transcript.done", "response.content_part.done", "response.output_item.done",
        "response.done",
    ]  # fmt: skip
    places = [order.index(kind) for kind in expected]
    assert places == sorted(places), order
    transcript = heard.of("conversation.item.input_audio_transcription.completed")[0].transcript
    assert "day" in transcript.lower(), transcript
    sound = b"".join(base64.b64decode(event.delta) for event in heard.of("response.output_audio.delta"))
    assert len(sound) > 12_000
    assert max(sound) > 0
    return heard.text("response.output_audio_transcript.delta")[:80]


async def push_to_talk(stage: Stage) -> str:
    async with connected(stage) as talk:
        await talk.update(audio={"input": {"turn_detection": None}})
        await talk.append(stage.question)
        await talk.wire.input_audio_buffer.commit()
        await talk.wire.response.create()
        heard = await talk.until("response.done")
        assert not heard.of("input_audio_buffer.speech_started")
        assert heard.of("input_audio_buffer.committed")
        await talk.wire.input_audio_buffer.commit()
        refused = await talk.until("error")
    assert refused.events[-1].error.code == "input_audio_buffer_commit_empty"
    return heard.text("response.output_audio_transcript.delta")[:80]


async def barge_in(stage: Stage) -> str:
    async with connected(stage) as talk:
        await talk.say("Tell me a long story.")
        await talk.wire.response.create()
        first = (await talk.until("response.output_audio.delta")).events[-1]
        async with talk.speaking(stage):
            before = await talk.until("input_audio_buffer.speech_started")
            await talk.wire.conversation.item.truncate(item_id=first.item_id, content_index=0, audio_end_ms=700)
            after = await talk.until("conversation.item.truncated")
            late = await talk.until("response.done")
        stale = [
            event
            for heard in (after, late)
            for event in heard.of("response.output_audio.delta")
            if event.response_id == first.response_id
        ]
        assert not stale, "sound of the old response after speech_started"
        cancelled = next(event.response for heard in (before, after, late) for event in heard.of("response.done"))
        if cancelled.status == "cancelled":
            assert cancelled.status_details.reason == "turn_detected"
        await talk.wire.conversation.item.retrieve(item_id=first.item_id)
        item = (await talk.until("conversation.item.retrieved")).events[-1].item
    said = "".join(event.delta for event in before.of("response.output_audio_transcript.delta"))
    assert len(item.content[0].transcript or "") < len(said) or not said, (item, said)
    return f"{cancelled.status}, kept {item.content[0].transcript!r}"


TOOL = {
    "type": "function",
    "name": "get_time",
    "description": "Tell what time it is.",
    "parameters": {"type": "object", "properties": {}, "additionalProperties": False},
}


async def tool_call(stage: Stage) -> str:
    async with connected(stage) as talk:
        await talk.update(output_modalities=["text"], tools=[TOOL])
        await talk.say("What time is it?")
        await talk.wire.response.create()
        heard = await talk.until("response.done")
        calls = [event.item for event in heard.of("response.output_item.done") if event.item.type == "function_call"]
        assert [call.name for call in calls] == ["get_time"]
        assert heard.of("response.function_call_arguments.done")[0].arguments == calls[0].arguments
        assert json.loads(calls[0].arguments) == {}
        result = {"type": "function_call_output", "call_id": calls[0].call_id, "output": '"a quarter past noon"'}
        await talk.wire.conversation.item.create(item=result)
        await talk.until("conversation.item.done")
        await talk.wire.response.create()
        answer = await talk.until("response.done")
    said = answer.text("response.output_text.delta")
    assert "noon" in said, said
    return said[:80]


async def cancel_while_idle(stage: Stage) -> None:
    async with connected(stage) as talk:
        await talk.wire.response.cancel(event_id="mine")
        problem = (await talk.until("error")).events[-1].error
        assert problem.code == "response_cancel_not_active"
        assert problem.message.startswith("Cancellation failed")
        assert problem.event_id == "mine"


async def items(stage: Stage) -> None:
    async with connected(stage) as talk:
        await talk.say("Second.")
        content = [{"type": "input_text", "text": "First."}]
        mine = {"id": "my_item", "type": "message", "role": "user", "content": content}
        await talk.wire.conversation.item.create(item=mine, previous_item_id="root")
        added = (await talk.until("conversation.item.done")).of("conversation.item.added")[0]
        assert added.item.id == "my_item"
        assert added.previous_item_id is None
        await talk.wire.conversation.item.retrieve(item_id="my_item")
        retrieved = (await talk.until("conversation.item.retrieved")).events[-1]
        assert retrieved.item.content[0].text == "First."
        await talk.wire.conversation.item.delete(item_id="my_item")
        assert (await talk.until("conversation.item.deleted")).events[-1].item_id == "my_item"
        await talk.wire.conversation.item.retrieve(item_id="my_item")
        assert (await talk.until("error")).events[-1].error.code == "item_retrieve_invalid_item_id"


async def failed_response(stage: Stage) -> str:
    async with connected(stage) as talk:
        await talk.say("Please fail.")
        await talk.wire.response.create()
        response = (await talk.until("response.done")).events[-1].response
        assert response.status == "failed"
        message = str(response.status_details.error.message)
        assert message
        await talk.say("Hello again.")
        await talk.wire.response.create()
        assert (await talk.until("response.done")).events[-1].response.status == "completed"
    return message[:80]


async def wrong_key(stage: Stage) -> str:
    try:
        async with connected(stage, key="wrong"):
            pass
    except Exception as error:  # noqa: BLE001 - its class is the websocket library's
        assert "401" in str(error), error
        return type(error).__name__
    raise AssertionError("it came in")


async def session_limit(stage: Stage) -> str:
    talks = [connected(stage) for _ in range(stage.most_sessions)]
    for talk in talks:
        await talk.__aenter__()
    try:
        client = AsyncOpenAI(api_key=stage.key, base_url=stage.http)
        async with client.realtime.connect(model="descant") as connection:
            event: Any = await connection.recv()
            assert event.type == "error"
            try:
                await connection.recv()
            except Exception as closed:  # noqa: BLE001 - its class is the websocket library's
                assert "1013" in str(closed), closed
            else:
                raise AssertionError("the connection stayed open")
    finally:
        for talk in talks:
            await talk.__aexit__(None, None, None)
    return str(event.error.message)


async def restart(stage: Stage) -> str:
    codes: list[int | None] = []

    def again(event: Any) -> None:
        codes.append(event.close_code)

    async with connected(stage, on_reconnecting=again, max_retries=30, max_delay=1.0) as talk:
        restarting = asyncio.create_task(stage.restart())
        await talk.until("session.created")
        await restarting
        await talk.update(output_modalities=["text"])
        await talk.say("Hello, how are you?")
        await talk.wire.response.create()
        await talk.until("response.done")
    assert codes[0] == 1012, codes
    return f"close codes {codes}"


if __name__ == "__main__":
    main(
        "openai",
        openai.__version__,
        {
            "text turn": text_turn,
            "audio turn": audio_turn,
            "push-to-talk": push_to_talk,
            "barge-in": barge_in,
            "tool call": tool_call,
            "cancel while idle": cancel_while_idle,
            "items": items,
            "failed response": failed_response,
            "wrong key": wrong_key,
            "session limit": session_limit,
            "restart": restart,
        },
    )
