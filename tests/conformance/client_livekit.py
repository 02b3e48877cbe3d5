"""LiveKit's Realtime client plays every scenario. Runs in its own virtual environment, without a LiveKit server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
from livekit import agents, rtc
from livekit.agents import llm
from livekit.agents.types import APIConnectOptions
from livekit.plugins.openai import realtime
from stage import RATE, Stage, main


class Talk:
    """A session, what its client told, and what the server sent."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self.server: list[dict[str, Any]] = []
        self.errors: list[Any] = []
        self.generations: asyncio.Queue[Any] = asyncio.Queue()
        self.reconnected = asyncio.Event()
        self._came = asyncio.Event()
        session.on("openai_server_event_received", self._take)
        session.on("error", self.errors.append)
        session.on("generation_created", self.generations.put_nowait)
        session.on("session_reconnected", lambda _: self.reconnected.set())

    def _take(self, event: dict[str, Any]) -> None:
        self.server.append(event)
        self._came.set()

    async def until(self, kind: str, count: int = 1) -> dict[str, Any]:
        """Wait for so many events of the server of this kind; give the last."""
        while True:
            found = [event for event in self.server if event["type"] == kind]
            if len(found) >= count:
                return found[count - 1]
            self._came.clear()
            await self._came.wait()

    async def say(self, *texts: str) -> None:
        context = self.session.chat_ctx.copy()
        for text in texts:
            context.add_message(role="user", content=text)
        await self.session.update_chat_ctx(context)

    @asynccontextmanager
    async def speaking(self, stage: Stage) -> AsyncIterator[None]:
        async def speak() -> None:
            async for sound in stage.spoken():
                self.session.push_audio(rtc.AudioFrame(sound, RATE, 1, len(sound) // 2))

        task = asyncio.create_task(speak())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])


async def gather(generation: Any) -> tuple[str, int, list[Any]]:
    """Read a reply to its end: its text, its samples, its calls."""
    text, samples, calls = "", 0, []

    async def read_calls() -> None:
        calls.extend([call async for call in generation.function_stream])

    reading = asyncio.create_task(read_calls())
    async for message in generation.message_stream:

        async def read_sound(stream: Any = message.audio_stream) -> int:
            return sum([frame.samples_per_channel async for frame in stream])

        sound = asyncio.create_task(read_sound())
        async for piece in message.text_stream:
            text += str(piece)
        samples += await sound
    await reading
    return text, samples, calls


@asynccontextmanager
async def connected(stage: Stage, *, retries: int = 0, key: str = "", **options: Any) -> AsyncIterator[Talk]:
    async with aiohttp.ClientSession() as http:
        model = realtime.RealtimeModel(
            model="descant",
            api_key=key or stage.key,
            base_url=stage.websocket,
            http_session=http,
            conn_options=APIConnectOptions(max_retry=retries, retry_interval=1.0, timeout=10.0),
            **options,
        )
        talk = Talk(model.session())
        try:
            yield talk
        finally:
            # A session that has failed says so once more here; each scenario has looked at its errors.
            with suppress(agents.APIError):
                await talk.session.aclose()
            await model.aclose()


async def text_turn(stage: Stage) -> str:
    async with connected(stage, modalities=["text"], turn_detection=None) as talk:
        await talk.say("Hello, how are you?")
        text, samples, _ = await gather(await talk.session.generate_reply())
        assert text.strip()
        assert samples == 0
        assert not talk.errors
    return text[:80]


async def audio_turn(stage: Stage) -> str:
    async with connected(stage) as talk, talk.speaking(stage):
        text, samples, _ = await gather(await talk.generations.get())
        transcript = (await talk.until("conversation.item.input_audio_transcription.completed"))["transcript"]
        assert "day" in transcript.lower()
        assert text.strip()
        assert samples > RATE // 4
        assert not talk.errors
    return text[:80]


