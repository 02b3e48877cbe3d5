"""Client events made from the fields that the protocol knows, right ones and wrong ones. Sans-I/O."""

from __future__ import annotations

import base64
import copy
from typing import TYPE_CHECKING, Any, Final

from hypothesis import strategies as st
from pydantic import BaseModel

from agent.realtime.protocol import fields

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hypothesis.strategies import SearchStrategy

Json = Any
Path = tuple[str | int, ...]


class _Update(BaseModel):
    session: fields.SessionFields


class _Nothing(BaseModel):
    pass


EVENTS: Final[dict[str, type[BaseModel]]] = {
    "session.update": _Update,
    "input_audio_buffer.append": fields.Append,
    "input_audio_buffer.commit": _Nothing,
    "input_audio_buffer.clear": _Nothing,
    "conversation.item.create": fields.CreateItem,
    "conversation.item.delete": fields.ItemId,
    "conversation.item.retrieve": fields.ItemId,
    "conversation.item.truncate": fields.TruncateItem,
    "response.create": fields.CreateResponse,
    "response.cancel": fields.CancelResponse,
    "output_audio_buffer.clear": _Nothing,
}
"""What may stand in each client event."""
SCHEMAS: Final[dict[str, Json]] = {kind: model.model_json_schema() for kind, model in EVENTS.items()}
SOUNDS: Final = [base64.b64encode(bytes(size)).decode() for size in (0, 1, 2, 639, 4800, 48_001)]
IDS: Final = ["a", "b", "root", "item_1", "none"]
ODD: Final[list[Json]] = [
    None, True, False, -1, 0, 1, 2**31, -(2**63), 2**80, 10**400, 1.5, -0.0, 1e308, "", "x", "\ud800", "\x00", "root",
    "<|im_end|>", "A" * 5000, "é" * 3000, "=", "AAA", SOUNDS[1], [], {}, [[]], [None], {"type": []}, {"type": "x"},
    {"": {"": ""}}, [{"type": "message"}], {"type": "object", "properties": {"a": {"$ref": "#"}}}, [1] * 300,
]  # fmt: skip
"""Values that hardly any field may have."""


def _resolved(schema: Json, whole: Json) -> list[Json]:
    """Give the schemas of which a value has to fit one."""
    if "$ref" in schema:
        return _resolved(whole["$defs"][schema["$ref"].rpartition("/")[2]], whole)
    several = schema.get("anyOf") or schema.get("oneOf")
    return [one for each in several for one in _resolved(each, whole)] if several else [schema]


def right(schema: Json, whole: Json, name: str = "") -> SearchStrategy[Json]:
    """Give values that a schema allows, or nearly."""
    return st.one_of(*(_plain(one, whole, name) for one in _resolved(schema, whole)))


def _plain(schema: Json, whole: Json, name: str) -> SearchStrategy[Json]:
    if "const" in schema or "enum" in schema:
        return st.sampled_from(schema.get("enum") or [schema["const"]])
    kind = schema.get("type")
    if kind == "array":
        return st.lists(right(schema.get("items", {}), whole), min_size=schema.get("minItems", 0), max_size=2)
    if kind == "object" and "properties" in schema:
        return _object(schema, whole)
    least = schema.get("minimum", 0)
    plain: dict[str, SearchStrategy[Json]] = {
        "string": _text(name),
        "integer": st.integers(least, schema.get("maximum", least + 3000)),
        "number": st.floats(least, schema.get("maximum", least + 3)),
        "boolean": st.booleans(),
        "null": st.none(),
        "object": st.sampled_from([{}, {"type": "object"}, {"type": "object", "properties": {"a": {"enum": [1]}}}]),
    }
    return plain.get(str(kind), st.just({}))


def _text(name: str) -> SearchStrategy[str]:
    if name == "audio":
        return st.sampled_from(SOUNDS)
    if name.endswith("id"):
        return st.sampled_from(IDS)
    if name == "name":
        return st.sampled_from(["look", "f"])
    return st.sampled_from(["Hello.", "", "What is 3 times 8?", "{}", "m"])


def _object(schema: Json, whole: Json) -> SearchStrategy[Json]:
    needed = set(schema.get("required", ()))
    parts = {name: right(one, whole, name) for name, one in schema["properties"].items()}
    must = {name: part for name, part in parts.items() if name in needed or name == "type"}
    may = {name: part for name, part in parts.items() if name not in must}
    return st.fixed_dictionaries(must, optional=may)


def full(schema: Json, whole: Json, choice: int = 0) -> Json:
    """Give one value with every field of a schema in it; `choice`: which of several kinds it is of."""
    kinds = [one for one in _resolved(schema, whole) if one.get("type") != "null"]
    one = kinds[choice % len(kinds)]
    if "properties" in one:
        return {name: full(each, whole, choice) for name, each in one["properties"].items()}
    if one.get("type") == "array":
        return [full(one.get("items", {}), whole, choice)]
    if "const" in one or "enum" in one:
        return one["const"] if "const" in one else one["enum"][0]
    least = one.get("minimum", 1)
    return {"string": "a", "integer": least, "number": least, "boolean": True}.get(one.get("type", ""), {})


def paths(value: Json, so_far: Path = ()) -> Iterator[Path]:
    """Give the way to every place in a value."""
    if so_far:
        yield so_far
    if isinstance(value, dict | list):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from paths(one, (*so_far, key))


def with_wrong(event: Json, path: Path, wrong: Json) -> Json:
    """Give the event with another value in one place; `...`: without that place."""
    event = copy.deepcopy(event)
    here = event
    for step in path[:-1]:
        here = here[step]
    if wrong is ...:
        del here[path[-1]]
    else:
        here[path[-1]] = wrong
    return event


def every_field_wrong() -> Iterator[Json]:
    """Give every event with each of its fields missing, and with each odd value in it."""
    seen = set()
    for kind, schema in SCHEMAS.items():
        for choice in range(4):
            event = {"type": kind, "event_id": "e", **full(schema, schema, choice)}
            for path in paths(event):
                if (kind, path) not in seen or choice == 0:
                    seen.add((kind, path))
                    yield from (with_wrong(event, path, wrong) for wrong in (..., *ODD))


@st.composite
def client_event(draw: st.DrawFn) -> Json:
    """Draw an event as a client might send it, half of the time with something wrong in it."""
    kind = draw(st.sampled_from(list(SCHEMAS)))
    event = {"type": kind, **draw(right(SCHEMAS[kind], SCHEMAS[kind]))}
    if draw(st.booleans()):
        path = draw(st.sampled_from(list(paths(event))))
        event = with_wrong(event, path, draw(st.sampled_from([..., *ODD])))
    return event
