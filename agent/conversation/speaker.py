"""From the sentences of replies to what goes out: clauses, synthesis ahead of playout, the ledger of what was heard.

A reply is held until it is authorised; what was synthesised until then goes out at once. Works with any voice and
sink; reads no clock, and does not know who writes the text.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from agent.conversation.ports import nobody_gives_way
from agent.conversation.reply import Piece, Reply
from audio.speaking.clauses import Clauses
from languages.english import ENGLISH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.conversation.ports import GiveWay, Sink, Synthesis
    from audio.clock import Pcm
    from audio.messages import Clip, Kind, PlayoutEvent
    from audio.options import VoiceOptions
    from languages.language import Language

_SECONDS_A_LETTER: Final = 0.065
"""Speech of text that is not synthesised yet: about 15 letters a second."""
_CLAUSE_S: Final = 0.8
"""For so long at most a voice has the processor to itself, on a small machine, to speak a clause."""
_SOON_S: Final = 0.3
"""With no more than so much left to hear, the listener is about to wait for the next clause."""
_NO_SENTENCE: Final = -1
"""What fills a wait belongs to none."""


class Speaker:
    """Speaks the replies of one conversation, one after the other."""

    def __init__(
        self,
        voice: Synthesis,
        sink: Sink,
        options: VoiceOptions,
        give_way: GiveWay,
    ) -> None:
        """`give_way` is called when the listener is about to wait for the voice."""
        self._voice, self._sink, self._options, self._give_way = voice, sink, options, give_way
        self._texts: asyncio.Queue[tuple[Reply, int, str]] = asyncio.Queue()
        """Clauses that wait for the voice; bounded by what replies may hold."""
        self._count = 0
        self.language: Language = ENGLISH
        """What replies are spoken in that begin from now on."""
        self._newest: Reply | None = None
        """The reply that takes its turn; None before the first."""
        self._cut: list[PlayoutEvent] = []
        """What a listener noticed of replies that were cut, not told yet."""

    def begin(self) -> Reply:
        """Begin a reply, which is held; what is left of the one before it is dropped."""
        if self._newest is not None:
            self.cancel(self._newest)
        reply = self._newest = self._new()
        return reply

    def aside(self) -> Reply:
        """Begin a reply beside the conversation."""
        reply = self._new()
        reply.aside = True
        return reply

    def _new(self) -> Reply:
        self._count += 1
        clauses = Clauses(self._options, self.language)
        return Reply(self._count, clauses, self._sink.played, self.language)

    def say(self, reply: Reply, sentence: str) -> None:
        """Speak or write a sentence after what was said before; nothing of a reply that was cancelled."""
        if reply.cancelled:
            return
        reply.sentences.append(sentence)
        number = len(reply.sentences) - 1
        if reply.request is not None and not reply.request.spoken:
            self._play(reply, Piece(sentence.strip(), None, "content", number))
            return
        for clause in [*reply.clauses.receive(sentence.strip() + " "), *reply.clauses.finish()]:
            reply.letters += len(clause)
            reply.unsynthesised += 1
            reply.synthesised.clear()
            self._texts.put_nowait((reply, number, clause))

    def unsay(self, reply: Reply, sentence: str) -> bool:
        """Take back what was not heard of a sentence of this reply; say whether a word of it was, or may have been."""
        if sentence not in reply.sentences:
            return False
        number = len(reply.sentences) - 1 - reply.sentences[::-1].index(sentence)
        reply.unsaid.add(number)
        reply.held = [piece for piece in reply.held if piece.sentence != number]
        clips = reply.clips.pop(number, [])
        if not self._sink.revocable:
            return bool(clips)
        self._account(reply)
        self._cut += self._sink.drop(clips)
        return bool(reply.ledger.drop(clips).strip())

    def fill(self, reply: Reply, clip: Clip, kind: Kind) -> None:
        """Fill the wait for a reply, held or not, with a phrase that is ready."""
        if not reply.cancelled:
            self._send(reply, Piece(clip.text, clip, kind, _NO_SENTENCE))

    def authorise(self, reply: Reply) -> None:
        """Let the reply be heard: what was held goes out at once."""
        reply.authorised.set()
        held, reply.held = reply.held, []
        for piece in held:
            self._play(reply, piece)

    def pause(self) -> None:
        """Fall silent, with the reply kept."""
        self._sink.pause()

    def resume(self) -> None:
        """Go on where `pause` stopped."""
        self._sink.resume()

    def cancel(self, reply: Reply) -> str:
        """Stop the reply at once, for good; give the text of it that was heard."""
        if reply.cancelled:
            return reply.heard
        if not reply.aside:
            self._account(reply)
            self._cut += self._sink.flush(reply.number)
            self._sink.resume()
        heard, _ = reply.ledger.cut()
        reply.cancelled = True
        reply.held.clear()
        reply.calls.clear()
        return heard.strip()

    def advance(self, to_sample: int) -> tuple[Pcm, Sequence[PlayoutEvent]]:
        """Let time pass on the listener's axis: what is to be played until then, and which clips begin and end."""
        sound, events = self._sink.advance(to_sample)
        if self._newest is not None and not self._newest.cancelled:
            self._account(self._newest)
        cut, self._cut = self._cut, []
        return sound, [*cut, *events]

    @property
    def rate(self) -> int:
        """Samples per second of the listener's axis."""
        return self._sink.rate

    @property
    def lead_s(self) -> float:
        """Seconds of reply that are left to hear, those not yet synthesised estimated."""
        unplayed, letters = self._sink.unplayed, 0
        if self._newest is not None and not self._newest.cancelled:
            unplayed += sum(len(piece.clip.samples) for piece in self._newest.held if piece.clip is not None)
            letters = self._newest.letters
        return unplayed / self._sink.rate + letters * _SECONDS_A_LETTER

    @property
    def sounding(self) -> bool:
        """Whether something that was synthesised and sent is left to hear."""
        return self._sink.unplayed > 0

    def seconds_of(self, clip: int) -> float:
        """Give the length of a clip of the newest reply, by its number."""
        return 0.0 if self._newest is None else self._newest.seconds.get(clip, 0.0)

    async def run(self) -> None:
        """Synthesise what is to be said, until cancelled."""
        while True:
            reply, sentence, clause = await self._texts.get()
            if reply.cancelled:
                continue
            clip = None if sentence in reply.unsaid else await self._spoken(reply, clause)
            if reply.cancelled:
                continue
            reply.letters -= len(clause)
            if clip is not None and sentence not in reply.unsaid:
                self._play(reply, Piece(clip.text, clip, "content", sentence))
            reply.unsynthesised -= 1
            if not reply.unsynthesised:
                reply.synthesised.set()

    async def _spoken(self, reply: Reply, clause: str) -> Clip:
        """Speak a clause, on an idle processor if the listener is about to wait for it."""
        soon = reply.may_be_heard and self._sink.unplayed < _SOON_S * self._sink.rate
        over = (self._give_way if soon else nobody_gives_way)(_CLAUSE_S)
        try:
            return await self._voice.synthesize(clause, reply.language)
        finally:
            over()

    def _play(self, reply: Reply, piece: Piece) -> None:
        if reply.cancelled:
            return
        if not reply.authorised.is_set():
            reply.held.append(piece)
            return
        self._send(reply, piece)

    def _send(self, reply: Reply, piece: Piece) -> None:
        number = self._sink.send(reply, piece)
        if number is None:
            return
        samples = 0 if piece.clip is None else len(piece.clip.samples)
        reply.ledger.add(number, piece.text, samples, piece.kind)
        reply.clips.setdefault(piece.sentence, []).append(number)
        reply.seconds[number] = samples / self._sink.rate

    def _account(self, reply: Reply) -> None:
        reply.ledger.played(self._sink.played - reply.base)
