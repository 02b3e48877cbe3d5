"""A conversation as it is kept outside of its session, so that another server can go on with it. Pure.

What is kept: the items as they are shown, and which words of a reply lie where in its sound, so that it is known what
was heard. Never kept: sound, thoughts, the session's settings, keys.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, get_args

from agent.realtime.protocol.fields import Json
from agent.realtime.protocol.items import MOST, Item
from agent.realtime.protocol.pacing import PlayClock
from audio.messages import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

VERSION: Final = "2"
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

    def playing(self, now_s: float) -> PlayClock:
        """Give the clock of the sound that may still be playing."""
        return PlayClock(self.sent_s, now_s + self.left_s)


class ConversationWriter:
    """Writes a conversation as it goes on, in about `most` characters at most: of more, the oldest items are left out.

    A line each: what is of the whole, then the items, oldest first. An item is written once, until it changes.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._written: dict[str, _WrittenItem] = {}
        """By id, oldest first."""

    def draft(self, kept: KeptConversation, at_s: float) -> Callable[[], str]:
        """Note what is to be written, which is quickly done; what is given writes it, in any thread.

        at_s: seconds of a clock that all servers share.
        """
        # Items change while they are written: what is given must not look at them.
        lines = [
            seen if (seen := self._written.get(item.id)) is not None and seen.is_of(item) else _WrittenItem.of(item)
            for item in kept.items
        ]
        self._written = {line.wire["id"]: line for line in lines}
        head = {"at_s": at_s, "sounding": {"item": kept.sounding, "sent_s": kept.sent_s, "left_s": kept.left_s}}
        return partial(_text, head, lines, self._most)


@dataclass(slots=True)
class _WrittenItem:
    """An item as it stood, and how it is written, once it is."""

    wire: Json
    pieces: int
    state: tuple[float | None, bool, bool, bool]
    told: Json
    line: str = ""

    @classmethod
    def of(cls, item: Item) -> _WrittenItem:
        told = _told(item)
        return cls(told["wire"], len(item.pieces), _state(item), told)

    def is_of(self, item: Item) -> bool:
        """Whether it is the same still; values of `wire` are replaced, never changed, and pieces only come."""
        return self.pieces == len(item.pieces) and self.state == _state(item) and self.wire == item.wire


def _state(item: Item) -> tuple[float | None, bool, bool, bool]:
    return item.heard_ms, item.noted, item.late, item.truncated


def _text(head: Json, items: Sequence[_WrittenItem], most: int) -> str:
    found, room = list[str](), most
    for item in reversed(items):
        item.line = item.line or json.dumps(item.told)
        room -= len(item.line)
        if room < 0:
            break
        found.append(item.line)
    return "\n".join([json.dumps(head), *reversed(found)])


def kept_conversation(text: str, at_s: float) -> KeptConversation:
    """Read what was written, as it stands by now. Raises ValueError for what nobody here has written."""
    try:
        # Line by line: a thread that reads all at once would hold up the others for as long.
        head, *lines = (json.loads(line) for line in text.split("\n"))
        items = tuple(_item(each) for each in lines)
        sounding = head["sounding"]
        name, sent_s, left_s = sounding["item"], float(sounding["sent_s"]), float(sounding["left_s"])
        passed_s = max(0.0, at_s - float(head["at_s"]))
    except (KeyError, TypeError, AttributeError, IndexError, OverflowError, RecursionError) as wrong:
        raise ValueError(f"it is no conversation ({type(wrong).__name__})") from None
    if len({item.id for item in items}) != len(items) or len(items) > MOST:
        raise ValueError("it holds items twice, or too many")
    known = any(item.id == name for item in items)
    return KeptConversation(items, name if known else None, sent_s, max(0.0, left_s - passed_s))


def _told(item: Item) -> Json:
    told: Json = {"wire": dict(item.wire), "size": item.size}
    if item.pieces:
        told |= {"pieces": list(item.pieces), "rate": item.rate}
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
