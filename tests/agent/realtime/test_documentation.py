"""docs/realtime.md says what the server does: no event and no opt-in more, and none less."""

from __future__ import annotations

import re
from pathlib import Path

from agent.realtime import hearing
from agent.realtime.protocol import fields, items, protocol
from agent.realtime.server import connection
from reasoning.tools import calls
from tests.agent.realtime.invariants import Rig

PAGE = (Path(__file__).parents[3] / "docs" / "realtime.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[str]:
    """Names in the first column of the first table after a line."""
    table = PAGE.partition(heading)[2].partition("\n\n")[2].partition("\n\n")[0]
    return re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)


def test_every_client_event_is_documented() -> None:
    (refused,) = Rig().send("no.such.event")
    known = refused["error"]["message"].partition("Supported are: ")[2].removesuffix(".").split(", ")
    assert sorted(rows("Client events:")) == sorted(known)


def test_every_opt_in_is_documented() -> None:
    assert sorted(rows("extensions=thoughts,words`.")) == sorted(protocol.EXTENSIONS)


def test_the_bounds_are_those_of_the_code() -> None:
    table = PAGE.partition("| of | at most |")[2].partition("\n\n")[0]
    bounds = {
        "one message": [connection._MOST_VALUES],
        "one item": [fields.MOST_TEXT],
        "all items": [items._MOST_TOGETHER, items.MOST],
        "instructions": [32_768],
        "one function": [calls._MAX_CHARACTERS, calls._MAX_VALUES, calls._MAX_DEPTH, calls._MAX_PATTERNS],
        "all functions": [calls._MAX_TOOLS, calls._MAX_TOGETHER, calls._MAX_VALUES_TOGETHER],
        "items of sound": [hearing._MOST_TASKS],
    }
    for name, numbers in bounds.items():
        (row,) = re.findall(rf"\| {name}[^|]*\|([^|]*)\|", table)
        assert [number for number in numbers if f"{number:,}" not in row] == [], name
