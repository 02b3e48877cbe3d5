"""What passes between the protocol and the parts behind it: commands out, happenings in. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from agent.realtime.protocol.fields import AudioFormat, FunctionTool, SemanticVad, ServerVad, SessionFields
from audio.messages import Kind


@dataclass(frozen=True, slots=True)
class Invoked:
    """A function that was called."""

    name: str
    arguments: str
    """As the model or the client wrote them: JSON, as a rule."""


@dataclass(frozen=True, slots=True)
class HistoryTurn:
    """One exchange of the conversation so far, as text."""

    user: str
    reply: str
    """What was heard of the reply."""
    calls: tuple[Invoked, ...] = ()
    """What was called in it."""


@dataclass(frozen=True, slots=True)
class ResponseSpec:
    """Everything that decides what a response will be."""

    turns: tuple[HistoryTurn, ...]
    text: str
    """What the user said, wrote or let be told since the last reply."""
    said: str
    """The end of it that the user said or wrote; empty where something else was told last."""
    instructions: str
    effort: str
    max_output_tokens: int | None
    tools: tuple[FunctionTool, ...]


# --- commands: what the protocol wants done ---


@dataclass(frozen=True, slots=True)
class SendEvent:
    """Send a server event to the client."""

    event: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Configure:
    """The session has changed."""

    session: SessionFields


@dataclass(frozen=True, slots=True)
class FeedAudio:
    """Sound for the ears, in the input format."""

    sound: bytes


@dataclass(frozen=True, slots=True)
class EndTurn:
    """The sound so far is a turn: transcribe it as this item."""

    item_id: str


@dataclass(frozen=True, slots=True)
class ForgetInput:
    """Drop the sound that is not a turn yet."""


@dataclass(frozen=True, slots=True)
class Transcribe:
    """A client brought its own sound as an item."""

    item_id: str
    sound: bytes


@dataclass(frozen=True, slots=True)
class Respond:
    """Make a response."""

    response_id: str
    brief: ResponseSpec
    spoken: bool
    """Whether it is spoken or only written."""
    in_band: bool
    """Whether it belongs to the conversation."""
    format: AudioFormat
    """Of its sound."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop making a response; whatever still comes of it is dropped."""

    response_id: str


@dataclass(frozen=True, slots=True)
class Note:
    """Tell the running response something that it should know at once."""

    text: str


@dataclass(frozen=True, slots=True)
class Truncated:
    """The client plays no more of the newest reply."""


Command = Truncated | SendEvent | Configure | FeedAudio | EndTurn | ForgetInput | Transcribe | Respond | Stop | Note


# --- happenings: what the parts behind tell the protocol ---


@dataclass(frozen=True, slots=True)
class UserSpeechStarted:
    """The user began to speak."""

    start_ms: int
    """On the clock of the input that was appended."""


@dataclass(frozen=True, slots=True)
class Understood:
    """Words of the turn that is being spoken, all so far that will hardly change."""

    text: str


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """The user's turn is over, and this is what was said."""

    end_ms: int
    transcript: str
    wanted: bool = True
    """Whether it is to be answered; a stop phrase, as a rule, is not."""


@dataclass(frozen=True, slots=True)
class Transcribed:
    """An item that was committed by hand has its words."""

    item_id: str
    transcript: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Untranscribed:
    """An item's words could not be made out."""

    item_id: str
    message: str


@dataclass(frozen=True, slots=True)
class Said:
    """A piece of the reply, with its sound if it is spoken."""

    response_id: str
    text: str
    sound: bytes = b""
    """In the output format."""
    samples: int = 0
    kind: Kind = "content"


@dataclass(frozen=True, slots=True)
class FunctionCalled:
    """A tool is to be called by the client."""

    response_id: str
    call_id: str
    name: str
    arguments: str
    """JSON."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a response cost, in tokens."""

    read: int = 0
    written: int = 0
    cost: Mapping[str, Any] | None = None
    """What else it cost; None where clients are not told."""


@dataclass(frozen=True, slots=True)
class Finished:
    """Everything of the reply was told."""

    response_id: str
    usage: Usage = Usage()
    incomplete: Literal["max_output_tokens"] | None = None
    unanswered: bool = False
    """Something was noted that no reply could take up any more."""


@dataclass(frozen=True, slots=True)
class ResponseFailed:
    """The reply cannot be made."""

    response_id: str
    message: str


@dataclass(frozen=True, slots=True)
class CutShort:
    """The user has cut the reply off; of no account where the response is over."""

    response_id: str


@dataclass(frozen=True, slots=True)
class Aside:
    """Something private: told only to a client that has asked for its kind."""

    kind: Literal["thoughts", "robot"]
    text: str


Happening = (
    UserSpeechStarted
    | Understood
    | SpeechEnded
    | Transcribed
    | Untranscribed
    | Said
    | FunctionCalled
    | Finished
    | ResponseFailed
    | CutShort
    | Aside
)
Detection = ServerVad | SemanticVad | None
