"""One conversation without sound: the agent's own conversation, with ears and a voice that only keep time.

What the user says is "spoken" at the pace of the voice and heard as the ears hear; sentences take the time that the
voice takes to synthesise and to play (see `timed`). Everything else, the driver, the loop, the speaker, clauses,
fillers, is what `descant talk` runs. Works on any asyncio loop: virtual time, or real.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from agent.conversation import timeline
from agent.conversation.driver import ConversationDriver
from agent.conversation.reasoner import LoopReasoner
from agent.conversation.sinks import PlayoutSink
from audio.clock import FRAME, RATE
from audio.options import VoiceOptions
from audio.speaking.playout import Playout
from bench.virtual.timed import TimedEars, TimedVoice
from languages.english import ENGLISH

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from agent.conversation.reasoner import TurnLoop
    from audio.options import EarsOptions
    from bench.virtual.timed import Pace, Utterance
    from reasoning.engine.contract import Block, ChoiceScores, EngineSession, Grammar, Sampling, Token
    from reasoning.events import LoopEvent
    from reasoning.options import LoopOptions

_FRAME_S: Final = FRAME / RATE
_PATIENCE_S: Final = 180.0
"""Seconds after the user's last word until a conversation is given up."""


class MakeSimulatedLoop(Protocol):
    """Makes the model of one conversation."""

    def __call__(
        self, session: EngineSession[Any], emit: Callable[[LoopEvent], None], clock: Callable[[], float]
    ) -> TurnLoop:
        """Make it on an engine session; it tells events to `emit` and reads seconds from `clock`."""
        ...


@dataclass(frozen=True, slots=True)
class WrittenReply:
    """A token of the reply that stood when the reply was complete."""

    id: int
    at_s: float
    """Second on the conversation's clock at which it was delivered."""
    step: int
    """Number of the engine step that made it."""


@dataclass(slots=True)
class StreamPace:
    """What one role's streams made after the first step of each."""

    tokens: int = 0
    """Those that were delivered."""
    steps: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class Record:
    """One conversation: what happened when, and the tokens of the reply."""

    entries: list[timeline.TimelineEntry] = field(default_factory=list)
    written: list[WrittenReply] = field(default_factory=list)
    spent: list[tuple[float, int]] = field(default_factory=list)
    """Second, and how many tokens were written or weighed then, by any stream."""
    thought_gaps_s: list[float] = field(default_factory=list)
    """Seconds between tokens of the thoughts that came one after the other in one stream."""
    paces: dict[str, StreamPace] = field(default_factory=dict)
    """By role."""
    first_step: int = 0
    """Number of the first engine step after the answer was asked for."""


