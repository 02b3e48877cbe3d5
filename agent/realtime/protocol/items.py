"""The conversation as the protocol shows it: a list of items, and the text that a mind can read of it.

An assistant's item knows which words lie at which sample of its sound, so that what a client says it has played (in
milliseconds) becomes the words that were heard. Sans-I/O.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from agent.realtime.protocol.fields import (
    MOST_TEXT,
    ContentPart,
    FunctionCallItem,
    FunctionOutputItem,
    InvalidRequest,
    Json,
    MessageItem,
)
from agent.realtime.protocol.messages import HistoryTurn, Invoked
from audio.messages import Kind
from audio.speaking.ledger import Ledger

MOST: Final = 2000
"""Items in one conversation."""
_MOST_TOGETHER: Final = 2**20
"""Characters that a client may bring to one conversation, or to one response."""


@dataclass(slots=True)
class Item:
    """One item, with what the wire does not show."""

    wire: Json
    pieces: list[tuple[str, int, Kind]] = field(default_factory=list)
    """Text and samples of each piece of sound, in the order in which they were sent."""
    rate: int = 24_000
    """Samples per second of those."""
    heard_ms: float | None = None
    """How much of the sound was heard; None: all of it."""
    pending: bool = False
    """Its words are still being made out."""
    noted: bool = False
    """It was told to the model while that was replying: it belongs to the turn that was being answered."""
    truncated: bool = False
    """The client has said how much of it was heard, and cannot take that back."""
    size: int = 0
    """Characters that the client brought."""
    late: bool = False
    """It was told too late for that reply: it belongs to the next turn, wherever it stands in the list."""

    @property
    def id(self) -> str:
        """Its name on the wire."""
        return str(self.wire["id"])

    @property
    def spoken_ms(self) -> float:
        """Length of its sound, in ms."""
        return sum(samples for _, samples, _ in self.pieces) * 1000 / self.rate

    def heard(self) -> str:
        """Text of a reply that was heard, without fillers."""
        if not self.pieces:
            return _text_of(self.wire)
        ledger = Ledger()
        for number, (text, samples, kind) in enumerate(self.pieces):
            ledger.add(number, f"{text} ", samples, kind)
        whole = ledger.queued_samples
        ledger.played(whole if self.heard_ms is None else round(self.heard_ms * self.rate / 1000))
        return ledger.heard().strip()


class Items:
    """The items in their order."""

    def __init__(self) -> None:
        self._order: list[str] = []
        self._items: dict[str, Item] = {}

    def __len__(self) -> int:
        return len(self._order)

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._items

    def __iter__(self) -> Iterator[Item]:
        return (self._items[item_id] for item_id in self._order)

    @property
    def last_id(self) -> str | None:
        """The item at the end."""
        return self._order[-1] if self._order else None

    def get(self, item_id: str) -> Item | None:
        """Look an item up."""
        return self._items.get(item_id)

    def add(self, item: Item, after: str | None = None) -> str | None:
        """Insert after an item (`root`: at the head; None: at the end); give the id of the item before it."""
        if item.id in self._items:
            raise InvalidRequest(
                f"An item with id '{item.id}' exists already.", code="item_create_duplicate_item_id", param="item.id"
            )
        if after is None:
            place = len(self._order)
        elif after == "root":
            place = 0
        elif after in self._items:
            place = self._order.index(after) + 1
        else:
            raise InvalidRequest(
                f"There is no item '{after}' to insert after.",
                code="item_create_invalid_previous_item_id",
                param="previous_item_id",
            )
        self._order.insert(place, item.id)
        self._items[item.id] = item
        return self._order[place - 1] if place else None

    def check_room(self, *new: Item) -> None:
        """Raise Refused where the texts of items are too long to be added."""
        largest = max((item.size for item in new), default=0)
        if largest > MOST_TEXT:
            raise InvalidRequest(
                f"An item holds at most {MOST_TEXT} characters; this one holds {largest}.", code="item_too_large",
                param="item",
            )  # fmt: skip
        if sum(item.size for item in (*self, *new)) > _MOST_TOGETHER:
            raise InvalidRequest(
                f"The items of a client hold at most {_MOST_TOGETHER} characters together; delete some.",
                code="conversation_full",
            )

    def previous_id(self, item_id: str) -> str | None:
        """Give the item before; None at the head."""
        place = self._order.index(item_id)
        return self._order[place - 1] if place else None

    def remove(self, item_id: str) -> None:
        """Take an item out."""
        self._order.remove(item_id)
        del self._items[item_id]

    @property
    def pending(self) -> bool:
        """Whether words of some item are still being made out."""
        return any(item.pending for item in self)


def brought(new: MessageItem | FunctionCallItem | FunctionOutputItem, item_id: str) -> Item:
    """Give the item that a client created. Raises Refused."""
    wire = wire_of(new, item_id)
    return Item(wire, size=len(_text_of(wire)) + len(wire.get("arguments", "")) + len(wire.get("output", "")))


def wire_of(new: MessageItem | FunctionCallItem | FunctionOutputItem, item_id: str) -> Json:
    """Give the item that a client created as it is shown from now on. Raises Refused."""
    base: Json = {"id": item_id, "object": "realtime.item", "type": new.type, "status": "completed"}
    match new:
        case MessageItem():
            return {**base, "role": new.role, "content": [_shown(new.role, part) for part in new.content]}
        case FunctionCallItem():
            return {**base, "call_id": new.call_id or f"call_{item_id}", "name": new.name, "arguments": new.arguments}
        case FunctionOutputItem():
            return {**base, "call_id": new.call_id, "output": new.output}


def _shown(role: str, part: ContentPart) -> Json:
    kind = {"text": "output_text", "audio": "output_audio"}.get(part.type, part.type)
    if kind.startswith("output") != (role == "assistant"):
        raise InvalidRequest(
            f"A part of type '{part.type}' cannot stand in a message of role '{role}'.", param="item.content"
        )
    if kind == "input_audio" and role != "user":
        raise InvalidRequest("Only a user's message can hold input_audio.", param="item.content")
    if kind.endswith("text"):
        if part.text is None:
            raise InvalidRequest(f"A part of type '{part.type}' needs a text.", param="item.content")
        return {"type": kind, "text": part.text}
    return {"type": kind, "transcript": part.transcript}


def turns_of(items: list[Item]) -> tuple[tuple[HistoryTurn, ...], str, str]:
    """Read the conversation as exchanges, what was told since the last reply, and its end where the user said that."""
    turns: list[HistoryTurn] = []
    names = {item.wire["call_id"]: item.wire["name"] for item in items if item.wire["type"] == "function_call"}
    told: list[_Told] = []
    late: list[_Told] = []
    calls: list[Invoked] = []
    for item in items:
        if item.wire["type"] == "message" and item.wire["role"] == "assistant":
            reply = item.heard()
            if reply and (told or not turns):
                turns.append(HistoryTurn(_joined(told), reply, tuple(calls)))
                told, late, calls = late, [], []
            elif reply:
                turns[-1] = replace(turns[-1], reply=f"{turns[-1].reply} {reply}")
        elif item.wire["type"] == "function_call":
            call = Invoked(item.wire["name"], item.wire["arguments"])
            if told or not turns:
                calls.append(call)
            else:
                turns[-1] = replace(turns[-1], calls=(*turns[-1].calls, call))
        elif text := told_by(item.wire, names):
            if item.noted and not item.late and turns and not told:
                turns[-1] = replace(turns[-1], user=f"{turns[-1].user}\n{text}")
            else:
                (late if item.late and told else told).append(_Told(text, item.wire.get("role") == "user"))
    last = [*told, *late][-1:]
    return tuple(turns), _joined([*told, *late]), "".join(each.text for each in last if each.by_user)


class _Told(NamedTuple):
    text: str
    by_user: bool


def _joined(told: list[_Told]) -> str:
    return "\n".join(each.text for each in told)


def told_by(wire: Json, names: dict[str, str]) -> str:
    """Give an item's text as it enters the input; `names` are the functions' names by call."""
    match wire["type"]:
        case "function_call_output":
            return f"[result of {names.get(wire['call_id'], 'the call')}] {wire['output']}"
        case "message":
            text = _text_of(wire)
            return f"[system] {text}" if wire["role"] == "system" and text else text
        case _:
            return ""


def _text_of(wire: Json) -> str:
    parts = (part.get("text") or part.get("transcript") or "" for part in wire.get("content", ()))
    return " ".join(part.strip() for part in parts if part.strip())
