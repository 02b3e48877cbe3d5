"""`descant talk --server`: microphone and loudspeaker here, the models there.

    frames ─► 24 kHz ─► append          audio deltas ─► Playout ─► what the listener hears
                              truncate ◄── what was heard of a reply that is cut off

`Listener` is sans-I/O: server events and time in, client events and timeline events out. The shells below it play a
recording in real time, or use the sound card.
"""

from __future__ import annotations

import asyncio
import base64
import signal
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from agent.apps.display import displayed, latency_table
from agent.apps.printing import plain_console
from agent.apps.remote import connected, failure, turn_done
from agent.conversation import timeline
from agent.errors import NothingHeard, ServerUnreachable
from audio.clock import FRAME, RATE
from audio.io.resampling import Resampler
from audio.io.sound_files import WavWriter, check_writable, read_sound
from audio.messages import Clip, ClipEnded, ClipStarted
from audio.speaking.playout import Playout

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
    from pathlib import Path

    from agent.apps.remote import Event, RemoteSocket
    from audio.clock import Pcm, Sound
    from audio.io.sound_files import SoundReader
    from audio.messages import PlayoutEvent
    from audio.options import DeviceOptions

WIRE_RATE: Final = 24_000
"""Samples per second of sound on the wire, both ways."""
_FRAME_S: Final = FRAME / RATE
_TAIL_S: Final = 1.0
"""Silence after the recording in which its last turn may end."""
_LOUDEST: Final = 32_767


@dataclass(frozen=True, slots=True)
class RemotePlace:
    """What the command line asks for."""

    server: str
    key: str | None
    timeline_file: Path | None
    thoughts: bool = True
    """Ask for the private thoughts, too: they are shown, and go into the timeline."""

    @property
    def extensions(self) -> str:
        """What is asked of the server beyond the protocol."""
        return "thoughts" if self.thoughts else ""


