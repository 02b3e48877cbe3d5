"""The examples of docs/library.md, as they stand there, over the scripted engine."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import descant
from agent.library.agent import Agent
from agent.library.talk import Talk
from agent.models.assembly import Speech
from audio.clock import RATE
from audio.hearing.streamed import StreamingRecogniser
from audio.io.sound_files import WavWriter, read_sound
from tests.descant.test_library import opened
from tests.descant.test_listen import ASK, Clock, Ears, Voice, clock, sound_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["clock"]

DOCUMENT = Path(__file__).parents[2] / "docs" / "library.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)


async def run(example: str, names: dict[str, Any]) -> None:
    """Run an example, `await` at its top level included."""
    code = compile(example, str(DOCUMENT), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if inspect.isawaitable(done := eval(code, names)):  # noqa: S307 - it is our own document
        await done


@pytest.fixture
def stage(clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Stand in for models and time; give what the examples were opened with."""
    monkeypatch.chdir(tmp_path)
    with WavWriter(tmp_path / "question.wav", RATE) as wav:
        wav.write((sound_of(ASK) * 32767).astype(np.int16))
    asked: dict[str, object] = {}

    @asynccontextmanager
    async def scripted() -> AsyncIterator[Agent]:
        async with opened(load=lambda: Speech(Ears(), Voice(), None)) as agent:
            yield agent

    def opening(**given: object) -> AbstractAsyncContextManager[Agent]:
        asked.update(given)
        inspect.signature(real).bind(**given)
        return scripted()

    real = descant.open
    monkeypatch.setattr(descant, "open", opening)
    monkeypatch.setattr("agent.library.agent.Talk", partial(Talk, ticks=clock.ticks))
    return asked


async def test_the_examples_run_as_they_stand(stage: dict[str, object], capsys: pytest.CaptureFixture[str]) -> None:
    first, opening, tool, voice, recogniser, by_lines, streaming = EXAMPLES
    names: dict[str, Any] = {}
    await run(first, names)
    told = capsys.readouterr().out
    assert told.startswith("Hello to you.\n")
    assert "ToolResult(id='call1', name='weather', text='rain, 12 degrees', failed=False)" in told
    assert "It is rain, 12 degrees." in told
    assert read_sound("answer.wav").seconds > 5
    await run(voice, names)
    await run(recogniser, names)
    await run(by_lines, names)
    await run(opening, names)
    assert {"model", "config", "settings", "voice", "recogniser"} == set(stage)
    assert len(names["MyVoice"]().speak("Hello.")) == 9000
    assert names["MyRecogniser"]().spot(np.zeros(0, np.float32)).words[0].text == "hello"
    assert isinstance(names["MyStreamingRecogniser"](), StreamingRecogniser)
    assert names["MyStreamingRecogniser"]().open_line("").finish()[0].text == "hello"
    await run(tool, names)
    assert await asyncio.to_thread(names["play"].handler, {"song": "Hey Jude"}) == "playing Hey Jude, volume low"
    async with opened() as agent, agent.conversation(tools=[names["weather"]]) as talk:
        await run(streaming, {**names, "talk": talk})
    assert "weather gave rain, 12 degrees" in capsys.readouterr().out


def test_the_document_names_everything_that_is_public() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    own = set(descant.__all__) - {"__version__", "Agent", "Talk"}
    assert {name for name in own if not re.search(rf"\b{name}\b", text)} == set()
