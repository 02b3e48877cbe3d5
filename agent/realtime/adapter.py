"""The Realtime protocol on a conversation: its commands become calls of the driver, what happens becomes happenings.

    client events -> Protocol -> RealtimeAdapter -> ConversationDriver -> RemoteSink -> Protocol -> server events

The client owns the conversation: its items are the history, and its protocol decides which replies are made. The driver
finds turns, begins preemptive replies, and speaks; the response that a turn leads to takes the reply over. Knows no
socket.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from agent.conversation.driver import ConversationDriver
from agent.conversation.options import TurnOptions
from agent.conversation.reply import ReplyRequest
from agent.conversation.sinks import RemoteSink
from agent.conversation.turn_taking import Answer, Authorize, HardStop, Hear, Interrupt
from agent.costs.sharing import ServerAccount
from agent.realtime.ahead import AheadOfEvents
from agent.realtime.hearing import ClientEars, Decoded, Partial
from agent.realtime.protocol import messages
from agent.realtime.protocol.fields import InvalidRequest, ServerVad
from agent.realtime.protocol.wire import error
from agent.realtime.reasoner import ReasonerConfig, ResponseDetails, SessionReasoner, begins_of
from agent.realtime.robot import RobotLease, SharedRobot
from agent.realtime.sound import Outgoing
from agent.realtime.voices import SessionVoice, SessionVoices
from audio.clock import RATE
from audio.hearing.stop_phrases import StopPhrases
from audio.hearing.vad import VoiceActivity
from audio.messages import HardEnd, SpeechStarted, Words
from languages.spoken import spoken
from reasoning.events import Thought, TurnDone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.conversation import timeline
    from agent.conversation.reply import Piece, Reply
    from agent.conversation.turn_taking import Action, InterruptedBy
    from agent.realtime.hearing import SharedJudge, SharedRecogniser
    from agent.realtime.protocol.messages import Command, ResponseSpec
    from agent.realtime.protocol.protocol import Protocol
    from audio.clock import Sound
    from audio.messages import Clip, EarsEvent, ToldAhead
    from audio.options import EarsOptions, VoiceOptions
    from audio.speaking.synthesizer import Synthesizer
    from reasoning.events import ToolCall

_TICK_S: Final = 0.05
_OWN_S: Final = 0.3
"""In which a client sends instructions and tools, if it has any: a step that was begun before would hold them up."""
_BREATHER: Final = 4
"""Frames of one append until the other sessions have a turn: some ms of work."""
_BURST: Final = 64
"""Frames of one append that are taken as quickly as can be: two seconds. Of more, half of the time is for others."""
_LONGEST_REST_S: Final = 0.05
_GREETED: Final = 16
"""Events with which a client is greeted until the other sessions have a turn."""


@dataclass(frozen=True, slots=True)
class ServerModels:
    """What all connections share: models that are loaded and warm, and how they are used."""

    reasoning: ReasonerConfig
    recogniser: SharedRecogniser
    synthesizer: Synthesizer
    fillers: tuple[Clip, ...]
    """Spoken in advance; none: replies are waited for in silence."""
    ears: EarsOptions
    voice: VoiceOptions
    turns: TurnOptions = TurnOptions()  # noqa: RUF009 - frozen
    judge: SharedJudge | None = None
    """Judges by ear whether a turn is finished, where a client asks for semantic turns; None: words alone do."""
    activity: Callable[[EarsOptions], VoiceActivity] = VoiceActivity
    """Makes what finds speech, for each connection one."""
    robot: SharedRobot | None = None
    """The robot that a client may command."""
    voices: SessionVoices | None = None
    """The voices that sessions may ask for; None: there is one, under any name."""
    stop_word: Callable[[], Callable[[Sound], float]] | None = None
    """Opens a second ear for stops, if there is one."""
    ahead: AheadOfEvents = field(default_factory=AheadOfEvents)
    """Does the long part of what clients' events ask for."""
    account: ServerAccount = field(default_factory=ServerAccount)
    """Counts what all responses cost."""


