"""Sentences of a reply to what goes out for them: clauses, synthesised ahead and held back until the turn is over.

Unlike the speaker of a shell with a sound card, it hands everything out as soon as it is there: the client plays it
when it can, and a clock guesses how far it has come. Does not know who writes the sentences nor where sound goes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.realtime.protocol.pacing import PlayClock
from audio.speaking.clauses import Clauses

if TYPE_CHECKING:
    from audio.messages import Clip, Kind
    from audio.options import VoiceOptions

_SECONDS_A_LETTER: Final = 0.065
"""Speech of text that is not synthesised yet: about 15 letters a second."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Something that goes out: a clause with its sound, or written text."""

    text: str
    clip: Clip | None
    kind: Kind


class Mouth:
    """Says one reply, behind a gate."""

    def __init__(
        self,
        synthesize: Callable[[str], Awaitable[Clip]] | None,
        options: VoiceOptions,
        tell: Callable[[Piece], None],
        clock: Callable[[], float],
    ) -> None:
        """Make it; without `synthesize` the reply is written, sentence by sentence. `tell` takes what goes out."""
        self._synthesize, self._tell, self._clock = synthesize, tell, clock
        self._clauses = Clauses(options)
        self._texts: asyncio.Queue[str] = asyncio.Queue()
        self._held: list[Piece] = []
        self._letters = 0
        self.opened = asyncio.Event()
        self.playing = PlayClock()
        self.begun = False
        """Whether anything of the reply has gone out."""

    @property
    def speaks(self) -> bool:
        """Whether it has a voice; then it must run."""
        return self._synthesize is not None

    def say(self, sentence: str) -> None:
        """Say a sentence after what was said before."""
        if self._synthesize is None:
            self._out(Piece(sentence.strip(), None, "content"))
            return
        for clause in [*self._clauses.receive(sentence.strip() + " "), *self._clauses.finish()]:
            self._letters += len(clause)
            self._texts.put_nowait(clause)

    def hold(self, clip: Clip) -> None:
        """Say a filler that is ready."""
        self._out(Piece(clip.text, clip, "hold"))

    def open(self) -> None:
        """Open the gate: what was held back goes out at once."""
        self.opened.set()
        held, self._held = self._held, []
        for piece in held:
            self._out(piece)

    async def run(self) -> None:
        """Synthesise what is to be said, until cancelled."""
        assert self._synthesize is not None  # a mouth that writes has nothing to run  # noqa: S101
        while True:
            clause = await self._texts.get()
            clip = await self._synthesize(clause)
            self._letters -= len(clause)
            self._out(Piece(clause, clip, "content"))
            self._texts.task_done()

    async def finish(self) -> None:
        """Wait until everything has gone out."""
        await self._texts.join()
        await self.opened.wait()

    @property
    def lead_s(self) -> float:
        """Seconds that are left to hear, those not yet synthesised estimated."""
        held = sum(len(piece.clip.samples) / piece.clip.rate for piece in self._held if piece.clip)
        return self.playing.left_s(self._clock()) + held + self._letters * _SECONDS_A_LETTER

    def _out(self, piece: Piece) -> None:
        if not self.opened.is_set():
            self._held.append(piece)
            return
        self.begun = True
        if piece.clip is not None:
            self.playing.send(len(piece.clip.samples) / piece.clip.rate, self._clock())
        self._tell(piece)
