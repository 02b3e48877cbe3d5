"""What each of several responses costs that are made at once, and the account of a server.

What the machine spends while one response is made is that response's; while several are, each bears an equal part. So
the parts add up to what was spent, and what was spent while none was made (hearing, reading ahead) is nobody's.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from agent.costs.ledger import MeterReading, PowerModel, Spent, spent
from agent.costs.meters import MachineMeters
from agent.costs.options import CostOptions, site_named

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class SharedLedger:
    """Divides what is spent. Pure: readings come in as arguments."""

    def __init__(self, model: PowerModel) -> None:
        self._model = model
        self._last: MeterReading | None = None
        """When the newest response began or ended."""
        self._parts: dict[str, Spent] = {}

    def begin(self, name: str, now: MeterReading) -> None:
        """Begin a response."""
        self._divide(now)
        self._parts.setdefault(name, Spent(0.0, 0.0, measured=True))

    def end(self, name: str, now: MeterReading) -> Spent | None:
        """End a response, and give its part; None where it has not begun, or has ended."""
        self._divide(now)
        return self._parts.pop(name, None)

    def _divide(self, now: MeterReading) -> None:
        before, self._last = self._last, now
        if before is None or not self._parts:
            return
        new, share = spent(before, now, self._model), 1 / len(self._parts)
        for name, had in self._parts.items():
            joules = had.joules + new.joules * share
            self._parts[name] = Spent(had.cpu_s + new.cpu_s * share, joules, had.measured and new.measured)


class ServerAccount:
    """The account of a server: tokens of all sessions by role and, where clients are told, what each response costs."""

    def __init__(self, options: CostOptions | None = None, read: Callable[[], MeterReading] | None = None) -> None:
        """`read` replaces the machine's meters. Raises ConfigError: there is no such site."""
        options = options or CostOptions()
        self._told = options.in_usage
        self._site = site_named(options) if options.in_usage else None
        self._read = read or MachineMeters().read
        self._ledger = SharedLedger(PowerModel(options.watts_a_core))
        self.tokens: Counter[str] = Counter()
        """By role, of all turns that have ended."""

    def turn(self, tokens: Mapping[str, int]) -> None:
        """Take what a turn's `TurnDone` tells."""
        self.tokens.update(tokens)

    def begin(self, response_id: str) -> None:
        """Begin a response."""
        if self._told:
            self._ledger.begin(response_id, self._read())

    def end(self, response_id: str, tokens: Mapping[str, int] | None = None) -> dict[str, Any] | None:
        """End a response; gives what `usage` tells of it, None where nothing is told. It may have ended before."""
        part = self._ledger.end(response_id, self._read()) if self._told else None
        if part is None:
            return None
        told: dict[str, Any] = {
            "tokens": dict(tokens or {}),
            "processor_s": round(part.cpu_s, 4),
            "joules": round(part.joules, 4),
            "joules_estimated": not part.measured,
        }
        if self._site is not None:
            cost = self._site.footprint(part.joules, datetime.now(UTC).hour)
            told |= {"site": self._site.name, "co2e_g": cost.grams, "water_ml": cost.millilitres}
            told |= {"money": cost.money, "currency": self._site.currency}
        return told
