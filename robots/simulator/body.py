"""The simulated body: a differential drive with limited acceleration. SI units; time comes in as steps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from robots.geometry import Point

_ALIGNED_RAD: Final = 0.15
"""The body turns on the spot until it faces its target this well, rad."""
_STILL: Final = 1e-3
"""Slower than this is standing, m/s or rad/s."""


@dataclass(slots=True)
class VehicleBody:
    """Pose and speed."""

    x: float = 0.0
    y: float = 0.0
    theta: float = 0.0
    speed: float = 0.0
    """m/s, forwards."""
    turn: float = 0.0
    """rad/s, to the left."""
    speed_max: float = 1.0
    acceleration: float = 0.8
    deceleration: float = 1.2
    turn_max: float = 1.5
    travelled: float = 0.0
    """m since the beginning."""

    @property
    def position(self) -> Point:
        """Where it is."""
        return self.x, self.y

    @property
    def moving(self) -> bool:
        """Whether it drives or turns."""
        return abs(self.speed) > _STILL or abs(self.turn) > _STILL

    def towards(self, target: Point, limit: float, way: float, dt: float) -> None:
        """Drive one step towards a target, no faster than `limit`, ready to stand after `way` metres."""
        bearing = math.atan2(target[1] - self.y, target[0] - self.x)
        off = math.remainder(bearing - self.theta, math.tau)
        aligned = abs(off) < _ALIGNED_RAD
        # One step's way is kept back, so that the body stands at the end and not behind it.
        room = max(0.0, way - self.speed * dt)
        wish = min(limit, self.speed_max, math.sqrt(2 * self.deceleration * room)) if aligned else 0.0
        self._step(wish, self._turn_for(off, dt) if self.speed < _STILL or aligned else 0.0, dt)

    def face(self, theta: float, dt: float) -> bool:
        """Turn one step on the spot; return whether the heading is reached."""
        off = math.remainder(theta - self.theta, math.tau)
        done = abs(off) < _STILL and not self.moving
        self._step(0.0, 0.0 if abs(off) < _STILL else self._turn_for(off, dt), dt)
        return done

    def brake(self, dt: float) -> None:
        """Slow down for one step."""
        self._step(0.0, 0.0, dt)

    def _turn_for(self, off: float, dt: float) -> float:
        return max(-self.turn_max, min(self.turn_max, off / dt))

    def _step(self, speed: float, turn: float, dt: float) -> None:
        change = speed - self.speed
        self.speed += max(-self.deceleration * dt, min(self.acceleration * dt, change))
        self.turn = turn
        self.theta = math.remainder(self.theta + self.turn * dt, math.tau)
        self.x += self.speed * math.cos(self.theta) * dt
        self.y += self.speed * math.sin(self.theta) * dt
        self.travelled += abs(self.speed) * dt
