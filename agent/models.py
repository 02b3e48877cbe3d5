"""Opens the models that the settings name: engine, ears and voice, each ready for use.

Loading takes place in threads, so that the three load side by side. Knows which model plays which part; does not know
what is said with them.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import platformdirs
import torch
from rich.console import Console

from audio.ears import Ears
from audio.synthesizer import Synthesizer
from audio.transcriber import Transcriber
from audio.vad import VoiceActivity
from reasoning.decoder import Decoder
from reasoning.gguf import open_gguf
from reasoning.script import Script, family_of
from reasoning.tokenizer import Tokenizer
from reasoning.torch_engine import TorchEngine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from agent.config import Settings
    from reasoning.options import EngineOptions
    from reasoning.store import Progress, Store


@dataclass(frozen=True, slots=True)
class Files:
    """Where the models lie."""

    llm: Path
    """A .gguf file."""
    asr: Path
    """A folder."""
    voice: Path
    """A folder."""


def find(settings: Settings, store: Store, progress: Callable[[Progress], None], *, speech: bool) -> Files:
    """Fetch what is missing; `speech` says whether ears and voice are needed, too."""
    options = settings.models
    llm = store.language_model(options.llm, progress)
    if not speech:
        return Files(llm, llm.parent, llm.parent)
    return Files(llm, store.ensure(options.asr, progress), store.ensure(options.voice, progress))


@asynccontextmanager
async def open_engine(file: Path, options: EngineOptions) -> AsyncIterator[tuple[TorchEngine, Script]]:
    """Load the language model, and free it at the end."""
    with Console(stderr=True).status("loading the language model (longer the first time: its weights are repacked)"):
        engine, script = await asyncio.to_thread(load_engine, file, options)
    try:
        yield engine, script
    finally:
        await asyncio.to_thread(engine.close)


def load_engine(file: Path, options: EngineOptions) -> tuple[TorchEngine, Script]:
    """Load the language model, and what to say to it."""
    gguf = open_gguf(file)
    script = Script(Tokenizer.from_gguf(gguf), family_of(gguf.value("general.name", str, file.stem)))
    decoder = Decoder(
        gguf,
        torch.bfloat16,
        cache_dir=platformdirs.user_cache_path("descant") / "packed",
        max_context=options.context,
        native=options.native,
    )
    return TorchEngine(decoder, prefill_rows=options.prefill_rows, threads=options.threads), script


@asynccontextmanager
async def open_speech(files: Files, settings: Settings) -> AsyncIterator[tuple[Ears, Synthesizer]]:
    """Load ears and voice, and free them at the end."""
    ears = Ears(VoiceActivity(settings.ears), Transcriber(files.asr, settings.ears), settings.ears)
    async with ears, Synthesizer(next(files.voice.glob("*.onnx")), settings.voice) as synthesizer:
        yield ears, synthesizer
