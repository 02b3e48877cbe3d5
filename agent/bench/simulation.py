"""One conversation without sound: the agent's own session, with ears and a voice that only keep time.

The question is "spoken" at the pace of the voice and heard as the ears hear: words are committed when two partial
decodes agree, the final words come after the soft end, the turn is released at the hard end. Sentences take the time
that the voice takes to synthesise and to play. Everything else, the session, the loop, the speaker, clauses, holding
phrases, is what `descant talk` runs. Works on any asyncio loop: virtual time, or real.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import numpy as np

from agent import timeline
from agent.session import Session
from agent.speaker import Speaker
from audio import messages as heard
from audio.clock import FRAME, RATE
from audio.messages import Clip
from audio.options import VoiceOptions
from audio.playout import Playout
from audio.speakable import speakable
from reasoning.policies import HOLDING_PHRASES

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from audio.clock import Sound
    from audio.ears import Ears
    from audio.options import EarsOptions
    from audio.synthesizer import Synthesizer
    from reasoning.engine import Block, EngineSession, Grammar, Sampling, Token, Verdict
    from reasoning.events import LoopEvent
    from reasoning.loop import Loop
    from reasoning.options import LoopOptions

_FRAME_S: Final = FRAME / RATE
_CLIP_RATE: Final = 1000
"""Samples per second of clips that hold no sound: a millisecond is fine enough."""
_PATIENCE_S: Final = 180.0
"""Seconds after the question until a conversation is given up."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast speech is made and heard; measured once with the real voice and ears."""

    synthesis_s: float = 0.035
    """Seconds that synthesis takes at least."""
    synthesis_letter_s: float = 0.0042
    """Seconds that each letter adds to it."""
    sound_s: float = 0.12
    """Seconds that a clause lasts at least, its pause included."""
    sound_letter_s: float = 0.062
    """Seconds that each letter, as it is said, adds to it."""
    partial_s: float = 0.2
    """Seconds that a partial transcript takes."""
    final_s: float = 0.3
    """Seconds that the final transcript takes."""

    def synthesis(self, text: str) -> float:
        """Seconds until the sound of a text is there."""
        return self.synthesis_s + self.synthesis_letter_s * len(speakable(text)) if speakable(text) else 0.0

    def sound(self, text: str) -> float:
        """Seconds that the sound of a text lasts."""
        return self.sound_s + self.sound_letter_s * len(speakable(text)) if speakable(text) else 0.0

    def sound_letters(self, text: str) -> float:
        """Seconds that a text lasts inside a clause, without a pause of its own."""
        return self.sound_letter_s * len(speakable(text))


class Mind(Protocol):
    """What a session needs of a loop; the loop and the baselines have it."""

    async def open(self) -> None:
        """Get ready before anybody speaks."""
        ...

    async def hear(self, text: str) -> None:
        """Take the words of the turn so far."""
        ...

    def playing(self, lead_s: float) -> None:
        """Learn how much reply is left to play, in seconds."""
        ...

    async def answer(self, text: str) -> None:
        """Answer the turn whose final words these are."""
        ...

    async def take_back(self) -> None:
        """Forget the answer that was begun."""
        ...

    async def finish(self, heard: str, *, interrupted: bool = False) -> None:
        """Turn what was heard into history."""
        ...

    async def close(self) -> None:
        """End what still runs."""
        ...


class MakeMind(Protocol):
    """Makes the mind of one conversation."""

    def __call__(
        self, session: EngineSession[Any], emit: Callable[[LoopEvent], None], clock: Callable[[], float]
    ) -> Mind:
        """Make it on an engine session; it tells events to `emit` and reads seconds from `clock`."""
        ...


@dataclass(slots=True)
class _NoStops:
    """Stands where ears listen for stop phrases: a question on paper holds none."""

    wanted: bool = False
    on_stop: Callable[[str], None] | None = None


class TimedEars:
    """Ears that hear one question, word for word, when they would have heard it spoken."""

    def __init__(self, question: str, pace: Pace, options: EarsOptions) -> None:
        self._question, self._pace, self.options = question, pace, options
        self.stops = _NoStops()
        self.spoken_s = pace.sound(question)
        """Seconds that the question takes; it begins with the first frame."""
        self.answered_s = self.spoken_s + options.soft_end_ms / 1000 + pace.final_s
        """When the final transcript is there, and the answer is asked for."""
        self._closed = asyncio.Event()

    async def events(self) -> AsyncGenerator[heard.EarsEvent]:
        """Yield what the ears would tell, when they would."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        for when, event in self._script():
            await asyncio.sleep(max(0.0, start + when - loop.time()))
            yield event
        await self._closed.wait()

    async def receive(self, frame: Sound) -> None:
        """Take a frame; nothing is in it."""

    def hold_open(self, milliseconds: float) -> None:
        """Wait longer for more: the question is known to be over."""

    async def close(self) -> None:
        """Hear no more."""
        self._closed.set()

    def _script(self) -> Sequence[tuple[float, heard.EarsEvent]]:
        options, end, question = self.options, self.spoken_s, self._question
        script: list[tuple[float, heard.EarsEvent]] = [(0.1, heard.SpeechStarted(1, 0, 0))]
        every = max(options.partial_every_ms / 1000, 1.3 * self._pace.partial_s)
        when, committed = 2 * every, ""
        while when < end:
            # Words stand when this decode and the one before it agree: those that were over by then.
            known = self._words_until(when - every)
            if known != committed:
                committed = known
                script.append((when + self._pace.partial_s, heard.Words(1, 0, known, "", (), final=False)))
            when += every
        last = int(end * RATE)
        soft, hard = end + options.soft_end_ms / 1000, end + options.hard_end_ms / 1000
        final = self.answered_s
        script += [
            (soft, heard.SoftEnd(1, last, int(soft * RATE))),
            (final, heard.Words(1, 0, question, "", (), final=True)),
            (max(hard, final), heard.HardEnd(1, last, int(hard * RATE))),
        ]
        return sorted(script, key=lambda item: item[0])

    def _words_until(self, seconds: float) -> str:
        words = self._question.split()
        while words and self._pace.sound(" ".join(words)) > seconds:
            words.pop()
        return " ".join(words)


class TimedVoice:
    """A voice that makes silence of the right length in the right time."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self.rate = _CLIP_RATE
        """Samples per second of every clip."""

    def clip(self, text: str) -> Clip:
        """Give the clip of a text."""
        return Clip(text, np.zeros(round(self._pace.sound(text) * _CLIP_RATE), np.int16), _CLIP_RATE)

    async def synthesize(self, text: str) -> Clip:
        """Take the time that synthesis takes, and give the clip."""
        await asyncio.sleep(self._pace.synthesis(text))
        return self.clip(text)


