from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import httpx
import numpy as np
import pytest
from openai import AsyncOpenAI
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from agent.conversation.options import TurnOptions
from agent.errors import ServerUnavailable
from agent.realtime.server.keys import Keys
from agent.realtime.server.options import ServerOptions
from agent.realtime.server.server import RealtimeServer
from audio.clock import Sound
from audio.options import EarsOptions
from languages.english import ENGLISH
from reasoning.options import LoopOptions
from reasoning.tools.written import WrittenCall
from tests.agent.realtime.fakes import PRIVATE, QUESTION, Client, FakeModels, Halting, Script24, served, transcript
from tests.reasoning.scripted_engine import END, ScriptedSession, WordBlock

KEY = "0123456789abcdef"


async def test_a_text_turn() -> None:
    async with served() as one, one.client() as client:
        await client.configure(output_modalities=["text"])
        done = await client.ask(QUESTION)
        assert done["status"] == "completed"
        assert "24" in done["output"][0]["content"][0]["text"]
        assert done["usage"]["output_tokens"] > 0
        assert not client.of("response.output_audio.delta")


LOOK = {"type": "function", "name": "look", "description": "Look.", "parameters": {"type": "object"}}


async def test_new_instructions_and_tools_are_read_before_anybody_speaks() -> None:
    async with served() as one, one.client() as client:
        for changed in ({"instructions": "Speak like a sailor."}, {"tools": [LOOK]}):
            read = asyncio.Event()
            one.models.engine.on_step = lambda _, read=read: read.set()  # type: ignore[misc]
            await client.configure(**changed)
            await asyncio.wait_for(read.wait(), 10)
        assert one.models.engine.log == []
        assert (await client.ask(QUESTION))["status"] == "completed"
        assert "Speak like a sailor." in one.models.engine.log[0][1]


async def test_a_session_begins_while_its_instructions_are_read_and_reads_no_others_to_their_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agent.realtime.adapter._OWN_S", 60.0)
    house = FakeModels()
    begun, read = list[str](), list[str]()

    class Slow(ScriptedSession):
        async def append(self, view: Sequence[WordBlock], tokens: Sequence[int]) -> None:
            await super().append(view, tokens)
            text = house.engine.tokenizer.shown(view[-1].tokens)
            begun.append(text)
            if view[-1].name == "prompt" and "sailor" not in text:
                await asyncio.Event().wait()
            read.append(text)

    @asynccontextmanager
    async def session() -> AsyncIterator[ScriptedSession]:
        yield Slow(house.engine)

    house.engine.session = session  # type: ignore[method-assign]
    async with served(house) as one, one.client() as client:
        # It was greeted, though nothing is read yet; what is read now will never be needed.
        assert begun == []
        await client.configure(instructions="Speak like a pirate.", output_modalities=["text"])
        await client.configure(instructions="Speak like a sailor.", tools=[LOOK])
        assert (await client.ask(QUESTION))["status"] == "completed"
        assert not any("pirate" in text for text in read)
        prompts = [text for text in read if "<|im_start|>system" in text]
        assert len(prompts) == 1
        assert '"look"' in prompts[0]


async def test_a_client_without_instructions_has_the_servers_own_read_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.realtime.adapter._OWN_S", 0.01)
    async with served() as one:
        read = asyncio.Event()
        one.models.engine.on_step = lambda _: read.set()
        async with one.client():
            await asyncio.wait_for(read.wait(), 10)


async def test_instructions_that_change_while_a_reply_is_made_do_not_disturb_it() -> None:
    async with served() as one, one.client() as client:
        await client.configure(output_modalities=["text"])
        await client.write(QUESTION)
        await client.send("response.create")
        await client.until("response.created")
        await client.configure(instructions="Speak like a sailor.")
        done = (await client.until("response.done"))["response"]
        assert done["status"] == "completed"
        assert "24" in done["output"][0]["content"][0]["text"]
        await client.ask(QUESTION)
        assert "Speak like a sailor." in one.models.engine.log[-1][1]


