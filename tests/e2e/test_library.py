"""The library with the default models: the ten lines, then a tool, an own voice and an own recogniser."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

import descant
from audio.clock import Pcm, Sound
from audio.io.sound_files import read_sound
from tests.reasoning.model_files import model_path

pytestmark = [pytest.mark.e2e, pytest.mark.live, pytest.mark.timeout(900)]
ASKED = "What is the weather in Oslo?"
TICKETS = Path(__file__).parent / "recordings" / "tickets.wav"


@descant.tool
async def weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"rain in {city}, 12 degrees"


class OwnVoice:
    rate = 24_000

    def speak(self, text: str) -> Pcm:
        return np.full(len(text) * 1500, 1000, np.int16)


class OwnRecogniser:
    def decode(self, sound: Sound, *, final: bool, expected: str = "") -> descant.Hypothesis:  # noqa: ARG002 - a port's
        return descant.Hypothesis(
            tuple(descant.Word(word, 0.9) for word in ["What", "is", "the", "weather", "in", "Oslo?"])
        )

    def spot(self, sound: Sound) -> descant.Hypothesis:  # noqa: ARG002 - the same
        return descant.Hypothesis(())


async def converse(agent: descant.Agent, output: Path) -> list[descant.Event]:
    async with agent.conversation(tools=[weather]) as talk:
        return [event async for event in talk.listen(descant.Recording(TICKETS), output=output)]


def test_the_ten_lines_answer_a_typed_and_a_spoken_question(tmp_path: Path) -> None:
    model_path("qwen2.5-coder-1.5b")

    async def program() -> None:
        async with descant.open() as agent:
            assert "84" in await agent.ask("What is 12 times 7?")
            seen = await converse(agent, tmp_path / "answer.wav")
        said = " ".join(event.text for event in seen if isinstance(event, descant.events.AudioOut))
        assert "14" in said, said

    asyncio.run(program())
    assert np.abs(np.concatenate(list(read_sound(tmp_path / "answer.wav")))).max() > 0.1


def test_a_tool_is_called_by_own_ears_and_told_by_an_own_voice(tmp_path: Path) -> None:
    model_path("qwen2.5-coder-1.5b")

    async def program() -> list[descant.Event]:
        async with descant.open(voice=OwnVoice(), recogniser=OwnRecogniser()) as agent:
            return await converse(agent, tmp_path / "answer.wav")

    seen = asyncio.run(program())
    result = next(event for event in seen if isinstance(event, descant.events.ToolResult))
    assert result.text == "rain in Oslo, 12 degrees"
    after = [event.text for event in seen[seen.index(result) :] if isinstance(event, descant.events.AudioOut)]
    assert "12" in " ".join(after) or "twelve" in " ".join(after), after
