"""The policy for any question: plain notes, of which nothing is told until they conclude.

It reads no content: no pattern, no sign, no word of a language. The thoughts are never read out; the writer says what
they conclude. The one check is that numbers and names come from the user or the thoughts, by the rules that the
language has for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reasoning.policies.admission import circles_in_prose, judge
from reasoning.policies.policy import Telling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from languages.language import Language
    from reasoning.policies.policy import Contradicted, Evidence, Kind
    from reasoning.prompting.script import Script


@dataclass(frozen=True, slots=True)
class Plain:
    """Thinks in notes, and speaks when they have come to their end."""

    @property
    def name(self) -> str:
        """Its name in settings."""
        return "plain"

    def opening(self, script: Script) -> Sequence[int]:
        """Ask for notes in sentences."""
        return script.notes_open

    def going_on(self, script: Script) -> Sequence[int]:
        """Ask for more of them."""
        return script.notes_resume_open

    def telling(self, script: Script) -> Telling:
        """Ask for what they conclude."""
        return Telling(script.step_open, script.result_open)

    def found(self, step: str, before: Sequence[str], asked: str, language: Language) -> bool:
        """Find nothing: what a note has found is known when the notes have come to their end."""
        del step, before, asked, language
        return False

    def put_right(self, step: str, language: Language) -> str | None:
        """Put nothing right: what a note means is not known."""
        del step, language
        return None

    def circling(self, steps: Sequence[str]) -> bool:
        """Say whether they repeat themselves."""
        return circles_in_prose(steps)

    def verbatim(self, step: str, language: Language, *, at_last: bool) -> str | None:
        """Read nothing out: notes are private."""
        del step, language, at_last
        return None

    def objection(self, sentence: str, kind: Kind, evidence: Evidence) -> str:
        """Hold the numbers and names of a sentence to the user's words and the thoughts."""
        if kind == "direct":
            return ""
        verdict = judge(
            sentence,
            evidence.known,
            evidence.thoughts,
            evidence.reply,
            grounding=True,
            language=evidence.language,
        )
        return verdict.reason

    def tells_result(self, sentence: str, evidence: Evidence) -> bool:
        """Say no: only the writer can tell what notes conclude."""
        del sentence, evidence
        return False

    def contradicted(self, said: Sequence[str], steps: Sequence[str], language: Language) -> Contradicted | None:
        """Find nothing: nothing is said before the notes have come to their end."""
        del said, steps, language
        return None

    def standing(self, steps: Sequence[str], told: str, words: str, language: Language) -> Sequence[str]:
        """Keep everything: the notes go on behind the new words, and may turn round."""
        del told, words, language
        return steps

    def restated(self, told: str, words: str, language: Language) -> str:
        """Restate nothing: the model reads the new words itself."""
        del told, words, language
        return ""
