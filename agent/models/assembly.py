"""Opens the models that the settings name: engine, ears and voice, each ready for use.

Loading takes place in threads, so that the three load side by side. Knows which model plays which part; does not know
what is said with them.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import platformdirs
import torch
from rich.console import Console

from agent.conversation.stop_phrases import StopPhrases
from agent.models.served import open_served
from audio.hearing.ears import Ears
from audio.hearing.end_of_turn import EndOfTurn
from audio.hearing.transcriber import Transcriber
from audio.hearing.vad import VoiceActivity
from audio.hearing.whisper import WhisperDecoder
from audio.speaking.piper import PiperVoice
from audio.speaking.synthesizer import Synthesizer
from reasoning.engine.decoder import Decoder
from reasoning.engine.torch_engine import TorchEngine
from reasoning.errors import ModelUnavailable
from reasoning.formats.gguf import open_gguf
from reasoning.formats.safetensors_folder import open_safetensors
from reasoning.prompting.script import Script, family_of
from reasoning.prompting.tokenizer import Tokenizer
from reasoning.store.store import Progress
from reasoning.tools.grammar import Grammars

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from agent.config.settings import ModelOptions, Settings
    from reasoning.engine.contract import Engine
    from reasoning.formats.model_file import ModelFile
    from reasoning.options import EngineOptions
    from reasoning.store.store import Store

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Files:
    """Where the models lie."""

    llm: Path
    """A .gguf file, or a folder of safetensors."""
    asr: Path
    """A folder."""
    voice: Path
    """A folder."""
    turn: Path | None = None
    """The .onnx file of the judge of turns, if there is one."""


def find(settings: Settings, store: Store, progress: Callable[[Progress], None], *, speech: bool) -> Files:
    """Fetch what is missing; `speech` says whether ears and voice are needed, too."""
    options = settings.models
    llm = store.language_model(options.llm, progress)
    if not speech:
        return Files(llm, llm.parent, llm.parent)
    return Files(
        llm, store.ensure(options.asr, progress), store.ensure(options.voice, progress), _turn(options, store, progress)
    )


def _turn(options: ModelOptions, store: Store, progress: Callable[[Progress], None]) -> Path | None:
    """Find the judge of turns. It is a small thing that conversations go on without."""
    if not options.turn:
        return None
    try:
        return next(store.ensure(options.turn, progress).glob("*.onnx"))
    except ModelUnavailable as error:
        progress(Progress(options.turn, "", "failed", 0, 0, f"{error}; words and silence end a turn meanwhile"))
        return None


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


def load_engine(file: Path, options: EngineOptions) -> tuple[TorchEngine, Script]:
    """Load the language model, and what to say to it."""
    decoder, script = load_decoder(file, options)
    grammars = Grammars(script.tokenizer)
    engine = TorchEngine(decoder, prefill_rows=options.prefill_rows, threads=options.threads, grammars=grammars)
    return engine, script


def load_decoder(file: Path, options: EngineOptions, packed: Path | None = None) -> tuple[Decoder, Script]:
    """Load the language model without a thread of its own; `packed` is the folder of its repacked weights."""
    model, tokenizer = _opened(file)
    script = Script(tokenizer, family_of(model.value("general.name", str, file.stem)))
    decoder = Decoder(
        model,
        torch.bfloat16,
        cache_dir=packed or platformdirs.user_cache_path("descant") / "packed",
        max_context=options.context,
        native=options.native,
    )
    return decoder, script


def _opened(path: Path) -> tuple[ModelFile, Tokenizer]:
    """Open a model file, or a folder of safetensors, and its vocabulary."""
    if path.is_dir():
        return open_safetensors(path), Tokenizer.from_json(path)
    gguf = open_gguf(path)
    return gguf, Tokenizer.from_gguf(gguf)


@dataclass(frozen=True, slots=True)
class Speech:
    """Models of ears and voice that several conversations take in turn."""

    decoder: WhisperDecoder
    voice: PiperVoice
    judge: EndOfTurn | None
    """The judge of turns, if there is one."""


def load_speech(files: Files, settings: Settings) -> Speech:
    """Load them, in the calling thread."""
    return Speech(
        WhisperDecoder(files.asr, settings.ears),
        PiperVoice(next(files.voice.glob("*.onnx")), settings.voice),
        _judge(files),
    )


@asynccontextmanager
async def open_speech(
    files: Files, settings: Settings, engine: Engine | None = None, loaded: Speech | None = None
) -> AsyncIterator[tuple[Ears, Synthesizer]]:
    """Load ears and voice, and free them at the end; `engine` leaves the processor to the ears when they need it."""
    phrases = StopPhrases(settings.turns.stop_phrases)
    decoder, voice = (WhisperDecoder, PiperVoice) if loaded is None else (_given(loaded.decoder), _given(loaded.voice))
    ears = Ears(
        VoiceActivity(settings.ears),
        Transcriber(files.asr, settings.ears, decoder, lambda: _judge(files) if loaded is None else loaded.judge),
        settings.ears,
        command=phrases.command,
    )
    if engine is not None:
        ears.stops.give_way = engine.give_way
    async with ears, Synthesizer(next(files.voice.glob("*.onnx")), settings.voice, voice) as synthesizer:
        yield ears, synthesizer


def _judge(files: Files) -> EndOfTurn | None:
    return EndOfTurn(files.turn) if files.turn else None


def _given(model: T) -> Callable[[Path, object], T]:
    return lambda *_: model