async def push_to_talk(stage: Stage) -> str:
    async with connected(stage, turn_detection=None) as talk:
        sound = stage.question
        talk.session.push_audio(rtc.AudioFrame(sound, RATE, 1, len(sound) // 2))
        talk.session.commit_audio()
        text, samples, _ = await gather(await talk.session.generate_reply())
        assert text.strip()
        assert samples > RATE // 4
        assert (
            "day" in (await talk.until("conversation.item.input_audio_transcription.completed"))["transcript"].lower()
        )
        assert not talk.errors
    return text[:80]


async def barge_in(stage: Stage) -> str:
    async with connected(stage) as talk:
        await talk.say("Tell me a long story.")
        generation = await talk.session.generate_reply()
        reading = asyncio.create_task(gather(generation))
        item = (await talk.until("response.output_audio.delta"))["item_id"]
        async with talk.speaking(stage):
            await talk.until("input_audio_buffer.speech_started")
            place = len(talk.server)
            talk.session.truncate(message_id=item, modalities=["audio"], audio_end_ms=700)
            await talk.until("conversation.item.truncated")
            await gather(await talk.generations.get())
        said, _, _ = await reading
        late = [event for event in talk.server[place:] if event["type"] == "response.output_audio.delta"]
        assert all(event["item_id"] != item for event in late)
        assert not talk.errors, talk.errors
        kept = talk.session.chat_ctx.get_by_id(item)
    return f"said {len(said)} letters, context has {len(str(kept.text_content if kept else ''))}"


@llm.function_tool
async def get_time() -> str:
    """Tell what time it is."""
    return "a quarter past noon"


async def tool_call(stage: Stage) -> str:
    async with connected(stage, turn_detection=None, modalities=["text"]) as talk:
        await talk.session.update_tools([get_time])
        await talk.say("What time is it?")
        _, _, calls = await gather(await talk.session.generate_reply())
        assert [call.name for call in calls] == ["get_time"]
        context = talk.session.chat_ctx.copy()
        output = llm.FunctionCallOutput(
            call_id=calls[0].call_id, name="get_time", output="a quarter past noon", is_error=False
        )
        context.items.append(output)
        await talk.session.update_chat_ctx(context)
        text, _, _ = await gather(await talk.session.generate_reply())
        assert "noon" in text, text
        assert not talk.errors
    return text[:80]


async def cancel_while_idle(stage: Stage) -> None:
    async with connected(stage, turn_detection=None) as talk:
        await talk.until("session.updated")
        talk.session.interrupt()
        talk.session.send_event({"type": "response.cancel"})
        assert (await talk.until("error"))["error"]["code"] == "response_cancel_not_active"
        await asyncio.sleep(0.2)
        assert not talk.errors


async def items(stage: Stage) -> None:
    async with connected(stage, turn_detection=None) as talk:
        context = llm.ChatContext()
        context.add_message(role="user", content="Second.", id="second")
        await talk.session.update_chat_ctx(context)
        first = llm.ChatMessage(role="user", content=["First."], id="first")
        context.items.insert(0, first)
        await talk.session.update_chat_ctx(context)
        assert [item.id for item in talk.session.chat_ctx.items] == ["first", "second"]
        context.items.pop(0)
        await talk.session.update_chat_ctx(context)
        assert [item.id for item in talk.session.chat_ctx.items] == ["second"]
        talk.session.send_event({"type": "conversation.item.retrieve", "item_id": "second"})
        assert (await talk.until("conversation.item.retrieved"))["item"]["id"] == "second"
        assert not talk.errors


async def failed_response(stage: Stage) -> str:
    async with connected(stage, turn_detection=None, modalities=["text"]) as talk:
        await talk.say("Please fail.")
        await gather(await talk.session.generate_reply())
        assert [error.recoverable for error in talk.errors] == [True]
        await talk.say("Hello again.")
        text, _, _ = await gather(await talk.session.generate_reply())
        assert text.strip()
    return str(talk.errors[0].error)[:80]


async def wrong_key(stage: Stage) -> str:
    async with connected(stage, key="wrong") as talk:
        while not talk.errors:
            await asyncio.sleep(0.05)
    return str(talk.errors[0].error)[:80]


async def session_limit(stage: Stage) -> str:
    held = [connected(stage) for _ in range(stage.most_sessions)]
    for one in held:
        await (await one.__aenter__()).until("session.created")
    try:
        async with connected(stage) as talk:
            refused = await talk.until("error")
            while not any(not error.recoverable for error in talk.errors):
                await asyncio.sleep(0.05)
    finally:
        for one in held:
            await one.__aexit__(None, None, None)
    return str(refused["error"]["message"])


async def restart(stage: Stage) -> str:
    async with connected(stage, retries=40, modalities=["text"], turn_detection=None) as talk:
        await talk.say("Hello, how are you?")
        await gather(await talk.session.generate_reply())
        before = [item.id for item in talk.session.chat_ctx.items]
        await stage.restart()
        await talk.reconnected.wait()
        while [item.id for item in talk.session.chat_ctx.items] != before:
            await asyncio.sleep(0.05)
        await talk.say("Hello again.")
        text, _, _ = await gather(await talk.session.generate_reply())
        assert text.strip()
    return f"{len(before)} items replayed"


if __name__ == "__main__":
    main(
        "livekit",
        agents.__version__,
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
