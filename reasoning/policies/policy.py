"""What may be said of thoughts, and when: the protocol between the loop and its policies.

The loop knows roles, views, budgets, and how much is left to play. A policy knows how thoughts are asked for, whether
the newest stretch of them found something, how to say it, whether a sentence may be said, what contradicts what was
said, and what survives new words. It sees text alone: it starts no stream and knows no block. All methods are quick,
and none changes the policy: one object serves every conversation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from languages.english import ENGLISH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from languages.language import Language
    from reasoning.prompting.script import Script

Kind = Literal["step", "result", "direct"]
"""What a sentence is: about a step of thoughts that go on, their result, or a reply without thoughts."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a sentence is judged by."""

    asked: str
    """The user's words, and what others told with them."""
    known: str
    """The same, and the calls that were made: what may be repeated without being thought."""
    steps: Sequence[str] = ()
    """Finished steps of the thoughts, in order."""
    rest: str = ""
    """What was thought behind the last finished step."""
    said: Sequence[str] = field(default=())
    """Sentences that were released and stand, in order."""
    language: Language = ENGLISH

    @property
    def thoughts(self) -> str:
        """All that was thought."""
        return "\n".join([*self.steps, self.rest])

    @property
    def reply(self) -> str:
        """All that was said."""
        return " ".join(self.said)


@dataclass(frozen=True, slots=True)
class Contradicted:
    """A sentence that the thoughts contradict."""

    sentence: str
    instead: str | None
    """What they say now, fit to be spoken; None where the writer must tell it."""


@dataclass(frozen=True, slots=True)
class ProbeQuestion:
    """What the model is asked beside its thoughts."""

    name: str
    tokens: Sequence[int]
    """Stand behind what the question is about, and open the answer."""
    choices: tuple[frozenset[int], frozenset[int]]
    """Tokens of the answer that mean yes, and no."""


@dataclass(frozen=True, slots=True)
class Telling:
    """How the writer is asked for sentences about the thoughts, in tokens."""

    step: Sequence[int]
    """Heads a sentence while the thoughts go on."""
    result: Sequence[int]
    """Heads what is said when they have ended."""
    one_message: bool = False
    """Whether only the first sentence is headed: the others go on in its message, and its end is that of the reply."""
    ready: ProbeQuestion | None = None
    """Asked when something was found: without a yes it is not told yet. None: nothing is asked."""


class Policy(Protocol):
    """One way to think and to speak of it."""

    @property
    def name(self) -> str:
        """Its name in settings."""
        ...

    def opening(self, script: Script) -> Sequence[int]:
        """Ask for thoughts and open them: tokens behind the user's words."""
        ...

    def going_on(self, script: Script) -> Sequence[int]:
        """Open interrupted thoughts again, behind new words."""
        ...

    def telling(self, script: Script) -> Telling:
        """Ask for sentences about the thoughts."""
        ...

    def found(self, step: str, before: Sequence[str], asked: str, language: Language) -> bool:
        """Say whether a finished step, behind those `before`, has found something that can be told at once."""
        ...

    def put_right(self, step: str, language: Language) -> str | None:
        """Give a finished step as it should be, where it is surely wrong; None: it stays as it is.

        It takes the step's place before anything else is made of it, and the thoughts go on behind it.
        """
        ...

    def circling(self, steps: Sequence[str]) -> bool:
        """Say whether the thoughts lead nowhere any more, by their finished steps; then they are ended."""
        ...

    def verbatim(self, step: str, language: Language, *, at_last: bool) -> str | None:
        """Give a step as a sentence to speak as it stands; None: the writer words it.

        at_last: the writer has failed, and nothing else is left to say.
        """
        ...

    def objection(self, sentence: str, kind: Kind, evidence: Evidence) -> str:
        """Say why a sentence must not be spoken; nothing when it may.

        A direct reply that is objected to is thought about instead.
        """
        ...

    def tells_result(self, sentence: str, evidence: Evidence) -> bool:
        """Say whether a sentence that was said tells what the thoughts conclude, so that nothing is left to say."""
        ...

    def contradicted(self, said: Sequence[str], steps: Sequence[str], language: Language) -> Contradicted | None:
        """Give the first sentence that was said and is not true any more."""
        ...

    def standing(self, steps: Sequence[str], told: str, words: str, language: Language) -> Sequence[str]:
        """Give the steps that stand once `words` were said to what had been `told`, in their order."""
        ...

    def restated(self, told: str, words: str, language: Language) -> str:
        """Give what was told as `words` correct it; nothing where they correct nothing for certain."""
        ...


@dataclass(frozen=True, slots=True)
class Chosen:
    """How a question is answered."""

    policy: Policy | None
    """None: at once, without thoughts."""
    log_odds: Sequence[float]
    """The answers to what was asked, after calibration: above zero is yes."""


class PolicyChoice(Protocol):
    """Which policy a question is answered by."""

    @property
    def first(self) -> Policy:
        """The policy by which the thoughts begin, before anything is known of the question."""
        ...

    def decide(
        self, log_odds: Sequence[float], asked: str, script: Script, *, told: str = "", tools: bool
    ) -> ProbeQuestion | Chosen:
        """Give what the model is asked next about the user's words, or what its answers so far choose.

        log_odds: of yes, one for each question until now.
        told: what was told in the turns before.
        tools: the prompt lists tools, and none of them is wanted; told from the first answer on.
        """
        ...