class Listener:
    """What the protocol leaves to the client: play, and know what was heard."""

    def __init__(self, playout: Playout, emit: Callable[[timeline.Event], None]) -> None:
        self.playout, self._emit = playout, emit
        self.turns = 0
        """Turns of the user that were heard."""
        self._generation = 0
        self._response: str | None = None
        self._dead: set[str] = set()
        self._awaited = self._hearing = False
        self._text = ""
        """Text whose sound has not come yet."""
        self._words = ""
        self._revision = 0
        self._items: dict[int, str] = {}
        """The item that each queued clip belongs to."""
        self._heard: dict[str, int] = {}
        """Samples that were heard of each item that is being played."""
        self._complete: set[str] = set()
        self._sounding: timeline.AudioOut | None = None

    @property
    def idle(self) -> bool:
        """Whether nobody has the turn and nothing is left to hear."""
        return not (self._response or self._awaited or self._hearing or self.playout.unplayed)

    def advance(self, to_sample: int) -> Pcm:
        """Let time pass: give what is to be played up to `to_sample`."""
        sound, events = self.playout.advance(to_sample)
        self._listen(events)
        if not self.playout.unplayed:
            self._end_piece()
        return sound

    def receive(self, event: Event) -> list[Event]:  # noqa: C901 - a case for each kind of event
        """Take a server event; give what is to be sent."""
        match event["type"]:
            case "input_audio_buffer.speech_started":
                self._hearing, self._words = True, ""
                self._emit(timeline.SpeechBegan())
                return self.interrupt()
            case "input_audio_buffer.speech_stopped":
                self._hearing, self._awaited = False, True
                self._emit(timeline.SpeechStopped(float(event["audio_end_ms"])))
            case "conversation.item.input_audio_transcription.delta":
                self._hear(self._words + event["delta"], final=False)
            case "conversation.item.input_audio_transcription.completed":
                self._hear(event["transcript"], final=True)
            case "response.created":
                self._response, self._awaited = event["response"]["id"], False
            case "response.output_audio_transcript.delta":
                if thought := event.get("thoughts"):
                    self._emit(timeline.Thought(thought))
                if event["delta"] and event["response_id"] not in self._dead:
                    self._text += event["delta"]
                    self._emit(timeline.ReplyText(event["delta"]))
            case "response.output_audio.delta":
                self._play(event)
            case "response.output_audio.done":
                self._complete.add(event["item_id"])
            case "response.done":
                self._response = None
                self._dead.discard(event["response"]["id"])
                self._emit(turn_done(event))
            case _:
                pass
        return []

    def interrupt(self) -> list[Event]:
        """Fall silent; tell the server what was heard of the reply."""
        if self._response is not None:
            self._dead.add(self._response)
        waiting = set(self._items.values())
        self._listen(self.playout.flush(self._generation))
        self._generation += 1
        self._end_piece()
        self._text = ""
        cut = [item for item in waiting | set(self._heard) if item in waiting or item not in self._complete]
        heard = {item: self._heard.get(item, 0) for item in cut}
        self._items.clear()
        self._heard.clear()
        self._complete.clear()
        if cut:
            self._emit(timeline.Interrupted(""))
        return [
            {
                "type": "conversation.item.truncate",
                "item_id": item,
                "content_index": 0,
                "audio_end_ms": samples * 1000 // WIRE_RATE,
            }
            for item, samples in heard.items()
        ]

    def _hear(self, words: str, *, final: bool) -> None:
        self._words, self._revision = words, self._revision + 1
        self._emit(timeline.WordsHeard(words, "", final, self._revision))
        if final and words.strip():
            self.turns += 1
            self._emit(timeline.TurnEnded(words.strip()))
        elif final:
            self._awaited = False

    def _play(self, event: Event) -> None:
        if event["response_id"] in self._dead:
            return
        samples = np.frombuffer(base64.b64decode(event["delta"]), "<i2")
        text, self._text = self._text, ""
        number = self.playout.queue(Clip(text, samples, WIRE_RATE), "content", self._generation)
        if number is not None:
            self._items[number] = event["item_id"]

    def _listen(self, events: Sequence[PlayoutEvent]) -> None:
        for event in events:
            match event:
                case ClipStarted(_, text, kind, at):
                    if text or self._sounding is None:
                        self._end_piece()
                        self._sounding = timeline.AudioOut(_ms(at), _ms(at), text.strip(), kind)
                case ClipEnded(clip, _, _, at, played, _):
                    item = self._items.pop(clip, None)
                    if item is not None:
                        # Only the item that sounds now can still be cut off.
                        self._heard = {item: self._heard.get(item, 0) + played}
                    if self._sounding is not None:
                        piece = self._sounding
                        self._sounding = timeline.AudioOut(piece.start_ms, _ms(at), piece.text, piece.kind)

    def _end_piece(self) -> None:
        """Tell a piece of speech, now that it is known how long it sounded."""
        if self._sounding is not None:
            self._emit(self._sounding)
            self._sounding = None


def _ms(sample: int) -> float:
    return sample * 1000 / WIRE_RATE


async def run_recording(place: RemotePlace, recording_file: Path, output_file: Path, max_seconds: float) -> None:
    """Play a recording to the server in real time; write what a listener hears.

    Raises:
        BadAudio, CannotWrite: a file cannot be used.
        NothingHeard: the server heard no words.
        ServerUnreachable: the server cannot be reached, or ends the session.

    """
    recording = read_sound(recording_file)
    check_writable(output_file)
    async with connected(place.server, place.key, place.extensions) as wire:
        with ExitStack() as stack:
            writer = stack.enter_context(WavWriter(output_file, WIRE_RATE))
            talk = _Talk(wire, place, Playout(WIRE_RATE), stack)

            async def play() -> None:
                async for frame, now_s in _paced(recording, talk.listener, max_seconds):
                    await talk.hear(frame)
                    writer.write(talk.listener.advance(round(now_s * WIRE_RATE)))

            await talk.run(play)
        if not talk.listener.turns:
            raise NothingHeard(
                f"{recording_file}: no words were heard in {recording.seconds:.1f} s; record speech that is loud enough"
            )
    plain_console().print(latency_table(timeline.turn_latencies(talk.entries)))
    plain_console().print(f"answer: {output_file}", soft_wrap=True)


