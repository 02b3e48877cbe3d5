"""What the listener hears of replies, moment by moment: told to the timeline, and waits filled by short phrases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agent.conversation import timeline
from audio.messages import ClipEnded, ClipStarted
from languages.english import ENGLISH
from reasoning.policies.fillers import FillerClock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agent.conversation.reply import Reply
    from agent.conversation.speaker import Speaker
    from agent.conversation.turn_taking import TurnTaking
    from audio.clock import Pcm
    from audio.messages import Clip
    from languages.language import Language
    from reasoning.options import LoopOptions


_WRITES_S: Final = 0.5
"""Seconds that a sentence is taken to need before one was written."""
_NEWEST: Final = 0.3
"""Weight of the newest sentence in that, of some three that count."""
_SPOKEN_S: Final = 0.25
"""Seconds from a sentence to its first sound: two words of it are spoken in that on two cores."""


class Playback:
    """Follows the newest reply; knows the clock, and not where sound goes."""

    def __init__(
        self,
        speaker: Speaker,
        turns: TurnTaking,
        fillers: Sequence[Clip],
        options: LoopOptions,
        emit: Callable[[timeline.Event], None],
        *,
        slowdown: Callable[[], float],
        want: Callable[[str], None],
    ) -> None:
        """Follow replies from now on.

        fillers: spoken in advance; none: waits are silent.
        slowdown: that of `ConversationDriver`.
        want: told each phrase that is soon to fill a wait and was not spoken yet; whoever speaks it has `learn` called.
        """
        self._slowdown, self._want, self._fills = slowdown, want, bool(fillers)
        self._speaker, self._turns, self._options, self._emit = speaker, turns, options, emit
        self._language: Language = ENGLISH
        self._fillers = {clip.text: clip for clip in fillers}
        self._ends_ms: dict[int, tuple[float, float]] = {}
        """Start and expected end of the clips that sound, by number."""
        self._silent_since_s = 0.0
        """Second since which the listener waits; in the future while something sounds."""
        self.now_s = 0.0
        """Second of the conversation; never goes back."""
        self._clock = FillerClock(options, 0.0)
        """That of the newest reply whose wait may be filled."""
        self._writes_s = _WRITES_S
        """Seconds that a sentence lately took to be written."""

    def speak(self, language: Language) -> None:
        """Fill waits of replies that begin from now on in a language."""
        self._language = language

    def learn(self, fillers: Sequence[Clip]) -> None:
        """Take further phrases that were spoken in advance."""
        self._fillers |= {clip.text: clip for clip in fillers}

    def fill_with(self, fillers: Sequence[Clip]) -> None:
        """Take other clips for the fillers, spoken by another voice; none: each is spoken when it is wanted."""
        self._fillers = {clip.text: clip for clip in fillers}

    def advance(self, to_sample: int, now_s: float, reply: Reply | None) -> Pcm:
        """Let time pass: give what is to be played up to a sample, and tell what begins and ends of the reply."""
        self.now_s = max(self.now_s, now_s)
        sound, events = self._speaker.advance(to_sample)
        for event in events:
            at_ms = event.at * 1000 / self._speaker.rate
            match event:
                case ClipStarted():
                    self._began(event, at_ms, reply)
                case ClipEnded():
                    self._ended(event, at_ms)
        return sound

    @property
    def lead_s(self) -> float:
        """Seconds of reply that are left to hear; below zero it is how long the listener has waited."""
        lead_s = self._speaker.lead_s
        return lead_s if lead_s > 0 else min(0.0, self._silent_since_s - self.now_s)

    def expect(self, reply: Reply, since_s: float | None) -> None:
        """Take note that the listener waits for a reply since that second; None: from now on, without having spoken."""
        self._silent_since_s = self.now_s if since_s is None else since_s
        spoken = reply.request is None or reply.request.spoken
        # Fillers of a reply that said nothing else count for the next one: the listener hears them in a row.
        in_a_row = self._clock.in_a_row if since_s is None else 0
        self._clock = FillerClock(self._options, self._silent_since_s, in_a_row, language=self._language)
        reply.awaited = True
        reply.fillers = self._clock if spoken and self._fills else None

    def hand_over(self, reply: Reply, other: Reply) -> None:
        """Let the listener's wait for a reply go on as a wait for another one."""
        other.awaited, other.fillers, other.begun = True, reply.fillers, reply.begun

    def writing(self, reply: Reply, *, writes: bool) -> None:
        """Note that a sentence of a reply is being written, or none."""
        if not writes:
            reply.writing_since_s = None
        elif reply.writing_since_s is None:
            reply.writing_since_s = self.now_s

    def written(self, reply: Reply) -> None:
        """Note that a sentence of a reply was written, and may be followed by another one."""
        if reply.writing_since_s is not None:
            took_s = self.now_s - reply.writing_since_s
            self._writes_s += _NEWEST * (took_s - self._writes_s)
            reply.writing_since_s = self.now_s

    def fill(self, reply: Reply) -> None:
        """Fill the wait for a reply with a short phrase, if one is due."""
        clock = reply.fillers
        if clock is None or not reply.awaited or reply.made or reply.cancelled:
            return
        if self._turns.voiced:
            # Whoever coughs in a silence is not spoken over, nor answered: the silence begins anew behind it.
            clock.sounding_until(self.now_s)
        if self._speaker.sounding or self._turns.paused or self._turns.voiced:
            return
        held_up = self._would_hold_up(reply, clock.next.text)
        filler = clock.due(self.now_s, begun=reply.begun, held_up=held_up, slowdown=self._slowdown())
        if filler is None:
            return
        if filler.text in self._fillers:
            clock.said(self.now_s)
            self._speaker.fill(reply, self._fillers[filler.text], filler.kind)
        if clock.next.text not in self._fillers:
            self._want(clock.next.text)

    def _would_hold_up(self, reply: Reply, phrase: str) -> bool:
        """Say whether a phrase would still sound when a sentence that is being written could: by the last ones."""
        if self._speaker.lead_s > 0:
            return True
        if reply.writing_since_s is None:
            return False
        clip = self._fillers.get(phrase)
        ends_s = self.now_s + (len(clip.samples) / clip.rate if clip else 0.0)
        ready_s = reply.writing_since_s + self._writes_s + _SPOKEN_S
        # One that is late already may take any time.
        return self.now_s <= ready_s < ends_s

    def _began(self, clip: ClipStarted, start_ms: float, reply: Reply | None) -> None:
        end_ms = start_ms + self._speaker.seconds_of(clip.clip) * 1000
        self._ends_ms[clip.clip] = start_ms, end_ms
        self._emit(timeline.AudioOut(start_ms, end_ms, clip.text.strip(), clip.kind))
        self._silent_since_s = end_ms / 1000
        self._turns.reply_sounds(clip.text)
        if clip.kind == "content":
            self._clock.content_sounds()
        if reply is not None:
            reply.begun = True
            if reply.fillers is not None:
                reply.fillers.sounding_until(end_ms / 1000)

    def _ended(self, clip: ClipEnded, at_ms: float) -> None:
        start_ms, end_ms = self._ends_ms.pop(clip.clip, (at_ms, at_ms))
        if abs(at_ms - end_ms) > 1:
            self._emit(timeline.AudioCut(start_ms, at_ms))
            self._silent_since_s = at_ms / 1000
