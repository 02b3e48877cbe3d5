"""Whose turn is it? The turn-taking state machine: what the ears say in, what is to be done out.

    idle -> listening -> preemptive -> answering -> idle
                ^___________|           |
                ^_______________________|  (words over the reply: interrupt)

Work starts at the soft end of speech, on a preemptive reply: nothing is heard of it before the hard end, and it is
retracted when the user goes on. A voice over the reply pauses it at once, where it can be paused; words interrupt it;
after a cough or a listener's "mm-hm" it goes on where it was. A stop phrase, however tentative, cuts everything in
every state; where it is the last word of speech that goes on, it may be half of another ("the rain stop|ped") and must
be there once more.

Sans-I/O: events and seconds come in, actions go out; it reads no clock and knows neither sound nor models.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from agent.conversation.options import TurnOptions
from audio.clock import samples_of
from audio.hearing.backchannels import Backchannels
from audio.hearing.doubt import marked
from audio.hearing.stop_phrases import StopPhrases
from audio.hearing.turn_end import Ending, TurnPauses, TurnSoFar, ending
from audio.messages import (
    EarsEvent,
    Glimpsed,
    HardEnd,
    SoftEnd,
    SpeechLasts,
    SpeechResumed,
    SpeechStarted,
    StopHeard,
    ToldAhead,
    Words,
)
from languages.english import ENGLISH

if TYPE_CHECKING:
    from languages.language import Language


@dataclass(frozen=True, slots=True)
class Hear:
    """Take the words of the turn so far into the input."""

    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Begin to work on the reply; nothing may be heard of it yet."""

    text: str


@dataclass(frozen=True, slots=True)
class EndTurnAfter:
    """Wait for more as long as the end of the words asks for, from where speech ended. Belongs to each pause."""

    ending: Ending
    """A question is complete; after a statement the question may still come; unfinished words break off."""
    heard: TurnSoFar | None = None
    """What else tells whether the turn is over; None where nobody judged its melody."""


@dataclass(frozen=True, slots=True)
class Retract:
    """Drop the preemptive reply: the user goes on."""


