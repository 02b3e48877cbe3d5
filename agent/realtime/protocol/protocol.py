"""The server's side of the protocol as a state machine: a client's event or a happening in, commands out.

`Send` commands are server events; the others ask the parts behind for work. Nothing here waits, reads a clock or
knows a socket: time comes in as seconds of a monotonic clock. Invariants, whatever a client sends:

- every `response.created` has exactly one `response.done`, and nothing of a response follows its `done`;
- no sound of an older response follows `speech_started`;
- `previous_item_id` is the item that stands before, null only at the head;
- an event that cannot be carried out is answered by one `error` that echoes its `event_id`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Final

from agent.realtime.protocol import fields, messages
from agent.realtime.protocol.briefs import brief_of, shape_of
from agent.realtime.protocol.fields import InvalidRequest, Json, SessionFields, checked
from agent.realtime.protocol.input_buffer import InputBuffer
from agent.realtime.protocol.items import MOST, Item, Items, brought, told_by
from agent.realtime.protocol.keeping import KeptConversation
from agent.realtime.protocol.messages import Command, Happening, ResponseSpec
from agent.realtime.protocol.pacing import PlayClock
from agent.realtime.protocol.responses import Response
from agent.realtime.protocol.wire import check_tools, error, event_of, events, own_id, sounds_of

EXTENSIONS: Final[frozenset[str]] = frozenset({"thoughts", "robot", "words", "follow-ups"})
_PARALLEL: Final = 2
"""Responses out of band that may run at once."""


class Protocol:
    """One client's session. Feed `open` once, then `receive` and `told`; carry out what they return, in order."""

    def __init__(
        self,
        *,
        model: str,
        voice: str,
        new_id: Callable[[str], str],
        expires_at: int = 0,
        extensions: frozenset[str] = frozenset(),
        session: Mapping[str, Any] | None = None,
        check_voice: Callable[[fields.AudioOutput], None] = lambda _: None,
        conversation_id: str | None = None,
        unresumed: InvalidRequest | None = None,
    ) -> None:
        """Make a session; `session` is what an ephemeral key brings along. Raises Refused.

        check_voice: refuses a voice, or a speed of it, that is not to be had.
        conversation_id: of the conversation; None: it gets a new one.
        unresumed: why this is not the conversation that the client wanted to go on with.
        """
        self._make_id, self._extensions, self._check_voice = new_id, extensions, check_voice
        self._unresumed = unresumed
        self.items = Items()
        self._fixed: Json = {"object": "realtime.session", "id": new_id("sess"), "expires_at": expires_at}
        detection = fields.ServerVad(type="server_vad")
        self.session = SessionFields(type="realtime", model=model)
        self.session.audio = fields.Audio(
            input=fields.AudioInput(transcription=fields.Transcription(model="whisper"), turn_detection=detection),
            output=fields.AudioOutput(voice=voice),
        )
        self.conversation_id = conversation_id or new_id("conv")
        self._input = InputBuffer(self.items, self._new_id, lambda: self.session.audio.input)
        self._responses: dict[str, Response] = {}
        self._active: Response | None = None
        self._waiting: dict[str, fields.ResponseFields] = {}
        """Responses that wait until the words of all items are there."""
        self._owed = False
        """A response to what came in while another was running."""
        self._noted: list[Item] = []
        """What was told to the response that is running."""
        self._playing: PlayClock | None = None
        self._sounding: Item | None = None
        """The reply whose sound was sent last."""
        self._voiced = False
        self._private = ""
        if session:
            self._merge(session)

    def open(self) -> list[Command]:
        """Greet the client, and tell it what the conversation holds already."""
        greeting: list[Command] = [event_of("session.created", session=self.shown())]
        before: str | None = None
        for item in self.items:
            shown = {"previous_item_id": before, "item": dict(item.wire)}
            greeting += [event_of("conversation.item.added", **shown), event_of("conversation.item.done", **shown)]
            before = item.id
        return greeting if self._unresumed is None else [*greeting, error(self._unresumed)]

    def go_on(self, kept: KeptConversation, now_s: float) -> None:
        """Take over a conversation, before `open`. A reply that was broken off is not made again by itself."""
        for item in kept.items:
            self.items.add(item)
        if kept.sounding is not None:
            self._sounding, self._playing = self.items.get(kept.sounding), kept.playing(now_s)

    def keep(self, now_s: float) -> KeptConversation:
        """Give the conversation as another server could go on with it."""
        active = None if self._active is None else self._active.message
        items = tuple(self._broken_off(item) if item is active else item for item in self.items)
        if self._sounding is None or self._playing is None:
            return KeptConversation(items)
        return KeptConversation(items, self._sounding.id, self._playing.sent_s, self._playing.left_s(now_s))

    def _broken_off(self, item: Item) -> Item:
        """Give the reply that is being made as it stands."""
        assert self._active is not None  # whose message it is  # noqa: S101
        return replace(item, wire={**item.wire, "status": "incomplete", "content": [self._active.content]})

    def shown(self) -> Json:
        """Give the session object."""
        return {**self.session.model_dump(exclude_none=False), **self._fixed}

    # --- what the client sends ---

    def receive(self, event: object, now_s: float) -> list[Command]:
        """Take one event of the client, as parsed from JSON."""
        try:
            return list(self._handled(event, now_s))
        except InvalidRequest as refused:
            return [error(refused, own_id(event))]

    def _handled(self, event: object, now_s: float) -> Iterable[Command]:
        if not isinstance(event, dict):
            raise InvalidRequest("An event must be a JSON object.", code="invalid_event")
        if not isinstance(event.get("event_id"), str | None):
            raise InvalidRequest("Invalid value for 'event_id': it must be a string.", param="event_id")
        kind = event.get("type")
        handler = self._HANDLERS.get(kind) if isinstance(kind, str) else None
        if handler is None:
            known = ", ".join(sorted(self._HANDLERS))
            raise InvalidRequest(f"Invalid value for 'type': {str(kind)[:80]!r}. Supported are: {known}.", param="type")
        return handler(self, event, now_s)

    def _update(self, event: Json, _now_s: float) -> Iterable[Command]:
        self._merge(checked(fields.UpdateSession, event).session)
        yield messages.Configure(self.session)
        yield event_of("session.updated", session=self.shown())

    def _merge(self, update: Mapping[str, Any]) -> None:
        before = self.session
        new = checked(SessionFields, fields.merged(before.model_dump(), update), "session")
        if new.model != before.model:
            raise InvalidRequest(
                f"The model of a session is fixed: '{before.model}'.", code="cannot_update_model", param="session.model"
            )
        if self._voiced and new.audio.output.voice != before.audio.output.voice:
            raise InvalidRequest(
                "The voice cannot be changed once it has spoken.",
                code="cannot_update_voice",
                param="session.audio.output.voice",
            )
        if new.audio.output != before.audio.output:
            self._check_voice(new.audio.output)
        if new.tools != before.tools:
            check_tools(new.tools)
        self.session = new

    def _append(self, event: Json, _now_s: float) -> Iterable[Command]:
        return self._input.append(checked(fields.Append, event).audio)

    def _commit(self, _event: Json, _now_s: float) -> Iterable[Command]:
        return self._input.commit()

    def _clear(self, _event: Json, _now_s: float) -> Iterable[Command]:
        return self._input.clear()

    def _create_item(self, event: Json, _now_s: float) -> Iterable[Command]:
        create = checked(fields.CreateItem, event)
        if len(self.items) >= MOST:
            raise InvalidRequest(f"A conversation holds at most {MOST} items; delete some.", code="conversation_full")
        new = create.item
        if self.hearing and new.id == self._input.speech:
            raise InvalidRequest(
                f"The id '{new.id}' is that of what the user is saying.",
                code="item_create_duplicate_item_id", param="item.id",
            )  # fmt: skip
        item = brought(new, new.id or self._new_id("item"))
        self.items.check_room(item)
        sounds = sounds_of(new, self.session.audio.input.format)
        previous = self.items.add(item, create.previous_item_id)
        shown = {"previous_item_id": previous, "item": dict(item.wire)}
        yield event_of("conversation.item.added", **shown)
        yield event_of("conversation.item.done", **shown)
        if sounds:
            item.pending = True
            yield messages.Transcribe(item.id, sounds)
        if new.type == "function_call_output":
            yield from self._called_back(item)

    def _called_back(self, output: Item) -> Iterable[Command]:
        """Take the result of a call: a reply that runs reads it at once; a late one leads to another, if wanted.

        While the user speaks it waits: the reply to what is being said reads it, too.
        """
        if self._active is not None:
            calls = (one.wire for one in self.items if one.wire["type"] == "function_call")
            names = {call["call_id"]: call["name"] for call in calls}
            output.noted = True
            self._noted.append(output)
            yield messages.Note(told_by(output.wire, names))
        elif "follow-ups" in self._extensions and not self.hearing:
            yield from self._begin(fields.ResponseFields())

    def _delete(self, event: Json, _now_s: float) -> Iterable[Command]:
        item = self._find(event, "item_delete_invalid_item_id")
        if item.wire["status"] == "in_progress":
            raise InvalidRequest(
                f"Item '{item.id}' is being made; cancel its response first.", code="item_delete_in_progress",
                param="item_id",
            )  # fmt: skip
        self.items.remove(item.id)
        yield event_of("conversation.item.deleted", item_id=item.id)
        yield from self._ready()

    def _retrieve(self, event: Json, _now_s: float) -> Iterable[Command]:
        item = self._find(event, "item_retrieve_invalid_item_id")
        yield event_of("conversation.item.retrieved", item=dict(item.wire))

    def _truncate(self, event: Json, _now_s: float) -> Iterable[Command]:
        cut = checked(fields.TruncateItem, event)
        item = self._find(event, "item_truncate_invalid_item_id")
        if item.wire["type"] != "message" or item.wire["role"] != "assistant" or not item.pieces:
            raise InvalidRequest(
                f"Item '{item.id}' holds no audio of the assistant.",
                code="item_truncate_invalid_item_id",
                param="item_id",
            )
        if cut.audio_end_ms > item.spoken_ms + 1:
            raise InvalidRequest(
                f"Audio content of {item.spoken_ms:.0f} ms is already shorter than {cut.audio_end_ms} ms.",
                code="invalid_audio_end_ms",
                param="audio_end_ms",
            )
        if item.truncated and item.heard_ms is not None and cut.audio_end_ms > item.heard_ms:
            raise InvalidRequest(
                f"Item '{item.id}' is truncated to {item.heard_ms:.0f} ms already; it cannot grow again.",
                code="invalid_audio_end_ms",
                param="audio_end_ms",
            )
        item.truncated = True
        self._cut(item, float(cut.audio_end_ms))
        if item is self._sounding:
            self._sounding = None
            yield messages.Truncated()
        yield event_of(
            "conversation.item.truncated", item_id=item.id, content_index=0, audio_end_ms=cut.audio_end_ms
        )  # fmt: skip

    def _create_response(self, event: Json, _now_s: float) -> Iterable[Command]:
        wanted = checked(fields.CreateResponse, event).response or fields.ResponseFields()
        check_tools(wanted.tools or [])
        in_band = wanted.conversation == "auto"
        if in_band and self._active is not None:
            raise InvalidRequest(
                f"Conversation already has an active response in progress: {self._active.id}. Wait until it is "
                "finished before creating a new one.",
                code="conversation_already_has_active_response",
            )
        if not in_band and len(self._responses) - (self._active is not None) >= _PARALLEL:
            raise InvalidRequest(
                f"At most {_PARALLEL} responses may run outside the conversation.", code="too_many_responses"
            )
        yield from self._begin(wanted)

    def _cancel(self, event: Json, _now_s: float) -> Iterable[Command]:
        response_id = checked(fields.CancelResponse, event).response_id
        response = self._active if response_id is None else self._responses.get(response_id)
        if response is None:
            raise InvalidRequest("Cancellation failed: no active response found", code="response_cancel_not_active")
        yield from self._stop(response, "client_cancelled")

    def _clear_output(self, _event: Json, _now_s: float) -> Iterable[Command]:
        raise InvalidRequest(
            "output_audio_buffer.clear is for WebRTC; over a websocket the client owns the output buffer.",
            code="unsupported_event", param="type",
        )  # fmt: skip

    # --- what the parts behind tell ---

    def told(self, happening: Happening, now_s: float) -> list[Command]:
        """Take what has happened; what belongs to a response that is over is dropped."""
        commands: Iterable[Command]
        match happening:
            case messages.UserSpeechStarted(start_ms):
                commands = self._speech_started(start_ms, now_s)
            case messages.Understood(text):
                commands = self._input.understood(text)
            case messages.SpeechEnded(end_ms, transcript, wanted):
                commands = self._speech_ended(end_ms, transcript, wanted=wanted)
            case messages.Transcribed(item_id, transcript, seconds):
                commands = self._transcribed(item_id, transcript, seconds)
            case messages.Untranscribed(item_id, message):
                commands = self._untranscribed(item_id, message)
            case messages.CutShort(response_id):
                response = self._responses.get(response_id)
                commands = () if response is None else self._stop(response, "turn_detected")
            case messages.Aside(kind, text):
                commands = self._aside(kind, text)
            case messages.Said() | messages.FunctionCalled() | messages.Finished() | messages.ResponseFailed():
                response = self._responses.get(happening.response_id)
                commands = () if response is None else self._went_on(response, happening, now_s)
        return list(commands)

    def _speech_started(self, start_ms: int, now_s: float) -> Iterable[Command]:
        yield self._input.started(start_ms)
        detection = self.detection
        if detection is not None and detection.interrupt_response:
            sounding, playing = self._sounding, self._playing
            if sounding is not None and playing is not None and playing.left_s(now_s) > 0 and not sounding.truncated:
                # Until the client says what it has really played, the clock does.
                self._cut(sounding, playing.played_s(now_s) * 1000)
            self._sounding = None
            self._owed = False
            if self._active is not None:
                yield from self._stop(self._active, "turn_detected")

    def _speech_ended(self, end_ms: int, transcript: str, *, wanted: bool) -> Iterable[Command]:
        if not self.hearing:
            return
        yield from self._input.ended(end_ms, transcript)
        yield from self._ready()
        detection = self.detection
        if wanted and transcript.strip() and detection is not None and detection.create_response:
            if self._active is None:
                yield from self._begin(fields.ResponseFields())
            else:
                self._owed = True

    def _transcribed(self, item_id: str, transcript: str, seconds: float) -> Iterable[Command]:
        yield from self._input.transcribed(item_id, transcript, seconds)
        yield from self._ready()

    def _untranscribed(self, item_id: str, message: str) -> Iterable[Command]:
        yield from self._input.untranscribed(item_id, message)
        yield from self._ready()

    def _aside(self, kind: str, text: str) -> Iterable[Command]:
        if kind not in self._extensions:
            return
        if self._active is None:
            # Thoughts begin while the user still speaks; they wait for the response that they lead to.
            self._private = f"{self._private}{text}"[-8192:]
            return
        yield from events(self._active.aside(kind, text))

    def _went_on(
        self,
        response: Response,
        happening: messages.Said | messages.FunctionCalled | messages.Finished | messages.ResponseFailed,
        now_s: float,
    ) -> Iterable[Command]:
        match happening:
            case messages.Said():
                yield from events(response.said(happening))
                if happening.samples and response.in_band:
                    self._note_sound(response, happening, now_s)
            case messages.FunctionCalled():
                yield from events(response.called(happening))
            case messages.Finished(_, usage, None, unanswered):
                if unanswered and response is self._active:
                    self._owed = True
                    for item in self._noted:
                        item.late = True
                yield from self._end(response, events(response.done("completed", usage)))
            case messages.Finished(_, usage, reason, _):
                details = {"type": "incomplete", "reason": reason}
                yield from self._end(response, events(response.done("incomplete", usage, details)))
            case messages.ResponseFailed(_, message):
                broken: Json = {"type": "server_error", "code": "response_failed", "message": message}
                failure: Json = {"type": "failed", "error": broken}
                yield from self._end(response, events(response.done("failed", messages.Usage(), failure)))

    def _note_sound(self, response: Response, said: messages.Said, now_s: float) -> None:
        self._voiced = True
        if self._sounding is not response.message or self._playing is None:
            self._sounding, self._playing = response.message, PlayClock()
        self._playing.send(said.samples / response.shape.rate, now_s)

    # --- responses ---

    def brief(self, wanted: fields.ResponseFields | None = None) -> ResponseSpec:
        """Put together what a response is made from; without an argument for the conversation as it stands."""
        return brief_of(self.session, self.items, wanted or fields.ResponseFields())

    def _begin(self, wanted: fields.ResponseFields) -> Iterable[Command]:
        brief = self.brief(wanted)
        in_band = wanted.conversation == "auto"
        shape = shape_of(
            self.session,
            wanted,
            response_id=self._new_id("resp"),
            conversation_id=self.conversation_id,
            word_times="words" in self._extensions,
        )
        response = Response(shape, self._append_item, self._new_id)
        self._responses[response.id] = response
        if in_band:
            self._active, self._owed = response, False
        yield from events([response.created()])
        if in_band and self._private:
            private, self._private = self._private, ""
            yield from events(response.aside("thoughts", private))
        if self.items.pending:
            self._waiting[response.id] = wanted
        else:
            yield self._respond(response, brief)

    def _respond(self, response: Response, brief: ResponseSpec) -> Command:
        return messages.Respond(
            response.id, brief, response.shape.modality == "audio", response.in_band, response.shape.format
        )

    def _ready(self) -> Iterable[Command]:
        """Start what has waited for words."""
        if not self.items.pending:
            waiting, self._waiting = self._waiting, {}
            for response_id, wanted in waiting.items():
                yield self._respond(self._responses[response_id], self.brief(wanted))

    def _stop(self, response: Response, reason: str) -> Iterable[Command]:
        details = {"type": "cancelled", "reason": reason}
        yield messages.Stop(response.id)
        yield from self._end(response, events(response.done("cancelled", messages.Usage(), details)))

    def _end(self, response: Response, closing: Iterable[Command]) -> Iterable[Command]:
        yield from closing
        del self._responses[response.id]
        self._waiting.pop(response.id, None)
        if response is self._active:
            self._active = None
            self._noted.clear()
            if response.message is not None:
                self._cut(response.message, response.message.heard_ms)
            if self._owed:
                yield from self._begin(fields.ResponseFields())

    def _new_id(self, kind: str) -> str:
        """Make an id that no item has: clients name items, too."""
        while (name := self._make_id(kind)) in self.items:
            pass
        return name

    def _append_item(self, item: Item) -> str | None:
        return self.items.add(item)

    # --- the rest ---

    @property
    def detection(self) -> messages.Detection:
        """How turns are found now."""
        return self.session.audio.input.turn_detection

    @property
    def hearing(self) -> bool:
        """Whether the user is speaking."""
        return self._input.speech is not None

    @property
    def responding(self) -> bool:
        """Whether a response is being made."""
        return bool(self._responses)

    def _find(self, event: Json, code: str) -> Item:
        item_id = checked(fields.ItemId, event).item_id
        item = self.items.get(item_id)
        if item is None:
            raise InvalidRequest(f"There is no item '{item_id}'.", code=code, param="item_id")
        return item

    @staticmethod
    def _cut(item: Item, heard_ms: float | None) -> None:
        """Let only so much of an item have been heard."""
        item.heard_ms = heard_ms
        if heard_ms is not None and item.wire["content"]:
            item.wire = {**item.wire, "content": [{**item.wire["content"][0], "transcript": item.heard()}]}

    _HANDLERS: ClassVar[Mapping[str, Callable[[Protocol, Json, float], Iterable[Command]]]] = {
        "session.update": _update,
        "input_audio_buffer.append": _append,
        "input_audio_buffer.commit": _commit,
        "input_audio_buffer.clear": _clear,
        "conversation.item.create": _create_item,
        "conversation.item.delete": _delete,
        "conversation.item.retrieve": _retrieve,
        "conversation.item.truncate": _truncate,
        "response.create": _create_response,
        "response.cancel": _cancel,
        "output_audio_buffer.clear": _clear_output,
    }
