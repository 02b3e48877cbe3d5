"""When a robot is asked for its report or for what it can do. Sans-I/O; the gate sends it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from robots.terms.commands import Wanted

if TYPE_CHECKING:
    from robots.terms.world import World

SILENT_ASK_S: Final = 1.5
"""A busy robot that is silent this long is asked for its report, s."""
AGAIN_S: Final = 0.5
"""Time between two requests while somebody waits for the answer, s."""
CAPABILITY_TRIES: Final = 3
"""Some robots never say what they can do; they are asked this often."""


@dataclass(slots=True)
class Asking:
    """The requests to one robot."""

    asked_at: float = -math.inf
    """When it was asked last, monotonic s."""
    tries: int = 0
    """How often it was asked for what it can do."""

    def anew(self) -> None:
        """Ask as at first: the connection, or the robot, is new."""
        self.asked_at = -math.inf

    def due(self, world: World, now: float, *, busy: bool, waited: bool) -> Wanted | None:
        """Return what is to be asked now; `busy`: something is under way; `waited`: something needs a new report."""
        report = world.report
        silent = now > world.report_at + SILENT_ASK_S
        waited = waited or world.doubtful
        # The first request also proves that commands are let through.
        first = report is None or self.asked_at == -math.inf
        if first or waited or ((busy or (report is not None and report.drives)) and silent):
            wanted = Wanted.REPORT
        elif world.capabilities is None and self.tries < CAPABILITY_TRIES:
            wanted = Wanted.CAPABILITIES
        else:
            return None
        if now < self.asked_at + (AGAIN_S if report is None or waited else SILENT_ASK_S):
            return None
        self.asked_at = now
        self.tries += wanted is Wanted.CAPABILITIES
        return wanted
