from __future__ import annotations

import json
import typing
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config.field_docs import field_docs
from agent.conversation.timeline import (
    EVENTS,
    AudioCut,
    AudioOut,
    Event,
    Probe,
    Prompted,
    SpeechBegan,
    SpeechStopped,
    StateChanged,
    Thought,
    Timeline,
    TimelineEntry,
    TurnDone,
    TurnEnded,
    WordsHeard,
    read_timeline,
    turn_latencies,
)
from agent.errors import TimelineError

TIMES = st.floats(0, 1e7).map(lambda t_ms: round(t_ms, 3))

JSON = st.dictionaries(st.text(), st.none() | st.integers() | st.text() | st.lists(st.booleans()))


def events() -> st.SearchStrategy[Event]:
    kinds: list[st.SearchStrategy[Event]] = []
    for kind in EVENTS.values():
        hints = {name: hint for name, hint in typing.get_type_hints(kind).items() if name != "EVENT"}
        given = {
            name: TIMES if hint is float else JSON if name == "arguments" else st.from_type(hint)
            for name, hint in hints.items()
        }
        kinds.append(st.builds(kind, **given))
    return st.one_of(kinds)


@given(st.lists(st.builds(TimelineEntry, t_ms=TIMES, event=events()), max_size=10))
def test_what_is_written_is_read_again(entries: list[TimelineEntry]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "t.jsonl"
        with Timeline(path) as timeline:
            for entry in entries:
                timeline.write(entry.t_ms, entry.event)
        assert read_timeline(path) == entries


def test_a_line_holds_time_event_and_fields(tmp_path: Path) -> None:
    with Timeline(tmp_path / "t.jsonl") as timeline:
        timeline.write(12.34567, WordsHeard("how many", "apples", final=False, revision=3))
        timeline.write(20, StateChanged("thinking"))
        # Line-buffered: a reader sees every line as soon as it is written.
        lines = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text().splitlines()]
    assert lines == [
        {
            "t_ms": 12.346,
            "event": "words",
            "committed": "how many",
            "tentative": "apples",
            "final": False,
            "revision": 3,
        },
        {"t_ms": 20, "event": "state", "name": "thinking"},
    ]


def test_the_table_in_the_documentation_is_the_code() -> None:
    text = (Path(__file__).parents[3] / "docs" / "timeline.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in row.split(" |")] for row in text.splitlines() if row.startswith("| `")]
    documented = {
        (event.strip("|` "), name.strip("`"), kind.strip("`"), meaning) for event, name, kind, meaning, _ in rows
    }
    coded = {(event, "", "", str(kind.__doc__)) for event, kind in EVENTS.items()}
    for event, kind in EVENTS.items():
        docs = field_docs(kind)
        coded |= {(event, item.name, str(item.type), docs[item.name]) for item in fields(kind)}
    assert documented == coded


@pytest.mark.parametrize(
    "line",
    [
        "not json",
        "[]",
        "3",
        "{}",
        '{"t_ms": 1, "event": "unheard_of"}',
        '{"t_ms": 1, "event": "thought"}',
        '{"t_ms": 1, "event": "thought", "text": "a", "more": 1}',
        '{"t_ms": "soon", "event": "thought", "text": "a"}',
        '{"t_ms": 1, "event": ["thought"]}',
    ],
)
def test_a_line_that_is_no_event_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"t_ms": 0, "event": "speech_started"}\n' + line + "\n")
    with pytest.raises(TimelineError, match=r"t\.jsonl:2 is not"):
        read_timeline(path)


def test_files_that_cannot_be_read_or_written_are_told(tmp_path: Path) -> None:
    with pytest.raises(TimelineError, match="cannot be written"):
        Timeline(tmp_path / "none" / "t.jsonl")
    with pytest.raises(TimelineError, match="cannot be read"):
        read_timeline(tmp_path / "none.jsonl")
    (tmp_path / "bytes").write_bytes(b"\xff\xff")
    with pytest.raises(TimelineError, match="not UTF-8"):
        read_timeline(tmp_path / "bytes")


def test_latencies_count_from_the_last_sample_of_speech() -> None:
    entries = [
        TimelineEntry(100, SpeechBegan()),
        TimelineEntry(1300, SpeechStopped(last_sample_ms=1000)),
        TimelineEntry(1500, SpeechBegan()),
        TimelineEntry(3300, SpeechStopped(last_sample_ms=3000)),
        TimelineEntry(3550, TurnEnded("how many apples")),
        TimelineEntry(3600, Probe("need to think", -1.0, 0.0, decision=False)),
        TimelineEntry(4100, AudioOut(4100, 4600, "Let me see.", "filler")),
        TimelineEntry(5000, AudioOut(5000, 6000, "You have", "content")),
        TimelineEntry(6000, Thought("12")),
        TimelineEntry(7500, AudioOut(7500, 8000, "twelve.", "content")),
        TimelineEntry(8000, TurnDone({"thinker": 10}, 12, "complete")),
    ]
    (turn,) = turn_latencies(entries)
    assert turn.text == "how many apples"
    assert (turn.last_sample_ms, turn.first_sound_ms, turn.first_content_ms) == (3000, 1100, 2000)
    assert (turn.longest_silence_ms, turn.reply_end_ms, turn.reason) == (1500, 5000, "complete")


def test_pieces_that_overlap_leave_no_silence() -> None:
    pieces = [
        AudioOut(0, 3000, "a", "content"),
        AudioOut(1000, 2000, "b", "content"),
        AudioOut(3100, 3200, "c", "content"),
    ]
    (turn,) = turn_latencies(
        [TimelineEntry(0, TurnEnded("")), *(TimelineEntry(piece.start_ms, piece) for piece in pieces)]
    )
    assert turn.longest_silence_ms == 100


def test_each_reply_belongs_to_the_turn_before_it() -> None:
    entries = [
        TimelineEntry(500, SpeechStopped(400)),
        TimelineEntry(600, TurnEnded("one")),
        TimelineEntry(900, AudioOut(900, 950, "first", "content")),
        TimelineEntry(960, TurnDone({}, 1, "interrupted")),
        TimelineEntry(2000, TurnEnded("typed")),
        TimelineEntry(2500, AudioOut(2500, 2600, "second", "filler")),
    ]
    one, two = turn_latencies(entries)
    assert (one.first_content_ms, one.reason) == (500, "interrupted")
    assert (two.last_sample_ms, two.first_sound_ms, two.first_content_ms, two.reason) == (2000, 500, None, "")


def test_a_turn_without_sound_has_no_latencies() -> None:
    (turn,) = turn_latencies([TimelineEntry(10, AudioOut(0, 5, "stray", "filler")), TimelineEntry(20, TurnEnded("x"))])
    assert (turn.first_sound_ms, turn.first_content_ms, turn.reply_end_ms) == (None, None, None)
    assert turn.longest_silence_ms == 0


def test_a_piece_that_was_cut_or_paused_ends_when_it_did_and_news_belong_to_no_turn() -> None:
    entries = [
        TimelineEntry(0, TurnEnded("x")),
        TimelineEntry(1000, AudioOut(1000, 9000, "a long piece", "content")),
        TimelineEntry(2000, AudioCut(1000, 2000)),
        TimelineEntry(3000, AudioOut(3000, 3500, "more", "content")),
        TimelineEntry(4000, Prompted()),
        TimelineEntry(5000, AudioOut(5000, 5500, "I have arrived.", "content")),
    ]
    (turn,) = turn_latencies(entries)
    assert (turn.longest_silence_ms, turn.reply_end_ms) == (1000, 3500)
