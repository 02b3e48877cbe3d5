"""What a user may want to tune about taking turns, with units and reasons. Holds no behaviour."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Final

from descant.ranges import Range
from languages.known import known_languages

_ELSEWHERE: Final = ("arrête", "arrêtez", "fermati", "ferma")
"""Commands to stop of languages that are not spoken here."""


def _stop_phrases() -> tuple[str, ...]:
    """Give the commands to stop of all languages, those of English first."""
    languages = sorted(known_languages().values(), key=lambda language: language.code != "en")
    return (*dict.fromkeys(phrase for language in languages for phrase in language.stops.phrases), *_ELSEWHERE)


@dataclass(frozen=True, slots=True)
class TurnOptions:
    """Taking turns: what interrupts a reply, what stops everything, what is waited for."""

    pause_on_voice: bool = True
    """Pause the reply as soon as a voice begins over it; it goes on when that was no more than a cough."""

    pause_ms: Annotated[int, Range(0, 60000, "nobody waits a minute in mid-sentence")] = 1500
    """Milliseconds that a paused reply waits for words; then it goes on, and only words can stop it. Longer than a
    cough and its transcript take."""

    grace_ms: Annotated[int, Range(0, 60000, "a minute later it is another turn")] = 1500
    """Milliseconds after the user's last word in which going on is still the same turn. By then at most a few words
    of the reply were heard."""

    long_silence_s: Annotated[float, Range(0.0, 86400.0, "no time is negative; 0 is never")] = 0.0
    """Seconds of silence after which the agent may speak of its own accord; 0 is never."""

    doubtful_below: Annotated[float, Range(0.0, 1.0, "it is a probability")] = 0.2
    """Confidence (0..1) under which a word is marked as doubtful, "(?)", for the thinker, which may ask back. Measured
    in noise at 10, 5 and 0 dB: one right word in 160 lies under it, and one wrong word in four; at 0.35 it is one right
    word in twenty, and every second wrong one (tests/e2e/stage/measure_windows.py)."""

    stop_phrases: tuple[str, ...] = field(default_factory=_stop_phrases)
    """Said as a command of their own, they cut everything at once: speech and robots. Those of all languages, whatever
    is spoken; whole words, compared without case and punctuation."""

    backchannels: tuple[str, ...] | None = None
    """Listeners say them without wanting the turn: over a reply they do not stop it, unless it ends in a question.
    Unset, they are those of the language that is spoken, such as "mhm" and "I see"."""
