"""Typed requests to the simulated robot, judged by where it stood and what it finished; see `robot_tasks.toml`.

A request that is not done has either failed openly (nothing wrong was done, and the reply asks or refuses) or wrongly.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from importlib.resources import files as package_files
from typing import TYPE_CHECKING, Final, Literal

from agent.bench.robot_rig import rig
from agent.robot_typed import Talk, Typed
from robots.simulator.run import EXAMPLE_MAP
from robots.site import Site
from robots.skills import CONTROL_ACTIONS
from robots.vda5050.messages import ActionStatus, InstantActions, Order, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agent.config import Settings
    from reasoning.script import Script
    from reasoning.torch_engine import TorchEngine
    from robots.vda5050.messages import Message

Split = Literal["test", "develop"]
Outcome = Literal["done", "refused", "wrong"]
SPEED: Final = 4.0
"""Simulated seconds per second."""
_NEAR_M: Final = 0.3
_UNDER_WAY: Final = frozenset({ActionStatus.INITIALIZING, ActionStatus.RUNNING, ActionStatus.PAUSED})
"""An action that waits says nothing of where the robot is: it may stand on its way to it."""
_OPENLY: Final = re.compile(
    r"\?|\b(can ?not|can't|could not|couldn't|unable|sorry|no such|don't know|do not know|not possible|refused?)\b",
    re.IGNORECASE,
)
"""Words of a reply that asks or refuses."""


@dataclass(frozen=True, slots=True)
class Item:
    """One request."""

    task: str
    request: str
    start: str
    truth: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """What became of it."""

    task: str
    request: str
    happened: tuple[str, ...]
    calls: tuple[str, ...]
    replies: tuple[str, ...]
    outcome: Outcome


@dataclass(slots=True)
class Screen:
    """Keeps what would be shown."""

    lines: list[tuple[str, str]] = field(default_factory=list)

    def show(self, who: str, text: str) -> None:
        """Keep who did what."""
        self.lines.append((who, text))

    def think(self, text: str) -> None:
        """Thoughts are not judged."""

    def end_thoughts(self) -> None:
        """Nor is their end."""

    def of(self, who: str) -> tuple[str, ...]:
        """Give what somebody did."""
        return tuple(text for name, text in self.lines if name == who)


def items(split: Split, phrasings: Sequence[int] | None = None) -> list[Item]:
    """Give all requests of a split, phrasing by phrasing; `phrasings` chooses some by number."""
    text = package_files("agent.bench").joinpath("robot_tasks.toml").read_text(encoding="utf-8")
    tasks = tomllib.loads(text)["task"]
    numbers = range(max(len(task[split]) for task in tasks)) if phrasings is None else phrasings
    return [
        Item(task["name"], task[split][number], task["start"], tuple(task["truth"]))
        for number in numbers
        for task in tasks
        if number < len(task[split])
    ]


async def carry_out(item: Item, engine: TorchEngine, script: Script, settings: Settings) -> Sample:
    """Ask a fresh robot for something, wait until it has nothing to do, and judge."""
    screen = Screen()
    async with rig(speed=SPEED, start=item.start) as stands:
        talk = Talk(stands.robot, screen, Typed((item.request,), listen=False, confirmed=True, thoughts=False, seed=0))
        await talk.hold(engine, script, settings)
        happened = happenings([seen.message for seen in stands.wire.seen], item.start, item.truth)
    return Sample(
        item.task,
        item.request,
        happened,
        screen.of("calls"),
        screen.of("says"),
        judge(item.truth, happened, screen.of("says")),
    )


def judge(truth: Sequence[str], happened: Sequence[str], replies: Iterable[str]) -> Outcome:
    """Compare what happened with what was to happen."""
    openly = any(_OPENLY.search(reply) for reply in replies)
    if list(happened) == list(truth):
        return "done" if truth or openly else "wrong"
    right_so_far = list(happened) == list(truth[: len(happened)])
    return "refused" if right_so_far and openly else "wrong"


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
                kinds |= {action.action_id: action.action_type for node in nodes for action in node.actions}
            case InstantActions(actions=actions):
                kinds |= {
                    action.action_id: action.action_type
                    for action in actions
                    if action.action_type not in CONTROL_ACTIONS
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


def _spot(state: State, spots: dict[str, tuple[float, float]]) -> str:
    pose = state.agv_position
    if pose is None:
        return "lost"
    for name, (x, y) in spots.items():
        if abs(pose.x - x) < _NEAR_M and abs(pose.y - y) < _NEAR_M:
            return name
    return "elsewhere"
