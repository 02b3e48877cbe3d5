"""Steps that a policy puts right before the thoughts go on."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from reasoning.events import Thought, TurnDone
from reasoning.options import Mode
from reasoning.policies.choosing import choice_of
from reasoning.policies.sums.switches import PolicySwitches
from tests.reasoning.loop.test_loop import Model, rig, thoughts_in
from tests.reasoning.scripted_engine import END

ASKED = "I have a meeting at 3:45 pm that lasts 90 minutes, then a 25 minute walk. When am I home?"
HOME = choice_of("sums")


@dataclass
class Slips(Model):
    """Reckons wrongly, and goes on from whatever stands there."""

    lines: dict[str, str] = field(
        default_factory=lambda: {
            "": "3:45 pm + 90 minutes = 4:35 pm\n",
            "3:45 pm + 90 minutes = 4:35 pm": "4:35 pm + 25 minutes = 5:00 pm\n",
            "3:45 pm + 90 minutes = 5:15 pm": "5:15 pm + 25 minutes = 5:40 pm\n",
            "4:35 pm + 25 minutes = 5:00 pm": f"Answer: 5:00 pm{END}",
            "5:15 pm + 25 minutes = 5:40 pm": f"Answer: 5:40 pm{END}",
        }
    )

    def write(self, before: str, name: str) -> str:
        if not name.startswith("thoughts") or before.endswith("Answer:"):
            return super().write(before, name)
        text, stood = "", thoughts_in(before).strip().rpartition("\n")[2]
        while not text.endswith(END):
            text += self.lines[stood]
            stood = text.strip().rpartition("\n")[2]
        return text


@pytest.mark.parametrize("mode", ["async", "think-first"])
async def test_the_thoughts_go_on_from_the_right_result(mode: Mode) -> None:
    async with rig(Slips(), mode=mode, choice=HOME) as one:
        await one.turn(ASKED)
        assert one.said[-1] in {"The answer is 5:40 pm.", "Now I know this: 5:15 pm + 25 minutes = 5:40 pm."}
        assert not any("4:35" in said or "5:00" in said for said in one.said)
        done = one.events[-2 if not isinstance(one.events[-1], TurnDone) else -1]
        assert not isinstance(done, Thought)
        # What was begun behind the wrong line stands nowhere.
        (thoughts,) = {text for name, text in one.engine.log if name == "thoughts" and "5:15" in text}
        assert "4:35" not in thoughts


async def test_without_the_policy_they_go_on_from_the_wrong_one() -> None:
    async with rig(Slips(), choice=choice_of("sums", PolicySwitches(arithmetic=False))) as one:
        await one.turn(ASKED)
        assert one.said[-1] in {"The answer is 5:00 pm.", "Now I know this: 4:35 pm + 25 minutes = 5:00 pm."}


async def test_a_line_that_comes_again_and_again_ends_the_thoughts() -> None:
    class Stuck(Slips):
        def write(self, before: str, name: str) -> str:
            thinks = name.startswith("thoughts") and not before.endswith("Answer:")
            return "2 + 2 = 5\n" if thinks else super().write(before, name)

    async with rig(Stuck(), choice=HOME) as one:
        await one.turn(ASKED)
        (done,) = one.of(TurnDone)
        assert done.reason == "circling"
        assert one.thought.count("2 + 2 = 4") == 3
