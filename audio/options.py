"""What a user may want to tune about hearing and speaking, with units and reasons. Holds no behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from descant.ranges import AtMost, Range, refuse_outside
from languages.errors import UnknownLanguage
from languages.spoken import spoken


@dataclass(frozen=True, slots=True)
class EarsOptions:
    """Hearing: voice activity, end of turn, transcription."""

    speech_on: Annotated[float, Range(0.01, 0.99, "at 0 every silence is speech, and at 1 nothing is")] = 0.5
    """Probability (0..1) at which sound becomes speech. Silero's own recommendation."""

    speech_off: Annotated[
        float,
        Range(0.01, 0.99, "at 0 speech never ends, and at 1 it never lasts"),
        AtMost("speech_on", "what lies between keeps a dip in speech from being a pause"),
    ] = 0.35
    """Probability below which speech becomes silence. Lower than `speech_on`, so that a dip is no pause."""

    min_speech_ms: Annotated[int, Range(0, 2000, "short words are no longer, and would begin no turn")] = 64
    """Milliseconds of speech before a turn begins: two readings in a row. At 96 a voice over the reply is noticed 30 ms
    later; neither takes the agent's own echo for a voice (`descant bench echo`)."""

    preroll_ms: Annotated[
        int,
        Range(0, 2000, "more is sound of before, which Whisper takes for words of this turn"),
    ] = 300
    """Milliseconds of sound before the start of speech that Whisper also hears: soft first consonants."""

    soft_end_ms: Annotated[
        int,
        Range(0, 10000, "nobody waits that long for a first answer"),
        AtMost("hard_end_ms", "a turn that is over must have been decoded"),
    ] = 200
    """Milliseconds of silence after which the final decode starts, before the turn is known to be over. Sooner, and the
    last consonant may be still to come: at 120 ms words of people are heard worse."""

    hard_end_ms: Annotated[
        int,
        Range(50, 30000, "less ends turns inside words, and more never"),
        AtMost("unfinished_end_ms", "that ends any turn"),
    ] = 550
    """Milliseconds of silence that end a turn that is over for certain. Most pauses in a sentence are shorter."""

    statement_end_ms: Annotated[
        int,
        Range(50, 30000, "less ends turns inside words, and more never"),
        AtMost("unfinished_end_ms", "that ends any turn"),
    ] = 1050
    """Milliseconds of silence that end a turn whose words are a statement, where no model judges its melody."""

    unfinished_end_ms: Annotated[int, Range(50, 30000, "less ends turns inside words, and more never")] = 1400
    """Milliseconds of silence that end any turn. What lies between is chosen by words, melody and earlier pauses."""

    eagerness: Literal["low", "medium", "high"] = "medium"
    """How soon silence ends a turn. Low waits half as long again; high waits three quarters as long."""

    max_turn_s: Annotated[float, Range(1.0, 600.0, "less cuts sentences, and more is not kept")] = 60.0
    """Seconds after which a turn is ended although sound goes on, so that noise cannot hold it open for ever."""

    sign_ms: Annotated[int, Range(100, 60000, "less is a word, and after a minute nobody waits any more")] = 800
    """Milliseconds that a sign of listening, "mm-hm", takes at most. Where any voice interrupts (`server_vad`), one
    that lasts longer does so at once, and a shorter one by its words. Of 161 hums, laughs and the like in eight voices
    ten last longer, and four longer than 900."""

    partial_every_ms: Annotated[
        int,
        Range(50, 3600000, "more often than 20 times a second nothing new is heard; an hour is never"),
    ] = 500
    """Milliseconds between partial transcripts; more when one decode takes longer than that divided by 1.3."""

    partial_window_s: Annotated[
        int,
        Range(1, 30, "Whisper hears 30 seconds at once, and nothing in less than one"),
    ] = 12
    """Seconds of the shortest window that a partial transcript is decoded in. Below 12 it is quicker, and hears worse;
    what counts in the end is decoded in 12 or more."""

    stop_every_ms: Annotated[
        int,
        Range(20, 10000, "a frame is 32 ms, and after 10 s a stop comes too late for anything"),
    ] = 120
    """Milliseconds between two short decodes that look for a stop phrase, while there is something to stop."""

    stop_confidence: Annotated[float, Range(0.0, 1.0, "it is a probability")] = 0.1
    """Least probability (0..1) of each word that a short decode hears for it to count as a stop."""

    stop_word_confidence: Annotated[float, Range(0.05, 1.0, "below, silence is a stop")] = 0.25
    """How sure (0..1) the second ear must be of having heard "stop", for one short decode to be enough."""

    stop_yield_ms: Annotated[int, Range(0, 60000, "the language model must come back to its work")] = 1500
    """Milliseconds after the onset of speech during which the language model leaves the processor to those decodes."""

    threads: Annotated[int, Range(1, 1024, "somebody has to compute, and no machine has more cores")] = 1
    """Threads of one Whisper decode. A second one gains little and takes its core from the language model."""

    language: str = "en"
    """What is spoken, and answered in: a code such as "de", or "auto", which follows the speaker. Anything but "en"
    needs a speech model of many languages (models.asr = whisper-base) and a voice that speaks it."""

    languages: tuple[str, ...] = ()
    """Codes of the languages that "auto" chooses from; the first is spoken until the speaker is heard. Empty: all that
    Descant speaks, English first."""

    def __post_init__(self) -> None:
        """Refuse languages that nobody has described."""
        try:
            spoken(self.language, self.languages)
        except UnknownLanguage as error:
            raise ValueError(str(error)) from None

    def end_ms(self, ending: Literal["question", "statement", "unfinished"]) -> int:
        """Give the silence that ends a turn whose words end so, where they alone decide, in ms."""
        waits = {
            "question": self.hard_end_ms,
            "statement": self.statement_end_ms,
            "unfinished": self.unfinished_end_ms,
        }
        return round(waits[ending] * {"low": 1.5, "medium": 1.0, "high": 0.75}[self.eagerness])


