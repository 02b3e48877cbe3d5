"""Sound of a turn in, `Words` out: a thread that decodes, one for short decodes, and the bookkeeping around them.

Partials go by agreement of successive hypotheses; a final one is believed as it stands. A recogniser of windows decodes
the turn anew each time (`windows`), a streaming one hears it once (`streamed`). One decode runs at a time; a final one
waits for at most one partial. Does not know when a turn starts or ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from time import perf_counter
from types import TracebackType
from typing import Protocol, Self, TypeVar

import numpy as np

from audio.clock import Sound
from audio.hearing.streamed import StreamedTurn, StreamingRecogniser
from audio.hearing.whisper import Hypothesis
from audio.hearing.windows import WindowedTurn
from audio.messages import Words

_T = TypeVar("_T")


class Recogniser(Protocol):
    """Turns sound into words, in the calling thread. One that is a StreamingRecogniser besides hears turns by lines."""

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


class HeardTurn(Protocol):
    """A turn while it is heard, as its kind of recogniser does it. Called in the event loop."""

    def feed(self, sound: Sound) -> None:
        """Append sound."""
        ...

    def resume(self) -> None:
        """Speech went on after all: whatever comes now is a new revision."""
        ...

    @property
    def waits(self) -> bool:
        """Whether there is enough sound for a partial transcript."""
        ...

    def until(self, end: int) -> Sound:
        """Give the last seconds of sound up to that sample of speech, and a little more."""
        ...

    async def partial(self) -> Words:
        """Transcribe what there is."""
        ...

    async def final(self, end: int) -> Words:
        """Transcribe what there is up to that sample of speech, with care."""
        ...


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
        self._turn: HeardTurn = self._windowed(0, 0, np.zeros(0, np.float32))
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
        decoder = self._decoder
        if isinstance(decoder, StreamingRecogniser):
            self._turn = StreamedTurn(turn, origin, sound, lambda: decoder.open_line(self.expected), self._timed)
        else:
            self._turn = self._windowed(turn, origin, sound)

    def _windowed(self, turn: int, origin: int, sound: Sound) -> WindowedTurn:
        return WindowedTurn(turn, origin, sound, self._decode)

    def feed(self, sound: Sound) -> None:
        """Append sound to the turn."""
        self._turn.feed(sound)

    def resume(self) -> None:
        """Speech went on after all: whatever comes now is a new revision."""
        self._turn.resume()

    async def partial(self) -> Words | None:
        """Decode what there is. None if a decode is running already or there is too little sound."""
        turn = self._turn
        if self._busy.locked() or not turn.waits:
            return None
        async with self._busy:
            return await turn.partial()

    def final(self, end: int) -> Coroutine[None, None, Words]:
        """Decode the turn up to its last speech sample `end`, with care, and commit everything.

        Which turn that is, is settled by the call, not when the result is awaited: the next one may start meanwhile.
        """
        return self._final(self._turn, end)

    async def _final(self, turn: HeardTurn, end: int) -> Words:
        async with self._busy:
            complete, words = await asyncio.gather(self._complete(turn.until(end)), turn.final(end))
            return replace(words, complete=complete)

    async def _complete(self, sound: Sound) -> float | None:
        """Judge by ear whether the turn is finished, beside its final decode."""
        if self._judge is None or not len(sound):
            return None
        return await asyncio.get_running_loop().run_in_executor(self._judging, self._judge.complete, sound)

    async def spot(self, sound: Sound) -> Hypothesis:
        """Decode a short stretch at once, beside whatever else is being decoded."""
        return await asyncio.get_running_loop().run_in_executor(self._spotter, self._decoder.spot, sound)

    async def _decode(self, sound: Sound, *, final: bool) -> Hypothesis:
        return await self._timed(lambda: self._decoder.decode(sound, final=final, expected=self.expected))

    async def _timed(self, work: Callable[[], _T]) -> _T:
        """Have something done in the recogniser's thread, and notice how long it took."""
        began = perf_counter()
        done = await self._run(work)
        self.last_decode_s = perf_counter() - began
        return done
