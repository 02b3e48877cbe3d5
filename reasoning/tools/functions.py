"""A tool made from a function: its schema from the signature, its description from the docstring.

Parameters may be `str`, `int`, `float`, `bool`, `Literal`, an `Enum` (by value), a `list` of these, a dataclass of
these, or any of them `| None`; `Annotated[str, "text"]` describes one to the model. A parameter with a default may be
left out. Knows nothing of how calls come about or are run.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from typing import Any, Final, Literal, Union, overload

from reasoning.errors import BadTool
from reasoning.tools.calls import TIME_LIMIT_S, Tool

_PLAIN: Final[Mapping[Any, str]] = {str: "string", int: "integer", float: "number", bool: "boolean"}
_ALLOWED: Final = "str, int, float, bool, Literal, Enum, list or a dataclass of these, each with `| None` if need be"
_DEEPEST: Final = 8
"""Lists and dataclasses inside one another; a dataclass that holds itself has no end."""

_Read = Callable[[Any], Any]
"""Gives the Python value of a JSON value that fits the schema."""


@overload
def tool(function: Callable[..., object], /) -> Tool: ...


@overload
def tool(
    *, name: str | None = None, description: str | None = None, timeout_s: float = TIME_LIMIT_S
) -> Callable[[Callable[..., object]], Tool]: ...


def tool(
    function: Callable[..., object] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    timeout_s: float = TIME_LIMIT_S,
) -> Tool | Callable[[Callable[..., object]], Tool]:
    """Make a tool of a function, as `@tool` or `@tool(name=…, description=…, timeout_s=…)`.

    An `async def` runs on the event loop; a plain function is called in a thread, so that it may block. What it
    returns goes to the model: text as it is, anything else as JSON.

    Raises:
        BadTool: the name, the docstring or a parameter cannot be used; the message names it.

    """
    if function is None:
        return lambda given: _made(given, name, description, timeout_s)
    return _made(function, name, description, timeout_s)


def _made(function: Callable[..., object], name: str | None, description: str | None, timeout_s: float) -> Tool:
    name = name or str(getattr(function, "__name__", type(function).__name__))
    told = description or inspect.getdoc(function)
    if not told:
        raise BadTool(f"tool {name!r}: give it a docstring, which tells the model what it does and when to use it")
    schema, readers = _parameters(function, name)

    def handler(arguments: Mapping[str, Any]) -> object:
        return function(**{key: readers[key](value) for key, value in arguments.items()})

    # A coroutine function may stand behind a callable object; what it is called as tells.
    called = function if inspect.isroutine(function) else getattr(function, "__call__", function)  # noqa: B004
    return Tool(
        name, told, schema, handler=handler, blocking=not inspect.iscoroutinefunction(called), timeout_s=timeout_s
    )


def _parameters(function: Callable[..., object], name: str) -> tuple[dict[str, Any], dict[str, _Read]]:
    """Give the JSON schema of the arguments, and for each what makes a Python value of it."""
    try:
        hints = typing.get_type_hints(
            function if inspect.isroutine(function) else type(function).__call__, include_extras=True
        )
    except Exception as error:  # annotations are evaluated, and may raise anything
        raise BadTool(f"tool {name!r}: its annotations cannot be evaluated: {error}") from error
    properties: dict[str, Any] = {}
    readers: dict[str, _Read] = {}
    required: list[str] = []
    for parameter in inspect.signature(function).parameters.values():
        where = f"tool {name!r}: parameter {parameter.name!r}"
        if parameter.kind not in {parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY}:
            raise BadTool(f"{where}: a tool is called by names of parameters; *, ** and / do not go")
        if parameter.name not in hints:
            raise BadTool(f"{where}: give it a type: {_ALLOWED}")
        default = MISSING if parameter.default is parameter.empty else parameter.default
        properties[parameter.name], readers[parameter.name] = _value(hints[parameter.name], where, default)
        if default is MISSING:
            required.append(parameter.name)
    return _object(properties, required), readers


def _object(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _value(hint: object, where: str, default: object, depth: int = 0) -> tuple[dict[str, Any], _Read]:
    """Give the schema of one value with its default and description, and what reads it."""
    told = ""
    if typing.get_origin(hint) is typing.Annotated:
        hint, *extras = typing.get_args(hint)
        told = next((extra for extra in extras if isinstance(extra, str)), "")
    schema, read = _optional(hint, where, depth, may_be_left_out=default is None)
    if told:
        schema["description"] = told
    if default is not MISSING and default is not None:
        plain = default.value if isinstance(default, Enum) else default
        if isinstance(plain, str | int | float | bool):
            schema["default"] = plain
    return schema, read


def _optional(hint: object, where: str, depth: int, *, may_be_left_out: bool) -> tuple[dict[str, Any], _Read]:
    """Take `| None` off a type: where None is the default, the model leaves it out; else it writes null."""
    if typing.get_origin(hint) not in {Union, types.UnionType}:
        return _schema(hint, where, depth)
    others = [option for option in typing.get_args(hint) if option is not types.NoneType]
    if len(others) != 1:
        raise BadTool(f"{where}: {_shown(hint)} is a choice between types; take {_ALLOWED}")
    schema, read = _schema(others[0], where, depth)
    if may_be_left_out:
        return schema, read
    return {"anyOf": [schema, {"type": "null"}]}, lambda value: None if value is None else read(value)


def _schema(hint: Any, where: str, depth: int) -> tuple[dict[str, Any], _Read]:  # noqa: ANN401 - of any type
    if depth > _DEEPEST:
        raise BadTool(f"{where}: more than {_DEEPEST} types lie inside one another; make it flatter")
    if hint in _PLAIN:
        # JSON does not tell 3 from 3.0.
        return {"type": _PLAIN[hint]}, hint if hint in {int, float} else _same
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal and all(isinstance(choice, str | int | bool) for choice in arguments):
        return {"enum": list(arguments)}, _same
    if isinstance(hint, type) and issubclass(hint, Enum):
        values = [member.value for member in hint]
        if values and all(isinstance(value, str | int | float | bool) for value in values):
            return {"enum": values}, hint
    if origin is list:
        items, read = _value(arguments[0], where, MISSING, depth + 1)
        return {"type": "array", "items": items}, lambda values: [read(value) for value in values]
    if isinstance(hint, type) and is_dataclass(hint):
        return _record(hint, where, depth + 1)
    raise BadTool(f"{where}: {_shown(hint)} has no JSON schema here; take {_ALLOWED}")


def _record(kind: type, where: str, depth: int) -> tuple[dict[str, Any], _Read]:
    """Give the schema of a dataclass, and what makes one of an object."""
    hints = typing.get_type_hints(kind, include_extras=True)
    properties: dict[str, Any] = {}
    readers: dict[str, _Read] = {}
    required: list[str] = []
    for item in fields(kind):
        if not item.init:
            continue
        left_out = item.default is not MISSING or item.default_factory is not MISSING
        properties[item.name], readers[item.name] = _value(
            hints[item.name], f"{where}, field {item.name!r}", item.default, depth
        )
        if not left_out:
            required.append(item.name)
    return _object(properties, required), lambda given: kind(**{key: readers[key](it) for key, it in given.items()})


def _same(value: object) -> object:
    return value


def _shown(hint: object) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint)
