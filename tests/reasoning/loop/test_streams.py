from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

import pytest

from reasoning.engine.contract import Form, Grammar, Sampling, Token
from reasoning.loop.steps import Steps
from reasoning.loop.streams import Streams
from reasoning.loop.turn import Attempt
from reasoning.options import LoopOptions
from reasoning.prompting.script import Script, family_of
from tests.reasoning.scripted_engine import END, Mind, ScriptedEngine, ScriptedSession, WordBlock, Words

DRAWN = LoopOptions(temperature=0.7, top_p=0.9, top_k=20, min_p=0.1)


class Watched(ScriptedSession):
    """Notes by which rules its streams are written."""

    def __init__(self, engine: ScriptedEngine) -> None:
        super().__init__(engine)
        self.rules: list[Sampling] = []

    async def generate(self, view: Sequence[WordBlock], rules: Sampling) -> AsyncGenerator[Token]:
        self.rules.append(rules)
        async for token in super().generate(view, rules):
            yield token


async def rules_of(options: LoopOptions, seed: int, grammar: Grammar | None = None) -> list[Sampling]:
    """Run two streams and give what they were written by."""
    engine = ScriptedEngine(Mind(lambda *_: f"Yes.{END}"), Words())
    session = Watched(engine)
    script = Script(engine.tokenizer, family_of("any"))
    streams, attempt = Streams(session, script, options, seed=seed), Attempt(Steps())
    block = session.block("thoughts")
    await session.append([block], script.prompt)
    for _ in range(2):
        async with streams.run(attempt, [block], "thinker", script.ends, 9, grammar=grammar) as pieces:
            assert [piece.text async for piece in pieces] == ["Yes", ".", ""]
    assert attempt.tokens["thinker"] == 6
    return session.rules


async def test_what_is_set_for_sampling_reaches_every_stream() -> None:
    for rules in await rules_of(DRAWN, 0):
        assert (rules.temperature, rules.top_p, rules.top_k, rules.min_p) == (0.7, 0.9, 20, 0.1)
    assert all(rules.temperature == 0 for rules in await rules_of(LoopOptions(), 0))


async def test_each_stream_draws_by_a_seed_of_its_own_that_the_loops_seed_decides() -> None:
    one, again, other = [[rules.seed for rules in await rules_of(DRAWN, seed)] for seed in (7, 7, 8)]
    assert one == again
    assert len({*one, *other}) == 4


@pytest.mark.parametrize("seed", [0, 7])
async def test_calls_are_never_drawn(seed: int) -> None:
    grammar = Grammar((Form("", "{}", ""),))
    assert all(rules.temperature == 0 for rules in await rules_of(DRAWN, seed, grammar))
