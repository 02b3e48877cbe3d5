"""One user: ears, mind and voice wired together in one TaskGroup; nothing outlives it.

    frames -> Ears -> Conversation -> Loop -> Speaker -> what the listener hears
                            timeline <- everything that happens

The shell that owns the clock calls `tick` for each input frame; the session tells what happens to `emit`. What must be
quick - pausing, silencing, a hard stop - is done the moment it is decided; what the loop must do about it waits in a
queue, in order. Knows the order of things; does not know where frames come from or where sound goes.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from agent.conversation import timeline
from agent.conversation.turn_taking import (
    Answer,
    Conversation,
    Forget,
    GoOn,
    HardStop,
    Hear,
    HoldOpen,
    Hush,
    Interrupt,
    LongSilence,
    Release,
    TakeBack,
)
from audio import messages as heard
from audio.clock import RATE
from reasoning import events as mind
from reasoning.policies.consistency import REPAIR
from reasoning.policies.fillers import FillerClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from agent.conversation.options import TurnOptions
    from agent.conversation.speaker import Speaker
    from agent.conversation.turn_taking import Action
    from audio.clock import Pcm, Sound
    from audio.hearing.ears import Ears
    from audio.messages import Clip
    from reasoning.loop.loop import Loop
    from reasoning.options import LoopOptions

_QUEUE: Final = 256
"""Things to do that may wait; then the ears wait."""
_FRAGMENT: Final = 3
"""Words of a reply that a listener may have heard and still go on with a turn of their own."""
_MERGED: Final = 3
"""Times that one turn may go on after its reply has begun: what is said in it must end somewhere."""


@dataclass(frozen=True, slots=True)
class _Cut:
    """The reply was silenced."""

    heard: str
    """What was heard of it."""
    resumed: bool
    """The user went on with the turn that it answered."""


@dataclass(frozen=True, slots=True)
class _Replied:
    """The reply has sounded to its end."""

    heard: str


@dataclass(frozen=True, slots=True)
class _Noted:
    """Something was told from outside."""

    text: str
    unprompted: bool


class Session:
    """A conversation with one user. `async with` it, then `tick` with each frame of input."""

    def __init__(
        self,
        *,
        ears: Ears,
        loop: Loop,
        speaker: Speaker,
        holds: Sequence[Clip],
        options: LoopOptions,
        emit: Callable[[timeline.Event], None],
        turns: TurnOptions | None = None,
        on_stop: Callable[[str], None] | None = None,
        on_call: Callable[[mind.ToolCall], None] | None = None,
        on_turn: Callable[[heard.Words], str | None] | None = None,
    ) -> None:
        """Wire the parts.

        holds: the fillers, spoken in advance (none: wait in silence).
        on_stop: told each stop phrase, at once and whoever has the turn. Must not block.
        on_call: told each call that the reply asks for, once the user's turn is over. Must not block.
        on_turn: told each whole turn before its calls; gives what is to be answered, which may be put otherwise. None:
            it was meant for somebody else, and no reply is heard.
        """
        self._ears, self._loop, self._speaker = ears, loop, speaker
        self._holds, self._options, self._emit = list(holds), options, emit
        self._on_stop, self._on_call = on_stop or _ignore, on_call or _ignore
        self._on_turn = on_turn
        self._always_stoppable = on_stop is not None
        self._conversation = Conversation(turns)
        self._work: asyncio.Queue[Action | _Cut | _Replied | _Noted | None] = asyncio.Queue()
        ears.stops.on_stop = self._stop_heard
        self._room = asyncio.Event()
        self._room.set()
        self._answering: asyncio.Task[None] | None = None
        self._reply = -1
        """The speaker's generation that the running answer may speak in."""
        self._released = False
        """Whether the reply may be heard, and nobody has cut it."""
        self._cuts = 0
        """Replies that were silenced and whose loop does not know it yet."""
        self._calls: list[mind.ToolCall] = []
        """Calls of a reply that may not be heard yet."""
        self._prompt = False
        """Whether a note waits for a reply that nobody asked for."""
        self._fillers: FillerClock | None = None
        self._asked = self._unanswered = ""
        self._saved: list[str] | None = None
        """Announcements that wait until it is known whether the reply is cut."""
        self._merged = 0
        """Times that the turn at hand went on after its reply had begun."""
        self._busy = False
        """Whether the loop is being told something."""
        self._direct = False
        self._sounding_until = 0.0
        self._begun = False
        self._ends_ms: dict[int, tuple[float, float]] = {}
        """Start and expected end of the clips that sound, by number."""
        self._now_s = 0.0
        self.turns = 0
        """Turns of the user that asked for a reply."""

    @property
    def idle(self) -> bool:
        """Whether nobody has the turn and nothing is left to say or do."""
        done = self._work.empty() and not (self._busy or self._prompt)
        return self._conversation.state == "idle" and done and self._speaker.lead_s <= 0

    async def open(self) -> None:
        """Get ready: what can be computed before anybody speaks, is."""
        await self._loop.open()

    async def run(self) -> None:
        """Live until the ears are closed and everything is said."""
        async with asyncio.TaskGroup() as self._group:
            helpers = [
                self._group.create_task(self._speaker.run(), name="voice"),
                self._group.create_task(self._listen(), name="ears"),
            ]
            while (work := await self._work.get()) is not None:
                self._room.set()
                self._busy = True
                await self._do(work)
                self._busy = False
                self._answer_unprompted()
            await self._stop_answering()
            await self._loop.close()
            for task in helpers:
                task.cancel()

    async def tick(self, frame: Sound, now_s: float, to_sample: int) -> Pcm:
        """Take one frame of input and let time pass: give what the listener hears up to `to_sample`."""
        self._now_s = now_s
        sound, events = self._speaker.advance(to_sample)
        self._sounded(events)
        lead = self._speaker.lead_s
        self._loop.playing(lead if lead > 0 else min(0.0, self._sounding_until - now_s))
        self._hold(now_s)
        done = self._answering is not None and self._answering.done()
        if self._released and done and lead <= 0:
            self._released = False
            self._conversation.replied()
            self._work.put_nowait(_Replied(self._speaker.ledger.heard().strip()))
        self._decide(self._conversation.tick(now_s))
        if self._prompt and self._work.empty() and self._conversation.state == "idle":
            # Nobody spoke after all, which leaves nothing else to do that would look at it.
            self._put(_Noted("", unprompted=True))
        self._ears.stops.wanted = self._always_stoppable or self._conversation.state == "answering"
        await self._ears.receive(frame)
        return sound

    def told(self, event: mind.LoopEvent) -> None:
        """Take an event of the loop: report it, and speak what may be spoken."""
        self._emit(event)
        if isinstance(event, mind.Probe) and event.question == mind.NEED:
            self._direct = not event.decision
        if self._speaker.generation != self._reply:
            # The reply was cut, and its loop has not ended yet.
            return
        if isinstance(event, mind.ReplyText):
            self._speaker.say(event.text)
        elif isinstance(event, mind.Unsaid) and self._speaker.unsay(event.text):
            self._speaker.say(REPAIR)
        elif isinstance(event, mind.ToolCall):
            self._calls.append(event)
            self._make_calls()

    async def note(self, text: str, *, unprompted: bool = False) -> None:
        """Tell the mind something from outside: a robot's event, a tool's result.

        unprompted: reply to it as soon as nobody has the turn; else it waits for the user's next turn.
        """
        await self._room.wait()
        self._put(_Noted(text, unprompted))

    def announce(self, text: str) -> None:
        """Say these very words, after what is being said: they pass through no model, which is told by `note`."""
        if self._saved is not None:
            self._saved.append(text)
            return
        if self._answering is None or self._cuts:
            self._speaker.begin()
            self._speaker.open()
        self._speaker.say(text)

    def interrupt(self) -> None:
        """Cut the reply: somebody pressed a key, or a client cancelled."""
        self._decide(self._conversation.interrupt())

    # --- what is decided, and what is done at once ---

    async def _listen(self) -> None:
        async for event in self._ears.events():
            self._report(event)
            self._decide(self._conversation.receive(event, self._now_s))
            await self._room.wait()
        self._work.put_nowait(None)

    def _stop_heard(self, event: heard.StopHeard) -> None:
        """Stop at once: transcripts that are still being made wait in line, a stop does not."""
        self._decide(self._conversation.receive(event, self._now_s))

    def _decide(self, actions: Iterable[Action]) -> None:
        """Do what must be quick; leave the rest to the queue."""
        for action in actions:
            match action:
                case Hush():
                    self._speaker.pause()
                    self._emit(timeline.Paused())
                case GoOn():
                    self._speaker.go_on()
                    self._emit(timeline.WentOn())
                case HardStop(phrase):
                    self._on_stop(phrase)
                    self._emit(timeline.HardStopped(phrase))
                case Interrupt(resumed):
                    self._put(self._cut(resumed=resumed))
                case _:
                    self._put(action)

    def _cut(self, *, resumed: bool) -> _Cut:
        text = self._speaker.silence().strip()
        self._emit(timeline.Interrupted(text))
        self._cuts += 1
        self._released, self._fillers = False, None
        self._calls.clear()
        return _Cut(text, resumed)

    def _put(self, work: Action | _Cut | _Replied | _Noted) -> None:
        self._work.put_nowait(work)
        if self._work.qsize() >= _QUEUE:
            self._room.clear()

    def _report(self, event: heard.EarsEvent) -> None:
        match event:
            case heard.SpeechStarted():
                self._emit(timeline.SpeechBegan())
            case heard.Words():
                self._emit(timeline.WordsHeard(event.committed, event.tentative, event.final, event.revision))
            case heard.SoftEnd() | heard.HardEnd():
                self._emit(timeline.SpeechStopped(event.last_sample * 1000 / RATE))
            case heard.SpeechResumed():
                self._emit(timeline.SpeechBegan())

    # --- what the loop is told, in order ---

    async def _do(self, work: Action | _Cut | _Replied | _Noted) -> None:
        match work:
            case _Cut(text, resumed):
                await self._cut_short(text, resumed=resumed)
            case _Replied(text):
                self._answering, self._fillers = None, None
                self._unanswered, self._merged = "", 0
                await self._loop.finish(text)
            case _Noted(text, unprompted):
                await self._loop.note(text)
                self._prompt = self._prompt or unprompted
            case _:
                await self._act(work)

    async def _act(self, action: Action) -> None:
        match action:
            case Hear(text):
                await self._loop.hear(f"{self._unanswered} {text}".strip())
            case Answer(text):
                self._begin_reply(f"{self._unanswered} {text}".strip())
            case HoldOpen(ending, complete):
                self._ears.hold_open(self._ears.options.end_ms(ending, complete))
            case TakeBack():
                await self._stop_answering()
                self._calls.clear()
                self._speaker.begin()
                await self._loop.take_back()
            case Release(text, last_sample, words):
                await self._release(text, last_sample / RATE, words)
            case Forget():
                await self._loop.hear(self._unanswered)
            case LongSilence(seconds):
                await self._do(_Noted(f"[The user has been silent for {seconds:.0f} seconds.]", unprompted=True))

    def _begin_reply(self, text: str) -> None:
        self._speaker.begin()
        self._reply = self._speaker.generation
        self._direct = False
        self._answering = self._group.create_task(self._loop.answer(text), name="reply")

    async def _release(self, text: str, spoken_until_s: float, words: heard.Words | None) -> None:
        self.turns += 1
        self._asked = f"{self._unanswered} {text}".strip()
        self._emit(timeline.TurnEnded(self._asked))
        meant, answers = self._meant(words)
        if meant is None:
            self.interrupt()
        for answer in answers:
            self.announce(answer)
        if meant is None:
            return
        if meant != self._asked and not self._cuts:
            self._asked = meant
            await self._stop_answering()
            self._calls.clear()
            await self._loop.take_back()
            self._begin_reply(meant)
        self._open_gate(spoken_until_s)

    def _meant(self, words: heard.Words | None) -> tuple[str | None, list[str]]:
        """Give what is to be answered, and what was announced meanwhile: a reply that is cut would take it along."""
        if self._on_turn is None or words is None:
            return self._asked, []
        answers: list[str] = []
        self._saved = answers
        other = f"{self._unanswered} {words.other}".strip() if words.other else ""
        meant = self._on_turn(replace(words, committed=self._asked, tentative="", other=other))
        self._saved = None
        return meant, answers

    def _answer_unprompted(self) -> None:
        """Reply to notes that nobody has taken up, once nobody has the turn."""
        if not self._prompt or not self._work.empty():
            return
        self._prompt = self._loop.notes_waiting
        if not self._prompt or not self._conversation.prompted():
            return
        self._prompt = False
        self._asked = self._unanswered = ""
        self._emit(timeline.Prompted())
        self._begin_reply("")
        self._open_gate(self._now_s)

    def _open_gate(self, waiting_since_s: float) -> None:
        if self._cuts:
            # It was cut already, by words that came while this waited.
            return
        self._fillers = FillerClock(self._options, waiting_since_s) if self._holds else None
        self._sounding_until, self._begun, self._released = waiting_since_s, False, True
        self._speaker.open()
        self._make_calls()

    def _make_calls(self) -> None:
        if self._released:
            calls, self._calls = self._calls, []
            for call in calls:
                self._on_call(call)

    async def _cut_short(self, text: str, *, resumed: bool) -> None:
        self._cuts -= 1
        await self._stop_answering()
        if resumed and self._merged < _MERGED and len(text.split()) <= _FRAGMENT:
            # What was thought so far answers half a turn.
            self._unanswered, self._merged = self._asked, self._merged + 1
            await self._loop.take_back()
        else:
            self._unanswered, self._merged = "", 0
            await self._loop.finish(text, interrupted=True)

    async def _stop_answering(self) -> None:
        if self._answering is not None:
            self._answering.cancel()
            # Not `await self._answering`: its cancellation could not be told from that of this task.
            await asyncio.wait([self._answering])
            self._answering = None

    # --- what sounds ---

    def _sounded(self, events: Iterable[heard.PlayoutEvent]) -> None:
        for event in events:
            at_ms = event.at * 1000 / self._speaker.rate
            match event:
                case heard.ClipStarted():
                    self._began_to_sound(event, at_ms)
                case heard.ClipEnded():
                    start_ms, end_ms = self._ends_ms.pop(event.clip, (at_ms, at_ms))
                    if abs(at_ms - end_ms) > 1:
                        self._emit(timeline.AudioCut(start_ms, at_ms))
                        self._sounding_until = at_ms / 1000

    def _began_to_sound(self, clip: heard.ClipStarted, start_ms: float) -> None:
        end_ms = start_ms + self._speaker.seconds_of(clip.clip) * 1000
        self._ends_ms[clip.clip] = start_ms, end_ms
        self._emit(timeline.AudioOut(start_ms, end_ms, clip.text.strip(), clip.kind))
        self._sounding_until, self._begun = end_ms / 1000, True
        self._conversation.asking = clip.text.rstrip().endswith("?")
        if self._fillers is not None:
            self._fillers.sounding_until(end_ms / 1000)

    def _hold(self, now_s: float) -> None:
        waiting = self._speaker.lead_s <= 0 and not self._conversation.hushed
        if self._fillers is None or not waiting or self._answering is None or self._answering.done():
            return
        phrase = self._fillers.due(now_s, begun=self._begun, direct=self._direct)
        if phrase is not None:
            self._speaker.hold(next(clip for clip in self._holds if clip.text == phrase))


def _ignore(_: object) -> None:
    """Nobody wants to know."""
