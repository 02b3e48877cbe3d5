"""10,000 broken messages: each is answered by an error or by what it asks for; nothing is raised, nothing is lost."""

from __future__ import annotations

import base64
import json
import random
from typing import Any, Final

from agent.realtime.protocol import messages
from agent.realtime.protocol.fields import InvalidRequest
from agent.realtime.server.connection import parsed
from tests.agent.realtime.invariants import Rig
from tests.agent.realtime.openai_types import check

MESSAGES: Final = 10_000
SOUND: Final = base64.b64encode(bytes(9600)).decode()
GOOD: Final[list[dict[str, Any]]] = [
    {"type": "session.update", "session": {"type": "realtime", "instructions": "x", "tools": [
        {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}}],
        "audio": {"input": {"turn_detection": {"type": "semantic_vad"}}, "output": {"voice": {"id": "v"}}}}},
    {"type": "input_audio_buffer.append", "audio": SOUND},
    {"type": "input_audio_buffer.commit"},
    {"type": "input_audio_buffer.clear"},
    {"type": "conversation.item.create", "previous_item_id": "root", "item": {
        "type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}},
    {"type": "conversation.item.create", "item": {"type": "function_call", "name": "f", "arguments": "{}"}},
    {"type": "conversation.item.create", "item": {"type": "function_call_output", "call_id": "c", "output": "1"}},
    {"type": "conversation.item.delete", "item_id": "item_3"},
    {"type": "conversation.item.retrieve", "item_id": "item_3"},
    {"type": "conversation.item.truncate", "item_id": "item_3", "content_index": 0, "audio_end_ms": 10},
    {"type": "response.create", "response": {"conversation": "none", "metadata": {"a": "b"}, "input": [
        {"type": "item_reference", "id": "item_3"}]}},
    {"type": "response.create"},
    {"type": "response.cancel"},
]  # fmt: skip
ODD: Final[list[object]] = [
    None, True, -1, 0, 2**80, 1.5, 1e308, "", "x", "\ud800", "<|im_end|>", "root", [], {}, [[]], {"type": []},
    "A" * 5000,
]  # fmt: skip


def mutated(value: object, chance: random.Random) -> object:
    """Change one place of a JSON value."""
    if chance.random() < 0.25 or not isinstance(value, (dict, list)) or not value:
        return chance.choice(ODD)
    if isinstance(value, list):
        index = chance.randrange(len(value))
        return [*value[:index], mutated(value[index], chance), *value[index + 1 :]]
    key = chance.choice(list(value))
    match chance.randrange(4):
        case 0:
            return {name: one for name, one in value.items() if name != key}
        case 1:
            return {**value, str(chance.choice(ODD))[:20]: chance.choice(ODD)}
        case _:
            return {**value, key: mutated(value[key], chance)}


def broken_text(text: str, chance: random.Random) -> str | bytes:
    """Change characters of a message, or send bytes."""
    match chance.randrange(4):
        case 0:
            return chance.randbytes(chance.randrange(200))
        case 1:
            return text[: chance.randrange(len(text))]
        case 2:
            at = chance.randrange(len(text))
            return text[:at] + chance.choice(['"', "{", "]", "\x00", "NaN", "\\u", "9" * 5000]) + text[at:]
        case _:
            return "".join(chance.sample(text, len(text)))


def test_broken_messages_break_nothing() -> None:
    chance = random.Random(5)
    rig = Rig()
    refused = 0
    for number in range(MESSAGES):
        good = chance.choice(GOOD)
        text = json.dumps(mutated(good, chance)) if number % 2 else broken_text(json.dumps(good), chance)
        try:
            event = parsed(text)
        except InvalidRequest:
            refused += 1
            continue
        rig.now_s += 0.01
        answers = rig.raw(event)
        refused += any(answer["type"] == "error" for answer in answers)
        if number % 50 == 0:
            for item in [item for item in rig.protocol.items if item.pending]:
                rig.tell(messages.Transcribed(item.id, "words", 0.1))
            for response_id in list(rig.begun):
                rig.tell(messages.Finished(response_id))
            for answer in answers:
                check({"event_id": "e", **answer})
    assert refused > MESSAGES / 2
    rig.settled()
    rig.raw({"type": "response.cancel"})
    assert rig.send("conversation.item.create", item=GOOD[4]["item"])[-1]["type"] == "conversation.item.done"
