"""Two ends for the agent's speech: samples that are known to be played, and a client that tells what it played.

Both keep the listener's time axis in a `Playout`, so that heard words, fillers and questions are known in one way.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from audio.speaking.playout import Playout

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from agent.conversation.reply import Piece, Reply
    from audio.clock import Pcm
    from audio.messages import PlayoutEvent


class PlayoutSink:
    """Plays into a `Playout` whose sound somebody takes, and knows to the sample what was heard."""

    revocable = True

    def __init__(self, playout: Playout) -> None:
        self._playout = playout

    @property
    def rate(self) -> int:
        """Samples per second of the axis."""
        return self._playout.rate

    @property
    def played(self) -> int:
        """Samples of clips that were heard in all."""
        return self._playout.played

    @property
    def unplayed(self) -> int:
        """Samples that wait to be heard."""
        return self._playout.unplayed

    def send(self, reply: Reply, piece: Piece) -> int | None:
        """Queue a piece behind those before it."""
        return None if piece.clip is None else self._playout.queue(piece.clip, piece.kind, reply.number)

    def advance(self, to_sample: int) -> tuple[Pcm, list[PlayoutEvent]]:
        """Hand out the sound up to a sample."""
        return self._playout.advance(to_sample)

    def pause(self) -> None:
        """Hand out silence."""
        self._playout.pause()

    def resume(self) -> None:
        """Go on where `pause` stopped."""
        self._playout.go_on()

    def flush(self, number: int) -> list[PlayoutEvent]:
        """Drop what is left of a reply and of those before it."""
        return self._playout.flush(number)

    def drop(self, clips: Collection[int]) -> list[PlayoutEvent]:
        """Drop what is left of these clips."""
        return self._playout.drop(clips)


class RemoteSink:
    """Sends everything as soon as it is there, and reckons from the clock, and the client's word, what was played.

    The client plays what it has at once, so that time, less the gaps between clips, is the best guess until it says
    better. Nothing can be paused or dropped: what a client has, it may have played.
    """

    revocable = False

    def __init__(self, rate: int, clock: Callable[[], float], out: Callable[[Reply, Piece], None]) -> None:
        """`rate` is that of the voice; `clock` gives the second of the conversation; `out` takes what goes out."""
        self._playout, self._clock, self._out = Playout(rate), clock, out
        self._written = itertools.count(-1, -1)
        self._noticed: list[PlayoutEvent] = []
        """What the listener noticed since the last `advance`."""

    @property
    def rate(self) -> int:
        """Samples per second of the axis."""
        return self._playout.rate

    @property
    def played(self) -> int:
        """Samples of clips that were heard in all, as far as anybody knows."""
        return self._playout.played

    @property
    def unplayed(self) -> int:
        """Samples that wait to be heard."""
        return self._playout.unplayed

    def send(self, reply: Reply, piece: Piece) -> int | None:
        """Send a piece; written ones have numbers below zero, and what is said aside takes no place on the axis."""
        self._out(reply, piece)
        if reply.aside:
            return None
        if piece.clip is None:
            return next(self._written)
        self._catch_up()
        return self._playout.queue(piece.clip, piece.kind, reply.number)

    def advance(self, to_sample: int) -> tuple[Pcm, list[PlayoutEvent]]:  # noqa: ARG002 - the clock says it
        """Let the client play up to now; nothing is handed out, for it has it."""
        self._catch_up()
        noticed, self._noticed = self._noticed, []
        return self._playout.advance(0)[0], noticed

    def pause(self) -> None:
        """Nothing: what a client has, plays on."""

    def resume(self) -> None:
        """Nothing, since nothing was paused."""

    def flush(self, number: int) -> list[PlayoutEvent]:
        """Reckon with a client that drops what is left: the protocol has told it to."""
        self._catch_up()
        return self._playout.flush(number)

    def drop(self, clips: Collection[int]) -> list[PlayoutEvent]:
        """Nothing: the client has them."""
        del clips
        return []

    def _catch_up(self) -> None:
        now = int(self._clock() * self.rate)
        self._noticed += self._playout.advance(now)[1]
