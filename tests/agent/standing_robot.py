"""A robot that stands ready, under a commander without a broker: its packets wait to be taken."""

from __future__ import annotations

import itertools
import time
from datetime import UTC, datetime

from robots.core.robot import Robot
from robots.protocols.vda5050.adapter import Vda5050Adapter
from robots.protocols.vda5050.reports import capabilities_of, report_of
from robots.safety.gate import Gate
from robots.session import RobotSession
from robots.simulator.body import VehicleBody
from robots.simulator.factsheet import factsheet_of
from robots.simulator.vehicle import Vehicle
from robots.terms.commands import Release
from robots.terms.report import Presence
from robots.terms.world import World
from robots.transport.mqtt import Broker
from tests.robots.stage.rig import ADDRESS, HOUSE


def standing_robot() -> RobotSession:
    names = itertools.count()

    def new_id() -> str:
        return f"id{next(names)}"

    gate = Gate("R1", HOUSE, lambda _: None)
    robot = Robot("R1", gate, new_id)
    body = VehicleBody(1.0, 1.0)
    robot.world = World(
        linked=True,
        presence=Presence.ONLINE,
        report=report_of(Vehicle("ground", lambda: datetime(2026, 1, 1, tzinfo=UTC), body).state()),
        report_at=time.monotonic(),
        capabilities=capabilities_of(factsheet_of(body)),
    )
    robot.renew(time.monotonic())
    return RobotSession(robot, Vda5050Adapter(Broker(), ADDRESS).link(gate.publisher, time.monotonic, new_id))


def releases(session: RobotSession) -> list[Release]:
    """What waits to be sent to the robot, taken out."""
    found = []
    while (packet := session.robot.gate.publisher.take(time.monotonic())) is not None:
        if isinstance(packet.command, Release):
            found.append(packet.command)
    return found
