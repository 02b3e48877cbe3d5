"""The thin client's part of the protocol: play, and know what was heard."""

from __future__ import annotations

import base64
import itertools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agent.apps.remote_talk import WIRE_RATE, Listener
from agent.conversation import timeline
from audio.speaking.playout import Playout

SECOND = WIRE_RATE


@dataclass
class Rig:
    events: list[timeline.Event] = field(default_factory=list)
    now: int = 0
    listener: Listener = field(init=False)

    def __post_init__(self) -> None:
        self.listener = Listener(Playout(WIRE_RATE), self.events.append)

    def take(self, kind: str, **fields: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - JSON
        return self.listener.receive({"type": kind, **fields})

    def say(self, text: str, samples: int, *, response: str = "r", item: str = "i") -> None:
        sound = np.full(samples, 1000, "<i2").tobytes()
        at = {"response_id": response, "item_id": item}
        self.take("response.output_audio_transcript.delta", **at, delta=text)
        half = samples // 2 * 2
        for part in (sound[:half], sound[half:]):
            self.take("response.output_audio.delta", **at, delta=base64.b64encode(part).decode())

    def begin(self, response: str = "r") -> None:
        self.take("response.created", response={"id": response})

    def end(self, response: str = "r", item: str = "i") -> None:
        self.take("response.output_audio.done", item_id=item)
        self.take("response.done", response={"id": response, "status": "completed", "usage": {"output_tokens": 5}})

    def wait(self, samples: int) -> int:
        """Let time pass; give how many samples of it sounded."""
        self.now += samples
        return int(np.count_nonzero(self.listener.advance(self.now)))


def test_a_reply_is_played_and_told_piece_by_piece() -> None:
    rig = Rig()
    rig.begin()
    rig.say("One,", SECOND)
    rig.say(" two.", SECOND)
    rig.end()
    assert not rig.listener.idle
    assert rig.wait(3 * SECOND) == 2 * SECOND
    heard = [event for event in rig.events if isinstance(event, timeline.AudioOut)]
    assert [(piece.text, piece.start_ms, piece.end_ms) for piece in heard] == [("One,", 0, 1000), ("two.", 1000, 2000)]
    assert rig.listener.idle


def test_an_interruption_tells_the_server_what_was_heard_and_plays_no_more() -> None:
    rig = Rig()
    rig.begin()
    rig.say("One, two, three.", 2 * SECOND)
    rig.wait(SECOND // 2)
    cut = rig.take("input_audio_buffer.speech_started")
    assert cut == [
        {"type": "conversation.item.truncate", "item_id": "i", "content_index": 0, "audio_end_ms": 500},
    ]
    rig.say("Four.", SECOND)
    assert rig.wait(5 * SECOND) == 0


def test_what_was_heard_to_its_end_is_not_truncated() -> None:
    rig = Rig()
    rig.begin()
    rig.say("One.", SECOND)
    rig.end()
    rig.wait(2 * SECOND)
    assert rig.take("input_audio_buffer.speech_started") == []


def test_a_reply_whose_sound_is_still_to_come_is_truncated_where_it_stands() -> None:
    rig = Rig()
    rig.begin()
    rig.say("One,", SECOND)
    rig.wait(2 * SECOND)
    assert [event["audio_end_ms"] for event in rig.take("input_audio_buffer.speech_started")] == [1000]


def test_the_reply_after_an_interruption_is_played() -> None:
    rig = Rig()
    rig.begin()
    rig.say("One.", 2 * SECOND)
    rig.wait(SECOND)
    rig.take("input_audio_buffer.speech_started")
    rig.take("input_audio_buffer.speech_stopped", audio_end_ms=900)
    assert not rig.listener.idle
    rig.begin("r2")
    rig.say("Two.", SECOND, response="r2", item="i2")
    rig.end("r2", "i2")
    assert rig.wait(2 * SECOND) == SECOND


def test_a_cough_asks_for_nothing() -> None:
    rig = Rig()
    rig.take("input_audio_buffer.speech_started")
    rig.take("input_audio_buffer.speech_stopped", audio_end_ms=900)
    rig.take("conversation.item.input_audio_transcription.completed", transcript="")
    assert rig.listener.idle
    assert rig.listener.turns == 0
    assert not [event for event in rig.events if isinstance(event, timeline.TurnEnded)]


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("say"), st.integers(2, SECOND)),
            st.tuples(st.just("wait"), st.integers(0, SECOND)),
            st.tuples(st.just("interrupt"), st.just(0)),
        ),
        max_size=30,
    )
)
def test_nothing_is_ever_truncated_beyond_what_sounded(steps: list[tuple[str, int]]) -> None:
    rig, numbers = Rig(), itertools.count()
    sounded: dict[str, int] = {}
    name = f"{next(numbers)}"
    rig.begin(name)
    for step, count in steps:
        if step == "say":
            rig.say("word", count, response=name, item=name)
        elif step == "wait":
            sounded[name] = sounded.get(name, 0) + rig.wait(count)
        else:
            for event in rig.listener.interrupt():
                assert event["item_id"] == name
                assert event["audio_end_ms"] == sounded.get(name, 0) * 1000 // WIRE_RATE
            name = f"{next(numbers)}"
            rig.begin(name)
            assert rig.wait(SECOND) == 0
