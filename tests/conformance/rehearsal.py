"""A server for conformance: the real one, with real ears and a real voice, before a language model that has a script.

What it says depends on words of the question alone, at a steady pace, so that every client meets the same replies. The
same program serves the real language model when it is given one.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Final, cast

from agent.config.settings import Settings, load
from agent.models.assembly import fetch_speech, open_models
from agent.realtime.adapter import ServerModels
from agent.realtime.hearing import SharedRecogniser
from agent.realtime.reasoner import ReasonerConfig
from agent.realtime.server.keys import Keys
from agent.realtime.server.models import open_server_models
from agent.realtime.server.server import RealtimeServer
from audio.speaking.synthesizer import Synthesizer
from languages.english import ENGLISH
from reasoning.errors import EngineFailed
from reasoning.prompting.script import Script, family_of
from tests.reasoning.scripted_engine import END, Mind, ScriptedEngine

if TYPE_CHECKING:
    from reasoning.engine.contract import Engine

STORY: Final = "Once upon a time there was a little boat that wanted to see the whole wide world. "
STEPS_PER_S: Final = 100
SMALLEST: Final = "smollm2-135m"
"""Is found, but not loaded, where the script plays the language model."""


def write(before: str, _block: str) -> str:
    """Say what the newest request asks for."""
    newest = before.rsplit("<|im_start|>user\n", maxsplit=1)[-1]
    if newest.rstrip().endswith(("<|im_start|>assistant", "{")) and "get_time" in before and "time is it" in newest:
        return f'{{"name": "get_time", "arguments": {{}}}}{END}'
    if "noon" in newest:
        return f"It is a quarter past noon.{END}"
    if newest.rfind("fail") > newest.rfind("Hello"):
        raise EngineFailed("the engine has been closed")
    if "long story" in newest:
        return STORY * 6 + END
    return f"Good to hear from you.{END}"


def score_choices(before: str) -> float:
    """Want a call where a tool tells the time and nobody has told it yet."""
    newest = before.rsplit("<|im_start|>user\n", maxsplit=1)[-1]
    return 20.0 if "get_time" in before and "time is it" in newest and "noon" not in newest else -20.0


async def rehearsing(settings: Settings, stack: AsyncExitStack, *, scripted: bool) -> ServerModels:
    if not scripted:
        models = await stack.enter_async_context(open_models(settings))
        return await stack.enter_async_context(open_server_models(models))
    speech = await asyncio.to_thread(fetch_speech, settings)
    engine = ScriptedEngine(Mind(write, score_choices), allowance=0)
    pace = asyncio.create_task(_pace(engine), name="pace")
    stack.callback(pace.cancel)
    voice = await stack.enter_async_context(Synthesizer(lambda: speech.voice, settings.voice))
    decoder = SharedRecogniser(speech.recogniser)
    script = Script(engine.tokenizer, family_of("any"))
    loop = replace(settings.loop, mode="no-think")
    brains = ReasonerConfig(cast("Engine", engine), script, loop, 8192)
    holds = tuple([await voice.synthesize(phrase) for phrase in ENGLISH.replies.fillers])
    return ServerModels(brains, decoder, voice, holds, settings.ears, settings.voice)


async def _pace(engine: ScriptedEngine) -> None:
    while True:
        await asyncio.sleep(1 / STEPS_PER_S)
        engine.allow(1)


async def serve(port: int, key: str, most_sessions: int, llm: str | None) -> None:
    given = {"models.offline": True, "models.llm": llm or SMALLEST, "server.max_sessions": most_sessions}
    settings = load(None, given).settings
    async with AsyncExitStack() as stack:
        house = await rehearsing(settings, stack, scripted=llm is None)
        while True:
            # A server that is restarted knows nothing of its sessions; the models may stay.
            keys, options = Keys(key, most=settings.server.secrets), settings.server
            server = RealtimeServer(house, options, keys, model=settings.models.llm, voice=settings.models.voice)
            async with server.listening("127.0.0.1", port) as bound:
                port = bound
                print(port, flush=True)
                if await told_to() is signal.SIGTERM:
                    return


async def told_to() -> signal.Signals:
    """Wait for SIGTERM (stop) or SIGHUP (restart)."""
    told: asyncio.Queue[signal.Signals] = asyncio.Queue()
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, told.put_nowait, number)
    return await told.get()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--key", required=True)
    parser.add_argument("--max-sessions", type=int, default=3)
    parser.add_argument("--llm", help="a language model instead of the script")
    given = parser.parse_args()
    asyncio.run(serve(given.port, given.key, given.max_sessions, given.llm))