async def run_live(place: RemotePlace, options: DeviceOptions) -> None:
    """Talk over the sound card until Ctrl-C.

    Raises:
        NoDevice: there is no sound card to talk over.
        ServerUnreachable: the server cannot be reached, or ends the session.

    """
    from audio.io.audio_io import AudioIO  # noqa: PLC0415 - recordings need no sound card
    from audio.io.devices import SoundCard, library  # noqa: PLC0415 - the same

    said = plain_console().print
    card = SoundCard(options, lambda text: said(text, soft_wrap=True), library())
    card.check()
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, ended.set)
    async with connected(place.server, place.key, place.extensions) as wire, card:
        desk = AudioIO(card, WIRE_RATE, options)
        with ExitStack() as stack:
            talk = _Talk(wire, place, desk.playout, stack)

            async def converse() -> None:
                async for block in card.captured():
                    for frame in desk.hear(block):
                        await talk.hear(frame)
                        desk.play(talk.listener.advance(desk.due()))
                    if ended.is_set():
                        return

            said("talk when you like; Ctrl-C ends")
            await talk.run(converse)
    plain_console().print(latency_table(timeline.turn_latencies(talk.entries)))


class _Talk:
    """One conversation over an open session."""

    def __init__(self, wire: RemoteSocket, place: RemotePlace, playout: Playout, stack: ExitStack) -> None:
        self._wire, self._place = wire, place
        self._display = stack.enter_context(displayed(plain_console()))
        self._log = stack.enter_context(timeline.Timeline(place.timeline_file)) if place.timeline_file else None
        self._resampler = Resampler(RATE, WIRE_RATE)
        self._start = time.monotonic()
        self.entries: list[timeline.TimelineEntry] = []
        self.listener = Listener(playout, self._emit)

    async def run(self, play: Callable[[], Awaitable[None]]) -> None:
        """Run `play` once the server has greeted, and take its events meanwhile."""
        if problem := failure(await self._wire.receive()):
            raise ServerUnreachable(f"{self._place.server}: {problem}")
        # The server judges by the words when a turn is over: people pause inside a question.
        heard = {"turn_detection": {"type": "semantic_vad"}}
        await self._wire.send({"type": "session.update", "session": {"type": "realtime", "audio": {"input": heard}}})
        self._start = time.monotonic()
        async with asyncio.TaskGroup() as group:
            receiving = group.create_task(self._receive(), name="server")
            await play()
            receiving.cancel()

    async def hear(self, frame: Sound) -> None:
        """Send one frame of the microphone."""
        sound = np.clip(self._resampler.receive(frame), -1, 1) * _LOUDEST
        if len(sound):
            audio = base64.b64encode(sound.astype("<i2").tobytes()).decode()
            await self._wire.send({"type": "input_audio_buffer.append", "audio": audio})

    async def _receive(self) -> None:
        while True:
            event = await self._wire.receive()
            if problem := failure(event):
                raise ServerUnreachable(f"{self._place.server}: {problem}")
            for answer in self.listener.receive(event):
                await self._wire.send(answer)

    def _emit(self, event: timeline.Event) -> None:
        t_ms = (time.monotonic() - self._start) * 1000
        self.entries.append(timeline.TimelineEntry(t_ms, event))
        self._display.show(t_ms, event)
        if self._log is not None:
            self._log.write(t_ms, event)


async def _paced(recording: SoundReader, listener: Listener, max_seconds: float) -> AsyncIterator[tuple[Sound, float]]:
    """Yield frames on the wall clock, each with its second, until the recording is over and everything was heard."""
    frames: Iterator[Sound] = iter(recording)
    silence = np.zeros(FRAME, np.float32)
    start, count, over = time.monotonic(), 0, 0
    while True:
        frame = next(frames, None)
        if frame is None:
            over += 1
            if (over * _FRAME_S > _TAIL_S and listener.idle) or over * _FRAME_S > max_seconds:
                return
            frame = silence
        count += 1
        # A microphone gives a frame when its last sample is recorded, not sooner.
        await asyncio.sleep(max(0.0, start + count * _FRAME_S - time.monotonic()))
        yield frame, max(count * _FRAME_S, time.monotonic() - start)
