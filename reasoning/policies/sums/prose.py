"""The policy for sums of a model that was trained to think: its thoughts are prose between tags, not a working."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from reasoning.policies.admission import circles_in_prose, judge
from reasoning.policies.grounding import numbers
from reasoning.policies.sums.findings import objection_to_step
from reasoning.policies.sums.sums import Sums

if TYPE_CHECKING:
    from collections.abc import Sequence

    from languages.language import Language
    from reasoning.policies.policy import Contradicted, Evidence, Kind, Telling
    from reasoning.prompting.script import Script


@dataclass(frozen=True, slots=True)
class Prose:
    """Lets the writer tell the numbers that prose has found; nothing of it is read out."""

    sums: Sums = field(default_factory=Sums)

    @property
    def name(self) -> str:
        """Its name in settings."""
        return self.sums.name

    def opening(self, script: Script) -> Sequence[int]:
        """Open the tag."""
        return self.sums.opening(script)

    def going_on(self, script: Script) -> Sequence[int]:
        """Go on between the tags."""
        return self.sums.going_on(script)

    def telling(self, script: Script) -> Telling:
        """Ask for each sentence by itself."""
        return self.sums.telling(script)

    def found(self, step: str, before: Sequence[str], asked: str, language: Language) -> bool:
        """Say whether a sentence has a new number: most others are about the thinking itself."""
        return bool(numbers(step, language)) and self.sums.found(step, before, asked, language)

    def put_right(self, step: str, language: Language) -> str | None:
        """Put nothing right: the model was trained to find its slips itself."""
        del step, language
        return None

    def circling(self, steps: Sequence[str]) -> bool:
        """Say whether it repeats itself."""
        return circles_in_prose(steps)

    def verbatim(self, step: str, language: Language, *, at_last: bool) -> str | None:
        """Read nothing out."""
        del step, language, at_last
        return None

    def objection(self, sentence: str, kind: Kind, evidence: Evidence) -> str:
        """Hold a sentence to the thoughts, but not to their last number, which need not be their result."""
        if kind == "direct":
            return self.sums.objection(sentence, kind, evidence)
        grounding, language = self.sums.switches.grounding, evidence.language
        verdict = judge(
            sentence, evidence.known, evidence.thoughts, evidence.reply, grounding=grounding, language=language
        )
        if not verdict.speak or kind == "result" or not grounding:
            return verdict.reason
        return objection_to_step(sentence, evidence.known, evidence.steps, evidence.reply, language)

    def tells_result(self, sentence: str, evidence: Evidence) -> bool:
        """Say no: prose does not tell what its result is."""
        del sentence, evidence
        return False

    def contradicted(self, said: Sequence[str], steps: Sequence[str], language: Language) -> Contradicted | None:
        """Give what a calculation in the prose contradicts; the writer tells what is right."""
        found = self.sums.contradicted(said, steps, language)
        return None if found is None else replace(found, instead=None)

    def standing(self, steps: Sequence[str], told: str, words: str, language: Language) -> Sequence[str]:
        """Keep what does not rest on a number that was replaced."""
        return self.sums.standing(steps, told, words, language)

    def restated(self, told: str, words: str, language: Language) -> str:
        """Put the new numbers into what was told."""
        return self.sums.restated(told, words, language)
