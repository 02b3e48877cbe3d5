"""One number of a question is corrected in mid-reply: thoughts that stand are kept, and the right answer is said."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from agent.config.settings import load
from agent.conversation import timeline
from agent.models.registry import Files, load_decoder, load_engine, load_voice
from audio.speaking.synthesizer import Synthesizer
from bench.latency.dialogues import SpokenDialogue, spoken
from bench.latency.latency import LatencyStage
from bench.virtual.stepped import measure_costs
from bench.virtual.timed import Pace
from reasoning.policies.grounding import last_number, numbers
from tests.e2e.stage.correcting import Mind, correct_all
from tests.e2e.stage.correction_problems import problems
from tests.reasoning.model_files import model_path

if TYPE_CHECKING:
    from tests.e2e.stage.correcting import Corrected

pytestmark = [pytest.mark.e2e, pytest.mark.live]
EACH = 2
"""Numbers that are drawn for each correction of each template."""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_correction_costs_less_than_to_begin_anew_and_is_as_often_right() -> None:
    """On a clock that counts what each conversation's own steps cost."""
    settings = load().settings
    mind = Mind(*load_decoder(model_path(settings.models.llm), settings.engine), settings.engine, settings.loop)
    asked, costs = problems("test", EACH), measure_costs(mind.decoder, repeats=3)
    kept, anew = (correct_all(mind, asked, costs, Pace(), anew=anew) for anew in (False, True))
    both = [pair for pair in zip(kept, anew, strict=True) if pair[0].right and pair[1].right]
    tokens, seconds = ratio(both, "all_tokens"), ratio(both, "right_after_s")
    right = [sum(one.right for one in row) for row in (kept, anew)]
    for one, other in zip(kept, anew, strict=True):
        print(f"{one.problem.question}\n  > {one.problem.correction}  ({one.problem.after})")
        for name, of in (("kept", one), ("anew", other)):
            print(f"  {name}: {of.right}, {of.tokens}, {of.right_after_s}; {of.heard!r} {of.said!r} {of.thoughts!r}")
    print(f"right {right[0]} with the old thoughts, {right[1]} anew, of {len(asked)}; where both are: n {len(both)}")
    print(f"thinker's tokens {ratio(both, 'thought_tokens'):.2f}")
    print(f"tokens {tokens:.2f}, seconds to the right answer {seconds:.2f} of what it takes to begin anew")
    assert len(asked) >= 24
    assert right[0] >= 0.85 * right[1] >= 0.4 * len(asked)
    assert tokens <= 0.8
    assert seconds <= 1.0


def ratio(pairs: list[tuple[Corrected, Corrected]], name: str) -> float:
    """Ratio of means."""
    with_thoughts, without = (sum(getattr(pair[row], name) for pair in pairs) for row in (0, 1))
    return float(with_thoughts / without)


@pytest.mark.timeout(300)
def test_a_spoken_correction_is_heard_over_the_reply_and_answered() -> None:
    """In real time, through the whole live path: microphone, echo, ears, turns, thoughts, voice."""
    settings = load().settings
    options = settings.models
    files = Files(model_path(options.llm), model_path(options.asr).parent, model_path(options.voice).parent)

    async def talk() -> list[timeline.TimelineEntry]:
        question = "I buy two tickets for nine dollars each and three drinks for four dollars each. How much do I pay?"
        async with Synthesizer(lambda: load_voice(files.voice, settings), settings.voice) as voice:
            sounds = [await spoken(voice, text) for text in (question, "Sorry, I meant five drinks.")]
        dialogue = SpokenDialogue("barge-in", question, sounds[0], sounds[1], heard_out=True)
        engine, script = load_engine(files.llm, settings.engine)
        try:
            stage = LatencyStage(settings, files, engine, script)
            found = await stage.exchange(dialogue)
        finally:
            engine.close()
        assert not found.not_stopped
        return stage.entries

    entries = asyncio.run(talk())
    for entry in entries:
        if isinstance(entry.event, timeline.TurnEnded | timeline.Interrupted | timeline.AudioOut):
            print(f"{entry.t_ms / 1000:6.2f}", entry.event)
    cut = next(entry for entry in entries if isinstance(entry.event, timeline.Interrupted))
    assert isinstance(cut.event, timeline.Interrupted)
    said = [
        entry.event.text
        for entry in entries
        if isinstance(entry.event, timeline.AudioOut) and entry.event.kind == "content" and entry.t_ms > cut.t_ms
    ]
    assert last_number(" ".join(said)) == 38.0
    thoughts = "".join(
        entry.event.text for entry in entries if isinstance(entry.event, timeline.Thought) and entry.t_ms > cut.t_ms
    )
    print(thoughts)
    # The tickets were worked out before, and are not worked out again.
    assert 9.0 not in numbers(thoughts)
