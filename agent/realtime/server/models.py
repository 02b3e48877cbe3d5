"""Loads the models that all sessions of a server share, and warms them, so that the first client waits no longer."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from typing import TYPE_CHECKING

import numpy as np

from agent.conversation.assembly import spoken_fillers
from agent.conversation.reply import ReplyRequest
from agent.models.assembly import open_engine
from agent.models.registry import load_recogniser, load_turn_judge, load_voice
from agent.realtime.adapter import ServerModels
from agent.realtime.hearing import SharedJudge, SharedRecogniser
from agent.realtime.protocol.messages import ResponseSpec
from agent.realtime.reasoner import ReasonerConfig, ResponseDetails, SessionReasoner
from audio.clock import RATE
from audio.speaking.synthesizer import Synthesizer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from agent.config.settings import Settings
    from agent.models.assembly import Shown
    from agent.models.registry import Files
    from agent.realtime.robot import SharedRobot


@asynccontextmanager
async def open_server_models(
    files: Files, settings: Settings, robot: SharedRobot | None = None, shown: Shown = nullcontext
) -> AsyncIterator[ServerModels]:
    """Load language model, ears and voice side by side, warm them, and free them at the end."""
    async with AsyncExitStack() as stack:
        voice = Synthesizer(lambda: load_voice(files.voice, settings), settings.voice)
        engine, script = await stack.enter_async_context(open_engine(files.llm, settings, shown))
        synthesizer = await stack.enter_async_context(voice)
        recogniser = SharedRecogniser(await asyncio.to_thread(load_recogniser, files.asr, settings))
        judge = await asyncio.to_thread(load_turn_judge, files.turn, settings)
        reasoning = ReasonerConfig(engine, script, settings.loop, settings.engine.context)
        fillers = await spoken_fillers(synthesizer, settings.loop)
        await asyncio.to_thread(recogniser.decode, np.zeros(RATE, np.float32), final=False)
        await _warm(reasoning)
        yield ServerModels(
            reasoning,
            recogniser,
            synthesizer,
            tuple(fillers),
            settings.ears,
            settings.voice,
            settings.turns,
            None if judge is None else SharedJudge(judge),
            robot=robot,
        )


async def _warm(config: ReasonerConfig) -> None:
    clock = asyncio.get_running_loop().time
    spec = ResponseSpec((), "Hello.", "Hello.", "", "minimal", 8, ())
    reasoner = SessionReasoner(config, lambda _: None, clock, lambda _: spec)
    try:
        await reasoner.answer(ReplyRequest(spec.text, spec=ResponseDetails(spec, None)), lambda _: None)
    finally:
        await reasoner.close()
