"""What a program is to a robot: the one that moves it, or one beside that."""

from __future__ import annotations

from enum import Enum, auto


class CommandRole(Enum):
    """What it may do, and what it owes to other programs at the same robot."""

    COMMANDER = auto()
    """Moves the robot: carries on a stop of others, and holds back where others move it."""
    BYSTANDER = auto()
    """Looks, stops and pauses, as a warden, and has no task: nothing to give up, and no stop of others to carry on."""
