from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any, Literal

import pytest

from reasoning.errors import BadTool
from reasoning.tools.calls import Tool, read_call
from reasoning.tools.functions import tool
from reasoning.tools.grammar import Grammars
from tests.reasoning.tools.test_grammar import Bytes, allowed, feed, grammar


class Unit(Enum):
    CELSIUS = "celsius"
    KELVIN = "kelvin"


@dataclass
class Place:
    city: Annotated[str, "Its name in English."]
    country: str | None = None
    near: list[str] = field(default_factory=list)


@tool
async def forecast(
    place: Place,
    days: Annotated[int, "How many days ahead."],
    *,
    unit: Unit = Unit.CELSIUS,
    detail: Literal["brief", "full"] = "brief",
    wind: bool | None = None,
    above: float = 0.0,
    skip: list[int] | None = None,
    limit: int | None = 5,
) -> dict[str, Any]:
    """Forecast the weather.

    Use it for any question about coming days.
    """
    return {"all": [place, days, unit, detail, wind, above, skip, limit]}


def properties(made: Tool) -> dict[str, Any]:
    return dict(made.parameters["properties"])


def test_the_schema_is_the_signature() -> None:
    assert forecast.name == "forecast"
    assert forecast.description == "Forecast the weather.\n\nUse it for any question about coming days."
    assert forecast.parameters["required"] == ["place", "days"]
    assert forecast.parameters["additionalProperties"] is False
    assert properties(forecast) == {
        "place": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "Its name in English."},
                "country": {"type": "string"},
                "near": {"type": "array", "items": {"type": "string"}},
            },
            "required": ["city"],
            "additionalProperties": False,
        },
        "days": {"type": "integer", "description": "How many days ahead."},
        "unit": {"enum": ["celsius", "kelvin"], "default": "celsius"},
        "detail": {"enum": ["brief", "full"], "default": "brief"},
        "wind": {"type": "boolean"},
        "above": {"type": "number", "default": 0.0},
        "skip": {"type": "array", "items": {"type": "integer"}},
        "limit": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": 5},
    }


async def test_the_handler_gets_python_values() -> None:
    text = json.dumps(
        {
            "name": "forecast",
            "arguments": {
                "place": {"city": "Oslo", "near": ["sea"]},
                "days": 3.0,
                "unit": "kelvin",
                "above": 1,
                "skip": [1, 2],
                "limit": None,
            },
        }
    )
    call = read_call(text, [forecast])
    given = await result(forecast, call.arguments)
    place, days, *others = given["all"]
    assert (place, days) == (Place("Oslo", None, ["sea"]), 3)
    assert type(days) is int
    assert others == [Unit.KELVIN, "brief", None, 1.0, [1, 2], None]


async def result(made: Tool, arguments: Any) -> Any:  # noqa: ANN401 - it is what the handler gives
    assert made.handler is not None
    given: Any = made.handler(arguments)
    return await given


def test_a_name_a_description_and_a_time_limit_can_be_given() -> None:
    @tool(name="look", description="Look around.", timeout_s=5)
    def function() -> str:
        return "a wall"

    assert (function.name, function.description, function.timeout_s) == ("look", "Look around.", 5)
    assert function.parameters == {"type": "object", "properties": {}, "required": [], "additionalProperties": False}


def test_who_may_block_is_known_by_the_def() -> None:
    class Lamp:
        """Switch the lamp."""

        async def __call__(self, on: bool) -> str:
            return str(on)

        def state(self) -> str:
            """Tell the state."""
            return "on"

    assert not forecast.blocking
    assert not tool(name="lamp")(Lamp()).blocking
    assert tool(Lamp().state).blocking


def _untyped(a) -> str:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """Do it."""
    return str(a)


def _unknown(a: dict[str, int]) -> str:
    """Do it."""
    return str(a)


def _choice(a: int | str) -> str:
    """Do it."""
    return str(a)


def _many(*a: int) -> str:
    """Do it."""
    return str(a)


def _bare(a: list) -> str:  # type: ignore[type-arg]
    """Do it."""
    return str(a)


def _missing(a: Nowhere) -> str:  # type: ignore[name-defined]  # noqa: F821
    """Do it."""
    return str(a)


def _undocumented(a: int) -> str:
    return str(a)


@dataclass
class Endless:
    inside: Endless | None = None


def _endless(a: Endless) -> str:
    """Do it."""
    return str(a)


@dataclass
class Holds:
    thing: object


def _field(a: list[Holds]) -> str:
    """Do it."""
    return str(a)


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (_untyped, r"parameter 'a': give it a type"),
        (_unknown, r"parameter 'a': dict\[str, int\] has no JSON schema here; take str, int"),
        (_choice, r"parameter 'a': int \| str is a choice between types"),
        (_many, r"parameter 'a': a tool is called by names"),
        (_bare, r"parameter 'a': list has no JSON schema"),
        (_missing, "annotations cannot be evaluated: name 'Nowhere'"),
        (_endless, "make it flatter"),
        (_field, "parameter 'a', field 'thing': object has no JSON schema"),
        (lambda: None, "'<lambda>'"),
    ],
)
def test_what_cannot_be_a_tool_says_which_parameter(function: Callable[..., object], why: str) -> None:
    with pytest.raises(BadTool, match=why):
        tool(description="Do it.")(function)


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan")])
def test_a_time_limit_is_a_number_of_seconds(seconds: float) -> None:
    with pytest.raises(BadTool, match="timeout_s"):
        tool(description="Do it.", timeout_s=seconds)(_undocumented)


def test_a_docstring_is_asked_for() -> None:
    with pytest.raises(BadTool, match="'_undocumented': give it a docstring"):
        tool(_undocumented)


def test_the_schema_is_one_that_calls_are_decoded_under() -> None:
    """It need not be so for every JSON schema: the grammar knows a part of them."""
    matcher = Grammars(Bytes()).matcher(grammar([forecast], begin=""))
    feed(
        matcher, b'{"name": "forecast", "arguments": {"place": {"city": "Oslo"}, "days": 3, "unit": "kelvin", "limit": '
    )
    assert allowed(matcher) >= {ord("n"), ord("1")}
    feed(matcher, b"null}}")
