"""Opens the models that the settings name: engine, ears and voice, each ready for use.

Loading takes place in threads, so that the three load side by side. What loads which model is the registry's; what is
said with them is not known here.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console

from agent.language.stop_phrases import StopPhrases
from agent.models.registry import load_engine, load_recogniser, load_turn_judge, load_voice
from agent.models.served import open_served
from audio.hearing.ears import Ears
from audio.hearing.transcriber import Transcriber
from audio.hearing.vad import VoiceActivity
from audio.speaking.synthesizer import Synthesizer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from agent.config.settings import Settings
    from agent.models.registry import Files
    from audio.hearing.transcriber import Judge, Recogniser
    from audio.messages import Words
    from audio.speaking.synthesizer import Voice
    from reasoning.engine.contract import Engine
    from reasoning.engine.torch_engine import TorchEngine
    from reasoning.options import EngineOptions
    from reasoning.prompting.script import Script


@asynccontextmanager
async def open_engine(file: Path, settings: Settings) -> AsyncIterator[tuple[Engine, Script]]:
    """Load the language model, or connect to servers that have it; free it at the end."""
    if settings.engine.kind == "vllm":
        async with open_served(file, settings) as opened:
            yield opened
    else:
        async with open_embedded(file, settings.engine) as opened:
            yield opened


@asynccontextmanager
async def open_embedded(file: Path, options: EngineOptions) -> AsyncIterator[tuple[TorchEngine, Script]]:
    """Load the language model into this process, and free it at the end."""
    with Console(stderr=True).status("loading the language model (longer the first time: its weights are repacked)"):
        engine, script = await asyncio.to_thread(load_engine, file, options)
    try:
        yield engine, script
    finally:
        await asyncio.to_thread(engine.close)


@dataclass(frozen=True, slots=True)
class Speech:
    """Models of ears and voice that several conversations take in turn."""

    recogniser: Recogniser
    voice: Voice
    judge: Judge | None
    """The judge of turns, if there is one."""


def load_speech(files: Files, settings: Settings) -> Speech:
    """Load them, in the calling thread."""
    return Speech(
        load_recogniser(files.asr, settings), load_voice(files.voice, settings), load_turn_judge(files.turn, settings)
    )


@asynccontextmanager
async def open_speech(
    files: Files,
    settings: Settings,
    engine: Engine | None = None,
    loaded: Speech | None = None,
    *,
    own: Callable[[Words, float], bool] = lambda *_: False,
) -> AsyncIterator[tuple[Ears, Synthesizer]]:
    """Load ears and voice, and free them at the end.

    engine: leaves the processor to the ears when they need it.
    own: tells whether words are the agent's own, come back as an echo, at that second of the input clock.
    """
    phrases = StopPhrases(settings.turns.stop_phrases)

    def recogniser() -> Recogniser:
        return load_recogniser(files.asr, settings) if loaded is None else loaded.recogniser

    def judge() -> Judge | None:
        return load_turn_judge(files.turn, settings) if loaded is None else loaded.judge

    def voice() -> Voice:
        return load_voice(files.voice, settings) if loaded is None else loaded.voice

    transcriber = Transcriber(recogniser, judge)
    ears = Ears(
        VoiceActivity(settings.ears),
        transcriber,
        settings.ears,
        command=phrases.command,
        own=own,
        give_way=_stay if engine is None else engine.give_way,
    )
    async with ears, Synthesizer(voice, settings.voice) as synthesizer:
        yield ears, synthesizer


def _stay(_: float) -> None:
    """There is no engine to give way."""
