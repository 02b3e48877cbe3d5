from __future__ import annotations

from pathlib import Path

import pytest

from agent.conversation import timeline
from agent.conversation.transcript import Transcript
from agent.errors import TranscriptError


def test_it_holds_what_was_said_and_of_the_agent_what_was_heard(tmp_path: Path) -> None:
    path = tmp_path / "talk.txt"
    with Transcript(path) as transcript:
        for t_ms, event in (
            (1000, timeline.TurnEnded("What is 12 times 7?")),
            (1100, timeline.Thought("12 times 7 is a secret")),
            (1200, timeline.ReplyText("It is eighty four. And more. And still more.")),
            (2000, timeline.AudioOut(2000, 2500, "One moment.", "filler")),
            (62_500, timeline.AudioOut(62_500, 63_500, "It is eighty four.", "content")),
            (63_500, timeline.AudioOut(63_500, 64_500, "And more.", "content")),
            (64_000, timeline.Interrupted("It is eighty four. And ")),
            (70_000, timeline.TurnEnded("Stop\nit?")),
            (71_000, timeline.AudioOut(71_000, 72_000, "As you like.", "content")),
        ):
            transcript.write(t_ms, event)
    assert path.read_text().splitlines() == [
        "00:01  you    What is 12 times 7?",
        "01:02  agent  It is eighty four. And —",
        "01:10  you    Stop it?",
        "01:11  agent  As you like.",
    ]
    assert path.stat().st_mode & 0o077 == 0


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(TranscriptError, match="cannot be written"):
        Transcript(tmp_path / "none" / "talk.txt")