@dataclass(frozen=True, slots=True)
class Written:
    """A token of the reply that stood when the reply was complete."""

    id: int
    at_s: float
    """Second on the conversation's clock at which it was delivered."""
    step: int
    """Number of the engine step that made it."""


@dataclass(slots=True)
class Record:
    """One conversation: what happened when, and the tokens of the reply."""

    entries: list[timeline.Entry] = field(default_factory=list)
    written: list[Written] = field(default_factory=list)
    first_step: int = 0
    """Number of the first engine step after the answer was asked for."""


class _Watched:
    """An engine session that notes which tokens of the reply are delivered, and which are cropped again."""

    def __init__(self, session: EngineSession[Any], clock: Callable[[], float]) -> None:
        self._session, self._clock = session, clock
        self._tokens: dict[str, list[tuple[int, Written]]] = {}
        self.delivered: list[tuple[float, int]] = []
        self.watching = True

    def block(self, name: str) -> Block:
        block: Block = self._session.block(name)
        return block

    async def append(self, view: Sequence[Block], tokens: Sequence[int]) -> None:
        await self._session.append(view, tokens)

    async def generate(self, view: Sequence[Block], rules: Sampling) -> AsyncGenerator[Token]:
        block = view[-1]
        stream = self._session.generate(view, rules)
        try:
            async for token in stream:
                self.delivered.append((self._clock(), token.step))
                if self.watching and block.name.startswith("reply") and token.id not in rules.stop:
                    written = Written(token.id, self._clock(), token.step)
                    self._tokens.setdefault(block.name, []).append((len(block) - 1, written))
                yield token
        finally:
            await stream.aclose()

    async def prepare(self, grammar: Grammar) -> None:
        await self._session.prepare(grammar)

    async def weigh(self, view: Sequence[Block], question: Sequence[int], choices: Sequence[frozenset[int]]) -> Verdict:
        return await self._session.weigh(view, question, choices)

    async def crop(self, block: Block, length: int) -> None:
        if self.watching and block.name in self._tokens:
            self._tokens[block.name] = [item for item in self._tokens[block.name] if item[0] < length]
        await self._session.crop(block, length)

    def written(self) -> list[Written]:
        return sorted((token for tokens in self._tokens.values() for _, token in tokens), key=lambda item: item.at_s)


async def converse(
    engine_session: EngineSession[Any],
    make_mind: MakeMind,
    question: str,
    *,
    pace: Pace,
    ears: EarsOptions,
    options: LoopOptions,
) -> Record:
    """Ask one question and wait until the reply was heard."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    record = Record()

    def clock() -> float:
        return loop.time() - start

    def emit(event: timeline.Event) -> None:
        record.entries.append(timeline.Entry(clock() * 1000, event))
        if isinstance(event, timeline.TurnDone):
            watched.watching = False

    watched = _Watched(engine_session, clock)
    mind = make_mind(watched, lambda event: session.told(event), clock)  # noqa: PLW0108 - made from the mind
    timed_ears, voice = TimedEars(question, pace, ears), TimedVoice(pace)
    speaker = Speaker(cast("Synthesizer", voice), Playout(voice.rate), VoiceOptions())
    session = Session(
        ears=cast("Ears", timed_ears),
        loop=cast("Loop", mind),
        speaker=speaker,
        holds=[voice.clip(phrase) for phrase in HOLDING_PHRASES],
        options=options,
        emit=emit,
    )
    await session.open()
    start = loop.time()
    async with asyncio.TaskGroup() as group:
        conversation = group.create_task(session.run(), name="conversation")
        silence = np.zeros(FRAME, np.float32)
        frames = 0
        while not (session.turns and session.idle) and clock() < timed_ears.spoken_s + _PATIENCE_S:
            frames += 1
            await asyncio.sleep(max(0.0, start + frames * _FRAME_S - loop.time()))
            await session.tick(silence, clock(), int(clock() * voice.rate))
        await timed_ears.close()
        await conversation
    record.written = watched.written()
    asked = timed_ears.answered_s
    record.first_step = min((step for at, step in watched.delivered if at >= asked), default=0)
    return record
