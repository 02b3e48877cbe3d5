"""Pipecat's Realtime service plays every scenario, in a pipeline. Runs in its own virtual environment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from loguru import logger
from pipecat.adapters.schemas.function_schema import FunctionSchema
from pipecat.adapters.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    InputAudioRawFrame,
    InterruptionFrame,
    LLMContextFrame,
    LLMTextFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.openai.realtime import events
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService as Service
from pipecat.workers.runner import WorkerRunner
from stage import CHUNK, RATE, NotOffered, Stage, main

logger.remove()
MANUAL = events.SessionProperties(audio=events.AudioConfiguration(input=events.AudioInput(turn_detection=False)))
HANDS_FREE = events.SessionProperties(
    audio=events.AudioConfiguration(
        input=events.AudioInput(transcription=events.InputAudioTranscription(), turn_detection=events.TurnDetection())
    )
)


class Watch(FrameProcessor):  # type: ignore[misc] # the class comes without types
    """Keeps what passes."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[Any] = []
        self._came = asyncio.Event()

    async def process_frame(self, frame: Any, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        self.frames.append(frame)
        self._came.set()
        await self.push_frame(frame, direction)

    async def until(self, kind: type[Any], count: int = 1) -> Any:
        while True:
            found = [frame for frame in self.frames if isinstance(frame, kind)]
            if len(found) >= count:
                return found[count - 1]
            self._came.clear()
            await self._came.wait()

    def of(self, kind: type[Any]) -> list[Any]:
        return [frame for frame in self.frames if isinstance(frame, kind)]

    @property
    def text(self) -> str:
        return "".join(frame.text for frame in self.of(LLMTextFrame))


class Talk:
    """A running pipeline around the service; `server` is every event that the service took in."""

    def __init__(self, service: Any, before: Watch, after: Watch, worker: Any) -> None:
        self.service, self.before, self.after, self.worker = service, before, after, worker
        self.server: list[Any] = []
        self._came = asyncio.Event()

    def take(self, event: Any) -> None:
        self.server.append(event)
        self._came.set()

    async def until(self, kind: str, count: int = 1) -> Any:
        while True:
            found = [event for event in self.server if event.type == kind]
            if len(found) >= count:
                return found[count - 1]
            assert not self.errors, self.errors
            self._came.clear()
            await asyncio.wait_for(self._came.wait(), 60)

    async def say(self, text: str, **context: Any) -> None:
        """Give the service its context: it sends the messages and asks for a response."""
        await self.worker.queue_frame(LLMContextFrame(LLMContext([{"role": "user", "content": text}], **context)))

    async def send(self, *frames: Any) -> None:
        for frame in frames:
            await self.worker.queue_frame(frame)

    @property
    def errors(self) -> list[str]:
        return [frame.error for watch in (self.before, self.after) for frame in watch.of(ErrorFrame)]

    @asynccontextmanager
    async def speaking(self, stage: Stage) -> AsyncIterator[None]:
        async def speak() -> None:
            async for sound in stage.spoken():
                await self.send(InputAudioRawFrame(audio=sound, sample_rate=RATE, num_channels=1))

        task = asyncio.create_task(speak())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])


@asynccontextmanager
async def connected(
    stage: Stage, session: Any = None, *, key: str = "", context: LLMContext | None = None
) -> AsyncIterator[Talk]:
    service = Service(
        api_key=key or stage.key,
        base_url=f"{stage.websocket}/realtime",
        settings=Service.Settings(model="descant", session_properties=session or events.SessionProperties()),
    )
    before, after = Watch(), Watch()
    parts: list[Any] = [before, service, after]
    if context is not None:
        pair = LLMContextAggregatorPair(context)
        parts = [pair.user(), before, service, after, pair.assistant()]
    params = PipelineParams(audio_in_sample_rate=RATE, audio_out_sample_rate=RATE)
    worker = PipelineWorker(Pipeline(parts), params=params, cancel_on_idle_timeout=False)
    talk = Talk(service, before, after, worker)
    parse = events.parse_server_event

    def parsed(message: Any) -> Any:
        event = parse(message)
        if event is not None:
            talk.take(event)
        return event

    events.parse_server_event = parsed
    running = asyncio.create_task(WorkerRunner(handle_sigint=False).run(worker))
    try:
        yield talk
    finally:
        events.parse_server_event = parse
        await worker.queue_frame(EndFrame())
        done, _ = await asyncio.wait([running], timeout=10)
        if not done:
            await worker.cancel()
            await asyncio.wait([running], timeout=5)


async def text_turn(stage: Stage) -> str:
    async with connected(stage, events.SessionProperties(output_modalities=["text"])) as talk:
        await talk.say("Hello, how are you?")
        assert (await talk.until("response.done")).response.status == "completed"
        await talk.after.until(LLMTextFrame)
        assert not talk.after.of(TTSAudioRawFrame)
        assert not talk.errors, talk.errors
    return talk.after.text[:80]


async def audio_turn(stage: Stage) -> str:
    async with connected(stage, HANDS_FREE) as talk:
        await talk.until("session.updated")
        async with talk.speaking(stage):
            await talk.until("response.done")
        assert "day" in (await talk.before.until(TranscriptionFrame)).text.lower()
        assert sum(len(frame.audio) for frame in talk.after.of(TTSAudioRawFrame)) > RATE // 2
        assert not talk.errors, talk.errors
    return talk.after.text[:80]


