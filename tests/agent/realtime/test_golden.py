"""The golden events: one valid example of every event that may be sent, and nothing else is."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

from agent.realtime.protocol import input_buffer, protocol, responses
from tests.agent.realtime.openai_types import check

GOLDEN: Final[list[dict[str, Any]]] = json.loads((Path(__file__).parent / "golden_events.json").read_text())


def test_the_golden_events_are_valid() -> None:
    for event in GOLDEN:
        check(event)


def test_no_event_is_sent_whose_type_is_not_golden() -> None:
    known = {event["type"] for event in GOLDEN}
    source = "".join(Path(module.__file__ or "").read_text() for module in (input_buffer, protocol, responses))
    assert 'f"{_TRANSCRIPTION}.' in source  # the one family whose names are put together
    names = set(
        re.findall(
            r'(?:event_of\(\s*"|"type": ")((?:response|conversation|input_audio_buffer|session|rate_limits)[a-z_.]+)',
            source,
        )
    )
    assert len(names) > 20
    assert names <= known
