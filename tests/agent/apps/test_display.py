from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from agent.apps.display import Printed, displayed, latency_table
from agent.conversation import timeline
from agent.conversation.timeline import Event, TurnLatency
from reasoning.events import ReplyText, Thought

TURN: list[Event] = [
    timeline.SpeechBegan(),
    timeline.WordsHeard("What is", "12 times", final=False, revision=0),
    timeline.WordsHeard("What is [12] times 7?", "", final=True, revision=0),
    timeline.SpeechStopped(1200.0),
    timeline.TurnEnded("What is [12] times 7?"),
    timeline.StateChanged("thinking_and_writing"),
    timeline.Thought("12 times 7"),
    timeline.Thought(" is 84.\nSo"),
    timeline.Probe("need to think", 1.0, 0.5, decision=True),
    timeline.Retracted("It is [bold]99.", "ungrounded: 99"),
    timeline.AudioOut(2000.0, 2500.0, "One moment.", "filler"),
    timeline.AudioOut(2500.0, 3500.0, "It is 84.", "content"),
    timeline.Interrupted("It is"),
    timeline.Thought(" 84"),
    timeline.TurnDone({"thinker": 12}, 30, "complete"),
]


def shown(*events: Event, terminal: bool, size: tuple[int, int] = (100, 24)) -> str:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=size[0], height=size[1], color_system=None)
    with displayed(console) as display:
        for index, event in enumerate(events):
            display.show(index * 100.0, event)
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_plain_lines_tell_what_is_final_once_and_in_order() -> None:
    text = shown(*TURN, terminal=False)
    parts = ["What is [12] times 7?", "12 times 7 is 84.", "It is [bold]99.", "One moment.", "It is 84.", "So 84"]
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert all(text.count(part) == 1 for part in parts[:4])
    assert all(re.match(r" *\d+\.\d\d s ", line) for line in text.splitlines())
    assert "\x1b" not in text


def test_plain_lines_tell_fillers_from_the_reply() -> None:
    lines = {line.split(maxsplit=3)[3]: line.split(maxsplit=3)[2] for line in shown(*TURN, terminal=False).splitlines()}
    assert lines["One moment."] != lines["It is 84."]


def last_picture(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text[text.rindex("heard and said") :])


def test_the_picture_has_talk_and_thoughts_side_by_side() -> None:
    picture = last_picture(shown(*TURN, terminal=True))
    for part in ("private thoughts", "What is [12] times 7?", "12 times 7 is 84.", "One moment.", "It is 84."):
        assert part in picture
    assert "thinking and writing" in picture


def test_words_are_shown_while_they_are_heard() -> None:
    picture = last_picture(shown(*TURN[:2], terminal=True))
    assert "What is 12 times" in picture


@pytest.mark.parametrize("size", [(80, 24), (40, 12), (200, 60)])
def test_the_picture_fits_its_terminal_however_long_the_talk(size: tuple[int, int]) -> None:
    events = [*TURN, *(timeline.Thought(f"Step {n} is done.\n") for n in range(200)), *TURN * 20]
    text = shown(*events, terminal=True, size=size)
    picture = last_picture(text).rstrip("\n")
    assert picture.count("\n") < max(size[1], 8)
    if size == (80, 24):
        assert max(map(len, picture.splitlines())) <= 80
        assert "It is 84." in picture


def test_every_event_can_be_shown() -> None:
    for terminal in (True, False):
        shown(timeline.HistoryDropped(2), timeline.ReplyText("It is 84."), timeline.Failed("no"), terminal=terminal)


def test_the_latency_table_has_a_row_for_each_turn() -> None:
    turns = [
        TurnLatency("What is 12 times 7?", 1000.0, 900.0, 1500.0, 250.0, 4000.0, "complete"),
        TurnLatency("A question of so many words that it has to be cut", 1000.0, None, None, 0.0, None, ""),
    ]
    console = Console(file=io.StringIO(), width=120)
    console.print(latency_table(turns))
    file = console.file
    assert isinstance(file, io.StringIO)
    text = file.getvalue()
    for part in ("What is 12 times 7?", "0.90 s", "1.50 s", "0.25 s", "4.00 s", "complete", "A question", "…", " - "):
        assert part in text


def test_what_is_printed_ends_with_its_line_whoever_has_the_last_word() -> None:
    out = io.StringIO()
    printed = Printed(Console(file=out), thoughts=True)
    for event in (Thought("9 * 4"), Thought(" = 36\n"), ReplyText("36 dollars."), Thought("Answer: 36")):
        printed.show(event)
    printed.end()
    printed.end()
    assert out.getvalue() == "9 * 4 = 36\n36 dollars.\nAnswer: 36\n"
