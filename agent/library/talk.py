"""One conversation: what is typed, and what its tools give, through one loop that remembers it all.

    ask ──► loop ──► sentences, calls ──► tools ──► results as notes ──► loop ──► the answer

One thing at a time: a turn that is typed, or a source that is listened to.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, Self

from agent.conversation import timeline
from agent.conversation.assembly import languages_of, local_time, open_loop, spoken_conversation
from agent.conversation.reasoner import LoopReasoner
from agent.conversation.sinks import PlayoutSink
from agent.errors import BadQuestion, ConfigError, EventsUnread, NothingHeard, TalkBusy
from agent.library.sources import Microphone, Recording, frames_of
from agent.library.spoken import hold, hold_at_desk, wall_clock, written
from agent.models.assembly import open_speech
from audio.io.audio_io import AudioIO
from audio.io.devices import SoundCard, library
from audio.io.echo import OwnVoice
from audio.speaking.playout import Playout
from languages.spoken import written_in
from reasoning.loop.loop import Loop
from reasoning.tools.running import ToolRunner

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
    from types import TracebackType

    from agent.conversation.driver import ConversationDriver
    from agent.conversation.timeline import Event
    from agent.library.spoken import Output
    from agent.models.assembly import OpenModels
    from audio.clock import Sound
    from audio.hearing.ears import Ears
    from audio.speaking.synthesizer import Synthesizer
    from reasoning.events import LoopEvent
    from reasoning.tools.calls import Tool

_log: Final = logging.getLogger("descant.sound")
_UNREAD: Final = 10_000
"""Events that may wait to be read: some minutes of conversation."""
_ROUNDS: Final = 8
"""Replies to results of calls within one turn: a model that answers every result with a call comes to an end."""


class Talk:
    """A conversation. `async with` begins and ends it; calls of tools that still run at its end are cancelled."""

    def __init__(
        self,
        models: OpenModels,
        *,
        tools: Sequence[Tool] = (),
        seed: int = 0,
        ticks: Callable[[], AsyncIterator[float]] = wall_clock,
    ) -> None:
        """`ticks` is the clock of what is spoken; see `agent.library.spoken.hold`."""
        self._models, self._tools, self._seed, self._ticks = models, tools, seed, ticks
        self._unread: asyncio.Queue[Event | None] | None = None
        """Events that a stream has not yielded yet; None while nobody streams. A None in it is the end."""
        self._overrun = False
        """Whether that were too many."""
        self._told: Callable[[LoopEvent], None] = self._typed
        """Takes the events of the loop: those of a typed turn, or of a spoken conversation."""
        self._to_note: Callable[[str], Awaitable[object]] | None = None
        """Takes notes while a spoken conversation goes on, which has them answered; None while none does."""
        self._said: list[str] = []
        """Sentences of the running reply."""
        self._calls: list[asyncio.Task[None]] = []
        """Calls that it made. Those of a reply that was given up run on; their results are notes for a later one."""
        self._turn: asyncio.Task[str | None] | None = None
        """The turn that runs, if one does."""

    async def __aenter__(self) -> Self:
        models = self._models
        self._runner = ToolRunner(self._tools, self._emit, self.note)
        async with AsyncExitStack() as stack:
            self._loop = await stack.enter_async_context(
                open_loop(
                    engine=models.engine,
                    script=models.script,
                    settings=models.settings,
                    emit=self._happened,
                    clock=time.monotonic,
                    now=local_time,
                    tools=self._tools,
                    seed=self._seed,
                )
            )
            await stack.enter_async_context(self._runner)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        async with self._stack:
            await self._cancel_turn()

    async def ask(self, text: str) -> str:
        """Answer a typed turn; where it calls tools, the answer is what is said with their results.

        Cancel it to interrupt: what was said stays in the conversation.

        Raises:
            BadQuestion: there is nothing to answer.
            TalkBusy: something else goes on in this conversation.

        """
        with self._alone(), _first_cause():
            turn = self._turn = asyncio.create_task(self._take_turn(_asked(text)), name="typed turn")
            try:
                return await turn
            finally:
                await self._cancel_turn()

    def stream(self, text: str) -> AsyncGenerator[Event, None]:
        """Answer a typed turn as `ask` does, and yield what happens meanwhile, as it happens."""
        return self._streamed(lambda: self._take_turn(_asked(text)))

    def listen(
        self,
        source: Recording | Microphone | AsyncIterator[Sound],
        *,
        output: Output | None = None,
        wait_s: float = 120.0,
    ) -> AsyncGenerator[Event, None]:
        """Converse in real time, and yield what happens, until the source has ended and all is said.

        Stop reading to end it sooner.

        source: mono sound at 16 kHz as float32 arrays of any length, if it is no recording and no microphone.
        output: a WAV file for what a listener hears, or what is called with int16 samples and their rate, 50 times a
            second. A `Microphone` has its loudspeaker besides.
        wait_s: seconds after the end of the source until what is left is given up.

        Raises:
            BadAudio: the source gives no such sound.
            CannotWrite: the output cannot be written.
            EarsUnavailable, VoiceUnavailable, NoDevice: what it takes to hear and to speak is not there.
            NothingHeard: no words were heard in a recording.
            TalkBusy: something else goes on in this conversation.

        """
        return self._streamed(lambda: self._converse(source, output, wait_s))

    async def note(self, text: str) -> None:
        """Tell the model something from outside, in a line of at most 1000 characters.

        It stands in the next turn; where somebody listens, it is answered as soon as nobody has the turn.
        """
        await (self._loop.note(text) if self._to_note is None else self._to_note(text))

    # --- one thing at a time ---

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if self._turn is not None:
            raise TalkBusy("this conversation answers something already; wait for it, or begin another conversation")
        try:
            yield
        finally:
            self._turn = None

    async def _streamed(self, work: Callable[[], Coroutine[None, None, str | None]]) -> AsyncGenerator[Event, None]:
        """Do something in a task, and yield the events meanwhile."""
        with self._alone(), _first_cause():
            unread: asyncio.Queue[Event | None] = asyncio.Queue()
            self._unread, self._overrun = unread, False
            self._turn = asyncio.create_task(work(), name="turn")
            self._turn.add_done_callback(lambda _: unread.put_nowait(None))
            try:
                while (event := await unread.get()) is not None:
                    yield event
                if self._overrun:
                    raise EventsUnread(f"{_UNREAD} events wait to be read; read them as they come")
                await self._turn
            finally:
                await self._cancel_turn()
                self._unread, self._told, self._to_note = None, self._typed, None

    async def _cancel_turn(self) -> None:
        if self._turn is not None and not self._turn.done():
            self._turn.cancel()
            await asyncio.wait([self._turn])

    # --- typed ---

    async def _take_turn(self, text: str) -> str:
        self._runner.turn_began()
        self._emit(timeline.TurnEnded(text))
        self._loop.speak(written_in(text, languages_of(self._models.settings), self._loop.language))
        answer = await self._reply(text)
        for _ in range(_ROUNDS):
            if self._calls:
                await asyncio.gather(*self._calls)
            if not self._loop.notes_waiting:
                break
            self._emit(timeline.Prompted())
            answer = await self._reply("") or answer
        return answer

    async def _reply(self, text: str) -> str:
        """Have the loop answer; without words, the notes that wait. Give what it said."""
        self._said, self._calls = [], []
        try:
            await self._loop.answer(text)
        except BaseException:
            await self._loop.finish(" ".join(self._said), interrupted=True)
            raise
        await self._loop.finish(" ".join(self._said))
        return " ".join(self._said)

    def _typed(self, event: LoopEvent) -> None:
        """Take an event of a typed turn; calls run at once, since the turn is over."""
        self._emit(event)
        match event:
            case timeline.ReplyText(text):
                self._said.append(text)
            case timeline.Unsaid(text) if text in self._said:
                self._said.remove(text)
            case timeline.ToolCall():
                self._calls.append(self._runner.start(event))
            case _:
                pass

    # --- spoken ---

    async def _converse(
        self, source: Recording | Microphone | AsyncIterator[Sound], output: Output | None, wait_s: float
    ) -> None:
        if isinstance(source, Microphone):
            if output is not None:
                raise ConfigError("output does not go with a Microphone, which has its loudspeaker")
            await self._at_desk()
            return
        models, speech = self._models, await self._models.speech()
        async with AsyncExitStack() as stack:
            ears, voice = await stack.enter_async_context(open_speech(speech, models.settings, models.engine))
            play = stack.enter_context(written(output, voice.rate))
            conversation = await self._conversation(ears, voice, Playout(voice.rate), self._emit)
            await hold(
                conversation,
                ears,
                frames_of(aiter(source)),
                play=play,
                rate=voice.rate,
                over=lambda: True,
                wait_s=wait_s,
                ticks=self._ticks(),
            )
        if isinstance(source, Recording) and not conversation.turns:
            raise NothingHeard(
                f"{source.path}: no words were heard in {source.seconds:.1f} s; record speech that is loud enough"
            )

    async def _at_desk(self) -> None:
        models, settings, own = self._models, self._models.settings, OwnVoice()
        card = SoundCard(settings.devices, _log.warning, library())
        card.check()
        speech = await models.speech()

        def emit(event: Event) -> None:
            if isinstance(event, timeline.AudioOut):
                own.said(event.text, event.end_ms / 1000)
            self._emit(event)

        async with open_speech(speech, settings, models.engine, own=own.own) as (ears, voice), card:
            desk = AudioIO(card, voice.rate, settings.devices)
            conversation = await self._conversation(ears, voice, desk.playout, emit)
            await hold_at_desk(conversation, ears, card, desk, ended=asyncio.Event())

    async def _conversation(
        self, ears: Ears, voice: Synthesizer, playout: Playout, emit: Callable[[Event], None]
    ) -> ConversationDriver:
        """Put a spoken conversation around the loop of this one."""

        def make(tell: Callable[[LoopEvent], None]) -> Loop:
            self._told = tell
            return self._loop

        settings, engine = self._models.settings, self._models.engine
        conversation = await spoken_conversation(
            LoopReasoner(make, emit),
            self._runner,
            settings,
            ears=ears,
            voice=voice,
            sink=PlayoutSink(playout),
            emit=emit,
            slowdown=lambda: engine.slowdown,
        )
        self._to_note = partial(conversation.note, unprompted=True)
        return conversation

    def _happened(self, event: LoopEvent) -> None:
        self._told(event)

    def _emit(self, event: Event) -> None:
        if isinstance(event, timeline.TurnEnded):
            self._runner.turn_began()
        if self._unread is None:
            return
        if self._unread.qsize() < _UNREAD:
            self._unread.put_nowait(event)
        elif self._turn is not None:
            self._overrun = True
            self._turn.cancel()


@contextmanager
def _first_cause() -> Iterator[None]:
    """Raise what went wrong in place of the group of errors that tasks make of it."""
    try:
        yield
    except BaseExceptionGroup as group:
        cause: BaseException = group
        while isinstance(cause, BaseExceptionGroup):
            cause = cause.exceptions[0]
        raise cause from None


def _asked(text: str) -> str:
    if not text.strip():
        raise BadQuestion('the question is empty; ask something, as in "what is 12 times 7?"')
    return text
