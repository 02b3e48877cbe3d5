"""The ledger: what a conversation has spent, in time, tokens and joules. Pure: readings come in as arguments."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.costs.site import ComputeSite

_ROLES: Final = ("thinker", "writer", "probe", "early", "dropped")


@dataclass(frozen=True, slots=True)
class MeterReading:
    """What the meters show at a moment. Each counts up, from anywhere; None where there is no such meter."""

    cpu_s: float
    """Seconds of processor cores that the process has used."""
    package_j: float | None = None
    """Joules of the processors, by their own meters: of the whole machine, whoever used them."""
    gpu_j: float | None = None
    """Joules of the GPUs, the same."""


@dataclass(frozen=True, slots=True)
class PowerModel:
    """What a busy core draws, where no meter can be read: an estimate, and called so."""

    watts_a_core: float
    """Watts of a core that computes."""

    def joules(self, cpu_s: float) -> float:
        """Estimate the energy of so many seconds of a core."""
        return self.watts_a_core * cpu_s


@dataclass(frozen=True, slots=True)
class Spent:
    """What was spent between two readings."""

    cpu_s: float
    joules: float
    """Of processor and GPUs."""
    measured: bool
    """Whether the processor's joules come from its meter; else they are the power model's."""


def spent(before: MeterReading, after: MeterReading, model: PowerModel) -> Spent:
    """Give what was spent between two readings."""
    cpu_s = max(0.0, after.cpu_s - before.cpu_s)
    package = _between(before.package_j, after.package_j)
    gpu = _between(before.gpu_j, after.gpu_j) or 0.0
    return Spent(cpu_s, (model.joules(cpu_s) if package is None else package) + gpu, package is not None)


def _between(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else max(0.0, after - before)


@dataclass(slots=True)
class CostLedger:
    """Adds up the turns of a conversation."""

    model: PowerModel
    begun: MeterReading
    """The meters when the conversation began."""
    turns: int = 0
    tokens: Counter[str] = field(default_factory=Counter)
    """By role: what `TurnDone` tells."""

    def turn(self, tokens: Mapping[str, int]) -> None:
        """Take what a turn's `TurnDone` tells."""
        self.turns += 1
        self.tokens.update(tokens)

    def line(self, now: MeterReading, site: ComputeSite | None, hour: int) -> str:
        """Say on one line what it cost; the site's part where a site is named, at the prices of this hour (UTC)."""
        total = spent(self.begun, now, self.model)
        roles = [*_ROLES, *sorted(set(self.tokens) - set(_ROLES))]
        told = ", ".join(f"{self.tokens[role]} {role}" for role in roles if self.tokens[role]) or "none"
        kind = "measured" if total.measured else f"estimated at {self.model.watts_a_core:g} W a busy core"
        turns = f"{self.turns} turn{'' if self.turns == 1 else 's'}"
        line = f"cost of {turns}: {total.cpu_s:.1f} s of processor, tokens: {told}; {total.joules:.1f} J ({kind})"
        if site is None:
            return line
        cost = site.footprint(total.joules, hour)
        return (
            f"{line}; {site.name}: {cost.grams:.3g} g CO2e, {cost.millilitres:.3g} mL water, "
            f"{cost.money:.2g} {site.currency}"
        )
