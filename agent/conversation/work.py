"""What waits for the reasoner, in order. Data only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.conversation.turn_taking import Forget, Hear

if TYPE_CHECKING:
    from agent.conversation.reply import Reply, ReplyRequest
    from audio.messages import Words
    from languages.language import Language


@dataclass(frozen=True, slots=True)
class BeginPreemptive:
    """Begin with a preemptive reply."""

    reply: Reply
    text: str
    language: Language
    """What it answers in."""


@dataclass(frozen=True, slots=True)
class ReplyRetracted:
    """A preemptive reply was cancelled: the user goes on."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class TurnClosed:
    """The user's turn is over."""

    reply: Reply
    text: str
    spoken_until_s: float
    """Second at which the user's speech ended."""
    words: Words | None


@dataclass(frozen=True, slots=True)
class ReplyCut:
    """A reply that may have been heard was cancelled."""

    reply: Reply
    heard: str
    """What was heard of it."""
    resumed: bool
    """The user went on with the turn that it answered."""


@dataclass(frozen=True, slots=True)
class ReplyHeard:
    """The reply has sounded to its end."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class NoteTaken:
    """Something was told from outside."""

    text: str
    unprompted: bool


@dataclass(frozen=True, slots=True)
class ReplyRequested:
    """A client asks for a reply."""

    request: ReplyRequest
    client_id: str


@dataclass(frozen=True, slots=True)
class GetReady:
    """What a reply begins with is new, and can be read before anybody speaks."""


Work = (
    Hear
    | Forget
    | BeginPreemptive
    | ReplyRetracted
    | TurnClosed
    | ReplyCut
    | ReplyHeard
    | NoteTaken
    | ReplyRequested
    | GetReady
)