async def test_a_spoken_turn_by_voice_activity() -> None:
    async with served() as one, one.client() as client:
        await client.sound(0.0, 0.4)
        await client.sound(0.9, 0.5)
        await client.sound(0.0, 1.5)
        done = (await client.until("response.done"))["response"]
        assert done["status"] == "completed"
        (heard,) = client.of("conversation.item.input_audio_transcription.completed")
        assert heard["transcript"] == QUESTION
        (started,) = client.of("input_audio_buffer.speech_started")
        assert 350 <= started["audio_start_ms"] <= 450
        sound = b"".join(base64.b64decode(event["delta"]) for event in client.of("response.output_audio.delta"))
        assert np.abs(np.frombuffer(sound, "<i2")).max() > 8000
        said = done["output"][0]["content"][0]["transcript"]
        assert "24" in said
        assert transcript(client.events).endswith(said)
        order = [kind for kind in client.types if "delta" not in kind]
        assert order[1:] == [
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
            "conversation.item.input_audio_transcription.completed",
            "response.created",
            "response.output_item.added",
            "conversation.item.added",
            "response.content_part.added",
            "response.output_audio.done",
            "response.output_audio_transcript.done",
            "response.content_part.done",
            "response.output_item.done",
            "conversation.item.done",
            "response.done",
        ]


async def test_push_to_talk_in_a_law() -> None:
    async with served() as one, one.client() as client:
        form = {"type": "audio/pcma"}
        await client.configure(audio={"input": {"format": form, "turn_detection": None}, "output": {"format": form}})
        silent_then_loud = bytes([0xD5] * 800 + [0xAA ^ 0x07] * 4000)
        await client.send("input_audio_buffer.append", audio=base64.b64encode(silent_then_loud).decode())
        await client.send("input_audio_buffer.commit")
        await client.send("response.create")
        done = (await client.until("response.done"))["response"]
        assert done["status"] == "completed"
        assert done["audio"]["output"]["format"] == form
        sound = b"".join(base64.b64decode(event["delta"]) for event in client.of("response.output_audio.delta"))
        assert 0.1 < len(sound) / 8000 < 20