class RealtimeAdapter:
    """One client's session. `run` it in a task; `receive` what the client sends. `send` takes server events."""

    def __init__(
        self,
        models: ServerModels,
        protocol: Protocol,
        send: Callable[[Mapping[str, Any]], None],
        clock: Callable[[], float],
    ) -> None:
        self._models, self._protocol, self._send, self._now = models, protocol, send, clock
        self._began_s = clock()
        self._stops = StopPhrases(models.turns.stop_phrases)
        self._robot = None if models.robot is None else RobotLease(models.robot, self, self._show_robot, self._stops)
        self._ears = ClientEars(
            models.recogniser,
            models.ears,
            self._decoded,
            models.activity,
            expected="" if self._robot is None else self._robot.names,
            command=self._stops.command,
            judge=models.judge,
            slowdown=lambda: models.reasoning.engine.slowdown,
            stop_word=models.stop_word,
        )
        self._reasoner = self._new_reasoner(self._emit)
        self._begins = begins_of(protocol.brief())
        """What is read before anybody speaks."""
        self._got_ready = False
        """Whether it was asked for."""
        languages = spoken(models.ears.language, models.ears.languages)
        self._voice = SessionVoice(models.voices, models.synthesizer, models.fillers, languages[0])
        self._driver = ConversationDriver(
            ears=self._ears,
            reasoner=self._reasoner,
            voice=self._voice.spoken,
            sink=RemoteSink(models.synthesizer.rate, self._clock, self._out),
            fillers=models.fillers,
            options=models.reasoning.options,
            voice_options=models.voice,
            emit=self._emit,
            turns=models.turns,
            languages=languages,
            on_language=None if self._robot is None else self._robot.speak,
            on_stop=None if self._robot is None else self._robot.stop,
            client=self,
            slowdown=lambda: models.reasoning.engine.slowdown,
        )
        self._aside: dict[str, asyncio.Task[None]] = {}
        """Responses out of band that are being made, by id."""
        self._beside: dict[str, SessionReasoner] = {}
        """What makes them."""
        self._counted: set[str] = set()
        """Responses that are being made, as the account has them."""
        self._words = ""
        """The user's turn so far; empty between turns."""
        self._untold: SpeechStarted | None = None
        """A voice over the reply that may be no more than a cough: the client is not told of it yet."""
        self._prompt = False
        """Whether a response is due that nobody asked for."""

    def _clock(self) -> float:
        return self._now() - self._began_s

    def _new_reasoner(self, emit: Callable[[timeline.Event], None]) -> SessionReasoner:
        skills = () if self._robot is None else self._robot.tools
        languages = spoken(self._models.ears.language, self._models.ears.languages)
        return SessionReasoner(self._models.reasoning, emit, self._clock, self._spec, skills, language=languages[0])

    @property
    def busy(self) -> bool:
        """Whether a response is being made."""
        return self._protocol.responding

    async def run(self, ready: asyncio.Event) -> None:
        """Live until cancelled; sets `ready` once the client may be greeted."""
        try:
            async with self._ears, asyncio.TaskGroup() as self._group:
                await self._configure()
                for number, command in enumerate(self._protocol.open(), 1):
                    self._do([command])
                    if number % _GREETED == 0:
                        # A conversation that is gone on with may have thousands of items, each told twice.
                        await asyncio.sleep(0)
                ready.set()
                self._group.create_task(self._driver.run(), name="conversation")
                self._group.create_task(self._tick(), name="clock")
                self._group.create_task(self._open(), name="first reading")
        finally:
            self._close_robot()
            for response_id in self._counted:
                self._models.account.end(response_id)
            await self._reasoner.close()

    # --- what the client sends ---

    async def receive(self, event: object) -> None:
        """Take an event of the client; waits while there is too much to do."""
        await self._driver.room()
        event = await self._models.ahead(event)
        for command in self._protocol.receive(event, self._now()):
            match command:
                case messages.FeedAudio(sound):
                    await self._feed(sound)
                case messages.EndTurn(item_id):
                    await self._ears.end_turn(item_id)
                    self._driver.drop_turn()
                case messages.ForgetInput():
                    await self._ears.forget()
                    self._driver.drop_turn()
                case messages.Transcribe(item_id, sound):
                    await self._ears.transcribe(item_id, sound)
                case messages.Configure():
                    self._get_ready()
                    await self._configure()
                case _:
                    self._do([command])

    async def _feed(self, sound: bytes) -> None:
        began_s = self._now()
        for count, frame in enumerate(self._ears.frames(sound)):
            if len(frame):
                await self._driver.hear(frame, self._clock())
            if count % _BREATHER == 0:
                # A long append must not keep the other sessions waiting.
                took_s = self._now() - began_s
                await asyncio.sleep(0 if count < _BURST else min(max(took_s, 0), _LONGEST_REST_S))
                began_s = self._now()

    async def _open(self) -> None:
        """Have read what replies begin with where the client says nothing about it."""
        await asyncio.sleep(_OWN_S)
        if not self._got_ready:
            self._get_ready()

    def _get_ready(self) -> None:
        """Have read what replies begin with from now on, if that is something else than before."""
        before, self._begins = self._begins, begins_of(self._protocol.brief())
        if self._begins != before or not self._got_ready:
            self._got_ready = True
            self._driver.get_ready(anew=self._begins.settings != before.settings)

    async def _configure(self) -> None:
        await self._ears.configure(self._protocol.session)
        self._driver.interrupted_by(self._interrupted_by)
        try:
            await self._voice.choose(self._protocol.session.audio.output, self._driver.fill_with, self._group)
        except InvalidRequest as failed:
            self._do([error(failed, kind="server_error")])

    @property
    def _interrupted_by(self) -> InterruptedBy:
        detection = self._protocol.detection
        if detection is None or not detection.interrupt_response:
            return "nothing"
        # With server_vad any voice that lasts has the turn; with semantic_vad words alone decide, as at the desk.
        return "voice" if isinstance(detection, ServerVad) else "words"

    def _happened(self, happening: messages.Happening) -> None:
        self._do(self._protocol.told(happening, self._now()))

    def _inject(self, event: Mapping[str, Any]) -> None:
        """Do as if the client had sent this."""
        self._do(self._protocol.receive(event, self._now()))

    def _do(self, commands: Sequence[Command]) -> None:
        for command in commands:
            match command:
                case messages.SendEvent(event):
                    self._count(event)
                    self._send(event)
                case messages.Respond():
                    self._respond(command)
                case messages.Note(text):
                    self._driver.tell(text)
                case messages.Stop(response_id):
                    if (task := self._aside.get(response_id)) is not None:
                        task.cancel()
                    else:
                        self._driver.cancel(response_id)
                case messages.Truncated():
                    self._driver.truncated()
                case _:
                    raise AssertionError(f"{command} is carried out by receive")

    def _count(self, event: Mapping[str, Any]) -> None:
        """Begin and end the responses of which the client is told."""
        if event["type"] == "response.created":
            self._counted.add(event["response"]["id"])
            self._models.account.begin(event["response"]["id"])
        elif event["type"] == "response.done":
            self._counted.discard(event["response"]["id"])
            self._models.account.end(event["response"]["id"])

    def _respond(self, respond: messages.Respond) -> None:
        if not respond.in_band:
            task = self._group.create_task(self._respond_aside(respond), name="response out of band")
            self._aside[respond.response_id] = task
            task.add_done_callback(lambda _: self._aside.pop(respond.response_id, None))
            return
        spec, words = respond.brief, None
        if self._robot is not None:
            text = self._robot.heard(spec)
            words = self._robot.words() or ("" if text is None else None)
            spec = replace(spec, text=text or spec.text)
        self._driver.respond(self._request(replace(respond, brief=spec), words), respond.response_id)

    @staticmethod
    def _request(respond: messages.Respond, words: str | None = None) -> ReplyRequest:
        form = respond.format if respond.spoken else None
        return ReplyRequest(respond.brief.text, respond.spoken, ResponseDetails(respond.brief, form), words)

    async def _respond_aside(self, respond: messages.Respond) -> None:
        reply = self._driver.aside(self._request(respond), respond.response_id)
        reasoner = self._beside[respond.response_id] = self._new_reasoner(self._spent)
        try:
            await self._driver.make(reply, reasoner)
        finally:
            del self._beside[respond.response_id]
            reply.cancelled = True
            await reasoner.close()

    # --- what the driver asks and tells ---

    def heard(self, event: EarsEvent | ToldAhead, actions: Sequence[Action]) -> None:
        """Tell the protocol what was heard."""
        if isinstance(event, SpeechStarted):
            self._words = ""
            self._untold = event
            # Whom nothing interrupts, a client of `server_vad` is told of all the same, as the protocol has it.
            always = self._interrupted_by == "nothing" and isinstance(self._protocol.detection, ServerVad)
            if always or not self._driver.answering:
                self._tell_speech()
        if isinstance(event, Words):
            self._words = event.committed.strip()
        uninterrupted = self._interrupted_by == "nothing" and bool(self._words)
        if uninterrupted or any(isinstance(action, Hear | Answer | Interrupt | HardStop) for action in actions):
            # There are words that want the turn; the reply they were said over may have ended meanwhile.
            self._tell_speech()
        if isinstance(event, Words):
            self._happened(messages.Understood(self._words))
        if isinstance(event, HardEnd):
            self._turn_over(event, actions)

    def _tell_speech(self) -> None:
        untold, self._untold = self._untold, None
        if untold is not None:
            self._happened(messages.UserSpeechStarted(self._ms(untold.start)))

    def _turn_over(self, event: HardEnd, actions: Sequence[Action]) -> None:
        untold, self._untold = self._untold, None
        if untold is not None:
            return
        answered = any(isinstance(action, Authorize) for action in actions)
        # What was said over a reply that nothing interrupts is answered after it, but for a stop phrase.
        wanted = answered or (self._driver.answering and not self._stops.nothing_else(self._words))
        self._happened(messages.SpeechEnded(self._ms(event.last_sample), self._words, wanted))

    def _decoded(self, event: Decoded | Partial) -> None:
        """Take words that were not found by voice activity."""
        match event:
            case Decoded(item_id, text, seconds) if text is not None:
                self._happened(messages.Transcribed(item_id, text, seconds))
            case Decoded(item_id):
                self._happened(messages.Untranscribed(item_id, "The audio could not be transcribed."))
            case Partial(text):
                self._driver.overhear(text)

    def _ms(self, sample: int) -> int:
        return round((self._ears.offset + sample) * 1000 / RATE)

    def _spec(self, text: str) -> ResponseSpec:
        """Put what is being said behind what was written."""
        spec = self._protocol.brief()
        return replace(spec, text=f"{spec.text}\n{text}".strip(), said=text.strip()) if text else spec

    def preemptive(self, text: str) -> ReplyRequest | None:
        """Give the request to which the turn will lead if these words are all of it."""
        detection = self._protocol.detection
        if detection is None or not detection.create_response or self._protocol.responding:
            return None
        session = self._protocol.session
        form = session.audio.output.format if session.output_modalities == ["audio"] else None
        spec = self._spec(text)
        return ReplyRequest(spec.text, form is not None, ResponseDetails(spec, form))

    def called(self, reply: Reply, call: ToolCall) -> None:
        """Have the client make a call, unless it is for the robot."""
        if self._robot is not None and self._robot.takes(call):
            return
        arguments = json.dumps(dict(call.arguments), ensure_ascii=False)
        self._happened(messages.FunctionCalled(reply.client_id, f"call_{call.id}", call.name, arguments))

    def made(self, reply: Reply) -> None:
        """End the response."""
        spec = _details(reply).response
        tokens = {} if reply.done is None else reply.done.tokens
        written = sum(tokens.get(name, 0) for name in ("writer", "thinker"))
        most = spec.max_output_tokens
        spent = most is not None and tokens.get("writer", 0) >= most
        unanswered = not reply.aside and self._reasoner.notes_waiting
        reasoner = self._beside.get(reply.client_id, self._reasoner)
        usage = messages.Usage(reasoner.tokens(spec), written, self._models.account.end(reply.client_id, tokens))
        reason: Any = "max_output_tokens" if spent else None
        self._happened(messages.Finished(reply.client_id, usage, reason, unanswered))

    def failed(self, reply: Reply, error: Exception) -> None:
        """End the response with what went wrong."""
        self._happened(messages.ResponseFailed(reply.client_id, str(error)))

    def cut(self, reply: Reply) -> None:
        """End the response of a reply that was cut by a stop phrase; the protocol knows of all others itself."""
        if reply.client_id:
            # Later, since the speech that cuts it is told first.
            asyncio.get_running_loop().call_soon(self._happened, messages.CutShort(reply.client_id))

    def noted(self, text: str, *, unprompted: bool) -> None:
        """Put something into the conversation that came from neither side."""
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": "system", "content": content}
        self._inject({"type": "conversation.item.create", "item": item})
        self._prompt |= unprompted

    def _emit(self, event: timeline.Event) -> None:
        self._spent(event)
        if isinstance(event, Thought):
            self._happened(messages.Aside("thoughts", event.text))

    def _spent(self, event: timeline.Event) -> None:
        if isinstance(event, TurnDone):
            self._models.account.turn(event.tokens)

    def _show_robot(self, text: str) -> None:
        self._happened(messages.Aside("robot", text))

    def _out(self, reply: Reply, piece: Piece) -> None:
        """Send a piece of a reply to the client."""
        form, sound, samples = _details(reply).format, b"", 0
        if form is not None and piece.clip is not None:
            outgoing = Outgoing(form, piece.clip.rate)
            sound = outgoing.convert(piece.clip.samples)
            samples = len(sound) // outgoing.sample_bytes
        self._happened(messages.Said(reply.client_id, piece.text, sound, samples, piece.kind))

    # --- time ---

    async def _tick(self) -> None:
        try:
            while True:
                await asyncio.sleep(_TICK_S)
                self._driver.play(0, self._clock())
                due = self._prompt or (self._robot is not None and self._robot.announces)
                if due and not (self._protocol.responding or self._protocol.hearing):
                    self._prompt = False
                    self._inject({"type": "response.create"})
        finally:
            # At once: the next client may be waiting for the robot.
            self._close_robot()

    def _close_robot(self) -> None:
        if self._robot is not None:
            self._robot.close()


def _details(reply: Reply) -> ResponseDetails:
    assert reply.request is not None  # noqa: S101 - what goes out was begun
    details = reply.request.spec
    assert isinstance(details, ResponseDetails)  # noqa: S101 - all requests of clients have them
    return details
