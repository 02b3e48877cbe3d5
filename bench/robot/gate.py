"""How many commands a second the gate can judge: admission, order, limits, audit log on disk, queue to the link."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from robots.core.planning import deed_of
from robots.protocols.vda5050.reports import capabilities_of, report_of
from robots.safety.audit import audit_file
from robots.safety.gate import Admitted, Gate
from robots.simulator.body import VehicleBody
from robots.simulator.factsheet import factsheet_of
from robots.simulator.run import EXAMPLE_MAP
from robots.simulator.vehicle import Vehicle
from robots.site import Site
from robots.skills import SkillCall, skills_of
from robots.terms.report import Presence
from robots.terms.world import World

_COMMANDS: Final = 2000


def commands_per_second(commands: int = _COMMANDS) -> float:
    """Give the rate at which calls of a skill become packets that the link can take."""
    site = Site.load(EXAMPLE_MAP)
    limits = site.limits.model_copy(update={"calls_per_minute": 10 * commands})
    site = site.model_copy(update={"limits": limits})
    body = VehicleBody(1.0, 1.0, 0.0)
    sheet = capabilities_of(factsheet_of(body))
    report = report_of(Vehicle(site.map, lambda: datetime.now(UTC), body).state())
    world = World(linked=True, presence=Presence.ONLINE, report=report, report_at=0.0, capabilities=sheet)
    skills = skills_of(sheet, site)
    with TemporaryDirectory() as folder, audit_file(Path(folder) / "audit.jsonl") as audit:
        gate = Gate("R1", site, audit)
        began = time.perf_counter()
        for number in range(commands):
            verdict = gate.admit(SkillCall(f"c{number}", "wave", {}, gate.epoch), skills, world, 1.0)
            if not isinstance(verdict, Admitted) or gate.act(deed_of(verdict), world, 1.0) is not None:
                raise AssertionError("the gate refuses what it should admit")
            gate.publisher.take(1.0)
        return commands / (time.perf_counter() - began)
