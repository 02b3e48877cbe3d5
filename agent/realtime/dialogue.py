"""One connection's conversation: carries out what the protocol commands, and tells it what happens.

    events -> Protocol -> Hearing -> (words) -> Mind -> Mouth -> Protocol -> events

By voice activity the reply is begun at the first pause, as a wager, and held back until the turn is over; the
response that then begins takes it over. Knows no socket.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from agent.conversation.options import TurnOptions
from agent.conversation.turn_taking import Answer, Conversation, HardStop, Hear, HoldOpen, Interrupt, Release, TakeBack
from agent.realtime.hearing import Decoded, Heard, Hearing, Partial
from agent.realtime.mind import Brains, Mind
from agent.realtime.mouth import Mouth, Piece
from agent.realtime.protocol import messages
from agent.realtime.protocol.fields import ServerVad
from agent.realtime.robot import Garage, Rider
from agent.realtime.sound import Outgoing
from audio.clock import RATE
from audio.errors import AudioError
from audio.hearing.vad import VoiceActivity
from audio.messages import HardEnd, SpeechStarted, Words
from reasoning import events as thinking
from reasoning.errors import ReasoningError
from reasoning.policies.consistency import REPAIR
from reasoning.policies.fillers import FillerClock

if TYPE_CHECKING:
    from agent.conversation.turn_taking import Action
    from agent.realtime.hearing import SharedDecoder
    from agent.realtime.protocol.fields import AudioFormat
    from agent.realtime.protocol.messages import Command, ResponseSpec
    from agent.realtime.protocol.protocol import Protocol
    from audio.messages import Clip
    from audio.options import EarsOptions, VoiceOptions
    from audio.speaking.synthesizer import Synthesizer

_TICK_S: Final = 0.05
_JOBS: Final = 512
"""Work that may wait; a client that asks for more is made to wait itself."""


@dataclass(frozen=True, slots=True)
class House:
    """What all connections share: models that are loaded and warm."""

    brains: Brains
    decoder: SharedDecoder
    synthesizer: Synthesizer
    holds: tuple[Clip, ...]
    """Fillers, spoken in advance."""
    ears: EarsOptions
    voice: VoiceOptions
    activity: Callable[[EarsOptions], VoiceActivity] = VoiceActivity
    """Makes what finds speech, for each connection one."""
    garage: Garage | None = None
    """The robot that a client may command."""


@dataclass(slots=True)
class _Reply:
    """A reply in the making."""

    brief: ResponseSpec
    mouth: Mouth
    mind: Mind
    format: AudioFormat | None
    """Of its sound; None: it is written."""
    response_id: str | None = None
    """None: a wager, which nobody hears."""
    calls: list[thinking.ToolCall] = field(default_factory=list)
    usage: messages.Usage = field(default_factory=messages.Usage)
    spent: bool = False
    """Its tokens ran out."""
    direct: bool = False
    fillers: FillerClock | None = None
    task: asyncio.Task[None] | None = None
    words: str | None = None
    """What it says as it stands, past any model."""


@dataclass(frozen=True, slots=True)
class _Stopped:
    response_id: str


_Job = Hear | Answer | TakeBack | messages.Respond | messages.Note | _Stopped


class Dialogue:
    """`run` it in a task; `receive` what the client sends. `send` takes server events."""

    def __init__(
        self,
        house: House,
        protocol: Protocol,
        send: Callable[[Mapping[str, Any]], None],
        clock: Callable[[], float],
    ) -> None:
        self._house, self._protocol, self._send, self._clock = house, protocol, send, clock
        self._rider = None if house.garage is None else Rider(house.garage, self._inject, self._show_robot)
        names = "" if self._rider is None else self._rider.names
        self._hearing = Hearing(house.decoder, house.ears, self._heard, house.activity, names)
        self._mind = Mind(house.brains, self._thought, clock, self._rider)
        self._conversation = Conversation(replace(TurnOptions(), hush=False))
        self._jobs: asyncio.Queue[_Job] = asyncio.Queue()
        self._room = asyncio.Event()
        self._reply: _Reply | None = None
        self._aside: dict[str, asyncio.Task[None]] = {}
        """Responses out of band."""
        self._words = ""
        self._unsaid: SpeechStarted | None = None
        """A voice over the reply that may be no more than a cough."""
        self._sounding_until = 0.0

    @property
    def busy(self) -> bool:
        """Whether a response is being made."""
        return self._protocol.responding

    async def run(self, ready: asyncio.Event) -> None:
        """Live until cancelled; sets `ready` once the client may be greeted."""
        async with self._hearing, self._mind, asyncio.TaskGroup() as self._group:
            await self._hearing.configure(self._protocol.session)
            await self._mind.ready(self._protocol.brief())
            self._room.set()
            ready.set()
            for command in self._protocol.open():
                self._do(command)
            self._group.create_task(self._tick(), name="clock")
            try:
                while True:
                    await self._work(await self._jobs.get())
                    if self._jobs.qsize() < _JOBS:
                        self._room.set()
            finally:
                if self._rider is not None:
                    self._rider.close()
                await self._stop_reply()

    async def receive(self, event: object) -> None:
        """Take an event of the client; waits while there is too much to do."""
        if self._jobs.qsize() >= _JOBS:
            self._room.clear()
        await self._room.wait()
        for command in self._protocol.receive(event, self._clock()):
            match command:
                case messages.FeedAudio(sound):
                    await self._hearing.feed(sound)
                case messages.EndTurn(item_id):
                    await self._hearing.end_turn(item_id)
                    self._conversation = Conversation(self._conversation.options)
                case messages.ForgetInput():
                    await self._hearing.forget()
                    self._conversation = Conversation(self._conversation.options)
                    self._jobs.put_nowait(TakeBack())
                case messages.Transcribe(item_id, sound):
                    await self._hearing.transcribe(item_id, sound)
                case messages.Configure(session):
                    await self._hearing.configure(session)
                case _:
                    self._do(command)

    def _happened(self, happening: messages.Happening) -> None:
        for command in self._protocol.told(happening, self._clock()):
            self._do(command)

    def _inject(self, event: Mapping[str, Any]) -> None:
        """Do as if the client had sent this."""
        for command in self._protocol.receive(event, self._clock()):
            self._do(command)

    def _show_robot(self, text: str) -> None:
        self._happened(messages.Aside("robot", text))

    def _do(self, command: Command) -> None:
        match command:
            case messages.SendEvent(event):
                self._send(event)
            case messages.Respond() | messages.Note():
                self._jobs.put_nowait(command)
            case messages.Stop(response_id):
                # What was synthesised in vain is dropped at once; the loop follows in its turn.
                if self._reply is not None and self._reply.response_id == response_id and self._reply.task is not None:
                    self._reply.task.cancel()
                self._jobs.put_nowait(_Stopped(response_id))
            case _:
                raise AssertionError(f"{command} is carried out by receive")

    # --- what is heard ---

    def _heard(self, event: Heard) -> None:
        match event:
            case Decoded(item_id, text, seconds) if text is not None:
                self._happened(messages.Transcribed(item_id, text, seconds))
            case Decoded(item_id):
                self._happened(messages.Untranscribed(item_id, "The audio could not be transcribed."))
            case Partial(text):
                self._jobs.put_nowait(Hear(text))
            case _:
                self._turn(event)

    def _turn(self, event: Any) -> None:  # noqa: ANN401 - an EarsEvent
        """Let an event of the ears take its part in the turn."""
        conversation, now_s = self._conversation, self._clock()
        if isinstance(event, Words):
            self._words = event.committed.strip()
            self._happened(messages.Understood(self._words))
        if isinstance(event, SpeechStarted):
            self._words = ""
            self._began(event)
        actions = conversation.receive(event, now_s)
        for action in actions:
            self._act(action)
        if isinstance(event, HardEnd):
            unsaid, self._unsaid = self._unsaid, None
            if unsaid is None:
                # Words that do not want the turn (a stop phrase) are no question either.
                self._happened(messages.SpeechEnded(self._ms(event.last_sample), self._words))
            conversation.state = "answering" if self._protocol.responding else conversation.state

    def _began(self, event: SpeechStarted) -> None:
        over_reply = self._conversation.state == "answering"
        if over_reply and not isinstance(self._protocol.detection, ServerVad):
            self._unsaid = event
            return
        self._conversation.interrupt()
        self._happened(messages.UserSpeechStarted(self._ms(event.start)))

    def _act(self, action: Action) -> None:
        if isinstance(action, Hear | Answer | Interrupt | HardStop) and self._unsaid is not None:
            # There are words that want the turn; the reply they were said over may have ended meanwhile.
            unsaid, self._unsaid = self._unsaid, None
            self._happened(messages.UserSpeechStarted(self._ms(unsaid.start)))
        match action:
            case HardStop(phrase) if self._rider is not None:
                self._rider.stop(phrase)
            case Hear() | TakeBack():
                self._jobs.put_nowait(action)
            case Answer():
                if self._creates_response:
                    self._jobs.put_nowait(action)
                else:
                    self._jobs.put_nowait(Hear(action.text))
            case HoldOpen(ending, complete):
                self._hearing.hold_open(self._hearing.options.end_ms(ending, complete))
            case Release(_, last_sample):
                # The user waits from the end of their last word, not from when the turn was found to be over.
                self._sounding_until = self._clock() - self._hearing.since_s(last_sample)
            case _:
                pass

    @property
    def _creates_response(self) -> bool:
        detection = self._protocol.detection
        return detection is not None and detection.create_response and not self._protocol.responding

    def _ms(self, sample: int) -> int:
        return round((self._hearing.offset + sample) * 1000 / RATE)

    # --- what is thought ---

    async def _work(self, job: _Job) -> None:
        match job:
            case Hear() | Answer() | TakeBack():
                if self._reply is None or self._reply.response_id is None:
                    await self._wager(job)
            case messages.Note(text):
                if self._reply is not None and self._reply.response_id is not None:
                    with suppress(ReasoningError):
                        await self._mind.note(text)
            case _Stopped(response_id):
                if self._reply is not None and self._reply.response_id == response_id:
                    await self._stop_reply()
                elif aside := self._aside.get(response_id):
                    aside.cancel()
            case messages.Respond():
                await self._respond(job)

    async def _wager(self, job: Hear | Answer | TakeBack) -> None:
        """Take in what is being said, and begin the reply that may be wanted."""
        await self._stop_reply()
        match job:
            case Hear(text):
                # What cannot be taken in (the context is full) is told by the response that needs it.
                with suppress(ReasoningError):
                    await self._mind.hear(self._spoken(text))
            case Answer(text):
                session = self._protocol.session
                spoken = session.output_modalities == ["audio"]
                self._begin(self._spoken(text), session.audio.output.format if spoken else None)

    def _spoken(self, text: str) -> ResponseSpec:
        """Put what is being said behind what was written."""
        brief = self._protocol.brief()
        return replace(brief, text=f"{brief.text}\n{text}".strip(), said=text.strip())

    async def _respond(self, respond: messages.Respond) -> None:
        if not respond.in_band:
            task = self._group.create_task(self._respond_aside(respond), name="response out of band")
            self._aside[respond.response_id] = task
            task.add_done_callback(lambda _: self._aside.pop(respond.response_id, None))
            return
        words = None
        if self._rider is not None:
            text = self._rider.heard(respond.brief)
            words = self._rider.words() or ("" if text is None else None)
            respond = replace(respond, brief=replace(respond.brief, text=text or respond.brief.text))
        if words is not None:
            await self._stop_reply()
            self._release(self._begin(respond.brief, respond.format if respond.spoken else None, words), respond)
            return
        reply = self._reply
        wagered = reply is not None and reply.response_id is None and reply.brief == respond.brief
        if reply is None or not wagered or reply.format != (respond.format if respond.spoken else None):
            await self._stop_reply()
            reply = self._begin(respond.brief, respond.format if respond.spoken else None)
        self._release(reply, respond)

    def _release(self, reply: _Reply, respond: messages.Respond) -> None:
        reply.response_id = respond.response_id
        if respond.spoken and self._house.brains.options.mode == "async" and respond.in_band:
            reply.fillers = FillerClock(self._house.brains.options, self._sounding_until or self._clock())
        self._sounding_until = 0.0
        if respond.in_band and self._protocol.detection is not None:
            self._conversation.state = "answering"
        for call in reply.calls:
            self._call(reply, call)
        reply.mouth.open()

    def _begin(self, brief: ResponseSpec, form: AudioFormat | None, words: str | None = None) -> _Reply:
        reply = self._new_reply(brief, self._mind, form)
        reply.words = words
        self._reply = reply
        reply.task = self._group.create_task(self._make(reply), name="reply")
        return reply

    def _new_reply(self, brief: ResponseSpec, mind: Mind, form: AudioFormat | None) -> _Reply:
        synthesizer = self._house.synthesizer
        outgoing = None if form is None else Outgoing(form, synthesizer.rate)

        def out(piece: Piece) -> None:
            if reply.response_id is None:
                return
            sound, samples = b"", 0
            if outgoing is not None and piece.clip is not None:
                sound = outgoing.convert(piece.clip.samples)
                samples = len(sound) // outgoing.sample_bytes
            self._happened(messages.Said(reply.response_id, piece.text, sound, samples, piece.kind))
            if reply.fillers is not None and piece.clip is not None:
                reply.fillers.sounding_until(reply.mouth.playing.end_s)

        mouth = Mouth(None if form is None else synthesizer.synthesize, self._house.voice, out, self._clock)
        reply = _Reply(brief, mouth, mind, form)
        return reply

    async def _make(self, reply: _Reply) -> None:
        """Make a reply from its brief to its last sound; it ends with the response, or is cancelled."""
        speaking = None
        try:
            if reply.mouth.speaks:
                speaking = asyncio.create_task(reply.mouth.run(), name="voice")
            if reply.words is None:
                await reply.mind.answer(reply.brief)
            elif reply.words:
                reply.mouth.say(reply.words)
            await reply.mouth.finish()
            if reply.response_id is not None:
                usage = replace(reply.usage, read=reply.mind.tokens(reply.brief))
                incomplete: Any = "max_output_tokens" if reply.spent else None
                unanswered = reply.mind.notes_waiting
                self._happened(messages.Finished(reply.response_id, usage, incomplete, unanswered))
        except (ReasoningError, AudioError) as error:
            await reply.mouth.opened.wait()
            if reply.response_id is not None:
                self._happened(messages.ResponseFailed(reply.response_id, str(error)))
        finally:
            if speaking is not None:
                speaking.cancel()

    async def _respond_aside(self, respond: messages.Respond) -> None:
        async with Mind(self._house.brains, lambda event: self._take(reply, event), self._clock) as own:
            reply = self._new_reply(respond.brief, own, respond.format if respond.spoken else None)
            self._release(reply, respond)
            await self._make(reply)

    async def _stop_reply(self) -> None:
        reply, self._reply = self._reply, None
        if reply is not None and reply.task is not None and not reply.task.done():
            reply.task.cancel()
            # Not `await reply.task`: its cancellation could not be told from that of this task.
            await asyncio.wait([reply.task])

    def _thought(self, event: thinking.LoopEvent) -> None:
        """Take an event of the loop that belongs to the conversation."""
        if isinstance(event, thinking.Thought):
            self._happened(messages.Aside("thoughts", event.text))
        if self._reply is not None:
            self._take(self._reply, event)

    def _take(self, reply: _Reply, event: thinking.LoopEvent) -> None:
        match event:
            case thinking.ReplyText(text):
                reply.mouth.say(text)
            case thinking.Unsaid():
                # A client has the text already, and may have played it.
                reply.mouth.say(REPAIR)
            case thinking.ToolCall():
                if reply.response_id is None:
                    reply.calls.append(event)
                else:
                    self._call(reply, event)
            case thinking.Probe(question=thinking.NEED, decision=decision):
                reply.direct = not decision
            case thinking.TurnDone(tokens=tokens):
                reply.usage = messages.Usage(written=sum(tokens.get(name, 0) for name in ("writer", "thinker")))
                most = reply.brief.max_output_tokens
                reply.spent = most is not None and tokens.get("writer", 0) >= most

    def _call(self, reply: _Reply, call: thinking.ToolCall) -> None:
        assert reply.response_id is not None  # noqa: S101 - calls of a wager wait
        if self._rider is not None and self._rider.takes(call):
            return
        arguments = json.dumps(dict(call.arguments), ensure_ascii=False)
        self._happened(messages.FunctionCalled(reply.response_id, f"call_{call.id}", call.name, arguments))

    # --- time ---

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            reply, now_s = self._reply, self._clock()
            if self._rider is not None and not (self._protocol.responding or self._protocol.hearing):
                self._rider.go_on()
            if reply is None:
                continue
            lead_s = reply.mouth.lead_s
            waiting = reply.mouth.playing.end_s or (reply.fillers.waiting_since if reply.fillers else now_s)
            self._mind.playing(lead_s if lead_s > 0 else min(0.0, waiting - now_s))
            running = reply.task is not None and not reply.task.done()
            if running and lead_s <= 0 and reply.fillers is not None:
                phrase = reply.fillers.due(now_s, begun=reply.mouth.begun, direct=reply.direct)
                if phrase is not None:
                    reply.mouth.hold(next(clip for clip in self._house.holds if clip.text == phrase))
            if not running and lead_s <= 0:
                self._conversation.replied()
