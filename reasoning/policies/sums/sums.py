"""The policy for sums: short lines of calculation, each of which may be read out while the next is worked out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reasoning.policies.admission import judge
from reasoning.policies.policy import Telling
from reasoning.policies.sums.arithmetic import put_right
from reasoning.policies.sums.consistency import contradicted
from reasoning.policies.sums.corrections import restated, standing
from reasoning.policies.sums.findings import (
    ENDLESS,
    LONG,
    finds,
    objection_to_result,
    objection_to_step,
    reckons,
    run_on,
    tells_result,
)
from reasoning.policies.sums.readout import readout
from reasoning.policies.sums.switches import ALL_POLICIES, PolicySwitches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from languages.language import Language
    from reasoning.policies.policy import Contradicted, Evidence, Kind
    from reasoning.prompting.script import Script


@dataclass(frozen=True, slots=True)
class Sums:
    """Reads finished calculations out, lets the writer tell other findings, and holds every number to the thoughts."""

    switches: PolicySwitches = ALL_POLICIES

    @property
    def name(self) -> str:
        """Its name in settings."""
        return "sums"

    def opening(self, script: Script) -> Sequence[int]:
        """Ask for a calculation per line."""
        return script.think_open

    def going_on(self, script: Script) -> Sequence[int]:
        """Ask for more of them."""
        return script.resume_open

    def telling(self, script: Script) -> Telling:
        """Ask for each sentence by itself."""
        return Telling(script.step_open, script.result_open)

    def found(self, step: str, before: Sequence[str], asked: str, language: Language) -> bool:
        """Say whether a step has found a new number or makes a plain statement, and leads on."""
        known = "\n".join([asked, *before])
        return finds(step, known, language) and step not in before and not run_on([*before, step], LONG)

    def put_right(self, step: str, language: Language) -> str | None:
        """Put the result of a plain calculation right."""
        return put_right(step, language) if self.switches.arithmetic else None

    def circling(self, steps: Sequence[str]) -> bool:
        """Say whether the newest step stands there for the third time, or a pattern goes on and on."""
        return bool(steps) and (steps.count(steps[-1]) > 2 or run_on(steps, ENDLESS))

    def verbatim(self, step: str, language: Language, *, at_last: bool) -> str | None:
        """Read a plain calculation out, or what is called the answer."""
        return readout(step, language) if self.switches.readout or at_last else None

    def objection(self, sentence: str, kind: Kind, evidence: Evidence) -> str:
        """Hold the numbers and names of a sentence to the thoughts, and a step to one step."""
        language, grounding = evidence.language, self.switches.grounding
        if kind == "direct":
            return "reckons without thoughts" if grounding and reckons(sentence, evidence.asked, language) else ""
        verdict = judge(
            sentence, evidence.known, evidence.thoughts, evidence.reply, grounding=grounding, language=language
        )
        if not verdict.speak:
            return verdict.reason
        if kind == "result":
            return objection_to_result(sentence, evidence.steps, language)
        return (
            objection_to_step(sentence, evidence.known, evidence.steps, evidence.reply, language) if grounding else ""
        )

    def tells_result(self, sentence: str, evidence: Evidence) -> bool:
        """Say whether a sentence ends with the result."""
        return tells_result(sentence, evidence.steps, evidence.language)

    def contradicted(self, said: Sequence[str], steps: Sequence[str], language: Language) -> Contradicted | None:
        """Give the first calculation, or answer, that the thoughts have another result of."""
        return contradicted(said, steps, language)

    def standing(self, steps: Sequence[str], told: str, words: str, language: Language) -> Sequence[str]:
        """Keep what does not rest on a number that was replaced."""
        return standing(steps, told, words, language) if self.switches.resume else []

    def restated(self, told: str, words: str, language: Language) -> str:
        """Put the new numbers into what was told."""
        return restated(told, words, language) if self.switches.resume else ""
