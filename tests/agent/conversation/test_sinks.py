from __future__ import annotations

import numpy as np
import pytest

from agent.conversation.reply import Piece, Reply
from agent.conversation.sinks import PlayoutSink, RemoteSink
from audio.messages import Clip, ClipEnded, ClipStarted, PlayoutEvent
from audio.options import VoiceOptions
from audio.speaking.clauses import Clauses
from audio.speaking.playout import Playout

RATE = 1000


def reply(number: int = 1, *, aside: bool = False) -> Reply:
    return Reply(number, Clauses(VoiceOptions()), aside=aside)


def piece(milliseconds: int = 500) -> Piece:
    return Piece("It is so. ", Clip("It is so. ", np.full(milliseconds, 5, np.int16), RATE), "content", 0)


class Remote:
    """A remote sink, what it has sent, and the clock."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.sent: list[Piece] = []
        self.sink = RemoteSink(RATE, lambda: self.now_s, lambda _, sent: self.sent.append(sent))


def test_both_sinks_tell_the_same_of_the_same_moments() -> None:
    remote, local = Remote(), PlayoutSink(Playout(RATE))
    told: list[PlayoutEvent] = []
    for moment in range(0, 3000, 50):
        remote.now_s = moment / 1000
        here, there = local.advance(moment)[1], remote.sink.advance(moment)[1]
        assert here == there
        told += here
        if moment in (200, 300, 1500):
            remote.sink.send(reply(), piece())
            local.send(reply(), piece())
        assert (remote.sink.played, remote.sink.unplayed) == (local.played, local.unplayed)
    assert [event.at for event in told if isinstance(event, ClipStarted)] == [200, 700, 1500]


def test_a_client_gets_everything_at_once_and_plays_it_by_the_clock() -> None:
    remote = Remote()
    remote.sink.send(reply(), piece())
    remote.sink.send(reply(), piece())
    assert len(remote.sent) == 2
    assert remote.sink.unplayed == 1000
    remote.now_s = 0.7
    sound, _ = remote.sink.advance(0)
    assert len(sound) == 0
    assert remote.sink.played == 700


def test_a_client_that_has_the_sound_can_neither_be_paused_nor_robbed_of_it() -> None:
    remote = Remote()
    number = remote.sink.send(reply(), piece())
    assert number is not None
    remote.sink.pause()
    assert remote.sink.drop([number]) == []
    remote.now_s = 0.2
    remote.sink.advance(0)
    assert remote.sink.played == 200


def test_a_reply_that_is_cut_is_reckoned_to_have_ended_there() -> None:
    remote = Remote()
    remote.sink.send(reply(), piece())
    remote.now_s = 0.2
    (ended,) = (event for event in remote.sink.flush(1) if isinstance(event, ClipEnded))
    assert ended.played == 200
    assert remote.sink.unplayed == 0
    remote.sink.send(reply(), piece())
    assert remote.sink.unplayed == 0, "a cut reply has no more sound"


@pytest.mark.parametrize("written", [True, False])
def test_what_is_written_or_said_aside_is_sent_and_takes_no_time(written: bool) -> None:
    remote = Remote()
    number = remote.sink.send(reply(aside=not written), Piece("So.", None, "content", 0) if written else piece())
    assert (number is not None) is written
    assert len(remote.sent) == 1
    assert remote.sink.unplayed == 0