async def push_to_talk(stage: Stage) -> str:
    async with connected(stage, MANUAL) as talk:
        await talk.until("session.updated")
        for start in range(0, len(stage.question), CHUNK):
            sound = stage.question[start : start + CHUNK]
            await talk.send(InputAudioRawFrame(audio=sound, sample_rate=RATE, num_channels=1))
        await talk.send(UserStoppedSpeakingFrame())
        assert (await talk.until("response.done")).response.status == "completed"
        await talk.after.until(TTSAudioRawFrame)
        assert not talk.errors, talk.errors
    return talk.after.text[:80]


async def barge_in(stage: Stage) -> str:
    async with connected(stage, HANDS_FREE) as talk:
        await talk.say("Tell me a long story.")
        item = (await talk.until("response.output_audio.delta")).item_id
        async with talk.speaking(stage):
            await talk.until("input_audio_buffer.speech_started")
            place = len(talk.server)
            await talk.send(InterruptionFrame())
            cut = await talk.until("conversation.item.truncated")
            await talk.until("response.done", 2)
        assert cut.item_id == item
        late = [event for event in talk.server[place:] if event.type == "response.output_audio.delta"]
        assert all(event.item_id != item for event in late)
        kept = await talk.service.retrieve_conversation_item(item)
        assert not talk.errors, talk.errors
    return f"cut at {cut.audio_end_ms} ms, kept {kept.content[0].transcript!r}"


async def tool_call(stage: Stage) -> str:
    asked: list[str] = []

    async def get_time(call: Any) -> None:
        asked.append(call.function_name)
        await call.result_callback({"time": "a quarter past noon"})

    schema = FunctionSchema(name="get_time", description="Tell what time it is.", properties={}, required=[])
    context = LLMContext([{"role": "user", "content": "What time is it?"}], tools=ToolsSchema(standard_tools=[schema]))
    async with connected(stage, context=context) as talk:
        talk.service.register_function("get_time", get_time)
        await talk.send(LLMContextFrame(context))
        await talk.until("response.done", 2)
        await talk.after.until(LLMTextFrame)
        assert asked == ["get_time"]
        assert "noon" in talk.after.text, talk.after.text
        assert not talk.errors, talk.errors
    return talk.after.text[:80]


async def cancel_while_idle(stage: Stage) -> None:
    async with connected(stage, MANUAL) as talk:
        await talk.until("session.updated")
        await talk.send(InterruptionFrame())
        problem = await talk.until("error")
        assert problem.error.code == "response_cancel_not_active"
        await talk.say("Hello, how are you?")
        await talk.until("response.done")
        assert not talk.errors, talk.errors


async def items(stage: Stage) -> None:
    async with connected(stage, MANUAL) as talk:
        await talk.until("session.updated")
        content = [events.ItemContent(type="input_text", text="First.")]
        item = events.ConversationItem(id="first", type="message", role="user", content=content)
        await talk.service.send_client_event(events.ConversationItemCreateEvent(item=item))
        assert (await talk.until("conversation.item.added")).item.id == "first"
        assert (await talk.service.retrieve_conversation_item("first")).content[0].text == "First."
        await talk.service.send_client_event(events.ConversationItemDeleteEvent(item_id="first"))
        await talk.until("conversation.item.deleted")
        try:
            await talk.service.retrieve_conversation_item("first")
        except Exception as refused:  # noqa: BLE001 - the service raises a bare Exception
            assert "first" in str(refused), refused
        else:
            raise AssertionError("a deleted item was retrieved")
        assert not talk.errors, talk.errors


async def failed_response(stage: Stage) -> str:
    async with connected(stage) as talk:
        await talk.say("Please fail.")
        assert (await talk.until("response.done")).response.status == "failed"
        while not talk.errors:
            await asyncio.sleep(0.05)
    return talk.errors[0][:80]


async def wrong_key(stage: Stage) -> str:
    async with connected(stage, key="wrong") as talk:
        while not talk.errors:
            await asyncio.sleep(0.05)
    assert "401" in talk.errors[0], talk.errors
    return talk.errors[0][:80]


async def session_limit(stage: Stage) -> str:
    held = [connected(stage) for _ in range(stage.most_sessions)]
    for one in held:
        await (await one.__aenter__()).until("session.updated")
    try:
        async with connected(stage) as talk:
            while not talk.errors:
                await asyncio.sleep(0.05)
    finally:
        for one in reversed(held):
            await one.__aexit__(None, None, None)
    assert "session_limit_reached" in talk.errors[0], talk.errors
    return "session_limit_reached"


async def restart(stage: Stage) -> str:
    async with connected(stage) as talk:
        await talk.say("Hello, how are you?")
        await talk.until("response.done")
        await stage.restart()
        # It does not connect again by itself. Its conversation is put together anew with the next context.
        await talk.service.reset_conversation()
        updated = sum(event.type == "session.updated" for event in talk.server)
        await talk.until("session.updated", updated + 1)
        await talk.service._create_response()
        await talk.until("response.done", 2)
    raise NotOffered("it does not connect again by itself; reset_conversation() does, and was played")


if __name__ == "__main__":
    main(
        "pipecat",
        version("pipecat-ai"),
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
