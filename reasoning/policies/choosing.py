"""Which policy a question is answered by: always the same one, or what cheap questions to the model say.

A question costs the tokens of a line and one step, and the reply waits for it: so the second is put only where the
first leaves it open. What they say is read against a bias that was measured with the default model on development
questions: docs/policies.md has the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, assert_never

from reasoning.events import KIND, NEED
from reasoning.policies.plain import Plain
from reasoning.policies.policy import Chosen, ProbeQuestion
from reasoning.policies.published import Published
from reasoning.policies.sums.findings import several_numbers
from reasoning.policies.sums.prose import Prose
from reasoning.policies.sums.sums import Sums
from reasoning.policies.sums.switches import ALL_POLICIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from languages.language import Language
    from reasoning.options import PolicyName
    from reasoning.policies.policy import Policy, PolicyChoice
    from reasoning.policies.sums.switches import PolicySwitches
    from reasoning.prompting.script import Script

_TINY: Final = 5
"""Words of a turn that is answered without thoughts where no probe can be asked."""


@dataclass(frozen=True, slots=True)
class Always:
    """Thinks about every question, by one policy."""

    first: Policy

    def decide(
        self, log_odds: Sequence[float], asked: str, script: Script, *, told: str = "", tools: bool
    ) -> ProbeQuestion | Chosen:
        """Choose the one there is."""
        del log_odds, asked, script, told, tools
        return Chosen(self.first, ())


@dataclass(frozen=True, slots=True)
class ByProbes:
    """No thoughts where it takes no reasoning; else sums where there is something to compute, else another policy."""

    first: Policy
    other: Policy | None = None
    """For what is no sum, where that gains by notes with this model; None: it is answered at once."""

    def decide(
        self, log_odds: Sequence[float], asked: str, script: Script, *, told: str = "", tools: bool
    ) -> ProbeQuestion | Chosen:
        """Ask of what kind the question is; where that is not clear, whether there is something to compute.

        Where no kinds were measured, the second is asked alone; where nothing was, nothing is asked, and only the
        smallest turns go without thoughts. With a model that gains by sums alone, neither is asked where nothing was
        told to reckon with.
        """
        measured, prompts = script.calibration, script.family.prompts
        if measured is None:
            return Chosen(None if _tiny(asked, script.language) else self.first, ())
        other, answers, calibrated = None, list(log_odds), list[float]()
        ahead = measured.need_of_numbers if several_numbers(asked, script.language) else 0.0
        if self.other is not None and script.knows_kinds:
            if not measured.notes and not several_numbers(f"{told}\n{asked}", script.language):
                return Chosen(None, ())
            if not answers:
                return ProbeQuestion(KIND, script.kind, script.kinds)
            kind = answers.pop(0) - prompts.kind_bias + ahead
            other = self.other if measured.notes else None
            if kind <= 0 or kind > prompts.kind_clear:
                return Chosen(self.first if kind > 0 else None, (kind,))
            calibrated.append(kind)
        if not answers:
            return ProbeQuestion(NEED, script.need, script.yes_no)
        need = answers[0] + ahead - (measured.need_bias_with_tools if tools else measured.need_bias)
        return Chosen(self.first if need > 0 else other, (*calibrated, need))


def choice_of(name: PolicyName, switches: PolicySwitches = ALL_POLICIES, *, tagged: bool = False) -> PolicyChoice:
    """Give the choice that a setting names; `tagged`: the model thinks in tags, whatever it is asked for."""
    sums: Policy = Prose(Sums(switches)) if tagged else Sums(switches)
    match name:
        case "auto":
            return ByProbes(sums, None if tagged else Plain())
        case "sums":
            return ByProbes(sums)
        case "plain":
            return Always(Plain())
        case "published":
            return Always(Published())
        case _:
            assert_never(name)


def _tiny(words: str, language: Language) -> bool:
    """Say whether words are so few, without two numbers to compute with, that they are small talk or a plain question.

    It takes the place of a measured probe: "Hi, who are you?" is tiny, "How do I boil an egg for my dog?" is not.
    """
    return len(words.split()) <= _TINY and not several_numbers(words, language)
