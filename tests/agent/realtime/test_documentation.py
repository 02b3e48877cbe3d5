"""docs/realtime.md says what the server does: no event and no opt-in more, and none less."""

from __future__ import annotations

import re
from pathlib import Path

from agent.realtime.protocol import protocol
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
