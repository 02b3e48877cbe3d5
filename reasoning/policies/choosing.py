"""Which policy a question is answered by: always the same one, or what cheap questions to the model say.

A question costs the tokens of a line and one step, beside thoughts that have begun already. What it says is read
against a bias that was measured with the default model on development questions: docs/policies.md has the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from reasoning.events import KIND, NEED
from reasoning.policies.plain import Plain
from reasoning.policies.policy import Chosen, ProbeQuestion
from reasoning.policies.sums.findings import several_numbers
from reasoning.policies.sums.sums import Sums
from reasoning.policies.sums.switches import ALL_POLICIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reasoning.options import PolicyName
    from reasoning.policies.policy import Policy, PolicyChoice
    from reasoning.policies.sums.switches import PolicySwitches
    from reasoning.prompting.script import Script


@dataclass(frozen=True, slots=True)
class Always:
    """Thinks about every question, by one policy."""

    first: Policy

    def questions(self, script: Script) -> Sequence[ProbeQuestion]:
        """Ask nothing."""
        del script
        return ()

    def choose(self, log_odds: Sequence[float], asked: str, script: Script, *, tools: bool) -> Chosen:
        """Choose the one there is."""
        del log_odds, asked, script, tools
        return Chosen(self.first, ())


@dataclass(frozen=True, slots=True)
class ByProbes:
    """Sums where there is something to compute, else another policy where it takes reasoning, else no thoughts."""

    first: Policy
    other: Policy | None = None
    """None: what is no sum is answered at once."""

    def questions(self, script: Script) -> Sequence[ProbeQuestion]:
        """Ask whether there is something to compute, and whether it takes reasoning."""
        need = ProbeQuestion(NEED, script.need, script.yes_no)
        if self.other is None:
            return [need]
        return [need, ProbeQuestion(KIND, script.kind, script.kinds)]

    def choose(self, log_odds: Sequence[float], asked: str, script: Script, *, tools: bool) -> Chosen:
        """Choose by what is above its bias."""
        family = script.family
        need = log_odds[0] - (family.need_bias_with_tools if tools else family.need_bias)
        if several_numbers(asked, script.language):
            need += family.need_of_numbers
        rest = [odds - family.kind_bias for odds in log_odds[1:]]
        if need > 0:
            return Chosen(self.first, (need, *rest))
        return Chosen(self.other if rest and rest[0] > 0 else None, (need, *rest))


def choice_of(name: PolicyName, switches: PolicySwitches = ALL_POLICIES) -> PolicyChoice:
    """Give the choice that a setting names."""
    match name:
        case "auto":
            return ByProbes(Sums(switches), Plain())
        case "sums":
            return ByProbes(Sums(switches))
        case "plain":
            return Always(Plain())
        case _:
            assert_never(name)
