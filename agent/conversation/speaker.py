"""From released sentences to sound: clauses, synthesis ahead of playout, and the ledger of what was heard.

A reply is held behind a gate until the user's turn is over; what was synthesised until then starts at once. Works
with any playout; reads no clock, and does not know who writes the text.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from audio.speaking.clauses import Clauses
from audio.speaking.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from audio.clock import Pcm
    from audio.messages import Clip, Kind, PlayoutEvent
    from audio.options import VoiceOptions
    from audio.speaking.playout import Playout
    from audio.speaking.synthesizer import Synthesizer

_SECONDS_A_LETTER: Final = 0.065
"""Speech of text that is not synthesised yet: about 15 letters a second."""
_NO_SENTENCE: Final = -1
"""What a filler belongs to."""


class Speaker:
    """Speaks the replies of one conversation, one generation each."""

    def __init__(self, synthesizer: Synthesizer, playout: Playout, options: VoiceOptions) -> None:
        self._synthesizer, self._playout, self._options = synthesizer, playout, options
        self._texts: asyncio.Queue[tuple[int, int, str]] = asyncio.Queue()
        self._held: list[tuple[Clip, Kind, int]] = []
        self._open = False
        self._waiting = 0
        self._base = 0
        self._clauses = Clauses(options)
        self._seconds: dict[int, float] = {}
        self._sentences: list[str] = []
        """Sentences of this reply; their numbers are their places."""
        self._clips: dict[int, list[int]] = {}
        """Numbers of the clips of each sentence."""
        self._unsaid: set[int] = set()
        self._cut: list[PlayoutEvent] = []
        self.generation = 0
        self.ledger = Ledger()

    def begin(self) -> None:
        """Begin a reply, behind the gate; what is left of the last one is dropped."""
        self._cut += self._playout.flush(self.generation)
        self._playout.go_on()
        self.generation += 1
        self._base, self._waiting, self._open = self._playout.played, 0, False
        self._held.clear()
        self._seconds.clear()
        self._sentences, self._clips, self._unsaid = [], {}, set()
        self._clauses, self.ledger = Clauses(self._options), Ledger()

    def say(self, sentence: str) -> None:
        """Speak a sentence after what was said before."""
        self._sentences.append(sentence)
        for clause in [*self._clauses.receive(sentence.strip() + " "), *self._clauses.finish()]:
            self._waiting += len(clause)
            self._texts.put_nowait((self.generation, len(self._sentences) - 1, clause))

    def unsay(self, sentence: str) -> bool:
        """Take back what was not heard of a sentence of this reply; say whether a word of it was."""
        if sentence not in self._sentences:
            return False
        number = len(self._sentences) - 1 - self._sentences[::-1].index(sentence)
        self._unsaid.add(number)
        self._held = [item for item in self._held if item[2] != number]
        clips = self._clips.pop(number, [])
        self.ledger.played(self._playout.played - self._base)
        self._cut += self._playout.drop(clips)
        return bool(self.ledger.drop(clips).strip())

    def hold(self, clip: Clip) -> None:
        """Say a filler that is ready."""
        self._play(clip, "hold", _NO_SENTENCE)

    def open(self) -> None:
        """Open the gate: the reply may be heard."""
        self._open = True
        held, self._held = self._held, []
        for clip, kind, sentence in held:
            self._play(clip, kind, sentence)

    def pause(self) -> None:
        """Fall silent, with the reply kept."""
        self._playout.pause()

    def go_on(self) -> None:
        """Go on where `pause` stopped."""
        self._playout.go_on()

    def silence(self) -> str:
        """Stop at once; give the text of the reply that was heard."""
        heard, _ = self.ledger.cut()
        self.begin()
        return heard

    def advance(self, to_sample: int) -> tuple[Pcm, Sequence[PlayoutEvent]]:
        """Let time pass on the listener's axis: what is heard until then, and which clips begin and end."""
        sound, events = self._playout.advance(to_sample)
        self.ledger.played(self._playout.played - self._base)
        cut, self._cut = self._cut, []
        return sound, [*cut, *events]

    @property
    def rate(self) -> int:
        """Samples per second of the listener's axis."""
        return self._playout.rate

    def seconds_of(self, clip: int) -> float:
        """Give the length of a clip of this reply, by its number."""
        return self._seconds[clip]

    @property
    def lead_s(self) -> float:
        """Seconds of reply that are left to hear, those not yet synthesised estimated."""
        held = sum(len(clip.samples) for clip, *_ in self._held)
        return (self._playout.unplayed + held) / self._playout.rate + self._waiting * _SECONDS_A_LETTER

    async def run(self) -> None:
        """Synthesise what is to be said, until cancelled."""
        while True:
            generation, sentence, clause = await self._texts.get()
            if generation != self.generation:
                continue
            clip = None if sentence in self._unsaid else await self._synthesizer.synthesize(clause)
            if generation != self.generation:
                continue
            self._waiting -= len(clause)
            if clip is not None and sentence not in self._unsaid:
                self._play(clip, "content", sentence)

    def _play(self, clip: Clip, kind: Kind, sentence: int) -> None:
        if not self._open:
            self._held.append((clip, kind, sentence))
            return
        number = self._playout.queue(clip, kind, self.generation)
        if number is not None:
            self.ledger.add(number, clip.text, len(clip.samples), kind)
            self._clips.setdefault(sentence, []).append(number)
            self._seconds[number] = len(clip.samples) / clip.rate