async def test_a_voice_that_lasts_over_the_reply_cuts_it_at_once_and_what_was_heard_stays() -> None:
    house = FakeModels(Script24(small_talk=True, at_once=lambda _: "One two three four five. " * 20), voice=Halting())
    async with served(house) as one, one.client() as client:
        await client.write("Hello.")
        await client.send("response.create")
        delta = await client.until("response.output_audio.delta")
        await client.sound(0.7, 1.0)
        await client.until("input_audio_buffer.speech_started")
        at = len(client.events)
        # The clause that was in the making is finished, and must not be heard.
        house.voice.may_go.set()
        done = (await client.until("response.done"))["response"]
        assert done["status"] == "cancelled"
        assert done["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
        await client.send("conversation.item.truncate", item_id=delta["item_id"], content_index=0, audio_end_ms=200)
        await client.until("conversation.item.truncated")
        await client.send("conversation.item.retrieve", item_id=delta["item_id"])
        item = (await client.until("conversation.item.retrieved"))["item"]
        assert item["content"][0]["transcript"] in ("One", "One two", "One two three", "")
        assert item["status"] == "incomplete"
        assert not [event for event in client.events[at:] if event["type"] == "response.output_audio.delta"]


@pytest.mark.parametrize("detection", ["server_vad", "semantic_vad"])
async def test_a_cough_over_the_reply_is_nothing_and_words_cut_it(detection: str) -> None:
    house = FakeModels(Script24(small_talk=True, at_once=lambda _: "One two three four five. " * 40), voice=Halting())
    async with served(house) as one, one.client() as client:
        await client.configure(audio={"input": {"turn_detection": {"type": detection}}})
        await client.sound(0.8, 0.4)
        await client.sound(0.0, 2.0)
        await client.until("response.output_audio.delta")
        await client.sound(0.7, 0.3)
        await client.sound(0.0, 2.0)
        await client.sound(0.9, 0.5)
        await client.sound(0.0, 2.0)
        await client.until("input_audio_buffer.speech_started")
        house.voice.may_go.set()
        await client.until("input_audio_buffer.speech_stopped")
        assert len(client.of("input_audio_buffer.speech_started")) == 2
        assert client.of("response.done")[0]["response"]["status"] == "cancelled"


async def test_who_has_waited_long_enough_for_a_reply_is_told_so_at_once() -> None:
    # The wait counts from the last word: here the turn ends only after more silence than the listener is to bear.
    house = FakeModels(loop=LoopOptions(filler_after_s=9.9))
    house.engine.mind.steps = lambda name: 1_000_000 if name.startswith("thoughts") else 1
    async with served(house) as one, one.client() as client:
        detection = {"type": "server_vad", "silence_duration_ms": 10_000}
        await client.configure(audio={"input": {"turn_detection": detection}})
        await client.sound(0.9, 0.5)
        await client.sound(0.0, 10.2)
        await client.until("response.created")
        async with asyncio.timeout(5):
            await client.until("response.output_audio.delta")
        assert transcript(client.events) == ENGLISH.replies.fillers[0]


async def test_thoughts_are_private_unless_the_client_asks() -> None:
    async with served() as one:
        async with one.client() as client:
            await client.configure(output_modalities=["text"])
            await client.ask(QUESTION)
            assert PRIVATE not in json.dumps(client.events)
        async with one.client("model=any&extensions=thoughts") as client:
            await client.configure(output_modalities=["text"])
            await client.ask(QUESTION)
            assert PRIVATE in "".join(event.get("thoughts", "") for event in client.events)
            assert all(event["delta"] == "" for event in client.events if "thoughts" in event)


@pytest.mark.parametrize("detection", ["server_vad", "semantic_vad"])
async def test_a_stop_phrase_of_the_users_own_cuts_the_reply_and_is_not_answered(detection: str) -> None:
    script = Script24(small_talk=True, at_once=lambda _: "One two three four five. " * 40)
    models = FakeModels(script, voice=Halting(), turns=TurnOptions(stop_phrases=("enough",)))
    async with served(models) as one, one.client() as client:
        await client.configure(audio={"input": {"turn_detection": {"type": detection}}})
        await client.sound(0.8, 0.4)
        await client.sound(0.0, 2.0)
        await client.until("response.output_audio.delta")
        await client.sound(0.6, 0.3)
        await client.sound(0.0, 2.0)
        done = (await client.until("response.done"))["response"]
        assert done["status"] == "cancelled"
        models.voice.may_go.set()
        heard = await client.until("conversation.item.input_audio_transcription.completed")
        assert heard["transcript"] == "Enough!"
        await client.configure(output_modalities=["text"])
        assert len(client.of("response.created")) == 1


@pytest.mark.parametrize("detection", ["server_vad", "semantic_vad"])
async def test_what_is_said_over_a_reply_that_must_not_be_interrupted_is_answered_after_it(detection: str) -> None:
    def reply(before: str) -> str:
        return f"It is 24.{END}" if QUESTION in before else f"One two three four five, six seven eight nine ten.{END}"

    models = FakeModels(Script24(small_talk=True, at_once=reply), voice=Halting())
    async with served(models) as one, one.client() as client:
        await client.configure(audio={"input": {"turn_detection": {"type": detection, "interrupt_response": False}}})
        await client.write("Hello.")
        await client.send("response.create")
        await client.until("response.output_audio.delta")
        await client.sound(0.9, 0.5)
        await client.sound(0.0, 2.0)
        await client.until("conversation.item.input_audio_transcription.completed")
        assert not client.of("response.done")
        models.voice.may_go.set()
        assert (await client.until("response.done"))["response"]["status"] == "completed"
        models.voice.may_go.set()
        assert (await client.until("response.done"))["response"]["status"] == "completed"
        asked = next(text for name, text in reversed(models.engine.log) if QUESTION in text)
        assert asked.index("One two three four five,") < asked.index(QUESTION)


class Unfinished:
    """Finds that every turn sounds unfinished."""

    def __init__(self) -> None:
        self.asked = 0

    def complete(self, sound: Sound) -> float:
        self.asked += len(sound) > 0
        return 0.05


@pytest.mark.parametrize("detection", ["server_vad", "semantic_vad"])
async def test_only_semantic_turns_are_judged_by_their_melody(detection: str) -> None:
    judge, ears = Unfinished(), EarsOptions()
    async with served(FakeModels(judge=judge)) as one, one.client() as client:
        await client.configure(audio={"input": {"turn_detection": {"type": detection}}})
        await client.sound(0.9, 0.5)
        await client.sound(0.0, 0.35)
        await client.until("conversation.item.input_audio_transcription.delta")
        await client.sound(0.0, ears.unfinished_end_ms / 1000)
        await client.until("input_audio_buffer.speech_stopped")
        assert judge.asked == (detection == "semantic_vad")


async def test_each_turn_has_a_preemptive_reply_that_its_response_takes_over() -> None:
    async with served() as one, one.client() as client:

        def begun() -> int:
            return sum(name.startswith("thoughts") for name, _ in one.models.engine.log)

        for turn in range(3):
            await client.sound(0.9, 0.5)
            await client.sound(0.0, 0.35)
            # Only the pause is there yet, and the reply is begun.
            async with asyncio.timeout(10):
                while begun() == turn:  # noqa: ASYNC110 - the engine tells nobody
                    await asyncio.sleep(0)
            await client.sound(0.0, 1.5)
            await client.until("response.done")
            assert begun() == turn + 1


async def test_word_times_are_there_for_whoever_asks() -> None:
    async with served() as one, one.client("model=any&extensions=words") as client:
        await client.ask(QUESTION)
        words = client.of("response.output_audio_transcript.delta")
        assert len(words) > 2
        assert words[0]["start_time"] == 0
        assert all(event["start_time"] < event["end_time"] for event in words)


async def test_effort_minimal_does_not_think() -> None:
    house = FakeModels()
    async with served(house) as one, one.client("model=any&extensions=thoughts") as client:
        await client.configure(output_modalities=["text"], reasoning={"effort": "minimal"})
        done = await client.ask("Hi there.")
        assert done["output"][0]["content"][0]["text"] == "Hello to you."
        assert not [event for event in client.events if "thoughts" in event]


async def test_a_response_out_of_band_runs_beside_and_leaves_no_trace() -> None:
    async with served() as one, one.client() as client:
        await client.configure(output_modalities=["text"])
        await client.send("response.create", response={
            "conversation": "none", "metadata": {"topic": "x"}, "reasoning": {"effort": "minimal"},
            "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi."}]}],
        })  # fmt: skip
        done = (await client.until("response.done"))["response"]
        assert done["status"] == "completed"
        assert done["conversation_id"] is None
        assert done["metadata"] == {"topic": "x"}
        assert not client.of("conversation.item.added")


