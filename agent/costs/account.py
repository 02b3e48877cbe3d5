"""The account of one conversation: this machine's meters, its clock and the ledger."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from agent.costs.ledger import CostLedger, PowerModel
from agent.costs.meters import MachineMeters
from agent.costs.options import site_named
from reasoning.events import TurnDone

if TYPE_CHECKING:
    from agent.conversation.timeline import Event
    from agent.costs.options import CostOptions


class Account:
    """Make it before models are loaded, so that a wrong table costs no waiting."""

    def __init__(self, options: CostOptions) -> None:
        """Read the table of sites. Raises ConfigError."""
        self._site = site_named(options)
        self._meters = MachineMeters()
        self._model = PowerModel(options.watts_a_core)
        self.begin()

    def begin(self) -> None:
        """Count from now."""
        self._ledger = CostLedger(self._model, self._meters.read())

    def take(self, event: Event) -> None:
        """Take what happens in the conversation."""
        if isinstance(event, TurnDone):
            self._ledger.turn(event.tokens)

    def line(self) -> str:
        """Say what it has cost until now."""
        return self._ledger.line(self._meters.read(), self._site, datetime.now(UTC).hour)
