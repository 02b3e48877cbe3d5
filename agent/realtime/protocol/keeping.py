"""A conversation as it is kept outside of its session, so that another server can go on with it. Pure.

What is kept: the items as they are shown, and which words of a reply lie where in its sound, so that it is known what
was heard. Never kept: sound, thoughts, the session's settings, keys.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final, get_args

from agent.realtime.protocol.fields import Json
from agent.realtime.protocol.items import MOST, Item
from agent.realtime.protocol.pacing import PlayClock
from audio.messages import Kind

VERSION: Final = "1"
"""Of the form below; another one is not read."""
_FLAGS: Final = ("noted", "late", "truncated")


@dataclass(frozen=True, slots=True)
class KeptConversation:
    """The items, and the sound of a reply that may still be playing."""

    items: tuple[Item, ...] = ()
    sounding: str | None = None
    """The item whose sound was sent last."""
    sent_s: float = 0.0
    """Seconds of it that were sent."""
    left_s: float = 0.0
    """Seconds of it that were still to be played when it was kept."""

    def text(self, at_s: float, most: int) -> str:
        """Write it as JSON of about `most` characters at most: of more, the oldest items are left out.

        at_s: seconds of a clock that all servers share.
        """
        found, room = list[str](), most
        for item in reversed(self.items):
            told = json.dumps(_told(item))
            room -= len(told)
            if room < 0:
                break
            found.append(told)
        sounding = json.dumps({"item": self.sounding, "sent_s": self.sent_s, "left_s": self.left_s})
        # Each item is encoded once: a long conversation is written again and again.
        return f'{{"at_s": {at_s}, "sounding": {sounding}, "items": [{", ".join(reversed(found))}]}}'

    def playing(self, now_s: float) -> PlayClock:
        """Give the clock of the sound that may still be playing."""
        return PlayClock(self.sent_s, now_s + self.left_s)


def kept_conversation(text: str, at_s: float) -> KeptConversation:
    """Read what was written, as it stands by now. Raises ValueError for what nobody here has written."""
    try:
        told = json.loads(text)
        items = tuple(_item(each) for each in told["items"])
        sounding = told["sounding"]
        name, sent_s, left_s = sounding["item"], float(sounding["sent_s"]), float(sounding["left_s"])
        passed_s = max(0.0, at_s - float(told["at_s"]))
    except (KeyError, TypeError, AttributeError, IndexError, OverflowError, RecursionError) as wrong:
        raise ValueError(f"it is no conversation ({type(wrong).__name__})") from None
    if len({item.id for item in items}) != len(items) or len(items) > MOST:
        raise ValueError("it holds items twice, or too many")
    known = any(item.id == name for item in items)
    return KeptConversation(items, name if known else None, sent_s, max(0.0, left_s - passed_s))


def _told(item: Item) -> Json:
    told: Json = {"wire": item.wire, "size": item.size}
    if item.pieces:
        told |= {"pieces": item.pieces, "rate": item.rate}
    if item.heard_ms is not None:
        told["heard_ms"] = item.heard_ms
    return told | {name: True for name in _FLAGS if getattr(item, name)}


def _item(told: dict[str, Any]) -> Item:
    wire = told["wire"]
    if not isinstance(wire["id"], str) or wire["type"] not in {"message", "function_call", "function_call_output"}:
        raise ValueError("an item is none")
    pieces = [(str(text), int(samples), kind) for text, samples, kind in told.get("pieces", ())]
    if any(kind not in get_args(Kind) or samples < 0 for _, samples, kind in pieces):
        raise ValueError("a reply is none")
    heard_ms = told.get("heard_ms")
    return Item(
        dict(wire),
        pieces,
        int(told.get("rate", 24_000)),
        None if heard_ms is None else float(heard_ms),
        size=int(told["size"]),
        **{name: bool(told.get(name)) for name in _FLAGS},
    )
