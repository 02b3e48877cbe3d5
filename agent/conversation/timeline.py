"""The timeline: what happened when, one JSON object a line, on one clock that starts with the first input frame.

It is the raw material of every benchmark. `docs/timeline.md` is the specification of the file; a test holds it to
the dataclasses here. This module reads no clock and knows nothing of who makes the events; those of the loop stand in
`reasoning.events` and are named here too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal, Self, get_args

from agent.errors import TimelineError
from reasoning.events import (
    HistoryDropped,
    LoopEvent,
    Probe,
    ReplyText,
    Retracted,
    StateChanged,
    Thought,
    ToolCall,
    ToolResult,
    TurnDone,
    Unsaid,
)

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

__all__ = (
    "EVENTS",
    "AudioCut",
    "AudioOut",
    "Event",
    "Failed",
    "HardStopped",
    "HistoryDropped",
    "Interrupted",
    "Paused",
    "Probe",
    "Prompted",
    "ReplyText",
    "Retracted",
    "RobotNews",
    "SpeechBegan",
    "SpeechStopped",
    "StateChanged",
    "Thought",
    "Timeline",
    "TimelineEntry",
    "ToolCall",
    "ToolResult",
    "TurnDone",
    "TurnEnded",
    "TurnLatency",
    "Unsaid",
    "WentOn",
    "WordsHeard",
    "read_timeline",
    "turn_latencies",
)


@dataclass(frozen=True, slots=True)
class SpeechBegan:
    """The user began to speak."""

    EVENT: ClassVar[str] = "speech_started"


@dataclass(frozen=True, slots=True)
class WordsHeard:
    """What was recognised so far in this turn."""

    EVENT: ClassVar[str] = "words"
    committed: str
    """Text that later partials will not change; only the final transcript may."""
    tentative: str
    """Text after it that may still change."""
    final: bool
    """Whether this is the last transcript of the turn."""
    revision: int
    """Counts up with every change of the transcript of one turn."""


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """The user stopped speaking, for now or for good."""

    EVENT: ClassVar[str] = "speech_stopped"
    last_sample_ms: float
    """Where the last sample of speech stood on this clock, in ms; earlier than the moment it was noticed."""


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """The user's turn is over; speaking is allowed from here."""

    EVENT: ClassVar[str] = "turn_ended"
    text: str
    """The whole turn."""


@dataclass(frozen=True, slots=True)
class AudioOut:
    """A piece of speech, at the moment it is heard."""

    EVENT: ClassVar[str] = "audio_out"
    start_ms: float
    """When its first sample is heard, in ms."""
    end_ms: float
    """When its last sample is heard, in ms."""
    text: str
    """What it says."""
    kind: Literal["content", "filler", "status"]
    """`content`, or what covers a wait: a `filler`, or a `status` that tells how things stand."""


@dataclass(frozen=True, slots=True)
class AudioCut:
    """A piece of speech ended at another moment than it told: it was cut off, or paused meanwhile."""

    EVENT: ClassVar[str] = "audio_cut"
    start_ms: float
    """When its first sample was heard, in ms: the `start_ms` of its `audio_out`."""
    end_ms: float
    """When its last sample was heard, in ms."""


@dataclass(frozen=True, slots=True)
class Paused:
    """A voice began over the reply, which waits: silent from here."""

    EVENT: ClassVar[str] = "paused"


@dataclass(frozen=True, slots=True)
class WentOn:
    """The voice was a cough, or a sign that somebody listens: the reply goes on where it was."""

    EVENT: ClassVar[str] = "went_on"


@dataclass(frozen=True, slots=True)
class HardStopped:
    """A stop phrase was heard: everything stops."""

    EVENT: ClassVar[str] = "hard_stop"
    phrase: str
    """Which one."""


@dataclass(frozen=True, slots=True)
class RobotNews:
    """Something about a robot: what is asked of it, what the gate makes of that, what it reports."""

    EVENT: ClassVar[str] = "robot"
    who: str
    """`calls`, `gate`, `robot` or `stop`."""
    text: str
    """What, in words."""


@dataclass(frozen=True, slots=True)
class Prompted:
    """A reply begins that no turn of the user asked for."""

    EVENT: ClassVar[str] = "prompted"


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The user took the turn while the reply was being heard."""

    EVENT: ClassVar[str] = "interrupted"
    heard: str
    """The part of the reply that was heard; it alone stays in the conversation."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The run failed, or a part of it that it goes on without."""

    EVENT: ClassVar[str] = "error"
    message: str
    """What went wrong."""


Event = (
    SpeechBegan
    | WordsHeard
    | SpeechStopped
    | TurnEnded
    | AudioOut
    | AudioCut
    | Paused
    | WentOn
    | HardStopped
    | RobotNews
    | ToolResult
    | Prompted
    | Interrupted
    | Failed
    | LoopEvent
)

