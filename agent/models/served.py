"""Opens a language model that servers have: the engine that asks them, and what to say to the model.

Its vocabulary, chat template and end tokens come from a model folder or file on this machine (`models.llm`), since a
stock server gives out no vocabulary; that they are those of the served model is checked with the server.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from agent.config.addresses import address_parts
from agent.config.invocation import server_key
from agent.errors import ConfigError
from reasoning.errors import BadModel, EngineFailed
from reasoning.formats.gguf import open_gguf
from reasoning.prompting.profiles.reading import known_profiles
from reasoning.prompting.script import Script, script_of
from reasoning.prompting.tokenizer import Tokenizer
from reasoning.tools.grammar import Grammars
from reasoning.vllm.blocks import ServerLimits
from reasoning.vllm.engine import VllmEngine
from reasoning.vllm.servers import Servers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from agent.config.settings import Settings

_SAMPLE: Final = "Naïve cafés: 1234567 + 8.5% of it isn't\n\n  much —\t日本 (γ≈0.577)!\r\n"
"""Text that vocabularies split differently."""


def servers_of(settings: Settings) -> Servers:
    """Give the servers of the settings. Raises ConfigError where there are none."""
    options = settings.vllm
    if not options.servers:
        raise ConfigError("engine.kind = vllm needs servers: add --server URL[,URL...], or set vllm.servers")
    for url in options.servers:
        parts = address_parts(url)
        if parts is None or parts.scheme not in {"http", "https"}:
            raise ConfigError(f"vllm.servers: {url!r} is no address; write it as http://127.0.0.1:8000")
    return Servers(options, server_key(options.api_key_file))


def vocabulary_in(file: Path) -> Tokenizer:
    """Read the vocabulary of a .gguf file, or of a folder with tokenizer.json; weights are not needed."""
    return Tokenizer.from_json(file) if file.is_dir() else Tokenizer.from_gguf(open_gguf(file))


async def check_vocabulary(servers: Servers, tokenizer: Tokenizer, file: Path) -> bool:
    """Refuse a vocabulary that is not the served model's (BadModel); False where the server does not tell."""
    found, own = await servers.tokenized(_SAMPLE), tokenizer.encode(_SAMPLE)
    if any(each != found[0] for each in found):
        raise BadModel("the servers have different vocabularies; give servers of one model, behind a router, too")
    if found and found[0] != own:
        raise BadModel(
            f"{file} is not the vocabulary of the model that the servers have; "
            "give a folder with its tokenizer.json by --model (models.llm)"
        )
    return bool(found)


@asynccontextmanager
async def open_served(file: Path, settings: Settings) -> AsyncIterator[tuple[VllmEngine, Script]]:
    """Connect to the servers; `file` is the model's file or folder on this machine."""
    servers, tokenizer = servers_of(settings), vocabulary_in(file)
    profiles = known_profiles(settings.models.profiles)
    async with servers.watched():
        model, context = await servers.model(), settings.engine.context
        # The answer's first token takes a place of its own.
        if context >= model.context:
            raise EngineFailed(
                f"the servers read {model.context} tokens and engine.context is {context}: "
                f"set engine.context to {model.context - 1} or less, or start them with --max-model-len {context + 1}"
            )
        await check_vocabulary(servers, tokenizer, file)
        limits = ServerLimits(context, settings.vllm.segment_tokens, tokenizer.vocab_size)
        script = script_of(tokenizer, f"{model.root} {model.name}", profiles)
        yield VllmEngine(servers, limits, grammars=Grammars(tokenizer)), script
