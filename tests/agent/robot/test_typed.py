from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from agent.config.settings import Settings
from agent.conversation.options import TurnOptions
from agent.errors import NobodyAnswered
from agent.robot.typed import TypedConversation, TypedOptions
from reasoning.prompting.script import Script
from robots.session import RobotSession
from tests.agent.standing_robot import standing_robot
from tests.reasoning.loop.test_loop import FAMILY
from tests.reasoning.scripted_engine import END, Mind, ScriptedEngine, Words


@dataclass
class Shown:
    lines: list[tuple[str, str]] = field(default_factory=list)

    def show(self, who: str, text: str) -> None:
        self.lines.append((who, text))

    def think(self, text: str) -> None: ...

    def end_thoughts(self) -> None: ...


async def typed(robot: RobotSession, request: str, *, confirmed: bool = False) -> Shown:
    """Have a request carried out that nobody watches."""
    shown = Shown()
    options = TypedOptions((request,), listen=False, confirmed=confirmed, thoughts=False, seed=0)
    engine = ScriptedEngine(Mind(lambda *_: f"Yes.{END}"), Words(), 100_000)
    talk = TypedConversation(robot, shown, options, TurnOptions())
    await talk.hold(engine, Script(engine.tokenizer, FAMILY), Settings())
    return shown


@pytest.mark.parametrize(
    ("request_", "asked"),
    [
        ("Wave at whoever is there.", "Shall R1 wave?"),
        ("Pick it up.", "Shall R1 pick here?"),
        ("Go to the hal.", "Do you mean the hall?"),
        ("Go to the garden.", "Where do you mean: the desk, the hall, the home or the kitchen?"),
    ],
)
async def test_what_is_asked_of_nobody_is_not_done_and_told_with_how_to_answer(request_: str, asked: str) -> None:
    robot = standing_robot()
    with pytest.raises(NobodyAnswered) as told:
        await typed(robot, request_)
    assert repr(asked) in str(told.value)
    assert "--yes" in str(told.value)
    assert told.value.exit_code == 1
    assert robot.idle


async def test_a_yes_in_advance_is_no_place() -> None:
    robot = standing_robot()
    with pytest.raises(NobodyAnswered, match="name the place"):
        await typed(robot, "Go to the garden.", confirmed=True)
    assert robot.idle
