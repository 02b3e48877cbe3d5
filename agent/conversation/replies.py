"""Replies in the making: what the reasoner is told, in order, and what becomes of each reply.

What is decided is done to the handle of a reply at once; what the reasoner must do about it waits in a queue. One
reply is made at a time. Does not know how turns are found, nor what a listener hears.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from agent.conversation import timeline
from agent.conversation.reply import ReplyRequest
from agent.conversation.turn_taking import Forget, Hear
from agent.conversation.work import (
    BeginPreemptive,
    GetReady,
    NoteTaken,
    ReplyCut,
    ReplyHeard,
    ReplyRequested,
    ReplyRetracted,
    TurnClosed,
)
from audio.errors import AudioError
from reasoning import events as loop
from reasoning.errors import ReasoningError

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.conversation.playback import Playback
    from agent.conversation.ports import Reasoner, RemoteClient
    from agent.conversation.reply import Reply
    from agent.conversation.speaker import Speaker
    from agent.conversation.turn_taking import TurnTaking
    from agent.conversation.work import Work
    from audio.messages import Words
    from languages.language import Language

_QUEUE: Final = 256
"""Things to do that may wait; then whoever brings more waits."""
_FRAGMENT: Final = 3
"""Words of a reply that a listener may have heard and still go on with a turn of their own."""
_MERGED: Final = 3
"""Times that one turn may go on after its reply has begun: what is said in it must end somewhere."""


class ReplyMaker:
    """Makes the replies of one conversation. `run` it in a task group."""

    def __init__(
        self,
        reasoner: Reasoner,
        speaker: Speaker,
        playback: Playback,
        turns: TurnTaking,
        *,
        emit: Callable[[timeline.Event], None],
        on_call: Callable[[loop.ToolCall], None],
        on_turn: Callable[[Words], str | None] | None,
        client: RemoteClient | None,
    ) -> None:
        """Wire it; `on_call`, `on_turn` and `client` are those of `ConversationDriver`."""
        self._reasoner, self._speaker, self._playback, self._turns = reasoner, speaker, playback, turns
        self._emit, self._on_call, self._on_turn, self._client = emit, on_call, on_turn, client
        self._work: asyncio.Queue[Work | None] = asyncio.Queue()
        self._room = asyncio.Event()
        self._room.set()
        self.newest: Reply | None = None
        """The newest reply that was decided upon; None once it is over."""
        self._answering: Reply | None = None
        """The reply that the reasoner has begun with; None once the reasoner knows what became of it."""
        self._wanted: set[str] = set()
        """Replies that a client has asked for and that nobody has begun with."""
        self._prompt = False
        """Whether a note waits for a reply that nobody asked for."""
        self._asked = self._unanswered = ""
        """The newest turn that has ended, and what of it the next words go on with: empty unless they do."""
        self._saved: list[str] | None = None
        """Announcements that wait until it is known whether the reply is cut; None while nobody decides that."""
        self._merged = 0
        """Times that the turn at hand went on after its reply had begun."""
        self._busy = False
        """Whether the reasoner is being told something."""
        self._openings = 0
        """Times that the reasoner is still to get ready: the last of them counts."""
        self._opening: asyncio.Task[None] | None = None
        """The reasoner's getting ready; None while it does not."""
        self._spoken_until_s: float | None = None
        """Second at which the turn ended that a client has not asked a reply to; None where there is none."""
        self.answered = 0
        """Turns of the user that asked for a reply."""

    @property
    def idle(self) -> bool:
        """Whether nothing is left to do; something may be left to hear."""
        return self._work.empty() and not (self._busy or self._prompt)

    async def run(self, group: asyncio.TaskGroup) -> None:
        """Do what there is to do, until `end`."""
        self._group = group
        while (work := await self._work.get()) is not None:
            if self._work.qsize() < _QUEUE:
                self._room.set()
            self._busy = True
            await self._do(work)
            self._busy = False
            self._answer_unprompted()
        await self._stop_answering()
        await self._reasoner.close()

    def end(self) -> None:
        """Let `run` end once everything before this is done."""
        self._work.put_nowait(None)

    async def room(self) -> None:
        """Wait while too much is left to do."""
        await self._room.wait()

    def _put(self, work: Work) -> None:
        self._work.put_nowait(work)
        if self._work.qsize() >= _QUEUE:
            self._room.clear()

    # --- what is decided ---

    def hear(self, words: Hear | Forget) -> None:
        """Take the words of the turn so far, or forget them."""
        self._put(words)

    def begin(self, text: str) -> None:
        """Begin a preemptive reply."""
        self.newest = self._speaker.begin()
        self._put(BeginPreemptive(self.newest, text, self._speaker.language))

    def retract(self) -> None:
        """Drop the preemptive reply."""
        if self.newest is not None:
            self._speaker.cancel(self.newest)
            self._put(ReplyRetracted(self.newest))

    def cut(self, *, resumed: bool = False) -> None:
        """Stop the reply that is being heard; `resumed`: its turn goes on."""
        reply = self.newest
        if reply is None or reply.cancelled:
            return
        text = self._speaker.cancel(reply)
        self._emit(timeline.Interrupted(text))
        self._put(ReplyCut(reply, text, resumed))
        if self._client is not None:
            self._client.cut(reply)

    def turn_over(self, text: str, spoken_until_s: float, words: Words | None) -> None:
        """Authorise the reply to a turn that ended at that second; a client asks for it by itself."""
        self._spoken_until_s = spoken_until_s
        if self._client is not None:
            self._turns.replied()
        elif self.newest is not None:
            # Now, and not when the reasoner has time for it.
            self._playback.expect(self.newest, spoken_until_s)
            self._put(TurnClosed(self.newest, text, spoken_until_s, words))

    def look(self, lead_s: float) -> None:
        """Look whether the newest reply has been heard to its end, or a note is due; `lead_s` is left to hear."""
        self._reasoner.playing(lead_s)
        reply = self.newest
        if reply is not None and reply.may_be_heard and reply.made and lead_s <= 0:
            self.newest = None
            if not reply.announced:
                self._turns.replied()
                self._put(ReplyHeard(reply))
        if self._prompt and self._work.empty() and self._turns.state == "idle":
            # Nobody spoke after all, which leaves nothing else to do that would look at it.
            self._put(NoteTaken("", unprompted=True))

    # --- what others ask for ---

    def note(self, text: str, *, unprompted: bool = False) -> None:
        """Tell the reasoner something from outside; `unprompted`: reply to it as soon as nobody has the turn."""
        self._put(NoteTaken(text, unprompted))

    def get_ready(self, *, anew: bool = False) -> None:
        """Have the reasoner read what replies begin with, before anybody speaks.

        anew: nothing of it stands any more, so that what is being read is given up.
        """
        if anew and self._opening is not None:
            self._opening.cancel()
        self._openings += 1
        self._put(GetReady())

    def announce(self, text: str) -> None:
        """Say these very words, after what is being said."""
        if self._saved is not None:
            self._saved.append(text)
            return
        if self.newest is None or self.newest.cancelled:
            self.newest = self._speaker.begin()
            self.newest.announced = True
            self._speaker.authorise(self.newest)
        self._speaker.say(self.newest, text)

    def respond(self, request: ReplyRequest, client_id: str) -> None:
        """Give a reply that a client asks for: the preemptive one, if it answers just that."""
        self._turns.requested()
        self._wanted.add(client_id)
        reply = self.newest
        if reply is None or reply.cancelled or reply.authorised.is_set() or reply.request not in (None, request):
            reply = self.newest = self._speaker.begin()
        reply.request, reply.client_id = request, client_id
        # Now, and not when the reasoner has time for it.
        self._playback.expect(reply, self._spoken_until_s)
        self._spoken_until_s = None
        self._put(ReplyRequested(request, client_id))

    def cancel(self, client_id: str) -> None:
        """Cancel a reply that a client asked for; what the user is saying stays a turn."""
        reply = self.newest
        if client_id in self._wanted:
            self._wanted.discard(client_id)
            if reply is not None and reply.client_id == client_id:
                self.retract()
            self._turns.replied()
        elif reply is not None and reply.client_id == client_id and not reply.cancelled:
            self._turns.replied()
            self.cut()

    def truncated(self) -> None:
        """Learn that the client plays no more of the newest reply."""
        if self.newest is not None and self.newest.may_be_heard and self.newest.made:
            self._turns.replied()
            self.cut()

    def aside(self, request: ReplyRequest, client_id: str) -> Reply:
        """Give a handle for a reply beside the conversation, which `make` makes."""
        reply = self._speaker.aside()
        reply.request, reply.client_id = request, client_id
        self._speaker.authorise(reply)
        return reply

    # --- what the reasoner is told, in order ---

    async def _do(self, work: Work) -> None:
        match work:
            case BeginPreemptive(reply, text, language):
                await self._begin_preemptive(reply, self._whole(text), language)
            case TurnClosed():
                await self._end_turn(work)
            case ReplyRetracted() | ReplyCut() | ReplyHeard():
                await self._settle(work)
            case Hear(text) if not self._standing:
                await self._stop_answering()
                await self._reasoner.hear(self._whole(text))
            case Forget():
                await self._reasoner.hear(self._unanswered)
            case NoteTaken(text, unprompted):
                await self._note(text, unprompted=unprompted)
            case ReplyRequested(request, client_id):
                await self._give(request, client_id)
            case GetReady():
                await self._get_ready()
            case _:
                # What is said over a reply that nothing interrupts waits until its turn is whole.
                pass

    async def _get_ready(self) -> None:
        self._openings -= 1
        if self._openings or self._answering is not None:
            return
        self._opening = self._group.create_task(self._open(), name="opening")
        await asyncio.wait([self._opening])
        self._opening = None

    async def _open(self) -> None:
        # What cannot be taken in is told by the reply that needs it.
        with suppress(ReasoningError):
            await self._reasoner.open()

    async def _settle(self, work: ReplyRetracted | ReplyCut | ReplyHeard) -> None:
        """Tell the reasoner what became of a reply."""
        reply = work.reply
        match work:
            case ReplyRetracted() if self._answering is reply:
                await self._stop_answering()
                await self._reasoner.take_back()
            case ReplyCut():
                await self._cut_short(work)
            case ReplyHeard():
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

    async def _begin_preemptive(self, reply: Reply, text: str, language: Language) -> None:
        if self._standing:
            self._speaker.cancel(reply)
            return
        await self._stop_answering()
        self._reasoner.speak(language)
        if reply.client_id:
            # The client has asked for it already: it begins when that is its turn.
            return
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
            case loop.StateChanged(state):
                self._playback.writing(reply, writes=state in {"writing", "thinking_and_writing"})
            case loop.ReplyText(text):
                self._playback.written(reply)
                self._speaker.say(reply, text)
            case loop.Unsaid(text):
                if self._speaker.unsay(reply, text):
                    self._speaker.say(reply, reply.language.replies.repair)
            case loop.ToolCall():
                reply.calls.append(event)
                self._make_calls(reply)
            case loop.TurnDone():
                reply.done = event
            case _:
                pass

    async def _end_turn(self, ended: TurnClosed) -> None:
        reply = ended.reply
        self.answered += 1
        self._asked = self._whole(ended.text)
        self._emit(timeline.TurnEnded(self._asked))
        meant, answers = self._meant(ended.words)
        if meant is None and self._turns.interrupt():
            self.cut()
        for answer in answers:
            self.announce(answer)
        if meant is None or reply.cancelled:
            return
        if meant != self._asked:
            self._asked = meant
            self._speaker.cancel(reply)
            self._playback.hand_over(reply, other := self._speaker.begin())
            reply = self.newest = other
            await self._stop_answering()
            await self._reasoner.take_back()
            self._begin(reply, ReplyRequest(meant))
        self._authorise(reply)

    def _meant(self, words: Words | None) -> tuple[str | None, list[str]]:
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
        self.newest = self._speaker.begin()
        self._begin(self.newest, ReplyRequest(""))
        self._playback.expect(self.newest, None)
        self._authorise(self.newest)

    async def _give(self, request: ReplyRequest, client_id: str) -> None:
        """Give the reply that a client asks for, if it still does."""
        if client_id not in self._wanted:
            return
        self._wanted.discard(client_id)
        reply = self.newest
        if reply is None or reply.client_id != client_id or reply.cancelled:
            # It was cut already, by words that came while this waited.
            return
        if reply is not self._answering:
            await self._stop_answering()
            self._begin(reply, request)
        self._authorise(reply)

    def _authorise(self, reply: Reply) -> None:
        if reply.cancelled:
            # It was cut already, by words that came while this waited.
            return
        self._speaker.authorise(reply)
        self._make_calls(reply)

    def _make_calls(self, reply: Reply) -> None:
        while reply.may_be_heard and reply.calls:
            call = reply.calls.pop(0)
            if self._client is None:
                self._on_call(call)
            else:
                self._client.called(reply, call)

    async def _cut_short(self, cut: ReplyCut) -> None:
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
