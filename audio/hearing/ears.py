"""Frames in, events out, in order: voice activity and transcription put together.

Nothing here blocks on a decode: tasks that are still running stand in the outbox at the place where their words
belong, and whoever reads the events waits for them there. Does not know whose turn it is, nor what the words mean.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Final, Literal, Self

from audio.clock import RATE, Sound, samples_of
from audio.hearing.stops.listener import StopListener
from audio.hearing.transcriber import Transcriber
from audio.hearing.vad import RESUME, VoiceActivity
from audio.messages import (
    Activity,
    Command,
    EarsEvent,
    Glimpsed,
    HardEnd,
    SoftEnd,
    SpeechLasts,
    SpeechResumed,
    SpeechStarted,
    ToldAhead,
    Words,
)
from audio.options import EarsOptions

_OUTBOX: Final = 256
"""Events that may wait to be read; then `receive` waits."""

_BREATHER: Final = 1.3
"""Partials may take at most 1/1.3 of the time."""


@dataclass(frozen=True, slots=True)
class _Coming:
    """A transcript that is still being made, at its place among the events."""

    task: asyncio.Task[Words | None]

    of: Literal["speech", "pause", "turn"]
    """What it is the transcript of: speech that goes on, what lies before a pause, or the whole turn."""


class Ears:
    """`async with` it, `receive` frames in one task and read `events` in another."""

    def __init__(
        self,
        activity: VoiceActivity,
        transcriber: Transcriber,
        options: EarsOptions,
        command: Callable[[str], Command | None] = lambda _: None,
        *,
        own: Callable[[Words, float], bool] = lambda *_: False,
        give_way: Callable[[float], object] = lambda _: None,
        slowdown: Callable[[], float] = lambda: 1.0,
        stop_word: Callable[[Sound], float] | None = None,
    ) -> None:
        """Put the parts together.

        command: gives the last command to stop in a text.
        own: tells whether words are the agent's own, come back as an echo, at that second of the input clock: they are
            told as if none had been heard.
        give_way: called with the seconds for which the ears need the processor.
        slowdown: how many times as long as usual a reply takes, for the machine is busy: partials come as much rarer.
        stop_word: a second ear for stops, which takes each frame while there is something to stop, and gives how sure
            (0..1) it is that "stop" has just been said.
        """
        self._activity = activity
        self._slowdown = slowdown
        self._transcriber = transcriber
        self.options: Final = options
        self._stops = StopListener(transcriber.spot, command, options, give_way, stop_word)
        self._own = own
        self._tell: Callable[[ToldAhead], None] = lambda _: None
        self._stops.tell = self._tell_ahead
        self._outbox: asyncio.Queue[EarsEvent | _Coming | None] = asyncio.Queue(_OUTBOX)
        self._work: asyncio.Task[Words | None] | None = None
        self._closing: asyncio.Task[Words | None] | None = None
        self._tasks: set[asyncio.Task[Words | None]] = set()
        self._in_turn = False
        self._turn = 0
        self._lasts = False
        """Whether it was told that speech lasts."""
        self._last = 0
        self._next_partial = 0

    async def __aenter__(self) -> Self:
        await self._transcriber.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await self._stops.close()
        await self._transcriber.__aexit__(kind, error, trace)

    def expect(self, sentences: str) -> None:
        """Have these sentences in mind: their words are likely to be said."""
        self._transcriber.expected = sentences

    @property
    def now(self) -> int:
        """Samples of the input clock that were taken."""
        return self._activity.now

    def listen_for_stops(self, wanted: bool, tell: Callable[[ToldAhead], None]) -> None:  # noqa: FBT001 - the state itself
        """Say whether there is anything to stop; `tell` is called at once with what is told ahead of any event."""
        self._stops.wanted, self._tell = wanted, tell

    def end_turn_after(self, milliseconds: float) -> None:
        """Let this pause end the turn after that much silence, now that its words are known.

        Without it, the longest wait holds. Words of an earlier pause decide nothing about one that is being decoded.
        """
        if self._closing is not None and self._closing.done():
            self._activity.end_turn_after(milliseconds)

    async def receive(self, frame: Sound) -> None:
        """Take the next frame."""
        happened = self._activity.receive(frame)
        if self._in_turn:
            self._transcriber.feed(frame)
        for event in happened:
            await self._handle(event)
        self._notice_length()
        self._stops.hear(frame, self._activity.now)
        start = self._stops.due(self._activity.now)
        if start is not None:
            self._stops.listen(self._activity.since(start), start, self._activity.now)
        # In a pause the thread stays free for the final decode that may come.
        due = self._activity.voiced and self._activity.now >= self._next_partial
        if due and (not self._work or self._work.done()):
            self._next_partial = self._activity.now + samples_of(self.options.partial_every_ms * self._slowdown())
            self._work = self._start(self._partial(self._activity.now), "partial transcript")
            await self._outbox.put(_Coming(self._work, "speech"))

    async def close(self) -> None:
        """Tell that no frame comes any more: `events` ends when everything is told."""
        await self._outbox.put(None)

    async def caught_up(self) -> None:
        """Wait for all decodes that were begun: for sound that comes faster than it was recorded."""
        await self._stops.judged()
        if self._tasks:
            await asyncio.wait(set(self._tasks))

    async def events(self) -> AsyncIterator[EarsEvent]:
        """Yield what is heard, in the order that audio.messages states."""
        while (item := await self._outbox.get()) is not None:
            if not isinstance(item, _Coming):
                yield item
                continue
            await asyncio.wait((item.task,))
            words = None if item.task.cancelled() else item.task.result()
            if words and self._own(words, self.now / RATE):
                words = replace(words, committed="", tentative="", confidence=())
            # That a pause has no words before it decides as much as words would.
            if words and (item.of != "speech" or words.committed or words.tentative):
                yield replace(words, final=item.of == "turn")

    async def _handle(self, event: Activity) -> None:
        match event:
            case SpeechStarted():
                origin = max(self._last, event.start - samples_of(self.options.preroll_ms))
                self._turn = event.turn
                self._transcriber.start_turn(event.turn, origin, self._activity.since(origin))
                self._in_turn = True
                self._stops.began(event.turn, event.start, event.at)
                self._next_partial = event.start + samples_of(self.options.partial_every_ms)
                await self._outbox.put(event)
            case SoftEnd():
                self._stops.paused()
                if self._work:
                    self._work.cancel()
                await self._outbox.put(event)
                self._closing = self._start(self._transcriber.final(event.last_sample), "final transcript")
                await self._outbox.put(_Coming(self._closing, "pause"))
            case SpeechResumed():
                if self._closing:
                    self._closing.cancel()
                self._transcriber.resume()
                self._stops.began(event.turn, event.at - RESUME, event.at)
                await self._outbox.put(event)
            case HardEnd():
                self._in_turn = False
                self._last = event.last_sample
                if self._closing:
                    await self._outbox.put(_Coming(self._closing, "turn"))
                await self._outbox.put(event)

    def _notice_length(self) -> None:
        lasts = self._activity.lasted >= samples_of(self.options.sign_ms)
        if lasts and not self._lasts:
            self._tell(SpeechLasts(self._turn, self._activity.now))
        self._lasts = lasts

    def _tell_ahead(self, event: ToldAhead) -> None:
        if isinstance(event, Glimpsed):
            words = Words(event.turn, 0, event.text, "", event.confidence, final=False)
            if self._own(words, event.at / RATE):
                return
        self._tell(event)

    def _start(self, work: Coroutine[None, None, Words | None], name: str) -> asyncio.Task[Words | None]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _partial(self, began: int) -> Words | None:
        words = await self._transcriber.partial()
        rest = began + int(_BREATHER * self._transcriber.last_decode_s * RATE)
        self._next_partial = max(self._next_partial, rest)
        return words
