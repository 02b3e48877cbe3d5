"""From an admitted call to what is sent: the plan of an order, or an action. Pure; the gate judges the result."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from robots.core.tasks import OrderPlan
from robots.protocols.vda5050.messages import Action, ActionParameter, BlockingType, Factsheet
from robots.site import HERE
from robots.skills import GO_TO_POSE, PLACE, Skill, SkillCall, SkillScope

if TYPE_CHECKING:
    from robots.core.world import World
    from robots.geometry import Point
    from robots.safety.gate import Admitted
    from robots.site import Site


def plan_of(admitted: Admitted, skill: Skill, site: Site, world: World) -> OrderPlan | None:
    """Return the plan of a driving or node skill; None where no way leads there inside the fence."""
    start = world.position
    if start is None:
        return None
    goal, theta = _goal(admitted.call, start, site)
    points = site.route(start, goal)
    if points is None:
        return None
    limits, facts = site.limits, world.factsheet
    speed = limits.max_speed_m_s
    return OrderPlan(
        order_id=admitted.ticket,
        map_id=site.map,
        points=points if math.dist(start, goal) > 0 else (start,),
        theta=theta,
        actions=(action_of(admitted, facts),) if skill.scope is SkillScope.AT_PLACE else (),
        max_speed_m_s=min(speed, facts.physical_parameters.speed_max) if facts else speed,
        base_m=limits.base_m,
        min_interval_s=facts.protocol_limits.timing.min_order_interval if facts else 0.0,
    )


def action_of(admitted: Admitted, factsheet: Factsheet | None) -> Action:
    """Return the action of a call; HARD, that is alone and standing, unless the factsheet forbids it."""
    call = admitted.call
    known = factsheet.protocol_features.agv_actions if factsheet else ()
    blocking = next((a.blocking_types for a in known if a.action_type == call.skill and a.blocking_types), None)
    return Action(
        action_type=call.skill,
        action_id=admitted.ticket,
        blocking_type=BlockingType.HARD if blocking is None or BlockingType.HARD in blocking else blocking[0],
        action_parameters=tuple(
            ActionParameter(key=key, value=value) for key, value in call.arguments.items() if key != PLACE
        ),
    )


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
