"""Random clients and random happenings against the state machine; `Rig` checks the invariants after every event."""

from __future__ import annotations

import base64
import itertools
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from agent.realtime.protocol import messages
from tests.agent.realtime.invariants import Rig
from tests.agent.realtime.openai_types import check

IDS = st.sampled_from(["a", "b", "c", "item_5", "item_7", "item_9", "root", ""])
TEXTS = st.sampled_from(["Hello.", "", "One two three.", "\ud800", "<|im_end|>", "x" * 300])
DETECTIONS: list[Any] = [
    None, {"type": "server_vad"}, {"type": "server_vad", "interrupt_response": False},
    {"type": "semantic_vad", "create_response": False}, False,
]  # fmt: skip
SOUND = base64.b64encode(bytes(9600)).decode()


class RandomClient(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.rig = Rig(extensions=frozenset({"thoughts", "words", "follow-ups"}))
        self.checked = 0

    @rule(detection=st.sampled_from(DETECTIONS), text=st.booleans())
    def update(self, detection: object, text: bool) -> None:
        modality = ["text"] if text else ["audio"]
        audio = {"input": {"turn_detection": detection}}
        self.rig.send("session.update", session={"type": "realtime", "output_modalities": modality, "audio": audio})

    @rule(
        role=st.sampled_from(["user", "assistant", "system"]),
        kind=st.sampled_from(["input_text", "output_text", "input_audio"]),
        text=TEXTS,
        item_id=IDS,
        after=st.one_of(st.none(), IDS),
    )
    def create_item(self, role: str, kind: str, text: str, item_id: str, after: str | None) -> None:
        part = {"type": kind, "text": text} if kind.endswith("text") else {"type": kind, "audio": SOUND}
        item = {"type": "message", "role": role, "content": [part], "id": item_id}
        self.rig.send("conversation.item.create", item=item, previous_item_id=after)

    @rule(call_id=st.sampled_from(["call_1", "call_2"]))
    def give_output(self, call_id: str) -> None:
        output = {"type": "function_call_output", "call_id": call_id, "output": "{}"}
        self.rig.send("conversation.item.create", item=output)

    @rule(item_id=IDS)
    def delete(self, item_id: str) -> None:
        self.rig.send("conversation.item.delete", item_id=item_id)

    @rule(item_id=IDS)
    def retrieve(self, item_id: str) -> None:
        self.rig.send("conversation.item.retrieve", item_id=item_id)

    @rule(which=st.integers(0, 5), end=st.integers(-1, 3000))
    def truncate(self, which: int, end: int) -> None:
        item = next(itertools.islice(self.rig.protocol.items, which, None), None)
        item_id = "nothing" if item is None else item.id
        self.rig.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=end)

    @rule()
    def append(self) -> None:
        self.rig.send("input_audio_buffer.append", audio=SOUND)

    @rule()
    def commit(self) -> None:
        self.rig.send("input_audio_buffer.commit")

    @rule()
    def clear(self) -> None:
        self.rig.send("input_audio_buffer.clear")

    @rule(conversation=st.sampled_from(["auto", "none"]), own_input=st.booleans(), reference=IDS)
    def create_response(self, conversation: str, own_input: bool, reference: str) -> None:
        response: dict[str, Any] = {"conversation": conversation, "metadata": {"k": "v"}}
        if own_input:
            response["input"] = [{"type": "item_reference", "id": reference}]
        self.rig.send("response.create", response=response)

    @rule()
    def cancel(self) -> None:
        self.rig.send("response.cancel")

    @rule()
    def speak(self) -> None:
        self.rig.tell(messages.UserSpeechStarted(10))

    @rule(text=TEXTS)
    def fall_silent(self, text: str) -> None:
        self.rig.tell(messages.SpeechEnded(500, text))

    @rule()
    def transcribe(self) -> None:
        for item in [item for item in self.rig.protocol.items if item.pending]:
            self.rig.tell(messages.Transcribed(item.id, "Words.", 0.5))

    @rule()
    def fail_to_transcribe(self) -> None:
        for item in [item for item in self.rig.protocol.items if item.pending][:1]:
            self.rig.tell(messages.Untranscribed(item.id, "broken"))

    @rule(text=TEXTS, seconds=st.floats(0, 2), stale=st.booleans())
    def say(self, text: str, seconds: float, stale: bool) -> None:
        response = "resp_1" if stale or not self.rig.begun else self.rig.begun[-1]
        self.rig.say(text, seconds, response)

    @rule(call_id=st.sampled_from(["call_1", "call_2"]))
    def call(self, call_id: str) -> None:
        if self.rig.begun:
            self.rig.tell(messages.FunctionCalled(self.rig.begun[-1], call_id, "f", "{}"))

    @rule()
    def think(self) -> None:
        self.rig.tell(messages.Aside("thoughts", "hm"))

    @rule(unanswered=st.booleans())
    def finish(self, unanswered: bool) -> None:
        if self.rig.begun:
            self.rig.tell(messages.Finished(self.rig.begun[0], unanswered=unanswered))

    @rule()
    def fail(self) -> None:
        if self.rig.begun:
            self.rig.tell(messages.ResponseFailed(self.rig.begun[0], "no"))

    @rule(seconds=st.floats(0, 3))
    def wait(self, seconds: float) -> None:
        self.rig.now_s += seconds

    @invariant()
    def valid(self) -> None:
        for event in self.rig.events[self.checked :]:
            check({"event_id": "e", **event})
        self.checked = len(self.rig.events)

    def teardown(self) -> None:
        self.rig.settled()
        # Whatever runs can be ended, and every response that began has ended then.
        while self.rig.protocol.responding:
            running = [event["response"]["id"] for event in self.rig.events if event["type"] == "response.created"]
            ended = {event["response"]["id"] for event in self.rig.events if event["type"] == "response.done"}
            response_id = next(one for one in running if one not in ended)
            self.rig.send("response.cancel", response_id=response_id)
        self.rig.settled()


RandomClient.TestCase.settings = settings(
    max_examples=100, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestRandomClient = RandomClient.TestCase
