"""Ears and a voice that only keep time: what a user says, when it is heard, how long speech takes.

Words are committed when two partial decodes agree on them, the final ones come after the soft end, and the turn ends
after as much silence as the session asks for, all as `audio.hearing.ears` does it. What a user says next may
wait for a pause, or for the reply. Melody is not judged: words and silence alone end a turn. Works on any asyncio loop.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from audio import messages as heard
from audio.clock import RATE
from audio.messages import Clip
from audio.speaking.speakable import speakable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from audio.clock import Sound
    from audio.options import EarsOptions
    from languages.language import Language

_CLIP_RATE: Final = 1000
"""Samples per second of clips that hold no sound: a millisecond is fine enough."""
_STARTED_S: Final = 0.1
"""Seconds of speech until it is noticed."""
_RESUMED_S: Final = 0.064
"""The same after a pause inside a turn."""
_INSTANT_S: Final = 1e-6
"""Seconds that do not count: sums of seconds that are rounded differently are the same moment."""


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


@dataclass(frozen=True, slots=True)
class Utterance:
    """Something that the user says in one breath."""

    text: str
    pause_s: float = 0.0
    """Seconds of silence before it."""
    after: Literal["words", "reply", "silence"] = "words"
    """What that silence follows: the user's words before it, the moment at which the reply begins to tell something
    (where it tells nothing, its end), or the end of the reply."""


class TimedEars:
    """Ears that hear what a user says, word for word, when they would have heard it spoken."""

    def __init__(self, said: tuple[Utterance, ...], pace: Pace, options: EarsOptions) -> None:
        self._said, self._pace, self.options = said, pace, options
        self.now = 0
        """Sample of the newest frame."""
        self.last_s = 0.0
        """Second at which the newest words ended; the first ones begin with the first frame."""
        self.over = False
        """Whether everything is said, and the last turn has ended."""
        self._clock: Callable[[], float] = lambda: 0.0
        self._turn = 0
        self._words = ""
        """The turn so far; none between turns."""
        self._revision = 0
        self._paused = False
        """Whether the pause inside this turn was told."""
        self._next: Utterance | None = None
        self._begins_s = math.inf
        """Second at which the next words begin, once that is known."""
        self._known = asyncio.Event()
        self._hard_s = options.end_ms("unfinished") / 1000
        self._closed = asyncio.Event()

    @property
    def answered_s(self) -> float:
        """When the final transcript of the newest words is there, and the answer is asked for."""
        return self.last_s + self.options.soft_end_ms / 1000 + self._pace.final_s

    async def events(self) -> AsyncGenerator[heard.EarsEvent]:
        """Yield what the ears would tell, when they would."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        self._clock = lambda: loop.time() - start
        for utterance in self._said:
            self._next = utterance
            self._begins_s = self.last_s + utterance.pause_s if utterance.after == "words" else math.inf
            async for event in self._silence():
                yield event
            await self._reached(math.inf)
            async for event in self._speech(utterance):
                yield event
        self._next, self._begins_s = None, math.inf
        async for event in self._silence():
            yield event
        self.over = True
        await self._closed.wait()

    def reply_tells(self, *, over: bool = False) -> None:
        """Learn that the reply begins to tell something, or is over."""
        awaited = {"reply", "silence"} if over else {"reply"}
        if self._next is not None and self._next.after in awaited and self._begins_s == math.inf:
            self._begins_s = self._clock() + self._next.pause_s
            self._known.set()

    async def receive(self, frame: Sound) -> None:
        """Take a frame; nothing is in it."""
        del frame
        self.now = self._sample()

    def listen_for_stops(self, wanted: bool, tell: Callable[[heard.ToldAhead], None]) -> None:
        """Nothing: a question on paper holds no stop phrase."""

    def end_turn_after(self, milliseconds: float) -> None:
        """Let this pause end the turn after that much silence."""
        self._hard_s = max(milliseconds, self.options.soft_end_ms) / 1000

    async def close(self) -> None:
        """Hear no more."""
        self._closed.set()

    async def _silence(self) -> AsyncGenerator[heard.EarsEvent]:
        """Tell what becomes of the open turn, until the next words begin."""
        if not self._words or not await self._reached(self.last_s + self.options.soft_end_ms / 1000):
            return
        self._paused, self._hard_s = True, self.options.end_ms("unfinished") / 1000
        last = int(self.last_s * RATE)
        yield heard.SoftEnd(self._turn, last, self._sample())
        if not await self._reached(self.answered_s):
            return
        yield self._heard(self._words, final=False)
        waited = 0.0
        while waited < self._hard_s:
            waited = self._hard_s
            if not await self._reached(self.last_s + waited):
                return
        yield self._heard(self._words, final=True)
        yield heard.HardEnd(self._turn, last, self._sample())
        self._words, self._paused = "", False

    async def _speech(self, utterance: Utterance) -> AsyncGenerator[heard.EarsEvent]:
        """Tell the words of an utterance while it is spoken."""
        begin, before = self._begins_s, self._words
        end = begin + self._pace.sound(utterance.text)
        if not before:
            self._turn, self._revision = self._turn + 1, 0
            await self._sleep_until(begin + _STARTED_S)
            yield heard.SpeechStarted(self._turn, int(begin * RATE), self._sample())
        elif self._paused:
            self._paused, self._revision = False, self._revision + 1
            await self._sleep_until(begin + _RESUMED_S)
            yield heard.SpeechResumed(self._turn, self._sample())
        every = max(self.options.partial_every_ms / 1000, 1.3 * self._pace.partial_s)
        when, committed = 2 * every, ""
        # A decode that is not done at the soft end gives way to the final one.
        while begin + when + self._pace.partial_s < end + self.options.soft_end_ms / 1000 and begin + when < end:
            # Words stand when this decode and the one before it agree: those that were over by then.
            known = self._words_until(utterance.text, when - every)
            if known != committed:
                committed = known
                await self._sleep_until(begin + when + self._pace.partial_s)
                yield self._heard(f"{before} {known}".strip(), final=False)
            when += every
        await self._sleep_until(end)
        self.last_s, self._words = end, f"{before} {utterance.text}".strip()

    def _heard(self, words: str, *, final: bool) -> heard.Words:
        return heard.Words(self._turn, self._revision, words, "", (), final=final)

    def _words_until(self, text: str, seconds: float) -> str:
        words = text.split()
        while words and self._pace.sound(" ".join(words)) > seconds:
            words.pop()
        return " ".join(words)

    def _sample(self) -> int:
        return int(self._clock() * RATE)

    async def _sleep_until(self, second: float) -> None:
        await asyncio.sleep(max(0.0, second - self._clock()))

    async def _reached(self, second: float) -> bool:
        """Wait until then, or until the next words begin; say whether nobody spoke."""
        while (until := min(second, self._begins_s)) - (now := self._clock()) > _INSTANT_S:
            self._known.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(until - now if math.isfinite(until) else None):
                    await self._known.wait()
        return self._begins_s > second


class TimedVoice:
    """A voice that makes silence of the right length in the right time."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self.rate = _CLIP_RATE
        """Samples per second of every clip."""

    def clip(self, text: str) -> Clip:
        """Give the clip of a text."""
        return Clip(text, np.zeros(round(self._pace.sound(text) * _CLIP_RATE), np.int16), _CLIP_RATE)

    async def synthesize(self, text: str, language: Language) -> Clip:
        """Take the time that synthesis takes, and give the clip."""
        del language
        await asyncio.sleep(self._pace.synthesis(text))
        return self.clip(text)
