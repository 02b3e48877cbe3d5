"""The conversation: ears, reasoner, voice and sink wired together in one TaskGroup; nothing outlives it.

    frames -> Recognition -> TurnTaking -> Reasoner -> Speaker -> Sink
                             timeline <- everything that happens

Two directions with one clock: `hear` takes input and may wait; `play` lets time pass for the listener and never does.
What must be quick - pausing, silencing, a hard stop - is done the moment it is decided; what the reasoner must do about
it waits in a queue, in order. Each reply has one handle (`Reply`), which everything that concerns it carries.
Knows the order of things; does not know where frames come from or where sound goes.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from agent.conversation import timeline
from agent.conversation.reply import ReplyRequest
from agent.conversation.speaker import Speaker
from agent.conversation.turn_taking import (
    Answer,
    Authorize,
    ExtendTurn,
    Forget,
    HardStop,
    Hear,
    Interrupt,
    LongSilence,
    Pause,
    Resume,
    Retract,
    TurnTaking,
)
from audio import messages as heard
from audio.clock import RATE
from audio.errors import AudioError
from reasoning import events as loop
from reasoning.errors import ReasoningError
from reasoning.policies.consistency import REPAIR
from reasoning.policies.fillers import FillerClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from agent.conversation.options import TurnOptions
    from agent.conversation.ports import Reasoner, Recognition, RemoteClient, Sink, Synthesis
    from agent.conversation.reply import Reply
    from agent.conversation.turn_taking import Action, InterruptedBy
    from audio.clock import Pcm, Sound
    from audio.messages import Clip
    from audio.options import VoiceOptions
    from reasoning.options import LoopOptions

_QUEUE: Final = 256
"""Things to do that may wait; then whoever brings more waits."""
_FRAGMENT: Final = 3
"""Words of a reply that a listener may have heard and still go on with a turn of their own."""
_MERGED: Final = 3
"""Times that one turn may go on after its reply has begun: what is said in it must end somewhere."""


@dataclass(frozen=True, slots=True)
class _Begin:
    """Begin with a preemptive reply."""

    reply: Reply
    text: str


@dataclass(frozen=True, slots=True)
class _Retracted:
    """A preemptive reply was cancelled: the user goes on."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class _Ended:
    """The user's turn is over."""

    reply: Reply
    text: str
    spoken_until_s: float
    """Second at which the user's speech ended."""
    words: heard.Words | None


@dataclass(frozen=True, slots=True)
class _Cut:
    """A reply that may have been heard was cancelled."""

    reply: Reply
    heard: str
    """What was heard of it."""
    resumed: bool
    """The user went on with the turn that it answered."""


