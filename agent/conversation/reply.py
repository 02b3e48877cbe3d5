"""One handle for a reply, through all stages: begun, authorised, spoken, heard, cancelled.

Everybody who works on a reply has its handle and looks at it before doing anything for it, so that nothing of a reply
that was cancelled is spoken, called or sent. Data only; who changes what is said in the fields.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from audio.speaking.ledger import Ledger
from languages.english import ENGLISH

if TYPE_CHECKING:
    from audio.messages import Clip, Kind
    from audio.speaking.clauses import Clauses
    from languages.language import Language
    from reasoning.events import ToolCall, TurnDone
    from reasoning.policies.fillers import FillerClock


@dataclass(frozen=True, slots=True)
class ReplyRequest:
    """What a reply answers and how it is given; requests that are equal are answered by one reply."""

    text: str
    """The user's words; empty: what was noted."""
    spoken: bool = True
    """Whether it goes through the voice; else it is written, sentence by sentence."""
    spec: object = None
    """What else decides it, for the reasoner and the sink of a remote client."""
    words: str | None = None
    """What it says as it stands, past any model; None: the reasoner makes it."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a reply that can go out: a clause with its sound, or a written sentence."""

    text: str
    clip: Clip | None
    """None: it is written."""
    kind: Kind
    sentence: int
    """Place of its sentence in the reply; -1 for what fills a wait."""


@dataclass(slots=True, eq=False)
class Reply:
    """A reply, from the moment at which it is decided upon."""

    number: int
    """Counts the replies of a conversation, from 1."""
    clauses: Clauses
    """Cuts its sentences for the voice."""
    base: int = 0
    """Samples that the sink had played of all clips when it began."""
    language: Language = ENGLISH
    """What it is spoken in."""
    request: ReplyRequest | None = None
    """None until the reasoner begins with it."""
    client_id: str = ""
    """Under which a remote client knows it; empty while it is preemptive, and at the desk."""
    aside: bool = False
    """It is made beside the conversation, and takes no turn in it."""
    announced: bool = False
    """It holds announcements only, which no turn asked for and no history knows."""
    authorised: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once it may be heard: the turn is over, or somebody asked for it. Never cleared."""
    cancelled: bool = False
    """Nothing more of it may be spoken, sent or called. Never goes back."""
    calls: list[ToolCall] = field(default_factory=list)
    """Calls that wait until it is authorised; empty afterwards."""
    held: list[Piece] = field(default_factory=list)
    """Pieces that wait until it is authorised; empty afterwards."""
    ledger: Ledger = field(default_factory=Ledger)
    """What of it was heard; after a cancellation it stays as it was."""
    sentences: list[str] = field(default_factory=list)
    """What it was told to say; the numbers of sentences are their places."""
    clips: dict[int, list[int]] = field(default_factory=dict)
    """Numbers of the clips that went out for each sentence."""
    seconds: dict[int, float] = field(default_factory=dict)
    """Length of the clips that went out, by number."""
    unsaid: set[int] = field(default_factory=set)
    """Sentences that were taken back."""
    letters: int = 0
    """Letters of clauses that are not synthesised yet."""
    unsynthesised: int = 0
    """Clauses that are not synthesised yet."""
    synthesised: asyncio.Event = field(default_factory=asyncio.Event)
    """Whether no clause waits for the voice."""
    writing_since_s: float | None = None
    """Second since which words of it are being written; None while there are none to write."""
    begun: bool = False
    """Something of it was heard."""
    fillers: FillerClock | None = None
    """When to fill the wait for it; None: in silence, and until somebody waits."""
    awaited: bool = False
    """The listener waits for it. What fills the wait goes out from then on; the reply itself once it is authorised."""
    done: TurnDone | None = None
    """What it cost; None until it is written."""
    task: asyncio.Task[None] | None = None
    """Makes it; None until the reasoner begins with it."""

    def __post_init__(self) -> None:
        self.synthesised.set()

    @property
    def may_be_heard(self) -> bool:
        """Whether it is authorised and nobody has cancelled it."""
        return self.authorised.is_set() and not self.cancelled

    @property
    def made(self) -> bool:
        """Whether nothing more of it will come."""
        return self.synthesised.is_set() if self.announced else self.task is not None and self.task.done()

    @property
    def heard(self) -> str:
        """Its text that was heard, to the last whole word."""
        return self.ledger.heard().strip()