@dataclass(frozen=True, slots=True)
class Authorize:
    """Let the reply be heard: the turn is over."""

    text: str
    last_sample: int
    """Where the user's speech ended, on the input clock."""
    words: Words | None = field(default=None, compare=False)
    """As they were heard."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Pause the reply that is being heard: a voice began over it, and it may be words."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Let the paused reply go on: the voice was a cough, or a sign that somebody listens."""


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Stop the reply that is being heard; the user has the turn."""

    resumed: bool = False
    """The user went on so soon that it is still the turn which the reply answers."""


@dataclass(frozen=True, slots=True)
class HardStop:
    """Stop everything at once, whoever has the turn: a stop phrase was heard."""

    phrase: str


@dataclass(frozen=True, slots=True)
class Forget:
    """Drop the words of this turn: nothing is to be answered."""


@dataclass(frozen=True, slots=True)
class LongSilence:
    """Nobody has said anything for long."""

    seconds: float
    """How long, in s."""


Action = (
    Hear | Answer | EndTurnAfter | Retract | Authorize | Pause | Resume | Interrupt | HardStop | Forget | LongSilence
)


InterruptedBy = Literal["words", "voice", "nothing"]
"""What over a reply interrupts it: words that want the turn; these, and any voice that lasts longer than a sign of
listening; or nothing but a stop phrase."""
_GLIMPSES: Final = 2
"""So many short decodes in a row must hear that somebody wants the turn."""


class TurnTaking:
    """The state of one conversation; its own methods alone change it."""

    def __init__(self, options: TurnOptions | None = None, *, can_pause: bool = True) -> None:
        """Begin in silence; `can_pause`: whether a reply that is being heard can be paused."""
        self.options = options or TurnOptions()
        self.state: Literal["idle", "listening", "preemptive", "answering"] = "idle"
        self.interrupted_by: InterruptedBy = "words"
        """Holds for what is said from now on."""
        self.asking = False
        """Whether what was last heard of the reply is a question: then "yeah" is an answer."""
        self._can_pause = can_pause and self.options.pause_on_voice
        self._stop_phrases = StopPhrases(self.options.stop_phrases)
        self._pauses = TurnPauses(ENGLISH)
        """Those of this turn."""
        self.speak(ENGLISH)
        self._text = ""
        """What the reply that is being made answers; empty where no turn asked for it."""
        self._words: Words | None = None
        """As they were heard; None until a turn has paused."""
        self._soft = False
        """Whether speech has paused."""
        self._speaking = False
        """Whether a turn of the user has begun and not ended."""
        self._turn = self._lasting = 0
        """The turn that began last, and the last that lasted longer than a sign of listening; 0 before the first."""
        self._glimpses = 0
        """Short decodes of it in a row that heard somebody who wants the turn."""
        self._heard = False
        """Whether words of this turn were taken into the input."""
        self._ignored = False
        """Whether the rest of this turn is not answered. False until a reply is interrupted by hand."""
        self._stops = 0
        """Commands to stop among the words of this turn that were obeyed."""
        self._commands = 0
        """Those in the newest transcript."""
        self._paused_s: float | None = None
        """Second at which the reply was paused; None while it is not."""
        self._same_turn = False
        """Whether this turn began within the grace time."""
        self._ended_at = -1
        """Where the user's speech ended that the reply answers, on the input clock; -1 where nobody asked for it."""
        self._quiet_since_s = 0.0
        """Second since which nobody has said anything."""

    @property
    def paused(self) -> bool:
        """Whether the reply is paused."""
        return self._paused_s is not None

    @property
    def voiced(self) -> bool:
        """Whether a voice is heard at this moment, be it a cough."""
        return self._speaking and not self._soft

    def receive(self, event: EarsEvent | ToldAhead, now_s: float) -> list[Action]:
        """Take one event of the ears, at second `now_s`, and say what is to be done."""
        self._quiet_since_s = now_s
        actions: list[Action] = []
        match event:
            case SpeechStarted():
                actions = self._began(event, now_s)
            case SpeechLasts(turn=turn):
                self._lasting = turn
                actions = self._lasts()
            case Glimpsed():
                actions = self._glimpsed(event)
            case SoftEnd(last_sample=last):
                self._soft = True
                self._pauses.paused(last)
            case SpeechResumed(at=at):
                self._soft = False
                self._pauses.went_on(at)
                actions = [*self._retracted(), *self._pause(now_s)]
            case Words():
                actions = self._worded(event)
            case StopHeard(phrase=phrase) if not self._stops:
                # A transcript will tell the same words once more; where it already has, this is no second stop.
                actions = self._cut(phrase, 1)
            case HardEnd():
                actions = self._ended(event)
        return actions

    def tick(self, now_s: float) -> list[Action]:
        """Let time pass up to second `now_s`."""
        if self._paused_s is not None and now_s - self._paused_s >= self.options.pause_ms / 1000:
            return self._resume()
        if self.state != "idle":
            self._quiet_since_s = now_s
        elif 0 < self.options.long_silence_s <= now_s - self._quiet_since_s:
            silence, self._quiet_since_s = now_s - self._quiet_since_s, now_s
            return [LongSilence(silence)]
        return []

    def speak(self, language: Language) -> None:
        """Go on in a language: its signs of listening count, and its words that promise more."""
        self._pauses.language = language
        self._backchannels = Backchannels(language, self.options.backchannels)

    def prompted(self) -> bool:
        """Begin a reply that nobody asked for, if nobody has the turn; say whether it may begin."""
        if self.state != "idle":
            return False
        self.state, self._text, self._ended_at = "answering", "", -1
        return True

    def reply_sounds(self, text: str) -> None:
        """Take note of the piece of the reply that begins to be heard."""
        self.asking = text.rstrip().endswith("?")

    def requested(self) -> None:
        """Take note that a reply begins which a client asked for, whoever has the turn."""
        self.state = "answering"

    def replied(self) -> None:
        """Take note that the reply is over: heard to its end, cancelled by a client, or not wanted."""
        if self.state == "answering":
            self._paused_s = None
            # Whoever began to speak over the last word of the reply has the turn.
            self.state = "listening" if self._speaking else "idle"

    def drop_turn(self) -> list[Action]:
        """Forget what is being said: its sound was dropped, or is taken as it stands for a turn by hand."""
        actions = self._forgotten()
        self._speaking = False
        if self.state == "listening":
            self.state = "idle"
        return actions

    def interrupt(self) -> list[Action]:
        """Stop the reply, because somebody pressed a key; what is being said meanwhile is not answered."""
        actions: list[Action] = []
        match self.state:
            case "answering":
                actions = self._interrupted(resumed=False)
            case "preemptive":
                actions = self._retracted()
        if actions:
            self._ignored = self._speaking
            self.state = "listening" if self._speaking else "idle"
        return actions

    # --- what the ears say ---

    def _began(self, event: SpeechStarted, now_s: float) -> list[Action]:
        self._soft = self._heard = self._ignored = False
        self._speaking, self._stops, self._commands = True, 0, 0
        self._turn, self._glimpses = event.turn, 0
        self._pauses.turn_began()
        if self.state == "idle":
            self.state = "listening"
        grace = samples_of(self.options.grace_ms)
        self._same_turn = self.state == "answering" and self._ended_at >= 0 and event.start - self._ended_at <= grace
        return self._lasts() or self._pause(now_s)

    def _lasts(self) -> list[Action]:
        """Let a voice interrupt that lasts; that it does may be known before its beginning is told."""
        wanted = self.state == "answering" and self.interrupted_by == "voice" and self._lasting == self._turn
        return self._interrupted(resumed=self._same_turn) if wanted and self._speaking else []

    def _glimpsed(self, heard: Glimpsed) -> list[Action]:
        wants = heard.turn == self._turn and self._backchannels.glimpsed(heard.text, heard.confidence)
        self._glimpses = self._glimpses + 1 if wants else 0
        # A reply that is paused can wait for the transcript, which knows better.
        early = self.state == "answering" and self.interrupted_by != "nothing" and not self._can_pause
        if self._glimpses < _GLIMPSES or not early:
            return []
        return self._interrupted(resumed=self._same_turn)

    def _worded(self, words: Words) -> list[Action]:
        actions = self._taken(words)
        if self._soft and not words.final:
            answered = self.state == "preemptive"
            # What nobody answers is not waited for.
            heard = (ending(self._text), self._pauses.heard(words, self._text)) if answered else ("question", None)
            actions.append(EndTurnAfter(*heard))
        return actions

    def _taken(self, words: Words) -> list[Action]:
        actions = self._stopped(words)
        text = words.committed.strip()
        if self._ignored or self._stop_phrases.nothing_else(text):
            return [*actions, *self._forgotten()]
        if self.state == "answering":
            if (harmless := self._harmless(words, text)) is not None:
                return [*actions, *harmless]
            actions += self._interrupted(resumed=self._same_turn)
        if not (self._soft or words.final):
            if text and self.state == "listening":
                self._heard = True
                actions.append(Hear(marked(words, self.options.doubtful_below)))
            return actions
        if self.state == "preemptive":
            if text == self._text:
                return actions
            actions += self._retracted()
        if text and self.state == "listening":
            self.state, self._text, self._heard = "preemptive", text, True
            self._words = words
            actions.append(Answer(marked(words, self.options.doubtful_below)))
        return actions

    def _stopped(self, words: Words) -> list[Action]:
        commands = self._stop_phrases.heard(f"{words.committed} {words.tentative}")
        whole = f"{words.committed} {' '.join(words.tentative.split()[:-1])}"
        sure = max(len(self._stop_phrases.heard(whole)), self._commands) if words.tentative else len(commands)
        self._commands = len(commands)
        new = commands[self._stops : sure]
        return self._cut(new[-1].phrase, self._stops + len(new)) if new else []

    def _cut(self, phrase: str, stops: int) -> list[Action]:
        self._stops = stops
        stop: list[Action] = [HardStop(phrase)]
        if self.state == "answering":
            stop += self._interrupted(resumed=False)
        elif self.state == "preemptive":
            stop += self._retracted()
        return stop

    def _ended(self, event: HardEnd) -> list[Action]:
        self._speaking = False
        if self.state == "preemptive":
            self.state, self._ended_at = "answering", event.last_sample
            return [Authorize(self._text, event.last_sample, self._words)]
        if self.state == "listening":
            self.state = "idle"
        return self._resume()

    # --- what becomes of the reply ---

    def _interrupted(self, *, resumed: bool) -> list[Action]:
        self.state, self._paused_s, self.asking = "listening", None, False
        return [Interrupt(resumed)]

    def _retracted(self) -> list[Action]:
        if self.state != "preemptive":
            return []
        self.state, self._text = "listening", ""
        return [Retract()]

    def _pause(self, now_s: float) -> list[Action]:
        if self.state != "answering" or not self._can_pause or self._paused_s is not None:
            return []
        self._paused_s = now_s
        return [Pause()]

    def _resume(self) -> list[Action]:
        if self._paused_s is None:
            return []
        self._paused_s = None
        return [Resume()]

    def _forgotten(self) -> list[Action]:
        actions = self._retracted()
        if self._heard:
            self._heard = False
            actions.append(Forget())
        return actions

    def _harmless(self, words: Words, text: str) -> list[Action] | None:
        """Give what becomes of the reply where words do not interrupt it; None: they do."""
        if self.interrupted_by == "nothing":
            return []
        listens = self._backchannels.heard(text)
        if not text or (not self.asking if listens else self._backchannels.misheard(text, words.confidence)):
            return self._resume() if self._soft or words.final else []
        begun = not words.final and not self.asking and self._backchannels.begun(text)
        return [] if begun else None
