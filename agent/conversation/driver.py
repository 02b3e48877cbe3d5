"""The conversation: ears, reasoner, voice and sink wired together in one TaskGroup; nothing outlives it.

    frames -> Recognition -> TurnTaking -> ReplyMaker -> Speaker -> Sink
                             timeline <- everything that happens

Two directions with one clock: `hear` takes input and may wait; `play` lets time pass for the listener and never does.
What must be quick - pausing, silencing, a hard stop - is done the moment it is decided; what the reasoner must do about
it waits in a queue, in order. Each reply has one handle (`Reply`), which everything that concerns it carries.
Knows the order of things; does not know where frames come from or where sound goes.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from agent.conversation import timeline
from agent.conversation.playback import Playback
from agent.conversation.ports import nobody_gives_way
from agent.conversation.replies import ReplyMaker
from agent.conversation.speaker import Speaker
from agent.conversation.turn_taking import (
    Answer,
    Authorize,
    EndTurnAfter,
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
from audio.hearing.turn_end import wait_ms
from languages.english import ENGLISH

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Sequence

    from agent.conversation.options import TurnOptions
    from agent.conversation.ports import GiveWay, Reasoner, Recognition, RemoteClient, Sink, Synthesis
    from agent.conversation.reply import Reply, ReplyRequest
    from agent.conversation.turn_taking import Action, InterruptedBy
    from audio.clock import Pcm, Sound
    from audio.messages import Clip
    from audio.options import VoiceOptions
    from languages.language import Language
    from reasoning.events import ToolCall
    from reasoning.options import LoopOptions


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
        languages: Sequence[Language] = (ENGLISH,),
        voice_options: VoiceOptions,
        emit: Callable[[timeline.Event], None],
        turns: TurnOptions | None = None,
        on_stop: Callable[[str], None] | None = None,
        on_call: Callable[[ToolCall], None] | None = None,
        on_turn: Callable[[heard.Words], str | None] | None = None,
        on_language: Callable[[Language], None] | None = None,
        client: RemoteClient | None = None,
        pending: Callable[[], bool] = lambda: False,
        slowdown: Callable[[], float] = lambda: 1.0,
        give_way: GiveWay = nobody_gives_way,
    ) -> None:
        """Wire the parts.

        fillers: spoken in advance (none: wait in silence).
        languages: those that may be spoken; the first is until words are heard in another one.
        on_stop: told each stop phrase, at once and whoever has the turn. Must not block.
        on_call: told each call that the reply asks for, once the user's turn is over. Must not block.
        on_turn: told each whole turn before its calls; gives what is to be answered, which may be put otherwise. None:
            it was meant for somebody else, and no reply is heard.
        on_language: told what is spoken from now on, before the words that are in it.
        client: owns the conversation in place of this driver, asks for replies and is told of them; the end of a turn
            asks for none then, and `on_call` and `on_turn` are not used.
        pending: whether something goes on outside whose outcome will be noted, such as a call.
        slowdown: how many times as long as usual replies take, for the machine is busy.
        give_way: asked for the processor when the listener waits for the voice.
        """
        self._ears, self._reasoner, self._emit = ears, reasoner, emit
        self._client, self._pending = client, pending
        self._on_stop = on_stop or _ignore
        self._always_stoppable = on_stop is not None
        # What a remote client has already, it plays: there a voice over the reply pauses nothing.
        self._turns = TurnTaking(turns, can_pause=sink.revocable)
        self._speaker = Speaker(voice, sink, voice_options, give_way)
        self._playback = Playback(
            self._speaker, self._turns, fillers, options, emit, slowdown=slowdown, want=self._learn_phrase
        )
        self._replies = ReplyMaker(
            reasoner,
            self._speaker,
            self._playback,
            self._turns,
            emit=emit,
            on_call=on_call or _ignore,
            on_turn=on_turn,
            client=client,
        )
        self._languages = {language.code: language for language in languages}
        self._on_language, self._filled = on_language or _ignore, bool(fillers)
        self._voice, self._learned = voice, {languages[0].code}
        """Languages whose fillers are spoken, or are being."""
        self._wanted: set[str] = set()
        """Phrases for waits that are being spoken in advance, or that this voice could not speak."""
        self._learning: set[asyncio.Task[None]] = set()
        self.language: Language = ENGLISH
        """What is spoken."""
        if languages[0] is not ENGLISH:
            self._speak(languages[0])
        self._heard_s = 0.0
        """Second at which the newest frame of input was complete."""

    @property
    def turns(self) -> int:
        """Turns of the user that asked for a reply."""
        return self._replies.answered

    @property
    def idle(self) -> bool:
        """Whether nobody has the turn and nothing is left to say or do."""
        done = self._replies.idle and not self._pending()
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
        async with asyncio.TaskGroup() as group:
            helpers = [
                group.create_task(self._speaker.run(), name="voice"),
                group.create_task(self._listen(), name="ears"),
            ]
            await self._replies.run(group)
            for task in [*helpers, *self._learning]:
                task.cancel()

    # --- two directions, one clock ---

    async def hear(self, frame: Sound, now_s: float) -> None:
        """Take one frame of input, which was complete at that second; waits while the ears are behind."""
        self._heard_s = now_s
        self._ears.listen_for_stops(self._always_stoppable or self.answering, self._receive)
        await self._ears.receive(frame)

    def play(self, to_sample: int, now_s: float) -> Pcm:
        """Let time pass: give what the listener hears up to `to_sample` of the sink's axis. Never waits."""
        sound = self._playback.advance(to_sample, now_s, self._replies.newest)
        if self._replies.newest is not None:
            self._playback.fill(self._replies.newest)
        self._replies.look(self._playback.lead_s)
        self._decide(self._turns.tick(now_s))
        return sound

    # --- what others ask for ---

    async def room(self) -> None:
        """Wait while too much is left to do."""
        await self._replies.room()

    async def note(self, text: str, *, unprompted: bool = False) -> None:
        """Tell the reasoner something from outside: a robot's event, a tool's result.

        unprompted: reply to it as soon as nobody has the turn; else it waits for the user's next turn.
        """
        await self._replies.room()
        self._replies.note(text, unprompted=unprompted)

    def get_ready(self, *, anew: bool = False) -> None:
        """Compute what can be before anybody speaks; `anew`: nothing stands of what replies began with until now."""
        self._replies.get_ready(anew=anew)

    def tell(self, text: str) -> None:
        """Tell the reasoner something for the reply that is being made."""
        self._replies.note(text)

    def announce(self, text: str) -> None:
        """Say these very words, after what is being said: they pass through no model, which is told by `note`."""
        self._replies.announce(text)

    def interrupt(self) -> None:
        """Cut the reply: somebody pressed a key."""
        self._decide(self._turns.interrupt())

    def respond(self, request: ReplyRequest, client_id: str) -> None:
        """Give a reply that a client asks for: the preemptive one, if it answers just that."""
        self._replies.respond(request, client_id)

    def cancel(self, client_id: str) -> None:
        """Cancel a reply that a client asked for; what the user is saying stays a turn."""
        self._replies.cancel(client_id)

    def truncated(self) -> None:
        """Learn that the client plays no more of the newest reply."""
        self._replies.truncated()

    def aside(self, request: ReplyRequest, client_id: str) -> Reply:
        """Give a handle for a reply beside the conversation, which `make` makes."""
        return self._replies.aside(request, client_id)

    async def make(self, reply: Reply, reasoner: Reasoner) -> None:
        """Make a reply beside the conversation."""
        await self._replies.make(reply, reasoner)

    def overhear(self, text: str) -> None:
        """Take words of a turn that is ended by hand."""
        self._replies.hear(Hear(text))

    def drop_turn(self) -> None:
        """Forget what is being said."""
        self._decide(self._turns.drop_turn())

    def interrupted_by(self, what: InterruptedBy) -> None:
        """Say what over a reply interrupts it from now on."""
        self._turns.interrupted_by = what

    def fill_with(self, fillers: Sequence[Clip]) -> None:
        """Take other clips for the fillers, spoken by another voice; none: each is spoken when it is wanted."""
        self._wanted.clear()
        self._playback.fill_with(fillers)

    # --- what is decided, and what is done at once ---

    async def _listen(self) -> None:
        async for event in self._ears.events():
            self._report(event)
            self._receive(event)
            await self._replies.room()
        self._replies.end()

    def _receive(self, event: heard.EarsEvent | heard.ToldAhead) -> None:
        """Take an event of the ears; some come here ahead of transcripts that are still being made."""
        if isinstance(event, heard.Words):
            self._follow(event)
        actions = self._turns.receive(event, max(self._playback.now_s, self._heard_s))
        self._decide(actions)
        if self._client is not None:
            self._client.heard(event, actions)

    def _follow(self, words: heard.Words) -> None:
        """Go on in the language that words are in."""
        language = self._languages.get(words.language)
        if language is None or language is self.language:
            return
        self._speak(language)
        if self._filled and language.code not in self._learned:
            self._learned.add(language.code)
            self._learn(self._learn_fillers(language), f"fillers {language.code}")

    def _speak(self, language: Language) -> None:
        self.language = self._speaker.language = language
        self._turns.speak(language)
        self._playback.speak(language)
        self._on_language(language)

    async def _learn_fillers(self, language: Language) -> None:
        """Speak in advance what fills a wait; until then waits are silent."""
        self._playback.learn([await self._voice.synthesize(phrase, language) for phrase in language.replies.fillers])

    def _learn_phrase(self, text: str) -> None:
        """Speak a phrase in advance, which is to fill a wait soon."""
        if text not in self._wanted:
            self._wanted.add(text)
            self._learn(self._speak_phrase(text, self.language), "phrase")

    async def _speak_phrase(self, text: str, language: Language) -> None:
        clip = await self._voice.synthesize(text, language)
        # By the text that was asked for: a voice may give another spelling of it.
        self._playback.learn([replace(clip, text=text)])
        self._wanted.discard(text)

    def _learn(self, work: Coroutine[None, None, None], name: str) -> None:
        task = asyncio.create_task(self._learnt(work), name=name)
        self._learning.add(task)
        task.add_done_callback(self._learning.discard)

    async def _learnt(self, work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except AudioError as error:
            # No reason to end a conversation: a reply that cannot be spoken does, and says so itself.
            self._emit(timeline.Failed(f"a phrase that fills waits cannot be spoken ({error}); those waits are silent"))

    def _decide(self, actions: Iterable[Action]) -> None:
        """Do what must be quick; leave the rest to the queue."""
        for action in actions:
            match action:
                case Pause() | Resume() | HardStop() | Interrupt():
                    self._at_once(action)
                case Answer(text):
                    self._replies.begin(text)
                case Retract():
                    self._replies.retract()
                case Authorize(text, last_sample, words):
                    # Counted back from the newest frame: an input clock may begin anew, and sound come at any pace.
                    until_s = self._heard_s - (self._ears.now - last_sample) / RATE
                    self._replies.turn_over(text, until_s, words)
                case EndTurnAfter(ending, so_far):
                    self._ears.end_turn_after(wait_ms(ending, so_far, self._ears.options))
                case LongSilence(seconds):
                    self._silent(f"[The user has been silent for {seconds:.0f} seconds.]")
                case Hear() | Forget():
                    self._replies.hear(action)

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
                self._replies.cut(resumed=resumed)

    def _silent(self, text: str) -> None:
        if self._client is None:
            self._replies.note(text, unprompted=True)
        else:
            self._client.noted(text, unprompted=True)

    def _report(self, event: heard.EarsEvent) -> None:
        match event:
            case heard.SpeechStarted() | heard.SpeechResumed():
                self._emit(timeline.SpeechBegan())
            case heard.Words():
                self._emit(timeline.WordsHeard(event.committed, event.tentative, event.final, event.revision))
            case heard.SoftEnd() | heard.HardEnd():
                self._emit(timeline.SpeechStopped(event.last_sample * 1000 / RATE))


def _ignore(_: object) -> None:
    """Nobody wants to know."""
