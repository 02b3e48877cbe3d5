"""One turn of the loop, as far as it has come: what was heard, thought, called and said. Data only."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reasoning.loop.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reasoning.engine.contract import Block
    from reasoning.tools.calls import WrittenCall


@dataclass(frozen=True, slots=True)
class Carried:
    """Thoughts of a turn that was interrupted."""

    steps: Sequence[str]
    """Its finished steps."""
    told: str
    """The words that they are about."""


@dataclass(slots=True)
class Turn:
    """A turn, from its first word until it is history."""

    number: int
    input: Block
    thoughts: Block
    text: str = ""
    """The user's words."""
    before: list[str] = field(default_factory=list)
    """Notes from outside that came before the first word."""
    after: list[str] = field(default_factory=list)
    """Notes that came since."""
    steps: Steps = field(default_factory=Steps)
    facts_end: int = 0
    """Length of the thoughts up to the last fact that is kept."""
    facts: int = 0
    """How many of the finished steps are those facts."""
    carried: Carried | None = None
    """What comes from a turn that was interrupted."""
    meant: str = ""
    """The words of that turn, as these words correct them."""
    findings: list[str] = field(default_factory=list)
    """Steps that found something."""
    thinking: bool = False
    thought_out: bool = False
    replies: list[Block] = field(default_factory=list)
    """A block for each sentence, and the draft that is headed for the next one."""
    head: int = 0
    """Length of the draft's head."""
    said: list[str] = field(default_factory=list)
    checked: int = 0
    """How many of the finished steps were held against what was said."""
    calls: list[WrittenCall] = field(default_factory=list)
    tokens: Counter[str] = field(default_factory=Counter)
    first_step: int = 0
    last_step: int = 0
    reason: str = "complete"
    deadline: float = float("inf")
    steps_from: float = 0.0
    """When steps on the way to the result may be said, by the caller's clock."""
    sealed: bool = False
    """What is thought is thought: notes that come now are for the next turn."""

    @property
    def input_text(self) -> str:
        """What the input block holds: the user's words with what they mean, and the notes around them, a line each."""
        meant = self.meant and f"(So: {self.meant})"
        return "\n".join(line for line in [*self.before, self.text, meant, *self.after] if line)

    @property
    def known(self) -> str:
        """What may be repeated in speech without being thought: the input, and the calls that were made."""
        return "\n".join([self.input_text, *(call.text() for call in self.calls)])

    @property
    def reply(self) -> str:
        """What was said."""
        return " ".join(self.said)
