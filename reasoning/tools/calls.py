"""Tools that a loop may call: their description for the model, the grammar of a call, and the reading of one.

A call is JSON of the form that chat templates use, `{"name": …, "arguments": …}`. It is decoded under a grammar made
from the tools' schemas and still checked when it is read: an engine without grammars gives the same calls or none.
Knows no tokens, no engine and nothing of what a tool does.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from jsonschema import Draft202012Validator, SchemaError, validators
from referencing import Registry
from referencing.exceptions import Unresolvable

from descant.sound_json import sound_json
from reasoning.engine.contract import Form, Grammar
from reasoning.errors import BadTool
from reasoning.tools.written import WrittenCall

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reasoning.tools.guards import CallGuard

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
TIME_LIMIT_S: Final = 30.0
"""Seconds that a call may take where its tool says nothing else."""
_MAX_TOOLS: Final = 64
_MAX_CHARACTERS: Final = 8192
"""Of the description and the schema of one tool: they stand in the prompt."""
_MAX_TOGETHER: Final = 65_536
"""Of all tools that a stranger brings."""
_MAX_VALUES: Final = 500
"""Lists and objects in the schema of one tool: each takes a ms to be checked."""
_MAX_VALUES_TOGETHER: Final = 2000
_MAX_DEPTH: Final = 32
"""Lists and objects inside one another."""
_MAX_PATTERNS: Final = 12
"""Patterns and formats in the schema of one tool: where they hold for one text, each doubles the work of a grammar."""
_REMEMBERED: Final = 512
"""Schemas whose check is remembered, of all sessions."""

# Patterns are the grammar's business, whose matching is linear: Python's may take for ever on a hostile one.
_Validator: Final[type[Draft202012Validator]] = validators.extend(  # type: ignore[no-untyped-call]
    Draft202012Validator, {"pattern": None, "patternProperties": None}
)


@dataclass(frozen=True, slots=True)
class Tool:
    """Something that the model may call. `BadTool` for a name or a schema that cannot be used."""

    name: str
    """Letters, digits, `_`, `-` and `.`."""
    description: str
    """What it does and when to use it, for the model."""
    parameters: Mapping[str, Any]
    """JSON schema of the arguments, an object."""
    handler: Callable[[Mapping[str, Any]], object] | None = field(default=None, compare=False)
    """Does it: takes the arguments, gives the result or an awaitable of it. None: whoever hears of a call does it."""
    blocking: bool = field(default=False, compare=False)
    """Whether the handler may block, and is called in a thread."""
    timeout_s: float = field(default=TIME_LIMIT_S, compare=False)
    """Seconds after which a call is given up, and the model told so."""
    guard: CallGuard | None = None
    """What its calls are held to beyond the schema. None: a call that fits the schema is made."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise BadTool(f"tool name {self.name[:80]!r}: use 1 to 64 letters, digits, '_', '-' and '.'")
        size = measured(self.parameters)
        if size.characters + len(self.description) > _MAX_CHARACTERS:
            raise BadTool(f"tool {self.name!r}: description and parameters take more than {_MAX_CHARACTERS} characters")
        for count, most, what in (
            (size.values, _MAX_VALUES, "lists and objects"),
            (size.depth, _MAX_DEPTH, "lists and objects inside one another"),
            (size.patterns, _MAX_PATTERNS, "patterns and formats"),
        ):
            if count > most:
                raise BadTool(f"tool {self.name!r}: its parameters have more than {most} {what}; make them simpler")
        try:
            text = json.dumps(self.parameters)
        except (TypeError, ValueError) as error:
            raise BadTool(f"tool {self.name!r}: its parameters are not JSON: {error}") from error
        if len(text) + len(self.description) > _MAX_CHARACTERS:
            raise BadTool(f"tool {self.name!r}: description and parameters take more than {_MAX_CHARACTERS} characters")
        if (wrong := _objection(text)) is not None:
            raise BadTool(f"tool {self.name!r}: its parameters are no JSON schema: {wrong}")
        if self.parameters.get("type") != "object":
            raise BadTool(f"tool {self.name!r}: its parameters must be a JSON schema of type 'object'")
        if not 0 < self.timeout_s < math.inf:
            raise BadTool(f"tool {self.name!r}: timeout_s = {self.timeout_s}: give a number of seconds above 0")

    def described(self) -> str:
        """Give the JSON that chat templates list."""
        described = {"name": self.name, "description": self.description, "parameters": dict(self.parameters)}
        return json.dumps({"type": "function", "function": described}, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class SchemaSize:
    """How much of everything there is in a schema, looked at no further than a tool may go."""

    characters: int
    values: int
    depth: int
    patterns: int


def measured(parameters: object) -> SchemaSize:
    """Measure a schema, whatever it holds, in a time that its bounds bound."""
    characters = values = depth = patterns = 0
    left: list[tuple[object, int]] = [(parameters, 1)]
    while left and characters <= _MAX_CHARACTERS and values <= _MAX_VALUES and depth <= _MAX_DEPTH:
        value, level = left.pop()
        if isinstance(value, Mapping):
            values, depth = values + 1, max(depth, level)
            characters += 2
            for key, one in value.items():
                characters += len(key) + 4 if isinstance(key, str) else 4
                if key == "patternProperties" and isinstance(one, Mapping):
                    patterns += len(one)
                patterns += key in {"pattern", "format"} and isinstance(one, str)
                left.append((one, level + 1))
                if characters > _MAX_CHARACTERS:
                    break
        elif isinstance(value, list | tuple):
            values, depth = values + 1, max(depth, level)
            characters += len(value)
            left.extend((one, level + 1) for one in value[:_MAX_CHARACTERS])
        else:
            characters += len(value) + 2 if isinstance(value, str) else 1
            # An integer may have thousands of digits.
            characters += value.bit_length() // 4 if isinstance(value, int) else 0
    return SchemaSize(characters, values, depth, patterns)


@lru_cache(_REMEMBERED)
def _objection(schema: str) -> str | None:
    """Say what is wrong with a JSON schema, once for each: it takes a ms for each of its objects."""
    try:
        _Validator.check_schema(json.loads(schema))
    except SchemaError as error:
        return error.message[:200]
    except RecursionError:
        return "it is nested too deeply"
    return None


def checked_tools(tools: Sequence[Tool]) -> tuple[Tool, ...]:
    """Give the tools as a set that one loop can have; `BadTool` when two have one name, or they are too many."""
    if len(tools) > _MAX_TOOLS:
        raise BadTool(f"{len(tools)} tools are too many: a loop has {_MAX_TOOLS} at most")
    name, count = Counter(tool.name for tool in tools).most_common(1)[0] if tools else ("", 0)
    if count > 1:
        raise BadTool(f"{count} tools are called {name!r}: give each a name of its own")
    return tuple(tools)


def check_bounds(described: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    """Raise `BadTool` for what strangers describe as tools, by description and schema, that is too much together."""
    characters = values = 0
    for text, parameters in described:
        size = measured(parameters)
        characters, values = characters + len(text) + size.characters, values + size.values
        if characters > _MAX_TOGETHER:
            raise BadTool(f"the tools take more than {_MAX_TOGETHER} characters together; describe them more briefly")
        if values > _MAX_VALUES_TOGETHER:
            raise BadTool(f"the schemas of the tools have more than {_MAX_VALUES_TOGETHER} lists and objects together")


def grammar_of(tools: Sequence[Tool], *, begin: str, end: str, at_most: int) -> Grammar:
    """Give the grammar of up to `at_most` calls, each between `begin` and `end`, a line each."""
    forms = tuple(
        Form(
            begin=f'{begin}{{"name": {json.dumps(tool.name)}, "arguments": ',
            schema=json.dumps(dict(tool.parameters)),
            end=f"}}{end}",
        )
        for tool in tools
    )
    return Grammar(forms, separator="\n", at_most=at_most)


def read_call(text: str, tools: Sequence[Tool]) -> WrittenCall:
    """Read one call; `ValueError` says why it is none that the tools allow."""
    call = sound_json(text)
    if not isinstance(call, dict) or call.keys() != {"name", "arguments"}:
        raise ValueError("not an object with a name and arguments")
    tool = next((tool for tool in tools if tool.name == call["name"]), None)
    if tool is None:
        raise ValueError(f"there is no tool {str(call['name'])[:80]!r}")
    try:
        wrong = next(iter(_Validator(dict(tool.parameters), registry=Registry()).iter_errors(call["arguments"])), None)
    except Unresolvable as error:
        raise ValueError(f"the schema of {tool.name!r} refers to what is not in it: {error}") from error
    if wrong is not None:
        raise ValueError(f"arguments of {tool.name!r}: {wrong.message[:200]}")
    return WrittenCall(tool.name, call["arguments"])
