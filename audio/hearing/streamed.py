"""A turn as a streaming recogniser hears it: sound goes into a state once, and partial transcripts come out of it.

A pause closes a line: its words are settled, and speech that goes on is heard on a new line, so that nothing is heard
twice. The state is touched in the recogniser's thread alone; a call that is cancelled loses neither sound nor words.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Protocol, TypeVar, runtime_checkable

import numpy as np

from audio.clock import RATE, Sound
from audio.hearing.agreement import Stretches, Word
from audio.hearing.windows import AFTER_SPEECH, SHORTEST

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from audio.messages import Words

_T = TypeVar("_T")

_JUDGED: Final = 10 * RATE
"""Samples that are kept for the judge of turns; it listens to 8 s."""


class SpeechLine(Protocol):
    """A stretch of speech that is being heard. Called in one thread."""

    def feed(self, sound: Sound) -> None:
        """Take the next sound, mono, 16 kHz."""
        ...

    def words(self) -> Sequence[Word]:
        """Give what was heard so far; the last words may still change."""
        ...

    def finish(self) -> Sequence[Word]:
        """Give all that was heard; nothing is fed or asked any more."""
        ...


class InThread(Protocol):
    """Has something done in the recogniser's thread."""

    def __call__(self, work: Callable[[], _T], /) -> Awaitable[_T]:
        """Give what comes of it."""
        ...


@runtime_checkable
class StreamingRecogniser(Protocol):
    """Hears while somebody speaks, by a state of its own."""

    def open_line(self, expected: str) -> SpeechLine:
        """Begin to hear; `expected`: sentences with words that are likely."""
        ...


class StreamedTurn:
    """The sound of a turn that the recogniser has not taken yet, and what was heard in the rest."""

    def __init__(
        self,
        turn: int,
        origin: int,
        sound: Sound,
        open_line: Callable[[], SpeechLine],
        run: InThread,
    ) -> None:
        """Begin with sound that starts at sample `origin`; `run` has something done in the recogniser's thread."""
        self._open_line, self._run = open_line, run
        self._heard = Stretches(turn)
        self._taken = origin
        """Up to this sample the recogniser has heard."""
        self._pieces: deque[Sound] = deque((sound,))
        """What comes after."""
        self._recent, self._recent_end = sound, origin + len(sound)
        self._line: SpeechLine | None = None
        self._finished: deque[Sequence[Word]] = deque()
        """Lines whose words are still to be settled."""

    def feed(self, sound: Sound) -> None:
        """Append sound."""
        self._pieces.append(sound)
        self._recent = np.concatenate((self._recent, sound))[-_JUDGED:]
        self._recent_end += len(sound)

    def resume(self) -> None:
        """Speech went on after all; the words before the pause stand."""
        self._heard.revision += 1

    @property
    def waits(self) -> bool:
        """Whether there is enough new sound for a partial transcript."""
        return sum(map(len, tuple(self._pieces))) >= SHORTEST

    def until(self, end: int) -> Sound:
        """Give the sound up to that sample of speech, and a little more: the last seconds of it."""
        return self._recent[: max(0, len(self._recent) + min(0, end + AFTER_SPEECH - self._recent_end))]

    async def partial(self) -> Words:
        """Hear what came since the last call."""
        words = await self._run(self._hear)
        self._settle_finished()
        self._heard.receive(words)
        return self._heard.words(final=False)

    async def final(self, end: int) -> Words:
        """Hear what there is up to that sample of speech, and close the line."""
        await self._run(lambda: self._finish(end + AFTER_SPEECH))
        self._settle_finished()
        return self._heard.words(final=True)

    def _settle_finished(self) -> None:
        while self._finished:
            self._heard.settle(self._finished.popleft())
            self._heard.next_stretch()

    # --- in the recogniser's thread ---

    def _hear(self) -> Sequence[Word]:
        self._take(None)
        return self._line.words() if self._line else ()

    def _finish(self, end: int) -> None:
        self._take(end)
        line, self._line = self._line, None
        if line is not None:
            self._finished.append(line.finish())

    def _take(self, end: int | None) -> None:
        """Give the recogniser what waits, up to sample `end`."""
        while self._pieces and (end is None or self._taken < end):
            piece = self._pieces.popleft()
            if end is not None and len(piece) > end - self._taken:
                self._pieces.appendleft(piece[end - self._taken :])
                piece = piece[: end - self._taken]
            self._line = self._line or self._open_line()
            self._line.feed(piece)
            self._taken += len(piece)
