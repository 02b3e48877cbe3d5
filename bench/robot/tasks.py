"""Spoken requests to the simulated robot, judged by where it stood and what it finished; see `robot_tasks.toml`.

A request that is not done has either failed openly (nothing wrong was done, and the reply asks or refuses) or wrongly.
"""

from __future__ import annotations

import asyncio
import re
import time
import tomllib
from dataclasses import dataclass
from importlib.resources import files as package_files
from typing import TYPE_CHECKING, Any, Final, Literal

from agent.robot.misheard import Doubt
from bench.robot.rig import rig
from bench.robot.stage import until, with_stage
from bench.voices import PIPER, spoken
from robots.protocols.vda5050.messages import ActionStatus, InstantActions, Order, State
from robots.simulator.run import EXAMPLE_MAP
from robots.site import Site
from robots.skills import is_control

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from audio.speaking.synthesizer import Synthesizer
    from bench.robot.stage import Models, RobotStage
    from robots.protocols.vda5050.messages import Action, Message
    from robots.safety.gate import Question

Split = Literal["test", "develop"]
Outcome = Literal["done", "refused", "wrong"]
SPEED: Final = 4.0
"""Simulated seconds per second."""
_PATIENCE_S: Final = 120.0
"""A request that keeps the robot busy for longer is given up, s."""
_TURN_S: Final = 15.0
"""How long the ears may take for a turn, s."""
_QUIET_S: Final = 1.0
"""When nobody has had anything to say or do for so long, the request is over, s."""
_LOOKS_S: Final = 0.05
_YES: Final = "Yes."
"""What the user answers to each question of the gate, and to one for a place that was said."""
_NO: Final = "No."
"""What the user answers to one for a place that was not."""
_NEAR_M: Final = 0.3
_UNDER_WAY: Final = frozenset({ActionStatus.INITIALIZING, ActionStatus.RUNNING, ActionStatus.PAUSED})
"""An action that waits says nothing of where the robot is: it may stand on its way to it."""
_OPENLY: Final = re.compile(
    r"\?|\b(can ?not|can't|could not|couldn't|unable|sorry|no such|don't know|do not know|not possible|refused?)\b",
    re.IGNORECASE,
)
"""Words of a reply that asks or refuses."""


@dataclass(frozen=True, slots=True)
class RobotTask:
    """One request."""

    task: str
    request: str
    start: str
    truth: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RobotTaskSample:
    """What became of it."""

    task: str
    request: str
    heard: tuple[str, ...]
    """What the ears made of it, and of the user's yes."""
    happened: tuple[str, ...]
    calls: tuple[str, ...]
    gate: tuple[str, ...]
    asked: tuple[str, ...]
    """Questions for a place that was perhaps misheard."""
    stops: tuple[str, ...]
    """Stop phrases that were heard."""
    dropped: tuple[tuple[str, str], ...]
    """Calls and sentences that were taken back, and why."""
    said: str
    outcome: Outcome


def items(split: Split, phrasings: Sequence[int] | None = None) -> list[RobotTask]:
    """Give all requests of a split, phrasing by phrasing; `phrasings` chooses some by number."""
    text = package_files("bench.robot").joinpath("robot_tasks.toml").read_text(encoding="utf-8")
    tasks = tomllib.loads(text)["task"]
    numbers = range(max(len(task[split]) for task in tasks)) if phrasings is None else phrasings
    return [_item(task, task[split][number]) for number in numbers for task in tasks if number < len(task[split])]


def _item(task: dict[str, Any], phrasing: str | dict[str, Any]) -> RobotTask:
    given: dict[str, Any] = {"say": phrasing} if isinstance(phrasing, str) else phrasing
    truth = tuple(step.format_map(given) for step in task["truth"])
    return RobotTask(task["name"], given["say"], task["start"], truth)


async def carry_out(item: RobotTask, models: Models) -> RobotTaskSample:
    """Ask a fresh robot for something by voice, wait until it has nothing to do, and judge."""

    async def ask(stage: RobotStage, synthesizer: Synthesizer) -> RobotTaskSample:
        ended = await _converse(stage, synthesizer, item.request)
        happened = happenings([seen.message for seen in stage.rig.wire.seen], item.start, item.truth)
        calls, gate, asked = (_of(stage, who) for who in ("calls", "gate", "ears"))
        said = " ".join(sound.text for _, sound in stage.sounds)
        # A question after which something was done is a part of doing, too.
        told = _without_questions(said, [*gate, *(asked if calls else ())])
        outcome = judge(item.truth, happened, told) if ended else "wrong"
        return RobotTaskSample(
            item.task,
            item.request,
            heard=tuple(stage.turns),
            happened=happened,
            calls=calls,
            gate=gate,
            asked=asked,
            stops=tuple(stage.stops),
            dropped=tuple(stage.dropped),
            said=said,
            outcome=outcome,
        )

    async with rig(speed=SPEED, start=item.start) as stands:
        return await with_stage(stands, models, ask, busy=False)


async def _converse(stage: RobotStage, synthesizer: Synthesizer, request: str) -> bool:
    """Say the request, and answer what is asked; False where it does not come to an end."""
    stage.microphone.say(await spoken(synthesizer, PIPER, request))
    sounds = {answer: await spoken(synthesizer, PIPER, answer) for answer in (_YES, _NO)}
    await until(lambda: bool(stage.turns), _TURN_S)
    ends = time.monotonic() + _PATIENCE_S
    answered: Question | Doubt | None = None
    quiet = 0.0
    while quiet < _QUIET_S and time.monotonic() < ends:
        await asyncio.sleep(_LOOKS_S)
        question = stage.robot.question or stage.robot.doubt
        if question is not None and question is not answered and stage.conversation.idle:
            answered = question
            stage.microphone.say(sounds[reply_to(question, request)])
        quiet = quiet + _LOOKS_S if stage.conversation.idle and stage.robot.idle else 0.0
    return quiet >= _QUIET_S


def reply_to(question: Question | Doubt, request: str) -> str:
    """Give what a user who said the request answers: yes to the gate, and the truth about a place."""
    if not isinstance(question, Doubt):
        return _YES
    named = [name for name in (question.name, *question.also) if name]
    return _YES if named and all(name in request.lower() for name in named) else _NO


def _of(stage: RobotStage, who: str) -> tuple[str, ...]:
    return tuple(text for name, text in stage.shown if name == who)


def _without_questions(said: str, gate: Iterable[str]) -> str:
    """Leave out questions that are part of doing, not of failing: those of the gate."""
    for text in gate:
        said = said.replace(text.removeprefix("asks: "), "")
    return said


def asked_or_refused(said: str) -> bool:
    """Say whether a reply asks or refuses."""
    return _OPENLY.search(said) is not None


def judge(truth: Sequence[str], happened: Sequence[str], said: str) -> Outcome:
    """Compare what happened with what was to happen."""
    openly = asked_or_refused(said)
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
