"""One response: from its happenings to server events in the order that clients rely on.

    created -> (item added -> part added -> deltas ... -> part done -> item done)* -> done

A response has at most one message, spoken or written, and any number of function calls. Sans-I/O; follows the order
that LiveKit's and Pipecat's clients were built against.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from agent.realtime.protocol.fields import AudioFormat, Json
from agent.realtime.protocol.items import Item
from agent.realtime.protocol.messages import FunctionCalled, Said, Usage

Status = Literal["completed", "cancelled", "incomplete", "failed"]
_PIECE_MS: Final = 200
"""Sound in one audio delta."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What stays the same for the whole of a response."""

    response_id: str
    conversation_id: str | None
    """None: out of band."""
    modality: Literal["audio", "text"]
    max_output_tokens: int | str
    metadata: dict[str, str] | None
    format: AudioFormat
    voice: str
    word_times: bool
    """The client has asked for the times of words."""

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample."""
        return 2 if self.format.type == "audio/pcm" else 1

    @property
    def rate(self) -> int:
        """Samples per second."""
        return 24_000 if self.format.type == "audio/pcm" else 8_000


@dataclass(slots=True)
class Response:
    """A response that is being made."""

    shape: Shape
    add: Callable[[Item], str | None]
    """Puts an item into the conversation and gives the one before it."""
    new_id: Callable[[str], str]
    output: list[Item] = field(default_factory=list)
    previous: dict[str, str | None] = field(default_factory=dict)
    """The item before each of its items."""
    message: Item | None = None
    text: str = ""
    waiting: str = ""
    """Private text that waits for an event that can carry it."""

    @property
    def id(self) -> str:
        """Its name on the wire."""
        return self.shape.response_id

    @property
    def in_band(self) -> bool:
        """Whether its items belong to the conversation."""
        return self.shape.conversation_id is not None

    @property
    def content(self) -> Json:
        """What its message holds so far, as an item shows it."""
        if self.shape.modality == "text":
            return {"type": "output_text", "text": self.text}
        return {"type": "output_audio", "transcript": self.text}

    def created(self) -> Json:
        """Give the event that begins it."""
        return {"type": "response.created", "response": self._shown("in_progress", None, None)}

    def said(self, piece: Said) -> Iterator[Json]:
        """Pass on a piece of the reply."""
        if self.message is None:
            yield from self._open_message()
        message = self.message
        assert message is not None  # it was just made  # noqa: S101
        at = self._at(message)
        if self.shape.modality == "text":
            delta = f" {piece.text.strip()}" if self.text else piece.text.strip()
            self.text += delta
            yield {"type": "response.output_text.delta", **at, "delta": delta}
            return
        yield from self._transcript(piece, message, at)
        step = self.shape.rate * _PIECE_MS // 1000 * self.shape.sample_bytes
        for start in range(0, len(piece.sound), step):
            delta = base64.b64encode(piece.sound[start : start + step]).decode()
            yield {"type": "response.output_audio.delta", **at, "delta": delta}

    def _transcript(self, piece: Said, message: Item, at: Json) -> Iterator[Json]:
        start_ms = message.spoken_ms
        message.pieces.append((piece.text.strip(), piece.samples, piece.kind))
        end_ms = message.spoken_ms
        words = piece.text.split() if self.shape.word_times else [piece.text.strip()]
        letters = max(1, sum(map(len, words)))
        for word in words:
            delta = f" {word}" if self.text else word
            if not word:
                continue
            self.text += delta
            event = {"type": "response.output_audio_transcript.delta", **at, "delta": delta}
            if self.shape.word_times:
                share = (end_ms - start_ms) * len(word) / letters
                event |= {"start_time": round(start_ms / 1000, 3), "end_time": round((start_ms + share) / 1000, 3)}
                start_ms += share
            yield event

    def called(self, call: FunctionCalled) -> Iterator[Json]:
        """Pass on a function call."""
        item = Item({
            "id": self.new_id("item"), "object": "realtime.item", "type": "function_call", "status": "in_progress",
            "call_id": call.call_id, "name": call.name, "arguments": "",
        })  # fmt: skip
        yield from self._added(item)
        at = {"response_id": self.id, "item_id": item.id, "output_index": len(self.output) - 1, "call_id": call.call_id}
        yield {"type": "response.function_call_arguments.delta", **at, "delta": call.arguments}
        item.wire |= {"status": "completed", "arguments": call.arguments}
        yield {
            "type": "response.function_call_arguments.done", **at, "name": call.name, "arguments": call.arguments
        }  # fmt: skip
        yield from self._item_done(item)

    def aside(self, kind: str, text: str) -> Iterator[Json]:
        """Pass on private text, as an extra field of an empty delta."""
        if self.message is None:
            yield from self._open_message()
        assert self.message is not None  # noqa: S101
        part = "output_text" if self.shape.modality == "text" else "output_audio_transcript"
        yield {"type": f"response.{part}.delta", **self._at(self.message), "delta": "", kind: text}

    def done(self, status: Status, usage: Usage, details: Json | None = None) -> Iterator[Json]:
        """Close what is open, and the response."""
        if self.message is not None:
            yield from self._close_message(self.message, "completed" if status == "completed" else "incomplete")
        yield {"type": "response.done", "response": self._shown(status, details, _shown_usage(usage))}
        yield {"type": "rate_limits.updated", "rate_limits": []}

    def _open_message(self) -> Iterator[Json]:
        item = Item(
            {
                "id": self.new_id("item"), "object": "realtime.item", "type": "message", "status": "in_progress",
                "role": "assistant", "content": [],
            },
            rate=self.shape.rate,
        )  # fmt: skip
        self.message = item
        yield from self._added(item)
        part = {"type": "text", "text": ""} if self.shape.modality == "text" else {"type": "audio", "transcript": ""}
        yield {"type": "response.content_part.added", **self._at(item), "part": part}

    def _close_message(self, item: Item, status: str) -> Iterator[Json]:
        at = self._at(item)
        if self.shape.modality == "text":
            yield {"type": "response.output_text.done", **at, "text": self.text}
            part = {"type": "text", "text": self.text}
        else:
            yield {"type": "response.output_audio.done", **at}
            yield {"type": "response.output_audio_transcript.done", **at, "transcript": self.text}
            part = {"type": "audio", "transcript": self.text}
        yield {"type": "response.content_part.done", **at, "part": part}
        item.wire |= {"status": status, "content": [self.content]}
        yield from self._item_done(item)

    def _added(self, item: Item) -> Iterator[Json]:
        self.output.append(item)
        place = {"response_id": self.id, "output_index": len(self.output) - 1}
        yield {"type": "response.output_item.added", **place, "item": dict(item.wire)}
        if self.in_band:
            before = self.previous[item.id] = self.add(item)
            yield {"type": "conversation.item.added", "previous_item_id": before, "item": dict(item.wire)}

    def _item_done(self, item: Item) -> Iterator[Json]:
        place = {"response_id": self.id, "output_index": self.output.index(item)}
        yield {"type": "response.output_item.done", **place, "item": dict(item.wire)}
        if self.in_band:
            before = self.previous[item.id]
            yield {"type": "conversation.item.done", "previous_item_id": before, "item": dict(item.wire)}

    def _at(self, item: Item) -> Json:
        return {
            "response_id": self.id, "item_id": item.id, "output_index": self.output.index(item), "content_index": 0
        }  # fmt: skip

    def _shown(self, status: str, details: Json | None, usage: Json | None) -> dict[str, Any]:
        shape = self.shape
        return {
            "object": "realtime.response", "id": self.id, "status": status, "status_details": details,
            "output": [dict(item.wire) for item in self.output], "conversation_id": shape.conversation_id,
            "output_modalities": [shape.modality], "max_output_tokens": shape.max_output_tokens,
            "audio": {"output": {"format": shape.format.model_dump(), "voice": shape.voice}}, "usage": usage,
            "metadata": shape.metadata,
        }  # fmt: skip


def _shown_usage(usage: Usage) -> Json:
    nothing = {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0}
    return {
        "total_tokens": usage.read + usage.written,
        "input_tokens": usage.read,
        "output_tokens": usage.written,
        "input_token_details": {
            "text_tokens": usage.read, "audio_tokens": 0, "image_tokens": 0, "cached_tokens": 0,
            "cached_tokens_details": nothing,
        },
        "output_token_details": {"text_tokens": usage.written, "audio_tokens": 0},
        **({} if usage.cost is None else {"cost": dict(usage.cost)}),
    }  # fmt: skip
