"""Small pieces of the wire: server events, base64 sound, and a client's functions as tools of a loop. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence
from typing import Any, Final

from agent.realtime.protocol import fields
from agent.realtime.protocol.fields import InvalidRequest, Json
from agent.realtime.protocol.messages import Command, SendEvent
from reasoning.errors import BadTool
from reasoning.tools.calls import Tool, checked_tools

MOST_APPENDED: Final = 15 * 2**20
"""Bytes of base64 in one append."""


def error(refused: InvalidRequest, event_id: str | None = None, kind: str = "invalid_request_error") -> SendEvent:
    """Give the event that tells a client what was wrong."""
    told = {"type": kind, "code": refused.code, "message": refused.message, "param": refused.param}
    return event_of("error", error={**told, "event_id": event_id})


def event_of(kind: str, **content: Any) -> SendEvent:  # noqa: ANN401 - an event's fields are JSON
    """Make a server event."""
    return SendEvent({"type": kind, **content})


def events(happened: Iterable[Json]) -> Iterable[Command]:
    """Make commands that send events."""
    return (SendEvent(event) for event in happened)


def check_tools(tools: Sequence[fields.FunctionTool]) -> None:
    """Raise Refused for functions that the loop cannot have."""
    try:
        checked_tools(tools_of(tools))
    except BadTool as bad:
        raise InvalidRequest(f"{bad}.", code="invalid_tool", param="tools") from None


def tools_of(tools: Sequence[fields.FunctionTool]) -> list[Tool]:
    """Give a client's functions as the tools of a loop. Raises BadTool."""
    empty = {"type": "object", "properties": {}}
    return [Tool(tool.name, tool.description or "", {**empty, **(tool.parameters or {})}) for tool in tools]


def decoded(encoded: str, param: str) -> bytes:
    """Decode base64. Raises Refused."""
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequest("The audio is not valid base64.", code="invalid_audio", param=param) from None


def sounds_of(new: fields.NewItem) -> bytes:
    """Give the sound that a client brought, where it brought no words along."""
    if not isinstance(new, fields.MessageItem):
        return b""
    parts = [part for part in new.content if part.type == "input_audio" and part.audio and not part.transcript]
    return b"".join(decoded(part.audio or "", "item.content") for part in parts)
