from __future__ import annotations

import json
from typing import Any

import pytest

from reasoning.errors import BadTool
from reasoning.tools.calls import Tool, checked_tools, grammar_of, read_call
from reasoning.tools.written import WrittenCall

PLACE: dict[str, Any] = {
    "type": "object",
    "properties": {"place": {"enum": ["kitchen", "office"]}, "speed": {"type": "number", "maximum": 2}},
    "required": ["place"],
    "additionalProperties": False,
}
GO = Tool("go_to", "Drive to a place.", PLACE)


def written(name: str = "go_to", **arguments: object) -> str:
    return json.dumps({"name": name, "arguments": arguments})


def test_a_call_is_read() -> None:
    assert read_call(written(place="kitchen", speed=1.5), [GO]) == WrittenCall(
        "go_to", {"place": "kitchen", "speed": 1.5}
    )


def test_what_is_read_can_be_written_again() -> None:
    call = WrittenCall("go_to", {"place": "kitchen"})
    assert read_call(call.text(), [GO]) == call


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "Expecting value"),
        ("[]", "not an object"),
        ('{"name": "go_to"}', "not an object with"),
        (written("fly"), "no tool 'fly'"),
        (written(), "'place' is a required property"),
        (written(place="roof"), "'roof' is not one of"),
        (written(place="kitchen", speed=3), "greater than the maximum"),
        (written(place="kitchen", height=1), "'height' was unexpected"),
        ('{"name": "go_to", "arguments": {"place": "kitchen"}} and', "Extra data"),
        ("[" * 100_000, "nested too deeply"),
        ('{"name": "go_to", "arguments": {"place": "kitchen", "speed": -1e999}}', "too large"),
        ('{"name": "go_to", "arguments": {"place": "kitchen", "speed": NaN}}', "NaN is not JSON"),
    ],
)
def test_what_is_no_call_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_call(text, [GO])


def test_a_reference_is_never_fetched() -> None:
    tool = Tool("x", "", {"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:9/schema"}}})
    with pytest.raises(ValueError, match="refers to what is not in it"):
        read_call(written("x", a=1), [tool])


@pytest.mark.timeout(20)
def test_a_hostile_pattern_costs_nothing() -> None:
    tool = Tool("x", "", {"type": "object", "properties": {"a": {"type": "string", "pattern": "(a+)+$"}}})
    assert read_call(written("x", a="a" * 60 + "!"), [tool]).name == "x"


@pytest.mark.parametrize(
    ("name", "parameters", "why"),
    [
        ("go to", PLACE, "tool name"),
        ("", PLACE, "tool name"),
        ("x" * 65, PLACE, "tool name"),
        ("go\n", PLACE, "tool name"),
        ("go", {"type": "strin"}, "no JSON schema"),
        ("go", {"type": "string"}, "must be a JSON schema of type 'object'"),
        ("go", {"type": "object", "x": object()}, "not JSON"),
        ("go", {"type": "object", "description": "x" * 9000}, "more than 8192"),
    ],
)
def test_a_bad_tool_is_refused(name: str, parameters: dict[str, Any], why: str) -> None:
    with pytest.raises(BadTool, match=why):
        Tool(name, "", parameters)


def test_tools_of_one_name_and_too_many_are_refused() -> None:
    with pytest.raises(BadTool, match="2 tools are called 'go_to'"):
        checked_tools([GO, GO])
    with pytest.raises(BadTool, match="65 tools are too many"):
        checked_tools([Tool(f"t{n}", "", PLACE) for n in range(65)])
    assert checked_tools([]) == ()


def test_the_grammar_has_a_form_for_each_tool() -> None:
    grammar = grammar_of([GO, Tool("look", "", {"type": "object"})], begin="<", end=">", at_most=3)
    assert [form.begin for form in grammar.forms] == [
        '<{"name": "go_to", "arguments": ', '<{"name": "look", "arguments": '
    ]  # fmt: skip
    assert [form.end for form in grammar.forms] == ["}>", "}>"]
    assert json.loads(grammar.forms[0].schema) == PLACE
    assert grammar.at_most == 3


def test_a_tool_is_described_as_templates_expect_it() -> None:
    assert json.loads(GO.described()) == {
        "type": "function",
        "function": {"name": "go_to", "description": "Drive to a place.", "parameters": PLACE},
    }
