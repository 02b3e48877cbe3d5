"""What the loop tells while it runs. Data only: who listens, and what becomes of it, is not known here.

`EVENT` is an event's name in a timeline (docs/timeline.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal

State = Literal["listening", "thinking", "thinking_and_writing", "writing", "done"]
Reason = Literal["complete", "budget", "time", "context", "circling"]
"""What ends a turn."""
NEED: Final = "need to think"
KIND: Final = "takes reasoning"
ACT: Final = "act"
READY: Final = "ready to tell"
YES: Final = "surely yes"
"""Names of the probes."""


@dataclass(frozen=True, slots=True)
class Thought:
    """The thinker wrote."""

    EVENT: ClassVar[str] = "thought"
    text: str
    """The new text; private."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A question that the loop asked the model about itself."""

    EVENT: ClassVar[str] = "probe"
    question: str
    """Which question, such as `need to think`."""
    log_odds: float
    """Natural logarithm of the odds of yes, after calibration."""
    threshold: float
    """What the log-odds were compared with."""
    decision: bool
    """What the policy made of it."""


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The loop went into another state."""

    EVENT: ClassVar[str] = "state"
    name: State
    """`listening`, `thinking`, `thinking_and_writing`, `writing` or `done`."""


@dataclass(frozen=True, slots=True)
class ReplyText:
    """The writer wrote: judged, final for the loop, and free to be spoken."""

    EVENT: ClassVar[str] = "reply_text"
    text: str
    """The new text, before it is spoken."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The reply asks for a call of a tool; until the user's turn is over, `Loop.take_back` takes it back too."""

    EVENT: ClassVar[str] = "call"
    id: str
    """Unique in the conversation."""
    name: str
    """The tool."""
    arguments: Mapping[str, Any]
    """By name; they match the tool's schema."""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """A call has come to its end; the model is told."""

    EVENT: ClassVar[str] = "call_result"
    id: str
    """That of the call."""
    name: str
    """The tool."""
    text: str
    """What the tool gave, or why it failed."""
    failed: bool
    """Whether it raised an error, took too long, or was not run."""


@dataclass(frozen=True, slots=True)
class Retracted:
    """A sentence was taken back before it was spoken."""

    EVENT: ClassVar[str] = "reply_retracted"
    text: str
    """The text that was taken back."""
    reason: str
    """Why, in a few words."""


@dataclass(frozen=True, slots=True)
class Unsaid:
    """A sentence was taken back after it was released for speech: what was not heard of it will not be."""

    EVENT: ClassVar[str] = "reply_unsaid"
    text: str
    """The sentence."""
    reason: str
    """Why, in a few words."""


@dataclass(frozen=True, slots=True)
class HistoryDropped:
    """The oldest turns left the context, because the next one would not have fitted."""

    EVENT: ClassVar[str] = "history_dropped"
    turns: int
    """How many."""


@dataclass(frozen=True, slots=True)
class TurnDone:
    """The turn is over for the model."""

    EVENT: ClassVar[str] = "turn_done"
    tokens: dict[str, int]
    """Tokens written, by stream, and those that probes read; `early` ones about half a question, while the user spoke;
    `dropped` ones of replies that were taken back or cut short before they were done."""
    steps: int
    """Steps of the engine, from the end of the user's turn to the last token."""
    reason: str
    """What ended the turn: `complete`; what ran out: `budget`, `time`, `context`; or `circling` thoughts."""


LoopEvent = Thought | Probe | StateChanged | ReplyText | ToolCall | Retracted | Unsaid | HistoryDropped | TurnDone
