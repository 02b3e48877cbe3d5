from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from reasoning.events import ReplyText, Unsaid
from reasoning.policies.sums.consistency import contradicted
from reasoning.policies.sums.switches import ALL_POLICIES
from tests.reasoning.loop.test_loop import Model, rig
from tests.reasoning.scripted_engine import END

LINES = st.lists(
    st.sampled_from(
        (
            *("6 * 4 = 24", "6 * 4 = 25", "Wait, 4 * 6 = 23 eggs", "24 - 3 = 21 eggs", "24 - 3 = 22 eggs"),
            *("Answer: 24 eggs", "Answer: 25 eggs", "Each row has 4 eggs"),
        )
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(LINES, st.lists(st.sampled_from((0.0, 0.5, 3.0)), min_size=1, max_size=4))
def test_nothing_that_was_said_and_not_unsaid_contradicts_the_thoughts(lines: list[str], leads: list[float]) -> None:
    async def run() -> None:
        async with rig(Model(thoughts="\n".join(lines) + f"\n{END}"), policies=ALL_POLICIES) as one:
            for number, lead in enumerate(leads):
                one.engine.on_step = lambda step, lead=lead, number=number: (  # type: ignore[misc]
                    one.loop.playing(lead) if step % len(leads) == number else None
                )
            await one.turn()
            said: list[str] = []
            for event in one.events:
                match event:
                    case ReplyText(text):
                        said.append(text)
                    case Unsaid(text):
                        assert text in said, "what was never said cannot be unsaid"
                        said.remove(text)
            assert contradicted(said, one.thought.splitlines()) is None
            assert said
            assert len(set(said)) == len(said)

    asyncio.run(run())
