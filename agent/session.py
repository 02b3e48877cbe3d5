"""One user: ears, mind and voice wired together in one TaskGroup; nothing outlives it.

    frames -> Ears -> Conversation -> Loop -> Speaker -> what the listener hears
                            timeline <- everything that happens

The shell that owns the clock calls `tick` for each input frame; the session tells what happens to `emit`. Knows the
order of things; does not know where frames come from or where sound goes.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent import timeline
from agent.conversation import Answer, Conversation, Hear, HoldOpen, Interrupt, Release, TakeBack
from audio import messages as heard
from audio.clock import RATE
from reasoning import events as mind
from reasoning.policies import Holding

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agent.conversation import Action
    from agent.speaker import Speaker
    from audio.clock import Pcm, Sound
    from audio.ears import Ears
    from audio.messages import Clip
    from reasoning.loop import Loop
    from reasoning.options import LoopOptions

_QUEUE: Final = 256
"""Events that may wait to be handled; then the ears wait."""


@dataclass(frozen=True, slots=True)
class _ReplyHeard:
    """The reply of this generation has sounded to its end."""

    generation: int


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
    ) -> None:
        """Wire the parts; `holds` are the holding phrases, spoken in advance (none: wait in silence)."""
        self._ears, self._loop, self._speaker = ears, loop, speaker
        self._holds, self._options, self._emit = list(holds), options, emit
        self._conversation = Conversation()
        self._answering: asyncio.Task[None] | None = None
        self._holding: Holding | None = None
        self._events: asyncio.Queue[heard.EarsEvent | _ReplyHeard | None] = asyncio.Queue(_QUEUE)
        self._finishing = False
        self._asked = self._unanswered = ""
        self._direct = False
        self._sounding_until = 0.0
        self._begun = False
        self.turns = 0
        """Turns of the user that asked for a reply."""

    @property
    def idle(self) -> bool:
        """Whether nobody has the turn and nothing is left to say."""
        return self._conversation.state == "idle"

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
            while (event := await self._events.get()) is not None:
                if isinstance(event, _ReplyHeard):
                    await self._finish(event)
                    continue
                self._report(event)
                for action in self._conversation.receive(event):
                    await self._act(action)
            await self._stop_answering()
            await self._loop.close()
            for task in helpers:
                task.cancel()

    async def _listen(self) -> None:
        async for event in self._ears.events():
            await self._events.put(event)
        await self._events.put(None)

    async def tick(self, frame: Sound, now_s: float, to_sample: int) -> Pcm:
        """Take one frame of input and let time pass: give what the listener hears up to `to_sample`."""
        sound, started = self._speaker.advance(to_sample)
        for clip in started:
            self._heard(clip)
        lead = self._speaker.lead_s
        self._loop.playing(lead if lead > 0 else min(0.0, self._sounding_until - now_s))
        self._hold(now_s)
        if self._answering is not None and self._answering.done() and lead <= 0 and not self._finishing:
            self._finishing = True
            await self._events.put(_ReplyHeard(self._speaker.generation))
        await self._ears.receive(frame)
        return sound

    def told(self, event: mind.LoopEvent) -> None:
        """Take an event of the loop: report it, and speak what may be spoken."""
        self._emit(timeline.event_of(event))
        if isinstance(event, mind.Probe) and event.question == mind.NEED:
            self._direct = not event.decision
        if isinstance(event, mind.ReplyText):
            self._speaker.say(event.text)

    def _report(self, event: heard.EarsEvent) -> None:
        match event:
            case heard.SpeechStarted():
                self._emit(timeline.SpeechStarted())
            case heard.Words():
                self._emit(timeline.Words(event.committed, event.tentative, event.final, event.revision))
            case heard.SoftEnd() | heard.HardEnd():
                self._emit(timeline.SpeechStopped(event.last_sample * 1000 / RATE))
            case heard.SpeechResumed():
                self._emit(timeline.SpeechStarted())

    async def _act(self, action: Action) -> None:
        match action:
            case Hear(text):
                await self._loop.hear(f"{self._unanswered} {text}".strip())
            case Answer(text):
                self._speaker.begin()
                self._direct = False
                answer = self._loop.answer(f"{self._unanswered} {text}".strip())
                self._answering = self._group.create_task(answer, name="reply")
            case HoldOpen(ending):
                self._ears.hold_open(self._ears.options.end_ms(ending))
            case TakeBack():
                await self._stop_answering()
                self._speaker.begin()
                await self._loop.take_back()
            case Release(text, last_sample):
                self.turns += 1
                self._asked = f"{self._unanswered} {text}".strip()
                self._emit(timeline.TurnEnded(self._asked))
                self._holding = Holding(self._options, last_sample / RATE) if self._holds else None
                self._sounding_until, self._begun = last_sample / RATE, False
                self._speaker.open()
            case Interrupt():
                text = self._speaker.silence()
                await self._stop_answering()
                self._emit(timeline.Interrupted(text))
                self._holding = None
                if text.strip():
                    self._unanswered = ""
                    await self._loop.finish(text, interrupted=True)
                else:
                    # Nothing of the reply was heard: the user simply went on, and it is still the same turn.
                    self._unanswered = self._asked
                    await self._loop.take_back()

    async def _stop_answering(self) -> None:
        if self._answering is not None:
            self._answering.cancel()
            # Not `await self._answering`: its cancellation could not be told from that of this task.
            await asyncio.wait([self._answering])
            self._answering = None

    async def _finish(self, event: _ReplyHeard) -> None:
        """End a turn whose reply was heard to its end, unless it was interrupted at the last moment."""
        self._finishing = False
        if event.generation != self._speaker.generation or self._conversation.state != "answering":
            return
        self._answering, self._holding = None, None
        self._unanswered = ""
        self._conversation.replied()
        await self._loop.finish(self._speaker.ledger.heard().strip())

    def _heard(self, clip: heard.ClipStarted) -> None:
        start = clip.at / self._speaker.rate
        end = start + self._speaker.seconds_of(clip.clip)
        self._emit(timeline.AudioOut(start * 1000, end * 1000, clip.text.strip(), clip.kind))
        self._sounding_until, self._begun = end, True
        if self._holding is not None:
            self._holding.sounding_until(end)

    def _hold(self, now_s: float) -> None:
        if self._holding is None or self._speaker.lead_s > 0 or self._answering is None or self._answering.done():
            return
        phrase = self._holding.due(now_s, begun=self._begun, direct=self._direct)
        if phrase is not None:
            self._speaker.hold(next(clip for clip in self._holds if clip.text == phrase))