async def test_the_conversation_is_what_the_item_list_says() -> None:
    seen: list[str] = []

    def reply(before: str) -> str:
        seen.append(before)
        return "Fine.<|im_end|>"

    async with served(FakeModels(Script24(at_once=reply))) as one, one.client() as client:
        await client.configure(output_modalities=["text"], reasoning={"effort": "minimal"})
        await client.ask("My name is Ada.")
        (item,) = [event["item"] for event in client.of("conversation.item.added") if event["item"]["role"] == "user"]
        await client.ask("Second question.")
        assert seen[-1].index("Ada") < seen[-1].index("Fine.") < seen[-1].index("Second")
        await client.send("conversation.item.delete", item_id=item["id"])
        await client.until("conversation.item.deleted")
        await client.ask("Third question.")
        assert "Ada" not in seen[-1]
        assert "Second" in seen[-1]


async def test_calls_that_a_client_retells_stand_in_the_history() -> None:
    seen: list[str] = []

    def reply(before: str) -> str:
        seen.append(before)
        return "Fine.<|im_end|>"

    async with served(FakeModels(Script24(at_once=reply))) as one, one.client() as client:
        await client.configure(output_modalities=["text"], reasoning={"effort": "minimal"})
        await client.write("Weather in Rome?")
        for arguments in ('{"city": "Rome"}', "no JSON"):
            call = {"type": "function_call", "call_id": arguments[:4], "name": "weather", "arguments": arguments}
            await client.send("conversation.item.create", item=call)
        said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}]}
        await client.send("conversation.item.create", item=said)
        await client.ask("Well?")
        history = seen[-1]
        assert history.index("Rome?") < history.index("I look.") < history.index('{"name": "weather"')
        assert "no JSON" not in history


WEATHER = "What is the weather in Rome?"


class Caller(Script24):
    """Calls a function for `WEATHER`, and tells what comes of it."""

    def score_choices(self, before: str) -> float:
        return 3.0 if before.rpartition("<|im_start|>user\n")[2].startswith(f"{WEATHER}<|im_end|>") else -20.0

    def write(self, before: str, name: str) -> str:
        asked = before.rpartition("<|im_start|>user\n")[2]
        if asked.startswith(f"{WEATHER}<|im_end|>") and not name.startswith("thoughts"):
            return WrittenCall("weather", {}).text() + END
        told = "It is sunny." if "Sunny" in asked else "I look into it now, and that takes a while, as it always does."
        return f"{told}{END}"