class _Watched:
    """An engine session that notes which tokens of the reply are delivered, and which are cropped again."""

    def __init__(
        self, session: EngineSession[Any], clock: Callable[[], float], encode: Callable[[str], Sequence[int]]
    ) -> None:
        self._session, self._clock, self._encode = session, clock, encode
        self._tokens: dict[str, list[tuple[int, WrittenReply]]] = {}
        self._read_out: list[WrittenReply] = []
        self._complete: list[WrittenReply] = []
        self._released_s = 0.0
        self.delivered: list[tuple[float, int]] = []
        self.spent: list[tuple[float, int]] = []
        self.thought_gaps: list[float] = []
        self.paces = {role: StreamPace() for role in ("early", "thinker", "writer")}

    def block(self, name: str) -> Block:
        block: Block = self._session.block(name)
        return block

    async def append(self, view: Sequence[Block], tokens: Sequence[int]) -> None:
        await self._session.append(view, tokens)

    async def generate(self, view: Sequence[Block], rules: Sampling) -> AsyncGenerator[Token]:
        block = view[-1]
        stream = self._session.generate(view, rules)
        thinks = block.name.startswith("thoughts")
        pace = self.paces["early" if block.name == "early" else "thinker" if thinks else "writer"]
        first = last = -1
        last_s = 0.0
        try:
            async for token in stream:
                if last < 0:
                    first = token.step
                elif thinks:
                    self.thought_gaps.append(self._clock() - last_s)
                if token.step > first:
                    pace.tokens += 1
                    pace.steps += token.step > last
                    pace.seconds += self._clock() - last_s
                last, last_s = token.step, self._clock()
                self.delivered.append((self._clock(), token.step))
                self.spent.append((self._clock(), 1))
                if block.name.startswith("reply") and token.id not in rules.stop:
                    written = WrittenReply(token.id, self._clock(), token.step)
                    self._tokens.setdefault(block.name, []).append((len(block) - 1, written))
                yield token
        finally:
            await stream.aclose()

    async def prepare(self, grammar: Grammar) -> None:
        await self._session.prepare(grammar)

    async def score_choices(
        self, view: Sequence[Block], question: Sequence[int], choices: Sequence[frozenset[int]]
    ) -> ChoiceScores:
        self.spent.append((self._clock(), len(question)))
        return await self._session.score_choices(view, question, choices)

    async def crop(self, block: Block, length: int) -> None:
        if block.name in self._tokens:
            self._tokens[block.name] = [item for item in self._tokens[block.name] if item[0] < length]
        await self._session.crop(block, length)

    def released(self, text: str) -> None:
        """Take a sentence that may be spoken. One that no stream wrote is there all at once, in this step."""
        if not any(token.at_s > self._released_s for token in self._standing()):
            step = self.delivered[-1][1] if self.delivered else 0
            self._read_out += [WrittenReply(token, self._clock(), step) for token in self._encode(text)]
        self._released_s = self._clock()

    def done(self) -> None:
        """Keep the reply, which is complete, before it is cropped."""
        self._complete, self._tokens, self._read_out = self.written(), {}, []

    def written(self) -> list[WrittenReply]:
        return sorted([*self._complete, *self._standing(), *self._read_out], key=lambda item: item.at_s)

    def _standing(self) -> list[WrittenReply]:
        return [token for tokens in self._tokens.values() for _, token in tokens]


async def converse(
    engine_session: EngineSession[Any],
    make_mind: MakeSimulatedLoop,
    said: tuple[Utterance, ...],
    *,
    pace: Pace,
    ears: EarsOptions,
    options: LoopOptions,
    encode: Callable[[str], Sequence[int]],
) -> Record:
    """Say something, and wait until the reply to the last of it was heard; `encode` gives the tokens of a text."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    record = Record()
    timed_ears, voice = TimedEars(said, pace, ears), TimedVoice(pace)

    def clock() -> float:
        return loop.time() - start

    def emit(event: timeline.Event) -> None:
        record.entries.append(timeline.TimelineEntry(clock() * 1000, event))
        match event:
            case timeline.ReplyText(text):
                watched.released(text)
            case timeline.TurnDone():
                watched.done()
            case timeline.AudioOut(kind="content"):
                timed_ears.reply_tells()

    watched = _Watched(engine_session, clock, encode)
    conversation = ConversationDriver(
        ears=timed_ears,
        reasoner=LoopReasoner(lambda tell: make_mind(watched, tell, clock), emit),
        voice=voice,
        sink=PlayoutSink(Playout(voice.rate)),
        fillers=[voice.clip(phrase) for phrase in ENGLISH.replies.fillers],
        options=options,
        voice_options=VoiceOptions(),
        emit=emit,
    )
    await conversation.open()
    start = loop.time()
    async with asyncio.TaskGroup() as group:
        conversing = group.create_task(conversation.run(), name="conversation")
        silence = np.zeros(FRAME, np.float32)
        frames = 0
        while clock() < timed_ears.last_s + _PATIENCE_S:
            replied = conversation.turns > 0 and conversation.idle
            if replied and timed_ears.over:
                break
            if replied:
                timed_ears.reply_tells(over=True)
            frames += 1
            await asyncio.sleep(max(0.0, start + frames * _FRAME_S - loop.time()))
            conversation.play(int(clock() * voice.rate), clock())
            await conversation.hear(silence, clock())
        await timed_ears.close()
        await conversing
    record.written = [token for token in watched.written() if token.at_s >= timed_ears.last_s]
    record.spent, record.thought_gaps_s, record.paces = watched.spent, watched.thought_gaps, watched.paces
    asked = timed_ears.answered_s
    record.first_step = min((step for at, step in watched.delivered if at >= asked), default=0)
    return record
