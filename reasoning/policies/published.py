"""The policy of the published loop (arXiv 2512.10931, in its later form), to compare with; prompts are our own words.

The thoughts are asked for as those of sums. Whenever they have finished a step, a plain question decides whether
the writer goes on with its one message; the answer counts as it stands, without calibration. Nothing is checked before
it is spoken, and the writer's end ends everything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from reasoning.events import READY
from reasoning.policies.policy import ProbeQuestion, Telling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from languages.language import Language
    from reasoning.policies.policy import Contradicted, Evidence, Kind
    from reasoning.prompting.script import Script

_REPLY: Final = "Tell me your reply aloud, in short spoken sentences, by what the thoughts above have found."
_AHEAD: Final = (
    "Are the thoughts above far enough ahead of what you have told me to say one more sentence? Answer yes or no."
)


@dataclass(frozen=True, slots=True)
class Published:
    """Lets the model itself say when to speak, and says what it writes."""

    @property
    def name(self) -> str:
        """Its name in settings."""
        return "published"

    def opening(self, script: Script) -> Sequence[int]:
        """Ask for a working."""
        return script.think_open

    def going_on(self, script: Script) -> Sequence[int]:
        """Ask for more of it."""
        return script.resume_open

    def telling(self, script: Script) -> Telling:
        """Ask for one reply, and before each of its sentences whether the thoughts are ahead of it."""
        reply = script.request(_REPLY)
        ready = ProbeQuestion(READY, [*script.close, *script.request(_AHEAD)], script.yes_no)
        return Telling(reply, reply, one_message=True, ready=ready)

    def found(self, step: str, before: Sequence[str], asked: str, language: Language) -> bool:
        """Take every step for a finding: the model is asked about it."""
        del step, before, asked, language
        return True

    def put_right(self, step: str, language: Language) -> str | None:
        """Put nothing right."""
        del step, language
        return None

    def circling(self, steps: Sequence[str]) -> bool:
        """Let the thoughts go on to their end, or their budget's."""
        del steps
        return False

    def verbatim(self, step: str, language: Language, *, at_last: bool) -> str | None:
        """Read nothing out."""
        del step, language, at_last
        return None

    def objection(self, sentence: str, kind: Kind, evidence: Evidence) -> str:
        """Object to nothing."""
        del sentence, kind, evidence
        return ""

    def tells_result(self, sentence: str, evidence: Evidence) -> bool:
        """Leave it to the writer when the reply ends."""
        del sentence, evidence
        return False

    def contradicted(self, said: Sequence[str], steps: Sequence[str], language: Language) -> Contradicted | None:
        """Take nothing back."""
        del said, steps, language
        return None

    def standing(self, steps: Sequence[str], told: str, words: str, language: Language) -> Sequence[str]:
        """Keep everything: the thoughts go on behind the new words."""
        del told, words, language
        return steps

    def restated(self, told: str, words: str, language: Language) -> str:
        """Restate nothing."""
        del told, words, language
        return ""
