"""Loads the models that all sessions of a server share, and warms them, so that the first client waits no longer."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from typing import TYPE_CHECKING

import numpy as np

from agent.models.assembly import open_engine
from agent.models.registry import load_recogniser, load_voice
from agent.realtime.dialogue import House
from agent.realtime.hearing import SharedDecoder
from agent.realtime.mind import Brains, Mind
from agent.realtime.protocol.messages import ResponseSpec
from audio.clock import RATE
from audio.speaking.synthesizer import Synthesizer
from reasoning.policies.fillers import FILLERS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from agent.config.settings import Settings
    from agent.models.assembly import Shown
    from agent.models.registry import Files
    from agent.realtime.robot import Garage


@asynccontextmanager
async def open_house(
    files: Files, settings: Settings, garage: Garage | None = None, shown: Shown = nullcontext
) -> AsyncIterator[House]:
    """Load language model, ears and voice side by side, warm them, and free them at the end."""
    async with AsyncExitStack() as stack:
        voice = Synthesizer(lambda: load_voice(files.voice, settings), settings.voice)
        engine, script = await stack.enter_async_context(open_engine(files.llm, settings, shown))
        synthesizer = await stack.enter_async_context(voice)
        decoder = SharedDecoder(await asyncio.to_thread(load_recogniser, files.asr, settings))
        brains = Brains(engine, script, settings.loop, settings.engine.context)
        holds = [await synthesizer.synthesize(phrase) for phrase in FILLERS]
        await asyncio.to_thread(decoder.decode, np.zeros(RATE, np.float32), final=False)
        await _warm(brains)
        yield House(brains, decoder, synthesizer, tuple(holds), settings.ears, settings.voice, garage=garage)


async def _warm(brains: Brains) -> None:
    loop = asyncio.get_running_loop()
    async with Mind(brains, lambda _: None, loop.time) as mind:
        await mind.answer(ResponseSpec((), "Hello.", "Hello.", "", "minimal", 8, ()))