async def test_a_result_that_comes_too_late_for_a_reply_is_told_once_and_unasked() -> None:
    house = FakeModels(Caller(), voice=Halting())
    async with served(house) as one, one.client() as client:
        tool = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}
        await client.configure(tools=[tool])
        await client.write(WEATHER)
        await client.send("response.create")
        call = await client.until("response.function_call_arguments.done")
        # The voice still has something to say when the result comes.
        await client.until("response.output_audio.delta")
        output = {"type": "function_call_output", "call_id": call["call_id"], "output": "Sunny."}
        await client.send("conversation.item.create", item=output)
        await client.until("conversation.item.done")
        house.voice.may_go.set()
        await client.until("response.done")
        house.voice.may_go.set()
        told = (await client.until("response.done"))["response"]["output"][0]["content"][0]["transcript"]
        assert told == "It is sunny."
        # The loop went on, and the result stands in its history once: after the call, before the words about it.
        history = house.engine.log[-1][1]
        assert history.count("Sunny.") == 1
        assert history.index('{"name": "weather"') < history.index("Sunny.")
        await client.configure(output_modalities=["text"])
        await client.ask("Thank you.")
        assert len(client.of("response.created")) == 3
        assert not client.of("error")


async def test_two_sessions_do_not_see_each_other() -> None:
    seen: list[str] = []

    def reply(before: str) -> str:
        seen.append(before)
        return "Yes.<|im_end|>"

    async with served(FakeModels(Script24(at_once=reply))) as one, one.client() as first, one.client() as second:
        for client in (first, second):
            await client.configure(output_modalities=["text"], reasoning={"effort": "minimal"})
        await first.ask("The password is swordfish.")
        await second.ask("What is the password?")
        assert "swordfish" in seen[0]
        assert "swordfish" not in seen[1]
        assert "swordfish" not in json.dumps(second.events)


async def test_the_official_client() -> None:
    async with served() as one:
        official = AsyncOpenAI(api_key="any", base_url=f"http://127.0.0.1:{one.port}/v1")
        async with official.realtime.connect(model="any") as connection:
            await connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
            await connection.conversation.item.create(
                item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": QUESTION}]}
            )
            await connection.response.create()
            text = ""
            async for event in connection:
                if event.type == "response.output_text.delta":
                    text += event.delta
                if event.type == "response.done":
                    break
            assert "24" in text


async def test_nonsense_is_answered_and_the_session_lives_on() -> None:
    async with served() as one, one.client() as client:
        for message in (b"\x00\xff", "{", "[]", "nul", '{"type": 5}', '{"type":"x","event_id":"mine"}', "[" * 100_000):
            await client.socket.send(message)
            error = (await client.until("error"))["error"]
            assert error["message"]
        await client.configure(output_modalities=["text"])
        assert (await client.ask(QUESTION))["status"] == "completed"


async def test_a_huge_message_closes_only_its_own_session() -> None:
    async with served() as one, one.client() as other, one.client() as client:
        with suppress(ConnectionClosed):
            await client.socket.send(['{"type":"input_audio_buffer.append","audio":"', *["A" * 500_000] * 100, '"}'])
        assert await client.close_code() == 1009
        await other.configure(output_modalities=["text"])
        assert (await other.ask(QUESTION))["status"] == "completed"


async def test_the_session_limit_is_told_and_closes() -> None:
    async with served(options=ServerOptions(max_sessions=1, drain_s=0.1)) as one:
        async with one.client(), connect(one.url()) as socket:
            refused = Client(socket)
            assert (await refused.until("error"))["error"]["code"] == "session_limit_reached"
            assert await refused.close_code() == 1013
        async with one.client():
            assert "descant_sessions 1.0" in one.server.meters.text().decode()


async def test_whoever_sends_only_mistakes_is_dropped() -> None:
    async with served(options=ServerOptions(mistakes=20, drain_s=0.1)) as one, one.client() as client:
        for _ in range(50):
            await client.send("response.cancel")
        assert await client.close_code() == 1008


async def test_a_slow_reader_is_dropped_and_the_others_are_not() -> None:
    # Far more than the sockets between the two can hold.
    house = FakeModels(Script24(small_talk=True, at_once=lambda _: "Many words are spoken here. " * 40))
    options = ServerOptions(outbox_mb=1, drain_s=0.1)
    async with served(house, options) as one, one.client() as other:
        async with connect(one.url(), max_queue=1, close_timeout=0.1) as lazy:
            content = [{"type": "input_text", "text": "x" * 60_000}]
            item = {"id": "long", "type": "message", "role": "user", "content": content}
            await lazy.send(json.dumps({"type": "conversation.item.create", "item": item}))
            for _ in range(120):
                await lazy.send('{"type": "conversation.item.retrieve", "item_id": "long"}')
            async with asyncio.timeout(10):
                while 'descant_closed_total{code="1013"} 1.0' not in one.server.meters.text().decode():  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        await other.configure(output_modalities=["text"])
        assert (await other.ask(QUESTION))["status"] == "completed"