EVENTS: Mapping[str, type[Event]] = {kind.EVENT: kind for kind in get_args(Event)}


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One line of a timeline."""

    t_ms: float
    """When, in ms since the first input frame."""
    event: Event
    """What."""


class Timeline:
    """Writes a timeline; every line is on disk's way as soon as it is complete."""

    def __init__(self, path: Path) -> None:
        """Open the file anew.

        Raises:
            TimelineError: it cannot be written.

        """
        self._path = path
        try:
            self._file = path.open("w", encoding="utf-8", errors="replace", buffering=1)
        except OSError as error:
            raise self._refusal(error) from error

    def write(self, t_ms: float, event: Event) -> None:
        """Add one line; `t_ms` is the moment, in ms since the first input frame. Raises TimelineError."""
        line = {"t_ms": round(t_ms, 3), "event": event.EVENT, **asdict(event)}
        try:
            self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        except OSError as error:
            raise self._refusal(error) from error

    def close(self) -> None:
        """Close the file; what it could not take was told by `write`."""
        with suppress(OSError):
            self._file.close()

    def _refusal(self, error: OSError) -> TimelineError:
        return TimelineError(f"the timeline {self._path} cannot be written: {error.strerror}; name another file.")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_timeline(path: Path) -> list[TimelineEntry]:
    """Read a timeline.

    Raises:
        TimelineError: the file cannot be read, or a line is not an event of this version.

    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        told = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise TimelineError(f"the timeline {path} cannot be read: {told}.") from error
    return [_parse(line, f"{path}:{number}") for number, line in enumerate(text.split("\n"), 1) if line.strip()]


def _parse(line: str, where: str) -> TimelineEntry:
    try:
        values = json.loads(line)
        t_ms, kind = float(values.pop("t_ms")), EVENTS[values.pop("event")]
        return TimelineEntry(t_ms, kind(**values))
    except json.JSONDecodeError as error:
        raise TimelineError(f"{where} is not JSON: {error.msg}.") from None
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise TimelineError(f"{where} is not an event of a timeline: {error}.") from None


@dataclass(frozen=True, slots=True)
class TurnLatency:
    """How prompt one reply was. All times count from the last sample of the user's speech."""

    text: str
    """What the user said."""
    last_sample_ms: float
    """That sample on the timeline's clock, in ms; with typed input, the moment the turn ended."""
    first_sound_ms: float | None
    """Until anything is heard, in ms; None when nothing was."""
    first_content_ms: float | None
    """Until something of the reply itself is heard, in ms."""
    longest_silence_ms: float
    """The longest silence between two pieces of the reply, in ms."""
    reply_end_ms: float | None
    """Until the last sample of the reply is heard, in ms."""
    reason: str
    """What ended the turn; empty when the timeline does not say."""


def turn_latencies(entries: Iterable[TimelineEntry]) -> list[TurnLatency]:
    """Measure every turn. What is heard belongs to the last turn that ended before it."""
    turns: list[tuple[TurnEnded, float, list[AudioOut], list[TurnDone]]] = []
    spoken_until: float | None = None
    early: list[TurnDone] = []
    waiting = prompted = False
    for entry in entries:
        match entry.event:
            case SpeechStopped(last_sample_ms=last):
                spoken_until = last
            case TurnEnded() as ended:
                turns.append((ended, entry.t_ms if spoken_until is None else spoken_until, [], early))
                spoken_until, early, waiting, prompted = None, [], not early, False
            case AudioOut() as piece if turns and not prompted:
                turns[-1][2].append(piece)
            case AudioCut(start_ms, end_ms) if turns:
                pieces = turns[-1][2]
                pieces[:] = [replace(piece, end_ms=end_ms) if piece.start_ms == start_ms else piece for piece in pieces]
            case Prompted():
                prompted = True
            case TurnDone() as done:
                # A reply that was made preemptively can be complete before the turn it answers has ended.
                (turns[-1][3] if waiting else early).append(done)
                waiting = False
            case StateChanged("listening"):
                # The reply was taken back, or the turn is over.
                early, waiting = [], False
            case _:
                pass
    return [_measure(*turn) for turn in turns]


def _measure(ended: TurnEnded, last_ms: float, pieces: list[AudioOut], done: list[TurnDone]) -> TurnLatency:
    pieces = sorted(pieces, key=lambda piece: piece.start_ms)
    content = [piece for piece in pieces if piece.kind == "content"]
    longest, heard_until = 0.0, pieces[0].end_ms if pieces else 0.0
    for piece in pieces:
        longest = max(longest, piece.start_ms - heard_until)
        heard_until = max(heard_until, piece.end_ms)
    return TurnLatency(
        text=ended.text,
        last_sample_ms=last_ms,
        first_sound_ms=pieces[0].start_ms - last_ms if pieces else None,
        first_content_ms=content[0].start_ms - last_ms if content else None,
        longest_silence_ms=longest,
        reply_end_ms=heard_until - last_ms if pieces else None,
        reason=done[-1].reason if done else "",
    )
