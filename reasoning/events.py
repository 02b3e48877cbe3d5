"""What the loop tells while it runs. Data only: who listens, and what becomes of it, is not known here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

State = Literal["listening", "thinking", "thinking_and_writing", "writing", "done"]
NEED: Final = "need to think"
ACT: Final = "act"
"""Names of the probes."""


@dataclass(frozen=True, slots=True)
class Thought:
    """Private text, as it is thought."""

    text: str


@dataclass(frozen=True, slots=True)
class ThoughtDropped:
    """The newest line of the thoughts was cropped."""

    reason: str


@dataclass(frozen=True, slots=True)
class Probe:
    """A question that was weighed."""

    question: str
    log_odds: float
    """Above the model's own bias to say yes."""
    threshold: float
    """What they were compared with."""
    decision: bool


@dataclass(frozen=True, slots=True)
class StateChanged:
    """What runs now."""

    name: State


@dataclass(frozen=True, slots=True)
class ReplyText:
    """Public text that may be spoken: judged, and final for the loop."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The writer calls a tool. Until the user's turn has ended for good, `Loop.take_back` takes it back too."""

    id: str
    """Unique in this loop."""
    name: str
    """The tool."""
    arguments: Mapping[str, Any]
    """They match the tool's schema."""


@dataclass(frozen=True, slots=True)
class Retracted:
    """A sentence that was written and taken back before anyone heard it."""

    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class Unsaid:
    """A sentence that was released, and does not stand any more: what was not heard of it must not be."""

    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class HistoryDropped:
    """The oldest turns left the context, because a new one would not have fitted."""

    turns: int


@dataclass(frozen=True, slots=True)
class TurnDone:
    """The reply is complete."""

    tokens: dict[str, int]
    """Tokens spent by each stream."""
    steps: int
    """Engine steps from the end of the user's turn to the last token."""
    reason: str
    """`complete`; or what ran out: `budget`, `time`, `context`; or `circling`: the thoughts repeated themselves."""


LoopEvent = (
    Thought
    | ThoughtDropped
    | Probe
    | StateChanged
    | ReplyText
    | ToolCall
    | Retracted
    | Unsaid
    | HistoryDropped
    | TurnDone
)
