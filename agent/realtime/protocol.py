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
from typing import Any, ClassVar, Final, Literal

from agent.realtime import fields, messages
from agent.realtime.briefs import brief_of, shape_of
from agent.realtime.fields import Json, Refused, SessionFields, checked
from agent.realtime.items import MOST, Item, Items, told_by, wire_of
from agent.realtime.messages import Brief, Command, Happening
from agent.realtime.pacing import PlayClock
from agent.realtime.responses import Response
from agent.realtime.wire import MOST_APPENDED, check_tools, decoded, error, event_of, events, sounds_of

Extension = Literal["thoughts", "robot", "words"]
EXTENSIONS: Final[frozenset[str]] = frozenset({"thoughts", "robot", "words"})
_TRANSCRIPTION: Final = "conversation.item.input_audio_transcription"
_MOST_BUFFERED_S: Final = 600
_SHORTEST_S: Final = 0.1
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
    ) -> None:
        """Make a session; `session` is what an ephemeral key brings along. Raises Refused."""
        self._new_id, self._extensions = new_id, extensions
        self._fixed: Json = {"object": "realtime.session", "id": new_id("sess"), "expires_at": expires_at}
        detection = fields.ServerVad(type="server_vad")
        self.session = SessionFields(type="realtime", model=model)
        self.session.audio = fields.Audio(
            input=fields.AudioInput(transcription=fields.Transcription(model="whisper"), turn_detection=detection),
            output=fields.AudioOutput(voice=voice),
        )
        self._conversation_id = new_id("conv")
        self.items = Items()
        self._responses: dict[str, Response] = {}
        self._active: Response | None = None
        self._waiting: dict[str, fields.ResponseFields] = {}
        """Responses that wait until the words of all items are there."""
        self._owed = False
        """A response to what came in while another was running."""
        self._buffered = 0
        self._appended = 0
        self._speech: str | None = None
        """The item that the user is speaking."""
        self._partial: tuple[str | None, str] = (None, "")
        """What was passed on of its words, and of which item."""
        self._playing: PlayClock | None = None
        self._sounding: Item | None = None
        """The reply whose sound was sent last."""
        self._voiced = False
        self._private = ""
        if session:
            self._merge(session)

    def open(self) -> list[Command]:
        """Greet the client."""
        return [event_of("session.created", session=self.shown())]

    def shown(self) -> Json:
        """Give the session object."""
        return {**self.session.model_dump(exclude_none=False), **self._fixed}

    # --- what the client sends ---

    def receive(self, event: object, now_s: float) -> list[Command]:
        """Take one event of the client, as parsed from JSON."""
        given = event.get("event_id") if isinstance(event, dict) else None
        try:
            return list(self._handled(event, now_s))
        except Refused as refused:
            return [error(refused, given[:512] if isinstance(given, str) else None)]

    def _handled(self, event: object, now_s: float) -> Iterable[Command]:
        if not isinstance(event, dict):
            raise Refused("An event must be a JSON object.", code="invalid_event")
        if not isinstance(event.get("event_id"), str | None):
            raise Refused("Invalid value for 'event_id': it must be a string.", param="event_id")
        kind = event.get("type")
        handler = self._HANDLERS.get(kind) if isinstance(kind, str) else None
        if handler is None:
            known = ", ".join(sorted(self._HANDLERS))
            raise Refused(f"Invalid value for 'type': {str(kind)[:80]!r}. Supported are: {known}.", param="type")
        return handler(self, event, now_s)

    def _update(self, event: Json, _now_s: float) -> Iterable[Command]:
        self._merge(checked(fields.UpdateSession, event).session)
        yield messages.Configure(self.session)
        yield event_of("session.updated", session=self.shown())

    def _merge(self, update: Mapping[str, Any]) -> None:
        before = self.session
        new = checked(SessionFields, fields.merged(before.model_dump(), update), "session")
        if new.model != before.model:
            raise Refused(
                f"The model of a session is fixed: '{before.model}'.", code="cannot_update_model", param="session.model"
            )
        if self._voiced and new.audio.output.voice != before.audio.output.voice:
            raise Refused(
                "The voice cannot be changed once it has spoken.",
                code="cannot_update_voice",
                param="session.audio.output.voice",
            )
        check_tools(new.tools)
        self.session = new

    def _append(self, event: Json, _now_s: float) -> Iterable[Command]:
        encoded = checked(fields.Append, event).audio
        if len(encoded) > MOST_APPENDED:
            raise Refused(
                f"An append holds at most 15 MiB; this one holds {len(encoded)} bytes.",
                code="audio_too_large", param="audio",
            )  # fmt: skip
        sound = decoded(encoded, "audio")
        if self._format.type == "audio/pcm" and len(sound) % 2:
            raise Refused("16-bit audio must have an even number of bytes.", code="invalid_audio", param="audio")
        if self._seconds(self._buffered + len(sound)) > _MOST_BUFFERED_S and self.detection is None:
            raise Refused(
                f"The audio buffer holds at most {_MOST_BUFFERED_S} s; commit or clear it.",
                code="input_audio_buffer_full",
            )
        self._buffered += len(sound)
        self._appended += len(sound)
        yield messages.Feed(sound)

    def _commit(self, _event: Json, _now_s: float) -> Iterable[Command]:
        if self._seconds(self._buffered) < _SHORTEST_S:
            raise Refused(
                f"The input audio buffer holds {self._seconds(self._buffered) * 1000:.0f} ms; "
                "at least 100 ms are needed for a commit.",
                code="input_audio_buffer_commit_empty",
            )
        item_id = self._speech or self._new_id("item")
        if self._speech is not None:
            end_ms = round(self._seconds(self._appended) * 1000)
            yield event_of("input_audio_buffer.speech_stopped", audio_end_ms=end_ms, item_id=item_id)
        yield from self._committed(item_id, pending=True)
        yield messages.EndTurn(item_id)

    def _clear(self, _event: Json, _now_s: float) -> Iterable[Command]:
        self._buffered, self._speech = 0, None
        yield messages.Forget()
        yield event_of("input_audio_buffer.cleared")

    def _create_item(self, event: Json, _now_s: float) -> Iterable[Command]:
        create = checked(fields.CreateItem, event)
        if len(self.items) >= MOST:
            raise Refused(f"A conversation holds at most {MOST} items; delete some.", code="conversation_full")
        new = create.item
        item = Item(wire_of(new, new.id or self._new_id("item")))
        sounds = sounds_of(new)
        previous = self.items.add(item, create.previous_item_id)
        shown = {"previous_item_id": previous, "item": dict(item.wire)}
        yield event_of("conversation.item.added", **shown)
        yield event_of("conversation.item.done", **shown)
        if sounds:
            item.pending = True
            yield messages.Transcribe(item.id, sounds)
        if new.type == "function_call_output" and self._active is not None:
            calls = (one.wire for one in self.items if one.wire["type"] == "function_call")
            names = {call["call_id"]: call["name"] for call in calls}
            item.noted = True
            yield messages.Note(told_by(item.wire, names))

    def _delete(self, event: Json, _now_s: float) -> Iterable[Command]:
        item = self._find(event, "item_delete_invalid_item_id")
        if item.wire["status"] == "in_progress":
            raise Refused(
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
            raise Refused(
                f"Item '{item.id}' holds no audio of the assistant.",
                code="item_truncate_invalid_item_id",
                param="item_id",
            )
        if cut.audio_end_ms > item.spoken_ms + 1:
            raise Refused(
                f"Audio content of {item.spoken_ms:.0f} ms is already shorter than {cut.audio_end_ms} ms.",
                code="invalid_audio_end_ms",
                param="audio_end_ms",
            )
        self._cut(item, float(cut.audio_end_ms))
        if item is self._sounding:
            self._sounding = None
        yield event_of(
            "conversation.item.truncated", item_id=item.id, content_index=0, audio_end_ms=cut.audio_end_ms
        )  # fmt: skip

    def _create_response(self, event: Json, _now_s: float) -> Iterable[Command]:
        wanted = checked(fields.CreateResponse, event).response or fields.ResponseFields()
        check_tools(wanted.tools or [])
        in_band = wanted.conversation == "auto"
        if in_band and self._active is not None:
            raise Refused(
                f"Conversation already has an active response in progress: {self._active.id}. Wait until it is "
                "finished before creating a new one.",
                code="conversation_already_has_active_response",
            )
        if not in_band and len(self._responses) - (self._active is not None) >= _PARALLEL:
            raise Refused(f"At most {_PARALLEL} responses may run outside the conversation.", code="too_many_responses")
        yield from self._begin(wanted)

    def _cancel(self, event: Json, _now_s: float) -> Iterable[Command]:
        response_id = checked(fields.CancelResponse, event).response_id
        response = self._active if response_id is None else self._responses.get(response_id)
        if response is None:
            raise Refused("Cancellation failed: no active response found", code="response_cancel_not_active")
        yield from self._stop(response, "client_cancelled")

    def _clear_output(self, _event: Json, _now_s: float) -> Iterable[Command]:
        raise Refused(
            "output_audio_buffer.clear is for WebRTC; over a websocket the client owns the output buffer.",
            code="unsupported_event", param="type",
        )  # fmt: skip

    # --- what the parts behind tell ---

    def told(self, happening: Happening, now_s: float) -> list[Command]:
        """Take what has happened; what belongs to a response that is over is dropped."""
        commands: Iterable[Command]
        match happening:
            case messages.SpeechStarted(start_ms):
                commands = self._speech_started(start_ms, now_s)
            case messages.Understood(text):
                commands = self._understood(text)
            case messages.SpeechEnded(end_ms, transcript):
                commands = self._speech_ended(end_ms, transcript)
            case messages.Transcribed(item_id, transcript, seconds):
                commands = self._transcribed(item_id, transcript, seconds)
            case messages.Untranscribed(item_id, message):
                commands = self._untranscribed(item_id, message)
            case messages.Aside(kind, text):
                commands = self._aside(kind, text)
            case messages.Said() | messages.Called() | messages.Finished() | messages.Failed():
                response = self._responses.get(happening.response_id)
                commands = () if response is None else self._went_on(response, happening, now_s)
        return list(commands)

    def _speech_started(self, start_ms: int, now_s: float) -> Iterable[Command]:
        self._speech = self._new_id("item")
        yield event_of("input_audio_buffer.speech_started", audio_start_ms=max(0, start_ms), item_id=self._speech)
        detection = self.detection
        if detection is not None and detection.interrupt_response:
            if self._sounding is not None and self._playing is not None and self._playing.left_s(now_s) > 0:
                # Until the client says what it has really played, the clock does.
                self._cut(self._sounding, self._playing.played_s(now_s) * 1000)
            self._sounding = None
            self._owed = False
            if self._active is not None:
                yield from self._stop(self._active, "turn_detected")

    def _understood(self, text: str) -> Iterable[Command]:
        """Pass on the words of speech that goes on, as long as they only grow: the whole transcript mends the rest."""
        item_id, said = self._partial
        if item_id != self._speech:
            item_id, said = self._speech, ""
        if item_id is None or not text.startswith(said) or self.session.audio.input.transcription is None:
            return
        self._partial = (item_id, text)
        if delta := text.removeprefix(said):
            yield event_of(f"{_TRANSCRIPTION}.delta", item_id=item_id, content_index=0, delta=delta)

    def _speech_ended(self, end_ms: int, transcript: str) -> Iterable[Command]:
        if self._speech is None:
            return
        item_id = self._speech
        yield event_of("input_audio_buffer.speech_stopped", audio_end_ms=max(0, end_ms), item_id=item_id)
        seconds = self._seconds(self._buffered)
        yield from self._committed(item_id, pending=True)
        yield from self._transcribed(item_id, transcript, seconds)
        detection = self.detection
        if transcript.strip() and detection is not None and detection.create_response:
            if self._active is None:
                yield from self._begin(fields.ResponseFields())
            else:
                self._owed = True

    def _committed(self, item_id: str, *, pending: bool) -> Iterable[Command]:
        content = [{"type": "input_audio", "transcript": None}]
        item = Item({
            "id": item_id, "object": "realtime.item", "type": "message", "status": "completed", "role": "user",
            "content": content,
        }, pending=pending)  # fmt: skip
        self._buffered, self._speech = 0, None
        yield from self._make_room()
        previous = self.items.add(item)
        shown = {"previous_item_id": previous, "item": dict(item.wire)}
        yield event_of("input_audio_buffer.committed", item_id=item_id, previous_item_id=previous)
        yield event_of("conversation.item.added", **shown)
        yield event_of("conversation.item.done", **shown)

    def _transcribed(self, item_id: str, transcript: str, seconds: float) -> Iterable[Command]:
        item = self.items.get(item_id)
        if item is not None:
            item.pending = False
            index = next((at for at, part in enumerate(item.wire["content"]) if part["type"] == "input_audio"), 0)
            parts = [dict(part) for part in item.wire["content"]]
            parts[index]["transcript"] = transcript
            item.wire = {**item.wire, "content": parts}
            if self.session.audio.input.transcription is not None:
                at = {"item_id": item_id, "content_index": index}
                said = self._partial[1] if self._partial[0] == item_id else ""
                rest = transcript.removeprefix(said)
                if rest and transcript.startswith(said):
                    yield event_of(f"{_TRANSCRIPTION}.delta", **at, delta=rest)
                usage = {"type": "duration", "seconds": round(seconds, 3)}
                yield event_of(f"{_TRANSCRIPTION}.completed", **at, transcript=transcript, usage=usage)
        yield from self._ready()

    def _untranscribed(self, item_id: str, message: str) -> Iterable[Command]:
        item = self.items.get(item_id)
        if item is not None:
            item.pending = False
            problem: Json = {
                "type": "transcription_error",
                "code": "transcription_failed",
                "message": message,
                "param": None,
            }
            yield event_of(f"{_TRANSCRIPTION}.failed", item_id=item_id, content_index=0, error=problem)
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
        happening: messages.Said | messages.Called | messages.Finished | messages.Failed,
        now_s: float,
    ) -> Iterable[Command]:
        match happening:
            case messages.Said():
                yield from events(response.said(happening))
                if happening.samples and response.in_band:
                    self._note_sound(response, happening, now_s)
            case messages.Called():
                yield from events(response.called(happening))
            case messages.Finished(_, usage, None, unanswered):
                self._owed = self._owed or (unanswered and response is self._active)
                yield from self._end(response, events(response.done("completed", usage)))
            case messages.Finished(_, usage, reason, _):
                details = {"type": "incomplete", "reason": reason}
                yield from self._end(response, events(response.done("incomplete", usage, details)))
            case messages.Failed(_, message):
                broken: Json = {"type": "server_error", "code": "response_failed", "message": message}
                failure: Json = {"type": "failed", "error": broken}
                yield from self._end(response, events(response.done("failed", messages.Usage(), failure)))

    def _note_sound(self, response: Response, said: messages.Said, now_s: float) -> None:
        self._voiced = True
        if self._sounding is not response.message or self._playing is None:
            self._sounding, self._playing = response.message, PlayClock()
        self._playing.send(said.samples / response.shape.rate, now_s)

    # --- responses ---

    def brief(self, wanted: fields.ResponseFields | None = None) -> Brief:
        """Put together what a response is made from; without an argument for the conversation as it stands."""
        return brief_of(self.session, self.items, wanted or fields.ResponseFields())

    def _begin(self, wanted: fields.ResponseFields) -> Iterable[Command]:
        brief = self.brief(wanted)
        in_band = wanted.conversation == "auto"
        shape = shape_of(
            self.session,
            wanted,
            response_id=self._new_id("resp"),
            conversation_id=self._conversation_id,
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

    def _respond(self, response: Response, brief: Brief) -> Command:
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
            if response.message is not None:
                self._cut(response.message, response.message.heard_ms)
            if self._owed:
                yield from self._begin(fields.ResponseFields())

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
        return self._speech is not None

    @property
    def responding(self) -> bool:
        """Whether a response is being made."""
        return bool(self._responses)

    @property
    def _format(self) -> fields.Pcm | fields.Mulaw | fields.Alaw:
        return self.session.audio.input.format

    def _seconds(self, count: int) -> float:
        return count / (48_000 if self._format.type == "audio/pcm" else 8_000)

    def _find(self, event: Json, code: str) -> Item:
        item_id = checked(fields.ItemId, event).item_id
        item = self.items.get(item_id)
        if item is None:
            raise Refused(f"There is no item '{item_id}'.", code=code, param="item_id")
        return item

    def _make_room(self) -> Iterable[Command]:
        while len(self.items) >= MOST:
            oldest = next(iter(self.items))
            self.items.remove(oldest.id)
            yield event_of("conversation.item.deleted", item_id=oldest.id)

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
