"""Listens for a word that stops everything: short decodes of the newest sound, again and again, while somebody speaks.

A partial transcript comes every half second and takes long, because its window must hold whole sentences. A lone
"stop" needs neither: measured with tiny.en, int8, one thread, 72 clips of 12 stop phrases in six voices, both cores
idle (phrases recognised; mean time of a decode):

| window, s | 1 | 2 | 3 | 4 | 6 | 12 |
|---|---|---|---|---|---|---|
| recognised | 49 | 60 | 59 | 61 | 59 | 60 |
| ms | 37 | 50 | 71 | 121 | 114 | 141 |

So 2 s of sound are heard in a window of 3 s, 8 tokens at most. Half a word may sound like a stop, and later decodes,
which hear more of it, know better: so two in a row must hear a command, and behind other words ("the rain stop|ped")
all for 300 ms, unless speech pauses behind the first. Confidences say nothing here: real stops have 0.1 to 0.6 as well.

A second ear, where there is one, hears the sound of the word itself (`audio.hearing.stops.word`), sooner. It knows no
sentences, and takes a lone "two", "top" or "start" for the word, as sure as of a stop: so it is a hint, upon which a
decode is made at once, and one decode that hears a command is enough.

What else they hear is told, too: words that want the turn are known half a second before their transcript.

Whoever makes the listener says what is a command; it knows no phrases, and not what becomes of a stop.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from typing import TYPE_CHECKING, Final

import numpy as np

from audio.clock import RATE, samples_of
from audio.hearing.stops.word import WORD
from audio.messages import Glimpsed, StopHeard

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from audio.clock import Sound
    from audio.hearing.whisper import Hypothesis
    from audio.messages import Command, ToldAhead
    from audio.options import EarsOptions

_SPAN: Final = 2 * RATE
"""Samples that are heard at a time."""

_LEAD: Final = samples_of(100)
"""Sound before the onset: soft first consonants."""

_SHORTEST: Final = samples_of(240)
"""Less speech than this is no word yet."""

_LOUDER: Final = 2.0
"""A voice so many times louder than all that was heard lately is another one, nearer: 6 dB. At three times, half of the
stops that are 10 dB over other speech are lost among its words."""

_LATELY: Final = RATE
"""Samples of sound with which a voice is compared."""

_ATTACK: Final = samples_of(200)
"""Between the first consonant of a word and its loudest sound."""

_HOLD: Final = samples_of(300)
"""Speech behind a stop that follows other words, for which it must stay one. Half a word sounds like one for no longer:
the second half of "stopped" is heard after 150 to 250 ms."""

_HINT: Final = samples_of(400)
"""For so long after the second ear was sure last, one decode that hears a command is enough."""

_CLAUSE: Final = re.compile(r"[.,!?;:…—]+(?=\s)")


class StopListener:
    """Belongs to one `Ears`, which tells it what voice activity says."""

    def __init__(
        self,
        decode: Callable[[Sound], Coroutine[None, None, Hypothesis]],
        command: Callable[[str], Command | None],
        options: EarsOptions,
        give_way: Callable[[float], object] = lambda _: None,
        word: Callable[[Sound], float] | None = None,
    ) -> None:
        """Listen with `decode`; `command` gives the last command to stop in a text.

        give_way: called with the seconds for which the ears need the processor.
        word: the second ear: takes each frame, and gives how sure (0..1) it is that "stop" has just been said.
        """
        self._decode, self._command, self._options = decode, command, options
        self.wanted = False
        """Whether there is anything to stop; otherwise nothing is decoded."""
        self.tell: Callable[[ToldAhead], None] = lambda _: None
        """Called at the moment when something is heard, and when that is a stop, before any event that waits."""
        self._give_way = give_way
        # Whoever has other words for a stop does not mean this one.
        self._word = word if command(WORD) else None
        self._hinted = -_HINT
        """When the second ear was sure last."""
        self._turn = 0
        self._onset: int | None = None
        self._next = 0
        self._heard = False
        self._suspect: StopHeard | None = None
        """What all decodes have heard since, and has not been told."""
        self._task: asyncio.Task[None] | None = None
        self._levels: deque[tuple[int, float]] = deque()
        """Where a frame ended, and how loud it was."""

    def hear(self, frame: Sound, now: int) -> None:
        """Take the newest frame, to notice a louder voice that speaks over another one."""
        level = float(np.sqrt(np.mean(np.square(frame)))) if len(frame) else 0.0
        while self._levels and self._levels[0][0] < now - _ATTACK - _LATELY:
            self._levels.popleft()
        before = max((loud for at, loud in self._levels if at <= now - _ATTACK), default=level)
        self._levels.append((now, level))
        if self._onset is not None and now - self._onset > _LATELY // 2 and level > _LOUDER * before:
            self.began(self._turn, now - _ATTACK + _LEAD, now)
        if self.wanted and self._word is not None:
            self._hear_word(now, self._word(frame))

    def began(self, turn: int, onset: int, now: int) -> None:
        """Speech began, or went on after a pause, at that sample."""
        self._turn, self._onset, self._heard, self._suspect = turn, max(0, onset - _LEAD), False, None
        self._next = onset + _SHORTEST
        if self.wanted:
            self._yield_for(now)

    def paused(self) -> None:
        """Speech ended, for now or for good: what was heard last was heard whole."""
        self._onset = None
        if self._suspect is not None:
            self._tell(self._suspect)

    def due(self, now: int) -> int | None:
        """Return the sample from which to listen now; None: not now."""
        running = self._task is not None and not self._task.done()
        if not self.wanted or self._onset is None or self._heard or running or now < self._next:
            return None
        return max(self._onset, now - _SPAN)

    def listen(self, sound: Sound, start: int, now: int) -> None:
        """Decode the sound from sample `start` up to now, and tell when it commands to stop."""
        if self._onset is None:
            return
        self._next = now + samples_of(self._options.stop_every_ms)
        self._yield_for(now)
        self._task = asyncio.create_task(
            self._judge(sound, self._turn, now, whole=start == self._onset), name="stop phrase"
        )

    async def judged(self) -> None:
        """Wait until what is being decoded has been judged."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def close(self) -> None:
        """End what runs."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _judge(self, sound: Sound, turn: int, now: int, *, whole: bool) -> None:
        heard = await self._decode(sound)
        text = " ".join(word.text for word in heard.words)
        # The first clause of a window that begins amid speech may be the rest of one: "the next | stop is mine".
        told = text if whole else "".join(_CLAUSE.split(text, maxsplit=1)[1:]).strip()
        command = self._command(told)
        if turn != self._turn or self._heard:
            return
        self.tell(Glimpsed(turn, text, tuple(word.confidence for word in heard.words), now))
        if command is None or min(word.confidence for word in heard.words) < self._options.stop_confidence:
            self._suspect = None
            return
        stop, since = StopHeard(turn, command.phrase, now), self._suspect
        hinted = command.heads and now - self._hinted < _HINT
        enough = hinted or (since is not None and now - since.at >= (0 if command.heads else _HOLD))
        self._suspect = since or stop
        if enough or self._onset is None:
            self._tell(stop)

    def _hear_word(self, now: int, sure: float) -> None:
        """Take how sure the second ear is of the word."""
        if sure < self._options.stop_word_confidence:
            return
        if now - self._hinted >= _HINT:
            self._next = now
        self._hinted = now

    def _tell(self, stop: StopHeard) -> None:
        self._heard, self._suspect = True, None
        self.tell(stop)

    def _yield_for(self, now: int) -> None:
        if self._onset is not None and now - self._onset < self._options.stop_yield_ms * RATE / 1000:
            self._give_way((self._options.stop_every_ms + 100) / 1000)