@dataclass(frozen=True, slots=True)
class VoiceOptions:
    """Speaking: clauses and synthesis."""

    threads: Annotated[int, Range(1, 1024, "somebody has to compute, and no machine has more cores")] = 1
    """Threads of one synthesis. One is well ahead of real time and leaves a core to the language model."""

    speed: Annotated[float, Range(0.5, 2.0, "no voice can be understood beyond")] = 1.0
    """Speed of speech, 0.5 to 2: 1.2 is a fifth faster than the voice was recorded."""

    pitch: Annotated[float, Range(0.7, 1.4, "no voice sounds like one beyond")] = 1.0
    """Height of the voice, 0.7 to 1.4, where `descant voices` says that it can be set: 1.2 is a fifth higher."""

    first_clause_words: Annotated[int, Range(1, 1000, "a clause has a word, and a reply no more than so many")] = 4
    """Words after which the first clause of a reply may end at a comma: it is heard that much sooner."""

    clause_words: Annotated[int, Range(1, 1000, "a clause has a word, and a reply no more than so many")] = 8
    """Words after which a later clause may end at a comma. Longer clauses have the better melody."""

    comma_ms: Annotated[int, Range(0, 5000, "a longer silence is taken for the end")] = 110
    """Milliseconds of silence kept after a clause that ends inside a sentence."""

    sentence_ms: Annotated[int, Range(0, 5000, "a longer silence is taken for the end")] = 240
    """Milliseconds of silence kept after a sentence."""

    def __post_init__(self) -> None:
        """Refuse what no voice can do, which a client may ask for, too. Raises OutOfRange."""
        refuse_outside(self)


@dataclass(frozen=True, slots=True)
class DeviceOptions:
    """Microphone and loudspeaker."""

    input: str = ""
    """Microphone: its name or a part of it, as `descant doctor` shows it; empty is the system's default."""

    output: str = ""
    """Loudspeaker: the same."""

    headphones: bool = False
    """You wear headphones: the microphone does not hear the agent, and no echo is cancelled."""

    warmup_ms: Annotated[int, Range(0, 60000, "for so long the agent cannot be interrupted")] = 1000
    """Milliseconds of its own sound that the echo canceller needs to know the room; until then the agent does not
    listen while it speaks. After that it can be interrupted at any time."""

    lead_ms: Annotated[
        int,
        Range(20, 5000, "a device takes 10 ms at a time, and an interruption has to take it all back"),
    ] = 240
    """Milliseconds that are handed to the device ahead of being heard, so that a busy moment is not a gap. An
    interruption takes them back."""

    latency_ms: Annotated[int, Range(1, 2000, "a device needs some, and no echo is looked for so much later")] = 60
    """Milliseconds of buffer in the sound system itself; more where sound crackles. Below about 50, a busy machine
    serves the device too late now and then, and each time the echo comes later than the canceller expects."""
