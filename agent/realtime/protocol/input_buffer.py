"""The input audio buffer as the protocol shows it: sound in, speech that becomes items, and the words of those.

Counts sound and keeps none of it. Sans-I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from agent.realtime.protocol import fields, messages
from agent.realtime.protocol.fields import InvalidRequest, Json
from agent.realtime.protocol.items import MOST, Item, Items
from agent.realtime.protocol.messages import Command
from agent.realtime.protocol.wire import MOST_APPENDED, decoded, event_of

_TRANSCRIPTION: Final = "conversation.item.input_audio_transcription"
_MOST_S: Final = 600
"""Sound that may wait for a commit by hand."""
_SHORTEST_S: Final = 0.1


class InputBuffer:
    """One session's; `settings` gives those of the moment."""

    def __init__(self, items: Items, new_id: Callable[[str], str], settings: Callable[[], fields.AudioInput]) -> None:
        self._items, self._new_id, self._settings = items, new_id, settings
        self._buffered = 0
        """Bytes since the last item."""
        self._appended = 0
        """Bytes since the session began."""
        self.speech: str | None = None
        """The item that the user is speaking."""
        self._half = b""
        """The first byte of a sample that the next append ends."""
        self._partial: tuple[str | None, str] = (None, "")
        """What was passed on of its words, and of which item."""

    # --- what the client sends ---

    def append(self, encoded: str | bytes) -> Iterable[Command]:
        """Take sound. Raises Refused."""
        if isinstance(encoded, str) and len(encoded) > MOST_APPENDED:
            raise InvalidRequest(
                f"An append holds at most 15 MiB; this one holds {len(encoded)} bytes.",
                code="audio_too_large", param="audio",
            )  # fmt: skip
        settings = self._settings()
        wide = settings.format.type == "audio/pcm"
        sound = (self._half if wide else b"") + decoded(encoded, "audio")
        if self._seconds(self._buffered + len(sound)) > _MOST_S and settings.turn_detection is None:
            raise InvalidRequest(
                f"The audio buffer holds at most {_MOST_S} s; commit or clear it.", code="input_audio_buffer_full"
            )
        # A client may cut its stream at any byte.
        self._half = sound[len(sound) - len(sound) % 2 :] if wide else b""
        sound = sound[: len(sound) - len(self._half)]
        self._buffered += len(sound)
        self._appended += len(sound)
        yield messages.FeedAudio(sound)

    def commit(self) -> Iterable[Command]:
        """Make an item of what is there. Raises Refused."""
        seconds = self._seconds(self._buffered)
        if seconds < _SHORTEST_S:
            raise InvalidRequest(
                f"The input audio buffer holds {seconds * 1000:.0f} ms; at least 100 ms are needed for a commit.",
                code="input_audio_buffer_commit_empty",
            )
        item_id = self.speech or self._new_id("item")
        if self.speech is not None:
            end_ms = round(self._seconds(self._appended) * 1000)
            yield event_of("input_audio_buffer.speech_stopped", audio_end_ms=end_ms, item_id=item_id)
        if self._settings().turn_detection is None:
            # What comes next is another recording.
            self._half = b""
        yield from self._committed(item_id)
        yield messages.EndTurn(item_id)

    def clear(self) -> Iterable[Command]:
        """Drop what is there."""
        self._buffered, self._half, self.speech = 0, b"", None
        yield messages.ForgetInput()
        yield event_of("input_audio_buffer.cleared")

    # --- what the ears tell ---

    def started(self, start_ms: int) -> Command:
        """Begin an item: the user speaks."""
        self.speech = self._new_id("item")
        return event_of("input_audio_buffer.speech_started", audio_start_ms=max(0, start_ms), item_id=self.speech)

    def understood(self, text: str) -> Iterable[Command]:
        """Pass on the words of speech that goes on, as long as they only grow: the whole transcript mends the rest."""
        item_id, said = self._partial
        if item_id != self.speech:
            item_id, said = self.speech, ""
        if item_id is None or not text.startswith(said) or self._settings().transcription is None:
            return
        self._partial = (item_id, text)
        if delta := text.removeprefix(said):
            yield event_of(f"{_TRANSCRIPTION}.delta", item_id=item_id, content_index=0, delta=delta)

    def ended(self, end_ms: int, transcript: str) -> Iterable[Command]:
        """End the item that is being spoken, whose words are known."""
        item_id = self.speech
        assert item_id is not None  # the caller has looked  # noqa: S101
        yield event_of("input_audio_buffer.speech_stopped", audio_end_ms=max(0, end_ms), item_id=item_id)
        seconds = self._seconds(self._buffered)
        yield from self._committed(item_id)
        yield from self.transcribed(item_id, transcript, seconds)

    def transcribed(self, item_id: str, transcript: str, seconds: float) -> Iterable[Command]:
        """Put an item's words in, and tell them."""
        item = self._items.get(item_id)
        if item is None:
            return
        item.pending = False
        index = next((at for at, part in enumerate(item.wire["content"]) if part["type"] == "input_audio"), 0)
        parts = [dict(part) for part in item.wire["content"]]
        parts[index]["transcript"] = transcript
        item.wire = {**item.wire, "content": parts}
        if self._settings().transcription is None:
            return
        at = {"item_id": item_id, "content_index": index}
        said = self._partial[1] if self._partial[0] == item_id else ""
        rest = transcript.removeprefix(said)
        if rest and transcript.startswith(said):
            yield event_of(f"{_TRANSCRIPTION}.delta", **at, delta=rest)
        usage = {"type": "duration", "seconds": round(seconds, 3)}
        yield event_of(f"{_TRANSCRIPTION}.completed", **at, transcript=transcript, usage=usage)

    def untranscribed(self, item_id: str, message: str) -> Iterable[Command]:
        """Tell that an item's words could not be made out."""
        item = self._items.get(item_id)
        if item is None:
            return
        item.pending = False
        problem: Json = {
            "type": "transcription_error", "code": "transcription_failed", "message": message, "param": None
        }  # fmt: skip
        yield event_of(f"{_TRANSCRIPTION}.failed", item_id=item_id, content_index=0, error=problem)

    def _committed(self, item_id: str) -> Iterable[Command]:
        item = Item({
            "id": item_id, "object": "realtime.item", "type": "message", "status": "completed", "role": "user",
            "content": [{"type": "input_audio", "transcript": None}],
        }, pending=True)  # fmt: skip
        self._buffered, self.speech = 0, None
        yield from self._make_room()
        previous = self._items.add(item)
        shown = {"previous_item_id": previous, "item": dict(item.wire)}
        yield event_of("input_audio_buffer.committed", item_id=item_id, previous_item_id=previous)
        yield event_of("conversation.item.added", **shown)
        yield event_of("conversation.item.done", **shown)

    def _make_room(self) -> Iterable[Command]:
        while len(self._items) >= MOST:
            oldest = next(iter(self._items))
            self._items.remove(oldest.id)
            yield event_of("conversation.item.deleted", item_id=oldest.id)

    def _seconds(self, count: int) -> float:
        return count / (48_000 if self._settings().format.type == "audio/pcm" else 8_000)