async def test_an_idle_session_ends() -> None:
    async with served(options=ServerOptions(idle_s=0.3, drain_s=0.1)) as one, one.client() as client:
        assert (await client.until("error"))["error"]["code"] == "session_idle"
        assert await client.close_code() == 1000


async def test_a_stop_lets_replies_end_and_says_restart() -> None:
    async with served() as one:
        context = one.client()
        client = await context.__aenter__()
        await client.configure(output_modalities=["text"])
        await client.write(QUESTION)
        await client.send("response.create")
        await client.until("response.created")
        waiting = asyncio.create_task(client.until("response.done"))
        await one.server._drain()
        assert (await waiting)["response"]["status"] == "completed"
        assert await client.close_code() == 1012
        async with httpx.AsyncClient() as http:
            assert (await http.get(f"http://127.0.0.1:{one.port}/readyz")).status_code == 503


async def test_keys() -> None:
    async with served(key=KEY) as one, httpx.AsyncClient(base_url=f"http://127.0.0.1:{one.port}") as http:
        for headers in ({}, {"Authorization": "Bearer wrong-wrong-wrong"}):
            with pytest.raises(InvalidStatus) as refused:
                await connect(one.url(), additional_headers=headers)
            assert refused.value.response.status_code == 401
            assert (await http.get("/metrics", headers=headers)).status_code == 401
            assert (await http.post("/v1/realtime/client_secrets", headers=headers)).status_code == 401
        async with one.client(key=KEY) as client:
            assert client.events
        body = {"expires_after": {"anchor": "created_at", "seconds": 60}, "session": {"instructions": "Be brief."}}
        answer = await http.post("/v1/realtime/client_secrets", json=body, headers={"Authorization": f"Bearer {KEY}"})
        secret = answer.json()["value"]
        # As browsers do it: no headers, but subprotocols.
        async with connect(
            one.url(),
            subprotocols=["realtime", f"openai-insecure-api-key.{secret}"],  # type: ignore[list-item]
        ) as socket:
            assert socket.subprotocol == "realtime"
            session = json.loads(await socket.recv())["session"]
            assert session["instructions"] == "Be brief."
        again = await http.post("/v1/realtime/client_secrets", headers={"Authorization": f"Bearer {secret}"})
        assert again.status_code == 403


async def test_pages_health_and_figures() -> None:
    async with served() as one, httpx.AsyncClient(base_url=f"http://127.0.0.1:{one.port}") as http:
        page = await http.get("/")
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        assert "default-src 'self'" in page.headers["content-security-policy"]
        assert (await http.get("/healthz")).text == "alive\n"
        assert (await http.get("/readyz")).status_code == 200
        async with one.client() as client:
            await client.ask(QUESTION)
            figures = (await http.get("/metrics")).text
            assert "descant_sessions 1.0" in figures
            assert 'descant_responses_total{status="completed"} 1.0' in figures
            assert re.search(r"^descant_processor_seconds_total [1-9]", figures, re.MULTILINE)
        assert (await http.get("/../options.py")).status_code == 404
        assert (await http.get("/%2e%2e/options.py")).status_code == 404
        assert (await http.get("/v1/realtime")).status_code == 426
        assert (await http.post("/", content=b"x" * 100)).status_code == 405


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "evil.example", "Origin": "http://evil.example"}, 403),
        ({"OpenAI-Beta": "realtime=v1"}, 400),
    ],
)
async def test_who_may_not_open_a_socket(headers: dict[str, str], status: int) -> None:
    async with served() as one, httpx.AsyncClient() as http:
        handshake = {
            "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        }  # fmt: skip
        answer = await http.get(f"http://127.0.0.1:{one.port}/v1/realtime", headers={**handshake, **headers})
        assert answer.status_code == status


async def test_others_may_not_be_served_without_a_key() -> None:
    async with FakeModels().open() as house:
        server = RealtimeServer(house, ServerOptions(), Keys(None, most=1), model="m", voice="v")
        with pytest.raises(ServerUnavailable, match="needs a key"):
            async with server.listening("0.0.0.0", 0):  # noqa: S104 - that is what is refused
                pass


async def test_a_port_that_is_taken_is_named() -> None:
    async with served() as one, FakeModels().open() as house:
        server = RealtimeServer(house, ServerOptions(), Keys(None, most=1), model="m", voice="v")
        with pytest.raises(ServerUnavailable, match=str(one.port)):
            async with server.listening("127.0.0.1", one.port):
                pass