@dataclass(frozen=True, slots=True)
class _Replied:
    """The reply has sounded to its end."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class _Noted:
    """Something was told from outside."""

    text: str
    unprompted: bool


@dataclass(frozen=True, slots=True)
class _Requested:
    """A client asks for a reply."""

    request: ReplyRequest
    client_id: str


_Work = Hear | Forget | _Begin | _Retracted | _Ended | _Cut | _Replied | _Noted | _Requested


class ConversationDriver:
    """A conversation with one user. `run` it in a task; `hear` each frame of input, `play` what is heard."""

    def __init__(
        self,
        *,
        ears: Recognition,
        reasoner: Reasoner,
        voice: Synthesis,
        sink: Sink,
        fillers: Sequence[Clip],
        options: LoopOptions,
        voice_options: VoiceOptions,
        emit: Callable[[timeline.Event], None],
        turns: TurnOptions | None = None,
        on_stop: Callable[[str], None] | None = None,
        on_call: Callable[[loop.ToolCall], None] | None = None,
        on_turn: Callable[[heard.Words], str | None] | None = None,
        client: RemoteClient | None = None,
        pending: Callable[[], bool] = lambda: False,
    ) -> None:
        """Wire the parts.

        fillers: spoken in advance (none: wait in silence).
        on_stop: told each stop phrase, at once and whoever has the turn. Must not block.
        on_call: told each call that the reply asks for, once the user's turn is over. Must not block.
        on_turn: told each whole turn before its calls; gives what is to be answered, which may be put otherwise. None:
            it was meant for somebody else, and no reply is heard.
        client: owns the conversation in place of this driver, asks for replies and is told of them; the end of a turn
            asks for none then, and `on_call` and `on_turn` are not used.
        pending: whether something goes on outside whose outcome will be noted, such as a call.
        """
        self._ears, self._reasoner, self._sink = ears, reasoner, sink
        self._speaker = Speaker(voice, sink, voice_options)
        self._filler_clips, self._options, self._emit = list(fillers), options, emit
        self._on_stop, self._on_call, self._on_turn = on_stop or _ignore, on_call or _ignore, on_turn
        self._client, self._pending = client, pending
        self._always_stoppable = on_stop is not None
        # What a remote client has already, it plays: there a voice over the reply pauses nothing.
        self._turns = TurnTaking(turns, can_pause=sink.revocable)
        self._work: asyncio.Queue[_Work | None] = asyncio.Queue()
        self._room = asyncio.Event()
        self._room.set()
        self._reply: Reply | None = None
        """The newest reply that was decided upon; None once it is over."""
        self._answering: Reply | None = None
        """The reply that the reasoner has begun with; None once the reasoner knows what became of it."""
        self._wanted: set[str] = set()
        """Replies that a client has asked for and that nobody has begun with."""
        self._prompt = False
        """Whether a note waits for a reply that nobody asked for."""
        self._asked = self._unanswered = ""
        self._saved: list[str] | None = None
        """Announcements that wait until it is known whether the reply is cut; None while nobody decides that."""
        self._merged = 0
        """Times that the turn at hand went on after its reply had begun."""
        self._busy = False
        """Whether the reasoner is being told something."""
        self._spoken_until_s = 0.0
        """Second at which the user's newest turn ended; 0 once a reply to it was authorised."""
        self._sounding_until_s = 0.0
        self._ends_ms: dict[int, tuple[float, float]] = {}
        """Start and expected end of the clips that sound, by number."""
        self._now_s = self._heard_s = 0.0
        """Seconds of the conversation, and at which its newest frame of input was complete."""
        self.turns = 0
        """Turns of the user that asked for a reply."""

    @property
    def idle(self) -> bool:
        """Whether nobody has the turn and nothing is left to say or do."""
        done = self._work.empty() and not (self._busy or self._prompt or self._pending())
        return self._turns.state == "idle" and done and self._speaker.lead_s <= 0

    @property
    def answering(self) -> bool:
        """Whether a reply has the turn: it is being heard, or about to be."""
        return self._turns.state == "answering"

    @property
    def lead_s(self) -> float:
        """Seconds of reply that are left to hear."""
        return self._speaker.lead_s

    async def open(self) -> None:
        """Get ready: what can be computed before anybody speaks, is."""
        await self._reasoner.open()

    async def run(self) -> None:
        """Live until the ears are closed and everything is said."""
        async with asyncio.TaskGroup() as self._group:
            helpers = [
                self._group.create_task(self._speaker.run(), name="voice"),
                self._group.create_task(self._listen(), name="ears"),
            ]
            while (work := await self._work.get()) is not None:
                if self._work.qsize() < _QUEUE:
                    self._room.set()
                self._busy = True
                await self._do(work)
                self._busy = False
                self._answer_unprompted()
            await self._stop_answering()
            await self._reasoner.close()
            for task in helpers:
                task.cancel()

    # --- two directions, one clock ---

    async def hear(self, frame: Sound, now_s: float) -> None:
        """Take one frame of input, which was complete at that second; waits while the ears are behind."""
        self._now_s, self._heard_s = max(self._now_s, now_s), now_s
        wanted = self._always_stoppable or self._turns.state == "answering"
        self._ears.listen_for_stops(wanted, self._stop_heard)
        await self._ears.receive(frame)

    def play(self, to_sample: int, now_s: float) -> Pcm:
        """Let time pass: give what the listener hears up to `to_sample` of the sink's axis. Never waits."""
        self._now_s = max(self._now_s, now_s)
        sound, events = self._speaker.advance(to_sample)
        self._sounded(events)
        lead = self._speaker.lead_s
        self._reasoner.playing(lead if lead > 0 else min(0.0, self._sounding_until_s - now_s))
        self._fill(now_s)
        reply = self._reply
        if reply is not None and reply.may_be_heard and reply.made and lead <= 0:
            self._reply = None
            if not reply.announced:
                self._turns.replied()
                self._put(_Replied(reply))
        self._decide(self._turns.tick(now_s))
        if self._prompt and self._work.empty() and self._turns.state == "idle":
            # Nobody spoke after all, which leaves nothing else to do that would look at it.
            self._put(_Noted("", unprompted=True))
        return sound

    # --- what others ask for ---

    async def room(self) -> None:
        """Wait while too much is left to do."""
        await self._room.wait()

    async def note(self, text: str, *, unprompted: bool = False) -> None:
        """Tell the reasoner something from outside: a robot's event, a tool's result.

        unprompted: reply to it as soon as nobody has the turn; else it waits for the user's next turn.
        """
        await self._room.wait()
        self._put(_Noted(text, unprompted))

    def tell(self, text: str) -> None:
        """Tell the reasoner something for the reply that is being made."""
        self._put(_Noted(text, unprompted=False))

    def announce(self, text: str) -> None:
        """Say these very words, after what is being said: they pass through no model, which is told by `note`."""
        if self._saved is not None:
            self._saved.append(text)
            return
        if self._reply is None or self._reply.cancelled:
            self._reply = self._speaker.begin()
            self._reply.announced = True
            self._speaker.authorise(self._reply)
        self._speaker.say(self._reply, text)

    def interrupt(self) -> None:
        """Cut the reply: somebody pressed a key."""
        self._decide(self._turns.interrupt())

    def respond(self, request: ReplyRequest, client_id: str) -> None:
        """Give a reply that a client asks for: the preemptive one, if it answers just that."""
        self._turns.requested()
        self._wanted.add(client_id)
        self._put(_Requested(request, client_id))

    def cancel(self, client_id: str) -> None:
        """Cancel a reply that a client asked for; what the user is saying stays a turn."""
        reply = self._reply
        if client_id in self._wanted:
            self._wanted.discard(client_id)
            self._turns.replied()
        elif reply is not None and reply.client_id == client_id and not reply.cancelled:
            self._turns.replied()
            self._cut(reply)

    def truncated(self) -> None:
        """Learn that the client plays no more of the newest reply."""
        if self._reply is not None and self._reply.may_be_heard and self._reply.made:
            self._turns.replied()
            self._cut(self._reply)

    def overhear(self, text: str) -> None:
        """Take words of a turn that is ended by hand."""
        self._put(Hear(text))

    def drop_turn(self) -> None:
        """Forget what is being said."""
        self._decide(self._turns.drop_turn())

    def interrupted_by(self, what: InterruptedBy) -> None:
        """Say what over a reply interrupts it from now on."""
        self._turns.interrupted_by = what

    def aside(self, request: ReplyRequest, client_id: str) -> Reply:
        """Give a handle for a reply beside the conversation, which `make` makes."""
        reply = self._speaker.aside()
        reply.request, reply.client_id = request, client_id
        self._speaker.authorise(reply)
        return reply

    # --- what is decided, and what is done at once ---

    async def _listen(self) -> None:
        async for event in self._ears.events():
            self._report(event)
            self._receive(event)
            await self._room.wait()
        self._work.put_nowait(None)

    def _stop_heard(self, event: heard.StopHeard) -> None:
        """Stop at once: transcripts that are still being made wait in line, a stop does not."""
        self._receive(event)

    def _receive(self, event: heard.EarsEvent | heard.StopHeard) -> None:
        actions = self._turns.receive(event, self._now_s)
        self._decide(actions)
        if self._client is not None:
            self._client.heard(event, actions)

    def _decide(self, actions: Iterable[Action]) -> None:
        """Do what must be quick; leave the rest to the queue."""
        for action in actions:
            match action:
                case Pause() | Resume() | HardStop() | Interrupt():
                    self._at_once(action)
                case Answer(text):
                    self._reply = self._speaker.begin()
                    self._put(_Begin(self._reply, text))
                case Retract():
                    self._retract()
                case Authorize(text, last_sample, words):
                    self._turn_over(text, last_sample, words)
                case ExtendTurn(ending, complete):
                    self._ears.extend_turn(self._ears.options.end_ms(ending, complete))
                case LongSilence(seconds):
                    self._silent(f"[The user has been silent for {seconds:.0f} seconds.]")
                case Hear() | Forget():
                    self._put(action)

    def _at_once(self, action: Pause | Resume | HardStop | Interrupt) -> None:
        match action:
            case Pause():
                self._speaker.pause()
                self._emit(timeline.Paused())
            case Resume():
                self._speaker.resume()
                self._emit(timeline.WentOn())
            case HardStop(phrase):
                self._on_stop(phrase)
                self._emit(timeline.HardStopped(phrase))
            case Interrupt(resumed):
                if self._reply is not None and not self._reply.cancelled:
                    self._cut(self._reply, resumed=resumed)

    def _silent(self, text: str) -> None:
        if self._client is None:
            self._put(_Noted(text, unprompted=True))
        else:
            self._client.noted(text, unprompted=True)

    def _cut(self, reply: Reply, *, resumed: bool = False) -> None:
        text = self._speaker.cancel(reply)
        reply.fillers = None
        self._emit(timeline.Interrupted(text))
        self._put(_Cut(reply, text, resumed))
        if self._client is not None:
            self._client.cut(reply)

    def _retract(self) -> None:
        if self._reply is not None:
            self._speaker.cancel(self._reply)
            self._put(_Retracted(self._reply))

    def _turn_over(self, text: str, last_sample: int, words: heard.Words | None) -> None:
        # Counted back from the newest frame: an input clock may begin anew, and a client's sound come at any pace.
        self._spoken_until_s = self._heard_s - (self._ears.now - last_sample) / RATE
        if self._client is not None:
            # The client's protocol asks for the reply, if it wants one.
            self._turns.replied()
        elif self._reply is not None:
            self._put(_Ended(self._reply, text, self._spoken_until_s, words))

    def _put(self, work: _Work) -> None:
        self._work.put_nowait(work)
        if self._work.qsize() >= _QUEUE:
            self._room.clear()

    def _report(self, event: heard.EarsEvent) -> None:
        match event:
            case heard.SpeechStarted() | heard.SpeechResumed():
                self._emit(timeline.SpeechBegan())
            case heard.Words():
                self._emit(timeline.WordsHeard(event.committed, event.tentative, event.final, event.revision))
            case heard.SoftEnd() | heard.HardEnd():
                self._emit(timeline.SpeechStopped(event.last_sample * 1000 / RATE))

    # --- what the reasoner is told, in order ---

    async def _do(self, work: _Work) -> None:
        match work:
            case _Begin(reply, text):
                await self._begin_preemptive(reply, self._whole(text))
            case _Ended():
                await self._end_turn(work)
            case _Retracted() | _Cut() | _Replied():
                await self._settle(work)
            case Hear(text) if not self._standing:
                await self._stop_answering()
                await self._reasoner.hear(self._whole(text))
            case Forget():
                await self._reasoner.hear(self._unanswered)
            case _Noted(text, unprompted):
                await self._note(text, unprompted=unprompted)
            case _Requested(request, client_id):
                await self._give(request, client_id)
            case _:
                # What is said over a reply that nothing interrupts waits until its turn is whole.
                pass

    async def _settle(self, work: _Retracted | _Cut | _Replied) -> None:
        """Tell the reasoner what became of a reply."""
        reply = work.reply
        match work:
            case _Retracted() if self._answering is reply:
                await self._stop_answering()
                await self._reasoner.take_back()
            case _Cut():
                await self._cut_short(work)
            case _Replied():
                self._answering = None if self._answering is reply else self._answering
                self._unanswered, self._merged = "", 0
                await self._reasoner.finish(reply.heard)
            case _:
                # It was retracted before anybody had begun with it.
                pass

    @property
    def _standing(self) -> bool:
        """Whether a reply that may be heard is still being made or heard."""
        return self._answering is not None and self._answering.may_be_heard

    def _whole(self, text: str) -> str:
        return f"{self._unanswered} {text}".strip()

    async def _begin_preemptive(self, reply: Reply, text: str) -> None:
        if self._standing:
            self._speaker.cancel(reply)
            return
        await self._stop_answering()
        request = ReplyRequest(text) if self._client is None else self._client.preemptive(text)
        if reply.cancelled or request is None:
            self._speaker.cancel(reply)
            await self._reasoner.hear(text)
        else:
            self._begin(reply, request)

    def _begin(self, reply: Reply, request: ReplyRequest) -> None:
        reply.request = request
        self._answering = reply
        reply.task = self._group.create_task(self.make(reply, self._reasoner), name="reply")

    async def make(self, reply: Reply, reasoner: Reasoner) -> None:
        """Make a reply that has its request; it is made when everything of it went out."""
        assert reply.request is not None  # noqa: S101 - whoever begins has it
        try:
            if reply.request.words is None:
                await reasoner.answer(reply.request, partial(self._told, reply))
            elif reply.request.words:
                self._speaker.say(reply, reply.request.words)
            await reply.synthesised.wait()
            await reply.authorised.wait()
        except (ReasoningError, AudioError) as error:
            if self._client is None:
                raise
            await reply.authorised.wait()
            self._client.failed(reply, error)
        else:
            if self._client is not None and not reply.cancelled:
                self._client.made(reply)

    def _told(self, reply: Reply, event: loop.LoopEvent) -> None:
        """Take what happens for a reply; nothing of one that was cancelled is said or called."""
        if reply.cancelled:
            return
        match event:
            case loop.Probe(question=loop.NEED, decision=decision):
                reply.direct = not decision
            case loop.ReplyText(text):
                self._speaker.say(reply, text)
            case loop.Unsaid(text):
                if self._speaker.unsay(reply, text):
                    self._speaker.say(reply, REPAIR)
            case loop.ToolCall():
                reply.calls.append(event)
                self._make_calls(reply)
            case loop.TurnDone():
                reply.done = event
            case _:
                pass

    async def _end_turn(self, ended: _Ended) -> None:
        reply = ended.reply
        self.turns += 1
        self._asked = self._whole(ended.text)
        self._emit(timeline.TurnEnded(self._asked))
        meant, answers = self._meant(ended.words)
        if meant is None:
            self.interrupt()
        for answer in answers:
            self.announce(answer)
        if meant is None or reply.cancelled:
            return
        if meant != self._asked:
            self._asked = meant
            self._speaker.cancel(reply)
            reply = self._reply = self._speaker.begin()
            await self._stop_answering()
            await self._reasoner.take_back()
            self._begin(reply, ReplyRequest(meant))
        self._authorise(reply, ended.spoken_until_s)

    def _meant(self, words: heard.Words | None) -> tuple[str | None, list[str]]:
        """Give what is to be answered, and what was announced meanwhile: a reply that is cut would take it along."""
        if self._on_turn is None or words is None:
            return self._asked, []
        answers: list[str] = []
        self._saved = answers
        other = self._whole(words.other) if words.other else ""
        meant = self._on_turn(replace(words, committed=self._asked, tentative="", other=other))
        self._saved = None
        return meant, answers

    async def _note(self, text: str, *, unprompted: bool) -> None:
        # The notes of a client are items, which all replies know but the one that is being made.
        if text and (self._client is None or self._standing):
            await self._reasoner.note(text)
        self._prompt = self._prompt or unprompted

    def _answer_unprompted(self) -> None:
        """Reply to notes that nobody has taken up, once nobody has the turn."""
        if not self._prompt or not self._work.empty():
            return
        self._prompt = self._reasoner.notes_waiting
        if not self._prompt or not self._turns.prompted():
            return
        self._prompt = False
        self._asked = self._unanswered = ""
        self._emit(timeline.Prompted())
        self._reply = self._speaker.begin()
        self._begin(self._reply, ReplyRequest(""))
        self._authorise(self._reply, self._now_s)

    async def _give(self, request: ReplyRequest, client_id: str) -> None:
        """Give the reply that a client asks for, if it still does."""
        if client_id not in self._wanted:
            return
        self._wanted.discard(client_id)
        reply = self._answering
        if reply is None or reply.cancelled or reply.authorised.is_set() or reply.request != request:
            await self._stop_answering()
            reply = self._speaker.begin()
            self._begin(reply, request)
        self._reply = reply
        reply.client_id = client_id
        self._authorise(reply, self._spoken_until_s or self._now_s)
        self._spoken_until_s = 0.0

    def _authorise(self, reply: Reply, waiting_since_s: float) -> None:
        if reply.cancelled:
            # It was cut already, by words that came while this waited.
            return
        spoken = reply.request is not None and reply.request.spoken
        reply.fillers = FillerClock(self._options, waiting_since_s) if spoken and self._filler_clips else None
        self._sounding_until_s = waiting_since_s
        self._speaker.authorise(reply)
        self._make_calls(reply)

    def _make_calls(self, reply: Reply) -> None:
        while reply.may_be_heard and reply.calls:
            call = reply.calls.pop(0)
            if self._client is None:
                self._on_call(call)
            else:
                self._client.called(reply, call)

    async def _cut_short(self, cut: _Cut) -> None:
        if self._answering is cut.reply:
            await self._stop_answering()
        if self._client is not None:
            # Its list of items says what was heard, and what the user says next goes on from there.
            return
        if cut.resumed and self._merged < _MERGED and len(cut.heard.split()) <= _FRAGMENT:
            # What was thought so far answers half a turn.
            self._unanswered, self._merged = self._asked, self._merged + 1
            await self._reasoner.take_back()
        else:
            self._unanswered, self._merged = "", 0
            await self._reasoner.finish(cut.heard, interrupted=True)

    async def _stop_answering(self) -> None:
        reply, self._answering = self._answering, None
        if reply is None or reply.task is None or reply.task.done():
            return
        if not reply.cancelled:
            self._speaker.cancel(reply)
        reply.task.cancel()
        # Not `await reply.task`: its cancellation could not be told from that of this task.
        await asyncio.wait([reply.task])

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
                        self._sounding_until_s = at_ms / 1000

    def _began_to_sound(self, clip: heard.ClipStarted, start_ms: float) -> None:
        end_ms = start_ms + self._speaker.seconds_of(clip.clip) * 1000
        self._ends_ms[clip.clip] = start_ms, end_ms
        self._emit(timeline.AudioOut(start_ms, end_ms, clip.text.strip(), clip.kind))
        self._sounding_until_s = end_ms / 1000
        self._turns.reply_sounds(clip.text)
        if self._reply is not None:
            self._reply.begun = True
            if self._reply.fillers is not None:
                self._reply.fillers.sounding_until(end_ms / 1000)

    def _fill(self, now_s: float) -> None:
        reply = self._reply
        if reply is None or reply.fillers is None or reply.made or not reply.may_be_heard:
            return
        if self._speaker.lead_s > 0 or self._turns.paused:
            return
        phrase = reply.fillers.due(now_s, begun=reply.begun, direct=reply.direct)
        if phrase is not None:
            self._speaker.fill(reply, next(clip for clip in self._filler_clips if clip.text == phrase))


def _ignore(_: object) -> None:
    """Nobody wants to know."""
