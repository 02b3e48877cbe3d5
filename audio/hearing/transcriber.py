"""Sound of a turn in, `Words` out: a thread that decodes, one for short decodes, and the bookkeeping around them.

Partials go by agreement of successive decodes; a final decode is believed as it stands. What is longer than a
window is cut at a pause, and what lies before the cut is settled. One decode runs at a time; a final one waits for
at most one partial. Does not know when a turn starts or ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from time import perf_counter
from types import TracebackType
from typing import Final, Protocol, Self, TypeVar

import numpy as np

from audio.clock import RATE, Sound, samples_of
from audio.hearing.agreement import Agreement, Word
from audio.hearing.whisper import Hypothesis
from audio.messages import Words

_T = TypeVar("_T")

_WINDOW: Final = 25 * RATE
"""Samples in one window; what is longer is cut."""

_CUT_FROM: Final = 12 * RATE
"""A cut lies between this and the end of the window."""

_PAUSE: Final = samples_of(200)
"""Length of the stretch whose energy decides where the cut lies."""

_SHORTEST: Final = samples_of(250)
"""Less sound than this is not decoded for a partial."""

_AFTER_SPEECH: Final = samples_of(150)
"""Sound kept after the last sample of speech: quiet last consonants."""


class Recogniser(Protocol):
    """Turns sound into words, in the calling thread."""

    def decode(self, sound: Sound, *, final: bool, expected: str = "") -> Hypothesis:
        """Transcribe at most 30 s; `expected`: sentences with words that are likely."""
        ...

    def spot(self, sound: Sound) -> Hypothesis:
        """Transcribe at most 2 s, quickly; may run beside `decode`, in another thread."""
        ...


class Judge(Protocol):
    """Tells by ear whether a turn is finished, in the calling thread."""

    def complete(self, sound: Sound) -> float:
        """Give the probability (0..1) that whoever spoke has finished."""
        ...


class _HeardTurn:
    """What is known about the turn that is being heard."""

    def __init__(self, number: int, origin: int, sound: Sound) -> None:
        self.number = number
        self.revision = 0
        self.origin = origin
        self.pieces = [sound]
        self.settled: list[Word] = []
        self.agreement = Agreement()

    def sound(self) -> Sound:
        """All sound that is not settled."""
        self.pieces = [np.concatenate(self.pieces)]
        return self.pieces[0]

    def words(self, *, final: bool) -> Words:
        """Return the transcript as it stands."""
        committed = [*self.settled, *self.agreement.committed]
        tentative = self.agreement.tentative
        return Words(
            turn=self.number,
            revision=self.revision,
            committed=_text(committed),
            tentative=_text(tentative),
            confidence=tuple(word.confidence for word in (*committed, *tentative)),
            final=final,
        )


class Transcriber:
    """`async with` loads the model in its thread and keeps both until the end."""

    def __init__(
        self,
        load: Callable[[], Recogniser],
        judge: Callable[[], Judge | None] = lambda: None,
    ) -> None:
        """`load` gives the recogniser, in the thread that hears; `judge`, there too, what tells the end of turns."""
        self._load = load
        self._load_judge = judge
        self._judge: Judge | None = None
        self._turn = _HeardTurn(0, 0, np.zeros(0, np.float32))
        self.expected = ""
        """Sentences with words that are likely to be said, such as names of places."""
        self.last_decode_s = 0.0
        """Seconds that the newest decode took."""

    async def __aenter__(self) -> Self:
        self._busy = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ears")
        # Nothing else runs where stop phrases are listened for: they wait for nobody.
        self._spotter = ThreadPoolExecutor(1, thread_name_prefix="ears-stop")
        self._judging = ThreadPoolExecutor(1, thread_name_prefix="ears-judge")
        try:
            self._decoder = await self._run(self._load)
            self._judge = await self._run(self._load_judge)
        except BaseException:
            for thread in (self._thread, self._spotter, self._judging):
                thread.shutdown(wait=False)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._run(lambda: None)
        finally:
            for thread in (self._thread, self._spotter, self._judging):
                thread.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def start_turn(self, turn: int, origin: int, sound: Sound) -> None:
        """Begin a turn with sound that starts at sample `origin`. Forgets the turn before."""
        self._turn = _HeardTurn(turn, origin, sound)

    def feed(self, sound: Sound) -> None:
        """Append sound to the turn."""
        self._turn.pieces.append(sound)

    def resume(self) -> None:
        """Speech went on after all: whatever comes now is a new revision."""
        self._turn.revision += 1
        self._turn.agreement.reopen()

    async def partial(self) -> Words | None:
        """Decode what there is. None if a decode is running already or there is too little sound."""
        turn = self._turn
        if self._busy.locked() or sum(map(len, turn.pieces)) < _SHORTEST:
            return None
        async with self._busy:
            await self._settle_long(turn)
            heard = await self._decode(turn.sound(), final=False)
            turn.revision += turn.agreement.receive(heard.words)
            return turn.words(final=False)

    def final(self, end: int) -> Coroutine[None, None, Words]:
        """Decode the turn up to its last speech sample `end`, with care, and commit everything.

        Which turn that is, is settled by the call, not when the result is awaited: the next one may start meanwhile.
        """
        return self._final(self._turn, end)

    async def _final(self, turn: _HeardTurn, end: int) -> Words:
        async with self._busy:
            await self._settle_long(turn)
            sound = turn.sound()[: max(0, end + _AFTER_SPEECH - turn.origin)]
            if not len(sound):
                return turn.words(final=True)
            complete, heard = await asyncio.gather(self._complete(sound), self._decode(sound, final=True))
            turn.revision += turn.agreement.settle(heard.words)
            other = _text([*turn.settled, *heard.other]) if heard.other else ""
            return replace(turn.words(final=True), complete=complete, language=heard.language.code, other=other)

    async def _complete(self, sound: Sound) -> float | None:
        """Judge by ear whether the turn is finished, beside its final decode."""
        if self._judge is None:
            return None
        return await asyncio.get_running_loop().run_in_executor(self._judging, self._judge.complete, sound)

    async def spot(self, sound: Sound) -> Hypothesis:
        """Decode a short stretch at once, beside whatever else is being decoded."""
        return await asyncio.get_running_loop().run_in_executor(self._spotter, self._decoder.spot, sound)

    async def _settle_long(self, turn: _HeardTurn) -> None:
        while len(sound := turn.sound()) > _WINDOW:
            cut = _quietest(sound[:_WINDOW])
            heard = await self._decode(sound[:cut], final=True)
            turn.revision += turn.agreement.settle(heard.words)
            turn.settled += turn.agreement.committed
            turn.agreement = Agreement()
            turn.pieces = [turn.sound()[cut:]]
            turn.origin += cut

    async def _decode(self, sound: Sound, *, final: bool) -> Hypothesis:
        began = perf_counter()
        heard = await self._run(lambda: self._decoder.decode(sound, final=final, expected=self.expected))
        self.last_decode_s = perf_counter() - began
        return heard


def _quietest(sound: Sound) -> int:
    """Middle of the quietest stretch in the later part: the best place for a cut."""
    energy = np.cumsum(np.square(sound[_CUT_FROM:], dtype=np.float64))
    return _CUT_FROM + int(np.argmin(energy[_PAUSE:] - energy[:-_PAUSE])) + _PAUSE // 2


def _text(words: Sequence[Word]) -> str:
    return " ".join(word.text for word in words)
