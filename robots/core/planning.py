"""From an admitted call to what is to be done: the plan of a task, or a deed. Pure; the gate judges the result."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from robots.core.tasks import TaskPlan
from robots.geometry import wrap_angle
from robots.site import HERE
from robots.skills import GO_TO_POSE, PLACE, Skill, SkillCall
from robots.terms.capabilities import SkillScope
from robots.terms.commands import Deed

if TYPE_CHECKING:
    from robots.geometry import Point
    from robots.safety.gate import Admitted
    from robots.site import Site
    from robots.terms.world import World


def plan_of(admitted: Admitted, skill: Skill, site: Site, world: World) -> TaskPlan | None:
    """Return the plan of a driving skill or of one at a place; None where no way leads there inside the fence."""
    start = world.position
    if start is None:
        return None
    goal, theta = _goal(admitted.call, start, site)
    points = site.route(start, goal)
    if points is None:
        return None
    limits, robot = site.limits, world.capabilities
    speed = limits.max_speed_m_s
    return TaskPlan(
        ticket=admitted.ticket,
        map=site.map,
        points=points if math.dist(start, goal) > 0 else (start,),
        theta=None if theta is None else wrap_angle(theta),
        deed=deed_of(admitted) if skill.scope is SkillScope.AT_PLACE else None,
        max_speed_m_s=min(speed, robot.speed_max_m_s) if robot else speed,
        base_m=limits.base_m,
        min_interval_s=robot.min_interval_s if robot else 0.0,
    )


def deed_of(admitted: Admitted) -> Deed:
    """Return what a call asks for besides driving."""
    call = admitted.call
    return Deed(admitted.ticket, call.skill, {key: value for key, value in call.arguments.items() if key != PLACE})


def _goal(call: SkillCall, start: Point, site: Site) -> tuple[Point, float | None]:
    """Return where a call leads, and the heading there."""
    arguments = call.arguments
    if call.skill == GO_TO_POSE:
        theta = arguments.get("theta")
        return (float(arguments["x"]), float(arguments["y"])), None if theta is None else float(theta)
    if arguments.get(PLACE, HERE) == HERE:
        return start, None
    place = site.places[str(arguments[PLACE])]
    return place.point, place.theta
