"""One client's ears: by voice activity, or by hand (push-to-talk).

By voice activity the ears say when a turn begins and ends. By hand everything appended since the last commit is one
turn; it is transcribed while it grows, so that the thoughts can begin before the button is let go.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from agent.realtime.protocol.fields import SemanticVad, ServerVad
from agent.realtime.sound import Incoming
from audio.clock import FRAME, RATE, Sound, samples_of
from audio.errors import AudioError
from audio.hearing.ears import Ears
from audio.hearing.following import Polyglot, following
from audio.hearing.transcriber import Transcriber
from audio.hearing.vad import VoiceActivity
from audio.messages import HardEnd
from languages.spoken import spoken

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from agent.realtime.protocol.fields import SessionFields
    from audio.hearing.transcriber import Judge, Recogniser
    from audio.hearing.whisper import Hypothesis
    from audio.messages import Command, EarsEvent, ToldAhead
    from audio.options import EarsOptions

_PIECE_S: Final = 0.25
"""Seconds of sound that are converted at a time."""
_MOST_TASKS: Final = 4
"""Transcripts of items that may be in the making, sound and all; who wants more waits."""
_RECENT: Final = 60 * RATE // FRAME
"""Frames that are kept for a commit by hand."""


@dataclass(frozen=True, slots=True)
class Partial:
    """Words of a turn that is ended by hand, so far."""

    text: str


@dataclass(frozen=True, slots=True)
class Decoded:
    """Words of an item; None: they could not be made out."""

    item_id: str
    text: str | None
    seconds: float


class SharedRecogniser:
    """One loaded model for the transcribers of all clients: one decode at a time, and one short decode beside it."""

    def __init__(self, recogniser: Recogniser) -> None:
        self._recogniser, self._free, self._spotting = recogniser, threading.Lock(), threading.Lock()

    def decode(self, sound: Sound, *, final: bool, expected: str = "") -> Hypothesis:
        """Transcribe at most 30 s."""
        with self._free:
            return self._recogniser.decode(sound, final=final, expected=expected)

    def hearing(self, languages: Sequence[str]) -> SharedRecogniser:
        """Give the same model for these languages. Raises EarsUnavailable where it does not know one."""
        if not isinstance(self._recogniser, Polyglot):
            return self
        of = copy(self)
        of._recogniser = self._recogniser.hearing(languages)  # noqa: SLF001 - its own
        return of

    def spot(self, sound: Sound) -> Hypothesis:
        """Transcribe at most 2 s, quickly."""
        with self._spotting:
            return self._recogniser.spot(sound)


class SharedJudge:
    """One loaded judge of turns for the transcribers of all clients; one turn at a time."""

    def __init__(self, judge: Judge) -> None:
        self._judge, self._free = judge, threading.Lock()

    def complete(self, sound: Sound) -> float:
        """Give the probability (0..1) that whoever spoke has finished."""
        with self._free:
            return self._judge.complete(sound)


class ClientEars:
    """`async with` and `configure` it, then cut what the client sends into `frames`; `tell` takes words by hand."""

    def __init__(
        self,
        recogniser: SharedRecogniser,
        options: EarsOptions,
        tell: Callable[[Partial | Decoded], None],
        activity: Callable[[EarsOptions], VoiceActivity] = VoiceActivity,
        *,
        expected: str = "",
        command: Callable[[str], Command | None] = lambda _: None,
        judge: SharedJudge | None = None,
        slowdown: Callable[[], float] = lambda: 1.0,
        stop_word: Callable[[], Callable[[Sound], float]] | None = None,
    ) -> None:
        """Get ready.

        expected: sentences with words that are likely to be said.
        command: gives the last command to stop in a text.
        judge: tells by ear whether a turn is finished, with semantic turns.
        slowdown: how many times as long as usual replies take, for the machine is busy.
        stop_word: opens a second ear for stops, one for each time that the ears are opened.
        """
        self._slowdown, self._stop_word = slowdown, stop_word
        self._recogniser = following(recogniser, spoken(options.language, options.languages))
        self._options, self._tell, self._activity = options, tell, activity
        self._expected, self._command, self._judge = expected, command, judge
        self._session: SessionFields | None = None
        self._incoming: Incoming
        self._ears: Ears | None = None
        """None while turns are ended by hand."""
        self._reader: asyncio.Task[None] | None = None
        self._events: asyncio.Queue[EarsEvent] = asyncio.Queue(1)
        """What the ears have told and nobody has read; empty after they were opened anew."""
        self._transcriber = self._new_transcriber()
        self._items: Transcriber | None = None
        """Transcribes the sound of items, one after the other; None before the first."""
        self._reading = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._taken = 0
        """Samples of the input clock."""
        self.offset = 0
        """Where the clock of the ears began on the input clock, in samples."""
        self._turn = 0
        self._in_turn = False
        self._turn_start = 0
        self._partial: asyncio.Task[None] | None = None
        self._next_partial = 0
        self._rest = np.zeros(0, np.float32)
        self._recent: deque[Sound] = deque(maxlen=_RECENT)
        """What voice activity has heard since the last turn, should the client commit it by hand."""

    async def __aenter__(self) -> ClientEars:  # noqa: PYI034 - final in all but name
        await self._transcriber.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close_ears()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._items is not None:
            await self._items.__aexit__(None, None, None)
        await self._transcriber.__aexit__(None, None, None)

    async def events(self) -> AsyncIterator[EarsEvent]:
        """Yield what voice activity finds and the words to it, for as long as anybody reads."""
        while True:
            yield await self._events.get()

    def listen_for_stops(self, wanted: bool, tell: Callable[[ToldAhead], None]) -> None:  # noqa: FBT001 - the state itself
        """Say whether there is anything to stop; `tell` is called at once with what is told ahead of any event."""
        if self._ears is not None:
            self._ears.listen_for_stops(wanted, tell)

    async def configure(self, session: SessionFields) -> None:
        """Take the settings of the session; ears whose settings did not change go on."""
        before, self._session = self._session, session
        new = session.audio.input
        if before is None or before.audio.input.format != new.format:
            self._incoming = Incoming(new.format)
        if before is None or before.audio.input.turn_detection != new.turn_detection:
            await self._open_ears()

    def frames(self, sound: bytes) -> Iterator[Sound]:
        """Cut the next bytes into frames to be received; while turns are ended by hand it takes them and gives none.

        Then an empty frame stands for each piece that it took.
        """
        for piece in _pieces(sound, self._incoming):
            samples = np.concatenate((self._rest, self._incoming.receive(piece)))
            if self._ears is None:
                self._rest = samples[:0]
                self._grow(samples)
                yield self._rest
                continue
            whole = len(samples) // FRAME * FRAME
            self._rest = samples[whole:]
            for start in range(0, whole, FRAME):
                yield samples[start : start + FRAME]

    async def receive(self, frame: Sound) -> None:
        """Take the next frame; waits while the ears are behind."""
        if self._ears is not None:
            self._taken += len(frame)
            self._recent.append(frame)
            await self._ears.receive(frame)

    async def end_turn(self, item_id: str) -> None:
        """Transcribe what was fed since the last turn as this item; waits while too many others are transcribed."""
        await self._room()
        if self._ears is not None:
            # Whoever commits by hand while voice activity listens ends the turn for it, too.
            sound = np.concatenate([np.zeros(0, np.float32), *self._recent])
            await self._open_ears()
            self._start(self._decode(item_id, sound))
            return
        seconds = (self._taken - self._turn_start) / RATE
        words = self._transcriber.final(self._taken)
        self._in_turn = False

        async def decode() -> None:
            try:
                self._tell(Decoded(item_id, (await words).committed, seconds))
            except AudioError:
                self._tell(Decoded(item_id, None, seconds))

        self._start(decode())

    async def forget(self) -> None:
        """Drop what was fed since the last turn."""
        self._in_turn = False
        if self._ears is not None:
            await self._open_ears()

    async def transcribe(self, item_id: str, sound: bytes) -> None:
        """Transcribe sound that a client brought as an item; waits while too many others are transcribed."""
        await self._room()
        self._start(self._convert(item_id, sound, Incoming(self._incoming.form)))

    async def _convert(self, item_id: str, sound: bytes, incoming: Incoming) -> None:
        pieces = _pieces(sound, incoming)
        samples = await asyncio.to_thread(lambda: np.concatenate([incoming.receive(piece) for piece in pieces]))
        await self._decode(item_id, samples)

    async def _room(self) -> None:
        while len(self._tasks) >= _MOST_TASKS:
            await asyncio.wait(set(self._tasks), return_when=asyncio.FIRST_COMPLETED)

    async def _decode(self, item_id: str, sound: Sound) -> None:
        seconds = len(sound) / RATE
        try:
            async with self._reading:
                if self._items is None:
                    self._items = await self._new_transcriber().__aenter__()
                self._items.start_turn(0, 0, sound)
                words = await self._items.final(len(sound))
            self._tell(Decoded(item_id, words.committed, seconds))
        except AudioError:
            self._tell(Decoded(item_id, None, seconds))

    @property
    def now(self) -> int:
        """Samples that were taken, on the clock of the events."""
        return self._taken - self.offset

    def end_turn_after(self, milliseconds: float) -> None:
        """Let this pause end the turn after that much silence."""
        if self._ears is not None:
            self._ears.end_turn_after(milliseconds)

    @property
    def options(self) -> EarsOptions:
        """The settings that hold now."""
        return self._options if self._ears is None else self._ears.options

    def _grow(self, samples: Sound) -> None:
        if not self._in_turn:
            self._turn += 1
            self._in_turn, self._turn_start = True, self._taken
            self._transcriber.start_turn(self._turn, self._taken, samples)
            self._next_partial = self._taken + samples_of(self._options.partial_every_ms)
        else:
            self._transcriber.feed(samples)
        self._taken += len(samples)
        if self._taken >= self._next_partial and (self._partial is None or self._partial.done()):
            self._next_partial = self._taken + samples_of(self._options.partial_every_ms * self._slowdown())
            self._partial = self._start(self._hear_partial(self._turn))

    async def _hear_partial(self, turn: int) -> None:
        words = await self._transcriber.partial()
        if words is not None and self._in_turn and turn == self._turn and words.committed:
            self._tell(Partial(words.committed))

    async def _open_ears(self) -> None:
        await self._close_ears()
        assert self._session is not None  # noqa: S101 - configure has run
        detection = self._session.audio.input.turn_detection
        self._recent.clear()
        self._in_turn, self._rest, self.offset = False, np.zeros(0, np.float32), self._taken
        if detection is None:
            return
        options = ears_options(self._options, detection)
        judge = self._judge if isinstance(detection, SemanticVad) else None
        ears = Ears(
            self._activity(options),
            self._new_transcriber(judge),
            options,
            command=self._command,
            slowdown=self._slowdown,
            stop_word=None if self._stop_word is None else self._stop_word(),
        )
        self._ears = await ears.__aenter__()
        self._reader = asyncio.create_task(self._read(self._ears), name="ears")

    async def _close_ears(self) -> None:
        ears, self._ears = self._ears, None
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait([self._reader])
            self._reader = None
        while not self._events.empty():
            self._events.get_nowait()
        if ears is not None:
            await ears.__aexit__(None, None, None)

    async def _read(self, ears: Ears) -> None:
        async for event in ears.events():
            if isinstance(event, HardEnd):
                self._recent.clear()
            await self._events.put(event)

    def _new_transcriber(self, judge: SharedJudge | None = None) -> Transcriber:
        transcriber = Transcriber(lambda: self._recogniser, lambda: judge)
        transcriber.expected = self._expected
        return transcriber

    def _start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name="transcript")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _pieces(sound: bytes, incoming: Incoming) -> Iterator[bytes]:
    step = round(_PIECE_S * incoming.rate) * incoming.sample_bytes
    return (sound[start : start + step] for start in range(0, len(sound), step))


def ears_options(options: EarsOptions, detection: ServerVad | SemanticVad) -> EarsOptions:
    """Translate the protocol's turn detection."""
    if isinstance(detection, ServerVad):
        return replace(
            options,
            speech_on=detection.threshold,
            speech_off=max(0.0, min(options.speech_off, detection.threshold - 0.15)),
            preroll_ms=detection.prefix_padding_ms,
            soft_end_ms=min(options.soft_end_ms, detection.silence_duration_ms),
            # Whatever the words are.
            hard_end_ms=detection.silence_duration_ms,
            statement_end_ms=detection.silence_duration_ms,
            unfinished_end_ms=detection.silence_duration_ms,
            eagerness="medium",
        )
    return options if detection.eagerness == "auto" else replace(options, eagerness=detection.eagerness)
