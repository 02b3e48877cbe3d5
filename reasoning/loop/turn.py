"""One turn of the loop, as far as it has come, and the attempts to answer it. Data only.

A turn is what was said and told: it survives. An attempt is everything that a reply costs and makes: thoughts,
sentences, calls, budgets. Speech is recognised before it is known to be over, so an attempt may be taken back when the
user goes on; then it is dropped whole, and the next one begins with full budgets.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

from languages.english import ENGLISH
from reasoning.loop.steps import Steps
from reasoning.policies.policy import Evidence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from languages.language import Language
    from reasoning.engine.contract import Block
    from reasoning.events import Reason
    from reasoning.policies.policy import Policy
    from reasoning.tools.written import WrittenCall


class Phase(IntEnum):
    """How far an attempt has come. From CONCLUDING on, notes wait for the next turn."""

    LISTENING = 0
    """The words may still change, and nothing of a reply was begun."""
    PROBING = 1
    """Whether it takes thoughts, and which, is being asked."""
    THINKING = 2
    """The thoughts grow, and no sentence is being written."""
    TELLING = 3
    """The thoughts grow while a sentence about a finished step is written."""
    CONCLUDING = 4
    """The thoughts are complete, and their result is told."""
    REPLYING = 5
    """A reply without thoughts is written."""
    ACTING = 6
    """Calls of tools are written, then a sentence about them."""
    DONE = 7
    """The reply is complete."""


@dataclass(slots=True)
class Attempt:
    """One try at the reply to a turn."""

    steps: Steps
    """Finished steps of the thoughts; begins with the kept ones of the turn. Empty in a reply without thoughts."""
    phase: Phase = Phase.LISTENING
    """Goes up, but for two ways back to THINKING: from TELLING, and from a REPLYING that has to be thought about."""
    deadline: float = float("inf")
    """When thoughts must conclude, in seconds of the caller's clock; infinite until the answer is begun."""
    findings: list[str] = field(default_factory=list)
    """Steps of this attempt that found something, in order; each stands in `steps`."""
    replies: list[Block] = field(default_factory=list)
    """A block for each sentence in order, the last one being the draft of the next; empty until the first is headed."""
    head: int = 0
    """Tokens of the newest draft that are its request; a draft of that length holds no words."""
    said: list[str] = field(default_factory=list)
    """Sentences that were released and stand, in order."""
    unwritten: list[str] = field(default_factory=list)
    """Those of them that the writer's view does not hold yet: they were read out since it wrote last."""
    stretches: list[int] = field(default_factory=list)
    """How many steps were finished when each stretch of the thoughts but the newest ended."""
    checked: int = 0
    """How many of the finished steps were held against `said`."""
    rethink: bool = False
    """Whether a reply without thoughts was taken back because it reckons; false with thoughts."""
    doubtful: bool = False
    """Whether something was said at once of which the model was not sure."""
    wanted: bool = False
    """Whether the words want calls that have been neither made nor declined yet."""
    calls: list[WrittenCall] = field(default_factory=list)
    """Calls that were reported; empty until all of the request's are written."""
    tokens: Counter[str] = field(default_factory=Counter)
    """Tokens spent by `thinker`, `writer` and `probe`; the budgets are held against these."""
    first_step: int = 0
    """Engine step of the first token; 0 until there is one."""
    last_step: int = 0
    """Engine step of the newest token."""
    reason: Reason = "complete"
    """What ended it, as `TurnDone.reason`."""

    @property
    def reply(self) -> str:
        """What was said."""
        return " ".join(self.said)


@dataclass(frozen=True, slots=True)
class Carried:
    """Thoughts of a turn that was interrupted."""

    steps: Sequence[str]
    """Its finished steps."""
    told: str
    """The words that they are about."""
    policy: Policy
    """The one by which they were thought."""


@dataclass(slots=True)
class Turn:
    """A turn, from its first word until it is history."""

    number: int
    """Names its blocks; unique among the turns that are in the context."""
    input: Block
    """Holds `input_text`, and nothing else."""
    thoughts: Block
    """The newest stretch of the thoughts. The first `kept` tokens belong to the turn, what follows to the attempt."""
    policy: Policy
    """How it is thought about; another one may be chosen while it is answered."""
    language: Language = ENGLISH
    """What is spoken in it."""
    text: str = ""
    """The user's words; empty until the first one, and in a turn that only notes began."""
    before: list[str] = field(default_factory=list)
    """Notes from outside that came before the first word."""
    after: list[str] = field(default_factory=list)
    """Notes that came since."""
    carried: Carried | None = None
    """What comes from a turn that was interrupted; None without such a turn."""
    meant: str = ""
    """The words of that turn, as these words correct them; empty where they correct nothing."""
    earlier: list[Block] = field(default_factory=list)
    """The stretches before it, oldest first; empty unless the thoughts are long."""
    kept: int = 0
    """Tokens of the thoughts that an interrupted turn left; 0 unless something is `carried`."""
    kept_steps: Sequence[str] = ()
    """The steps in them."""
    early: int = 0
    """Tokens that were thought about it while the user spoke; in no budget."""
    dropped: int = 0
    """Tokens of attempts that no `TurnDone` told: taken back, or, in the turn before, cut short."""
    attempt: Attempt = field(default_factory=lambda: Attempt(Steps()))
    """The reply that is being made; a fresh one while the user talks."""

    @property
    def sealed(self) -> bool:
        """Whether what is thought is thought: notes that come now are for the next turn."""
        return self.attempt.phase >= Phase.CONCLUDING

    @property
    def thought(self) -> bool:
        """Whether there are thoughts, be it only their opening."""
        return bool(self.earlier) or len(self.thoughts) > 0

    @property
    def input_text(self) -> str:
        """What the input block holds: the user's words with what they mean, and the notes around them, a line each."""
        meant = self.meant and self.language.prompts.meant.format(self.meant)
        return "\n".join(line for line in [*self.before, self.text, meant, *self.after] if line)

    @property
    def known(self) -> str:
        """What may be repeated in speech without being thought: the input, and the calls that were made."""
        return "\n".join([self.input_text, *(call.text() for call in self.attempt.calls)])

    @property
    def evidence(self) -> Evidence:
        """What a sentence is judged by now."""
        steps = self.attempt.steps
        return Evidence(
            self.input_text, self.known, tuple(steps.finished), steps.rest, tuple(self.attempt.said), self.language
        )

    def keep(self, steps: Sequence[str]) -> None:
        """Let the thoughts as they stand, with these steps, survive the attempts; begins one with them."""
        self.kept, self.kept_steps = len(self.thoughts), tuple(steps)
        self.attempt.steps = Steps(steps)

    @property
    def untold(self) -> int:
        """Tokens that no `TurnDone` has told."""
        done = self.attempt.phase >= Phase.DONE
        return 0 if done else self.dropped + self.attempt.tokens.total()

    def begin_anew(self) -> None:
        """Replace the attempt by a fresh one."""
        self.dropped = self.untold
        self.attempt = Attempt(Steps(self.kept_steps))

    def left(self) -> Carried | None:
        """Give what this turn leaves when it is interrupted; None if it had not begun to work anything out.

        What was thought of a thing that a tool was to tell is a guess.
        """
        steps = self.attempt.steps.finished
        if self.attempt.wanted or not self.text or (self.carried is None and not steps):
            return None
        told = self.meant or (self.input_text if self.carried is None else f"{self.carried.told}\n{self.input_text}")
        return Carried(tuple(steps), told, self.policy)
