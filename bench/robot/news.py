"""From an event of the robot (it has arrived) to the first spoken word about it: through the model and the voice."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from bench.robot.stage import until
from robots.protocols.vda5050.messages import State
from robots.skills import GO_TO_POSE, SkillCall

if TYPE_CHECKING:
    from bench.robot.stage import RobotStage
    from robots.protocols.vda5050.messages import Message

_PATIENCE_S: Final = 15.0
_PAUSE_S: Final = 5.0
_LOOKS_S: Final = 0.02
_STEP_M: Final = 0.5
_LEFT_M: Final = 1.0


async def reactions(stage: RobotStage, count: int) -> list[float | None]:
    """Give the seconds from the state that says "arrived" to the first sound about it; None: nothing was said."""
    found: list[float | None] = []
    robot = stage.rig.robot
    for number in range(count):
        began = time.monotonic()
        x = _LEFT_M + _STEP_M * (1 + number % 2)
        robot.execute(SkillCall(robot.new_id(), GO_TO_POSE, {"x": x, "y": 1.0}, robot.epoch))
        going = await stage.rig.wire.until(_on_the_way, after=began, within_s=_PAUSE_S)
        arrived = going and await stage.rig.wire.until(_arrived, after=going.at, within_s=_PATIENCE_S)
        if not arrived:
            found.append(None)
            continue
        found.append(await _first_sound(stage, arrived.at))
        await until(lambda: stage.conversation.idle, _PATIENCE_S)
    return found


async def _first_sound(stage: RobotStage, after: float) -> float | None:
    await until(lambda: any(at > after for at, _ in stage.sounds), _PATIENCE_S)
    return next((at - after for at, _ in stage.sounds if at > after), None)


def _on_the_way(message: Message) -> bool:
    return isinstance(message, State) and bool(message.node_states)


def _arrived(message: Message) -> bool:
    return isinstance(message, State) and not message.node_states and not message.driving
