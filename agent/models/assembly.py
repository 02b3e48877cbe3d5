"""Opens the models that the settings name: language model, ears and voice, from disk to ready.

Everything slow takes place in threads. What loads which model is the registry's; what is said with them is not known
here. Shows nothing: whoever opens models may be told how far they are.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from agent.config.invocation import open_store
from agent.language.stop_phrases import StopPhrases
from agent.models.registry import fetch_turn, load_engine, load_recogniser, load_turn_judge, load_voice
from agent.models.served import open_served
from audio.hearing.ears import Ears
from audio.hearing.transcriber import Transcriber
from audio.hearing.vad import VoiceActivity
from audio.speaking.synthesizer import Synthesizer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractContextManager

    from agent.config.settings import Settings
    from agent.models.registry import Files
    from audio.hearing.transcriber import Judge, Recogniser
    from audio.messages import Words
    from audio.speaking.synthesizer import Voice
    from reasoning.engine.contract import Engine
    from reasoning.engine.torch_engine import TorchEngine
    from reasoning.options import EngineOptions
    from reasoning.prompting.script import Script
    from reasoning.store.store import Progress

    Fetching = Callable[[], AbstractContextManager[Callable[[Progress], None]]]
    """Shows how far the fetching of models is while it is entered."""
    Shown = Callable[[str], AbstractContextManager[object]]
    """Shows what is being loaded while it is."""


def _unseen() -> AbstractContextManager[Callable[[Progress], None]]:
    return nullcontext(lambda _: None)


# --- the language model ---


@asynccontextmanager
async def open_engine(
    file: Path, settings: Settings, shown: Shown = nullcontext
) -> AsyncIterator[tuple[Engine, Script]]:
    """Load the language model, or connect to servers that have it; free it at the end."""
    if settings.engine.kind == "vllm":
        async with open_served(file, settings) as opened:
            yield opened
    else:
        async with open_embedded(file, settings.engine, shown) as opened:
            yield opened


@asynccontextmanager
async def open_embedded(
    file: Path, options: EngineOptions, shown: Shown = nullcontext
) -> AsyncIterator[tuple[TorchEngine, Script]]:
    """Load the language model into this process, and free it at the end."""
    with shown("the language model (longer the first time: its weights are repacked)"):
        engine, script = await asyncio.to_thread(load_engine, file, options)
    try:
        yield engine, script
    finally:
        await asyncio.to_thread(engine.close)


# --- ears and voice ---


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


def fetch_speech(
    settings: Settings,
    fetching: Fetching = _unseen,
    *,
    recogniser: Recogniser | None = None,
    voice: Voice | None = None,
) -> Speech:
    """Fetch and load what is not given, in the calling thread."""
    options, store = settings.models, open_store(settings.models)
    with fetching() as progress:
        hearing = recogniser or store.ensure(options.asr, progress)
        speaking = voice or store.ensure(options.voice, progress)
        judge = fetch_turn(options, store, progress)
    return Speech(
        load_recogniser(hearing, settings) if isinstance(hearing, Path) else hearing,
        load_voice(speaking, settings) if isinstance(speaking, Path) else speaking,
        load_turn_judge(judge, settings),
    )


@asynccontextmanager
async def open_speech(
    speech: Speech,
    settings: Settings,
    engine: Engine | None = None,
    *,
    own: Callable[[Words, float], bool] = lambda *_: False,
) -> AsyncIterator[tuple[Ears, Synthesizer]]:
    """Give one conversation its ears and voice.

    engine: leaves the processor to the ears when they need it.
    own: tells whether words are the agent's own, come back as an echo, at that second of the input clock.
    """
    phrases = StopPhrases(settings.turns.stop_phrases)
    transcriber = Transcriber(lambda: speech.recogniser, lambda: speech.judge)
    ears = Ears(
        VoiceActivity(settings.ears),
        transcriber,
        settings.ears,
        command=phrases.command,
        own=own,
        give_way=_stay if engine is None else engine.give_way,
    )
    async with ears, Synthesizer(lambda: speech.voice, settings.voice) as synthesizer:
        yield ears, synthesizer


def _stay(_: float) -> None:
    """There is no engine to give way."""


# --- all of them ---


class OpenModels:
    """The models of one process, which its conversations share. Made by `open_models`."""

    def __init__(self, settings: Settings, engine: Engine, script: Script, load: Callable[[], Speech]) -> None:
        """`load` loads ears and voice; it is called once, in a thread, when they are first needed."""
        self.settings, self.engine, self.script = settings, engine, script
        self._load = load
        self._loading = asyncio.Lock()
        self._speech: Speech | None = None

    async def speech(self) -> Speech:
        """Give ears and voice. Raises EarsUnavailable or VoiceUnavailable."""
        async with self._loading:
            if self._speech is None:
                self._speech = await asyncio.to_thread(self._load)
            return self._speech


@asynccontextmanager
async def open_models(
    settings: Settings,
    *,
    recogniser: Recogniser | None = None,
    voice: Voice | None = None,
    fetching: Fetching = _unseen,
    shown: Shown = nullcontext,
) -> AsyncIterator[OpenModels]:
    """Fetch and load the language model, and free it at the end; ears and voice follow when they are needed.

    recogniser, voice: used instead of those that the settings name.
    fetching: entered while models are fetched; what it gives is told how far they are, from a thread.
    shown: entered with the name of what is being loaded, while it is.
    """
    store = open_store(settings.models)
    with fetching() as progress:
        file = await asyncio.to_thread(store.language_model, settings.models.llm, progress)
    load = partial(fetch_speech, settings, fetching, recogniser=recogniser, voice=voice)
    async with open_engine(file, settings, shown) as (engine, script):
        yield OpenModels(settings, engine, script, load)
