"""What a spoken task is judged by: where the robot stood and what it finished, told from its own messages. Pure.

"Wrong" is whatever happened that the sentence did not ask for, however little.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal

from robots.protocols.vda5050.messages import ActionStatus, InstantActions, Order, State
from robots.simulator.run import EXAMPLE_MAP
from robots.site import HERE, Site
from robots.skills import GO_TO, GO_TO_POSE, PLACE, is_control

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from robots.protocols.vda5050.messages import Action, Message
    from robots.skills import SkillCall

SpokenOutcome = Literal["done", "asked", "undone", "wrong"]
_NEAR_M: Final = 0.3
_UNDER_WAY: Final = frozenset({ActionStatus.INITIALIZING, ActionStatus.RUNNING, ActionStatus.PAUSED})
"""An action that waits says nothing of where the robot is: it may stand on its way to it."""
_OPENLY: Final = re.compile(
    r"\?|\b(can ?not|can't|could not|couldn't|unable|sorry|no such|don't know|do not know|not possible|refused?)\b",
    re.IGNORECASE,
)
"""Words of a reply that asks or refuses."""


def judge_spoken(truth: Sequence[str], happened: Sequence[str], *, asked: bool) -> SpokenOutcome:
    """Compare what happened with what was to happen; `asked`: the user was asked, or told that it cannot be done."""
    if list(happened) != list(truth[: len(happened)]):
        return "wrong"
    if truth and len(happened) == len(truth):
        return "done"
    return "asked" if asked else "undone"


def asked_or_refused(said: str) -> bool:
    """Say whether a reply asks or refuses."""
    return _OPENLY.search(said) is not None


def expected(calls: Sequence[SkillCall], start: str) -> tuple[str, ...]:
    """Give what happens when these calls are carried out, as tasks tell it."""
    here, told = start, list[str]()
    for call in calls:
        arguments = dict(call.arguments)
        place = str(arguments.pop(PLACE, HERE))
        if place not in {HERE, here}:
            here = place
            told.append(f"at {place}")
        if call.skill == GO_TO_POSE:
            here = ""
            told.append(f"pose {float(arguments['x']):g} {float(arguments['y']):g}")
        elif call.skill != GO_TO:
            numbers = [f"{float(value):g}" for value in arguments.values() if isinstance(value, int | float)]
            told.append(" ".join((call.skill, *numbers)))
    return tuple(told)


def happenings(messages: Iterable[Message], start: str, truth: Sequence[str]) -> tuple[str, ...]:
    """Tell, in order, where a robot stood at the end of its orders and which actions it finished."""
    spots = {f"at {name}": place.point for name, place in Site.load(EXAMPLE_MAP).places.items()}
    for wanted in truth:
        if wanted.startswith("pose"):
            spots[wanted] = (float(wanted.split()[1]), float(wanted.split()[2]))
    here, moved = f"at {start}", False
    told: list[str] = []
    kinds: dict[str, str] = {}
    finished: set[str] = set()
    for message in messages:
        match message:
            case Order(nodes=nodes):
                kinds |= {action.action_id: _described(action) for node in nodes for action in node.actions}
            case InstantActions(actions=actions):
                kinds |= {
                    action.action_id: _described(action) for action in actions if not is_control(action.action_type)
                }
            case State() as state:
                moved |= state.driving
                spot = _spot(state, spots)
                acts = any(action.action_status in _UNDER_WAY for action in state.action_states)
                if not state.driving and spot != here and (not state.node_states or acts):
                    here = spot
                    told.append(spot)
                for action in state.action_states:
                    done = action.action_status is ActionStatus.FINISHED and action.action_id in kinds
                    if done and action.action_id not in finished:
                        finished.add(action.action_id)
                        told.append(kinds[action.action_id])
            case _:
                pass
    return tuple(told) if told or not moved else ("moved",)


def _described(action: Action) -> str:
    """Give an action with its numbers: "wait 5"."""
    numbers = [f"{float(p.value):g}" for p in action.action_parameters or () if isinstance(p.value, int | float)]
    return " ".join((action.action_type, *numbers))


def _spot(state: State, spots: dict[str, tuple[float, float]]) -> str:
    pose = state.agv_position
    if pose is None:
        return "lost"
    for name, (x, y) in spots.items():
        if abs(pose.x - x) < _NEAR_M and abs(pose.y - y) < _NEAR_M:
            return name
    return "elsewhere"
