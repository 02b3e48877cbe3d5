"""What a user may want to tune about hearing and speaking, with units and reasons. Holds no behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class EarsOptions:
    """Hearing: voice activity, end of turn, transcription."""

    speech_on: float = 0.5
    """Probability (0..1) at which sound becomes speech. Silero's own recommendation."""

    speech_off: float = 0.35
    """Probability below which speech becomes silence. Lower than `speech_on`, so that a dip is no pause."""

    min_speech_ms: int = 96
    """Milliseconds of speech before a turn begins. Short enough to stop playback within 250 ms of a barge-in."""

    preroll_ms: int = 300
    """Milliseconds of sound before the start of speech that Whisper also hears: soft first consonants."""

    soft_end_ms: int = 200
    """Milliseconds of silence after which the final decode starts, as a wager that the turn is over."""

    hard_end_ms: int = 550
    """Milliseconds of silence that end a turn. Most pauses inside a sentence are shorter than that."""

    statement_end_ms: int = 1050
    """Milliseconds of silence that end a turn whose words are a statement: the question may still come."""

    unfinished_end_ms: int = 1400
    """Milliseconds of silence that end a turn whose words sound unfinished (no full stop or question mark)."""

    max_turn_s: float = 60.0
    """Seconds after which a turn is ended although sound goes on, so that noise cannot hold it open for ever."""

    partial_every_ms: int = 500
    """Milliseconds between partial transcripts; more when one decode takes longer than that divided by 1.3."""

    threads: int = 1
    """Threads of one Whisper decode. A second one gains little and takes its core from the language model."""

    def end_ms(self, ending: Literal["question", "statement", "unfinished"]) -> int:
        """Give the silence that ends a turn whose words end so, in ms."""
        return {
            "question": self.hard_end_ms, "statement": self.statement_end_ms, "unfinished": self.unfinished_end_ms
        }[ending]  # fmt: skip


@dataclass(frozen=True, slots=True)
class VoiceOptions:
    """Speaking: clauses and synthesis."""

    threads: int = 1
    """Threads of one synthesis. One is well ahead of real time and leaves a core to the language model."""

    speed: float = 1.0
    """Speed of speech: 1.2 is a fifth faster than the voice was recorded."""

    first_clause_words: int = 4
    """Words after which the first clause of a reply may end at a comma: it is heard that much sooner."""

    clause_words: int = 8
    """Words after which a later clause may end at a comma. Longer clauses have the better melody."""

    comma_ms: int = 110
    """Milliseconds of silence kept after a clause that ends inside a sentence."""

    sentence_ms: int = 240
    """Milliseconds of silence kept after a sentence."""
