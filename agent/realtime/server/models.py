"""Loads the models that all sessions of a server share, and warms them, so that the first client waits no longer."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from agent.conversation.assembly import languages_of, local_time, spoken_fillers
from agent.conversation.reply import ReplyRequest
from agent.costs.price import price_now
from agent.costs.sharing import ServerAccount
from agent.models.assembly import voice_speaking
from agent.realtime.adapter import ServerModels
from agent.realtime.hearing import SharedJudge, SharedRecogniser
from agent.realtime.protocol.messages import ResponseSpec
from agent.realtime.reasoner import ReasonerConfig, ResponseDetails, SessionReasoner
from agent.realtime.voices import SessionVoices
from audio.speaking.synthesizer import Synthesizer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from agent.models.assembly import OpenModels
    from agent.realtime.robot import SharedRobot


@asynccontextmanager
async def open_server_models(
    models: OpenModels, robot: SharedRobot | None = None, account: ServerAccount | None = None
) -> AsyncIterator[ServerModels]:
    """Load ears and voice, warm all models, and free what is the server's at the end."""
    await models.warm()
    engine, script, speech, settings = models.engine, models.script, await models.speech(), models.settings
    speaking = partial(voice_speaking, speech, settings)
    async with Synthesizer(lambda: speech.voice, settings.voice, speaking) as synthesizer:
        recogniser = SharedRecogniser(speech.recogniser)
        reasoning = ReasonerConfig(
            engine, script, settings.loop, settings.engine.context, local_time, price_now(settings.costs)
        )
        with models.times.span("voice: fillers spoken"):
            fillers = await spoken_fillers(synthesizer, languages_of(settings)[0])
        with models.times.span("a first reply"):
            await _warm(reasoning)
        yield ServerModels(
            reasoning,
            recogniser,
            synthesizer,
            tuple(fillers),
            settings.ears,
            settings.voice,
            settings.turns,
            None if speech.judge is None else SharedJudge(speech.judge),
            robot=robot,
            voices=None if speech.voices is None else SessionVoices(speech.voices, settings.models.voice),
            stop_word=speech.stop_word,
            account=account or ServerAccount(settings.costs),
        )


async def _warm(config: ReasonerConfig) -> None:
    clock = asyncio.get_running_loop().time
    spec = ResponseSpec((), "Hello.", "Hello.", "", "minimal", 8, ())
    reasoner = SessionReasoner(config, lambda _: None, clock, lambda _: spec)
    try:
        await reasoner.answer(ReplyRequest(spec.text, spec=ResponseDetails(spec, None)), lambda _: None)
    finally:
        await reasoner.close()
