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
from typing import TYPE_CHECKING, Any, Final

from jsonschema import Draft202012Validator, SchemaError, validators
from referencing import Registry
from referencing.exceptions import Unresolvable

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
        try:
            text = json.dumps(self.parameters)
            _Validator.check_schema(dict(self.parameters))
        except (TypeError, ValueError, RecursionError) as error:
            raise BadTool(f"tool {self.name!r}: its parameters are not JSON: {error}") from error
        except SchemaError as error:
            raise BadTool(f"tool {self.name!r}: its parameters are no JSON schema: {error.message[:200]}") from error
        if self.parameters.get("type") != "object":
            raise BadTool(f"tool {self.name!r}: its parameters must be a JSON schema of type 'object'")
        if not 0 < self.timeout_s < math.inf:
            raise BadTool(f"tool {self.name!r}: timeout_s = {self.timeout_s}: give a number of seconds above 0")
        if len(text) + len(self.description) > _MAX_CHARACTERS:
            raise BadTool(f"tool {self.name!r}: description and parameters take more than {_MAX_CHARACTERS} characters")

    def described(self) -> str:
        """Give the JSON that chat templates list."""
        described = {"name": self.name, "description": self.description, "parameters": dict(self.parameters)}
        return json.dumps({"type": "function", "function": described}, ensure_ascii=False)


def checked_tools(tools: Sequence[Tool]) -> tuple[Tool, ...]:
    """Give the tools as a set that one loop can have; `BadTool` when two have one name, or they are too many."""
    if len(tools) > _MAX_TOOLS:
        raise BadTool(f"{len(tools)} tools are too many: a loop has {_MAX_TOOLS} at most")
    name, count = Counter(tool.name for tool in tools).most_common(1)[0] if tools else ("", 0)
    if count > 1:
        raise BadTool(f"{count} tools are called {name!r}: give each a name of its own")
    return tuple(tools)


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
    try:
        call = json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
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
