"""What the ears and the voice say to the rest of the house.

On the hearing side positions are samples of the 16 kHz input clock; on the speaking side they are samples of the
voice's rate on the listener's time axis. Order within a turn, whatever the timing of the decodes:

    SpeechStarted (Words* | SoftEnd [SpeechResumed])* Words(final) HardEnd

`SpeechLasts`, `Glimpsed` and `StopHeard` stand outside it: they are told at once, ahead of what waits.
Exactly one `Words` with `final` set and one `HardEnd` belong to each turn; the final one may be empty (a cough).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from audio.clock import Pcm

Kind = Literal["content", "filler", "status"]
"""Part of the reply; or what fills the time until there is one: a filler, or how things stand."""


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Somebody began to speak."""

    turn: int
    """Counts turns, from 1."""

    start: int
    """First sample of speech, dated back to its onset."""

    at: int
    """Sample at which it was noticed."""


@dataclass(frozen=True, slots=True)
class SpeechLasts:
    """Speech has gone on, without a pause, for longer than a sign of listening takes. Told ahead of any transcript."""

    turn: int

    at: int
    """Sample at which it was noticed."""


@dataclass(frozen=True, slots=True)
class SoftEnd:
    """A pause that may be the end: work may start, nothing is promised."""

    turn: int

    last_sample: int
    """Where speech ended (its last sample): not where it was noticed."""

    at: int
    """Sample at which it was noticed."""


@dataclass(frozen=True, slots=True)
class SpeechResumed:
    """The pause was none: what was decoded since the soft end is stale."""

    turn: int

    at: int
    """Sample at which it was noticed."""


@dataclass(frozen=True, slots=True)
class HardEnd:
    """The turn is over."""

    turn: int

    last_sample: int
    """Where speech ended (its last sample)."""

    at: int
    """Sample at which it was decided."""


@dataclass(frozen=True, slots=True)
class Words:
    """The transcript of a turn so far, always the whole of it."""

    turn: int

    revision: int
    """Grows when speech resumes after a soft end, and when words that were committed are taken back."""

    committed: str
    """Words that two successive decodes agreed on, or a decode of finished speech."""

    tentative: str
    """Words of the newest decode that may still change."""

    confidence: tuple[float, ...]
    """Probability (0..1) of each word of `committed` and then `tentative`."""

    final: bool
    """The last word on this turn: nothing is tentative any more."""

    complete: float | None = None
    """Probability (0..1) that the turn sounds finished; None where that was not judged. Decodes of pauses have it."""

    language: str = ""
    """Code of the language that the turn is in; empty where that is not known. Decodes of pauses have it."""

    other: str = ""
    """What else `committed` may be, with the words in mind that were to be expected; empty where it is the same."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command to stop among words."""

    phrase: str
    """Which one."""

    heads: bool
    """Nothing but politeness stands before it in its clause. Behind other words it may be half a word, or a verb."""


@dataclass(frozen=True, slots=True)
class StopHeard:
    """A command to stop, heard in a short decode ahead of any transcript."""

    turn: int

    phrase: str
    """Which one."""

    at: int
    """Sample up to which sound was heard."""


@dataclass(frozen=True, slots=True)
class Glimpsed:
    """The newest words of what is being said over something, as a short decode heard them: ahead of any transcript."""

    turn: int

    text: str

    confidence: tuple[float, ...]
    """Probability (0..1) of each word."""

    at: int
    """Sample up to which sound was heard."""


Activity = SpeechStarted | SoftEnd | SpeechResumed | HardEnd
EarsEvent = Activity | Words
ToldAhead = StopHeard | SpeechLasts | Glimpsed


@dataclass(frozen=True, slots=True)
class Clip:
    """One synthesised clause."""

    text: str
    """The text as it was asked for: what was said of it may differ ("3" is "three")."""

    samples: Pcm
    """Its sound; empty if there was nothing to say."""

    rate: int
    """Samples per second."""


@dataclass(frozen=True, slots=True)
class ClipStarted:
    """The listener begins to hear a clip."""

    clip: int
    """Its number."""

    text: str

    kind: Kind

    at: int
    """Sample on the listener's time axis."""


@dataclass(frozen=True, slots=True)
class ClipEnded:
    """The listener has heard a clip, or it was cut off."""

    clip: int
    """Its number."""

    text: str

    kind: Kind

    at: int
    """Sample on the listener's time axis."""

    played: int
    """Samples of it that were heard."""

    complete: bool
    """Whether that is all of it."""


PlayoutEvent = ClipStarted | ClipEnded
