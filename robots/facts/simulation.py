"""What the simulated robot tells whoever started it."""

from __future__ import annotations

from dataclasses import dataclass

from robots.facts.fact import Fact


@dataclass(frozen=True, slots=True)
class RobotServes(Fact):
    """The robot is connected and takes orders."""

    robot: str
    broker: str


@dataclass(frozen=True, slots=True)
class BrokerAwaited(Fact):
    """The broker is not reached; the robot tries again."""

    reason: Fact


@dataclass(frozen=True, slots=True)
class RunDrawn(Fact):
    """The run was drawn."""

    file: str
