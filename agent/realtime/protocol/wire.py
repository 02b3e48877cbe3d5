"""Small pieces of the wire: server events, base64 sound, and a client's functions as tools of a loop. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, Final

from agent.realtime.protocol import fields
from agent.realtime.protocol.fields import InvalidRequest, Json, checked
from agent.realtime.protocol.messages import Command, SendEvent
from reasoning.errors import BadTool
from reasoning.tools.calls import Tool, check_bounds, checked_tools

MOST_APPENDED: Final = 15 * 2**20
"""Bytes of base64 in one append."""
_PIECE: Final = 65_536
"""Characters of base64 that are decoded at a time: whole quadruples."""


def error(refused: InvalidRequest, event_id: str | None = None, kind: str = "invalid_request_error") -> SendEvent:
    """Give the event that tells a client what was wrong."""
    told = {"type": kind, "code": refused.code, "message": refused.message, "param": refused.param}
    return event_of("error", error={**told, "event_id": event_id})


def own_id(event: object) -> str | None:
    """Give the id that a client gave its event."""
    given = event.get("event_id") if isinstance(event, dict) else None
    return given[:512] if isinstance(given, str) else None


def event_of(kind: str, **content: Any) -> SendEvent:  # noqa: ANN401 - an event's fields are JSON
    """Make a server event."""
    return SendEvent({"type": kind, **content})


def events(happened: Iterable[Json]) -> Iterable[Command]:
    """Make commands that send events."""
    return (SendEvent(event) for event in happened)


def check_tools(tools: Sequence[fields.FunctionTool]) -> None:
    """Raise Refused for functions that the loop cannot have."""
    try:
        # How much they are is looked at before anything is done with them.
        check_bounds([(tool.description or "", tool.parameters or {}) for tool in tools])
        checked_tools(tools_of(tools))
    except BadTool as bad:
        raise InvalidRequest(f"{bad}.", code="invalid_tool", param="tools") from None


def prove_tools(asked: object) -> None:
    """Check the functions in a session or response as a client sent it, so that it is known when it is carried out.

    Takes a second at most; says nothing, since whoever carries it out does.
    """
    with suppress(InvalidRequest):
        check_tools(checked(fields.Tools, asked).tools or [])


def tools_of(tools: Sequence[fields.FunctionTool]) -> list[Tool]:
    """Give a client's functions as the tools of a loop. Raises BadTool."""
    empty = {"type": "object", "properties": {}}
    return [Tool(tool.name, tool.description or "", {**empty, **(tool.parameters or {})}) for tool in tools]


def decoded(encoded: str | bytes, param: str) -> bytes:
    """Decode base64, unless that was done before; piece by piece, for other threads' sake. Raises Refused."""
    if isinstance(encoded, bytes):
        return encoded
    try:
        pieces = [
            base64.b64decode(encoded[start : start + _PIECE], validate=True) for start in range(0, len(encoded), _PIECE)
        ]
    except (binascii.Error, ValueError):
        raise InvalidRequest("The audio is not valid base64.", code="invalid_audio", param=param) from None
    if any(len(piece) != _PIECE // 4 * 3 for piece in pieces[:-1]):
        raise InvalidRequest("The audio is not valid base64.", code="invalid_audio", param=param)
    return b"".join(pieces)


def sounds_of(new: fields.NewItem, form: fields.AudioFormat) -> bytes:
    """Give the sound that a client brought, where it brought no words along. Raises Refused."""
    if not isinstance(new, fields.MessageItem):
        return b""
    parts = [part for part in new.content if part.type == "input_audio" and part.audio and not part.transcript]
    sounds = [decoded(part.audio or "", "item.content") for part in parts]
    if form.type == "audio/pcm" and any(len(sound) % 2 for sound in sounds):
        raise InvalidRequest(
            "16-bit audio of an item must have an even number of bytes.", code="invalid_audio", param="item.content"
        )
    return b"".join(sounds)
