"""The door of the library: opens the models, and gives what is done with them.

The language model is loaded when the agent is opened; ears and voice when a conversation first needs them. Knows which
keywords a caller may give; what is behind them is known elsewhere.
"""

from __future__ import annotations

import logging
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.config.settings import load
from agent.errors import ConfigError
from agent.library.talk import Talk
from agent.models.assembly import open_models

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
    from os import PathLike

    from agent.config.settings import Settings
    from agent.conversation.timeline import Event
    from agent.models.assembly import OpenModels
    from audio.hearing.transcriber import Recogniser
    from audio.speaking.synthesizer import Voice
    from reasoning.tools.calls import Tool


_log: Final = logging.getLogger("descant.plan")


class Agent:
    """Loaded models, and the conversations on them. Made by `open`; its conversations end before it does."""

    def __init__(self, models: OpenModels) -> None:
        self._models = models

    @property
    def settings(self) -> Settings:
        """The settings that it was opened with."""
        return self._models.settings

    async def ask(self, text: str, *, tools: Sequence[Tool] = ()) -> str:
        """Answer a question that stands for itself; where it calls tools, the answer is what is said of their results.

        Raises:
            BadQuestion: there is nothing to answer.
            BadTool: a tool cannot be used.

        """
        async with self.conversation(tools=tools) as talk:
            return await talk.ask(text)

    async def stream(self, text: str, *, tools: Sequence[Tool] = ()) -> AsyncGenerator[Event, None]:
        """Answer as `ask` does, and yield what happens meanwhile: thoughts, sentences, calls."""
        async with self.conversation(tools=tools) as talk, aclosing(talk.stream(text)) as happening:
            async for event in happening:
                yield event

    def conversation(self, *, tools: Sequence[Tool] = (), seed: int = 0) -> Talk:
        """Begin a conversation, typed or spoken, which remembers what was said in it: `async with` it.

        Raises:
            BadTool: a tool cannot be used.

        """
        return Talk(self._models, tools=tools, seed=seed)


@asynccontextmanager
async def open(  # noqa: A001 - it is written descant.open
    *,
    model: str | PathLike[str] | None = None,
    recogniser: str | Recogniser | None = None,
    voice: str | Voice | None = None,
    config: str | PathLike[str] | None = None,
    settings: Mapping[str, object] | None = None,
) -> AsyncIterator[Agent]:
    """Load the language model, and free everything at the end: `async with descant.open() as agent`.

    What is not given comes from the environment, then the settings file, then the defaults (`descant config show`).

    model: a name of `descant models list`, or a path to a .gguf file or a folder of safetensors.
    recogniser: such a name, or an object that fulfils `Recogniser`.
    voice: a name of `descant voices`, or an object that fulfils `Voice`.
    config: a settings file, instead of the user's own.
    settings: values by `group.name`, as in {"loop.mode": "think-first"}.

    Raises:
        ConfigError: a setting that does not exist, or a value that is not allowed.
        UnknownModel: a name that is not in the catalogue.
        BadVoice: no such voice; raised when the voice is first needed.
        ModelUnavailable: a model is not here and cannot be fetched.

    """
    given: dict[str, object] = {
        **(settings or {}),
        **({} if model is None else {"models.llm": str(model)}),
        **({"models.asr": recogniser} if isinstance(recogniser, str) else {}),
        **({"models.voice": voice} if isinstance(voice, str) else {}),
    }
    loaded = load(None if config is None else Path(config), given, given_by="keyword argument")
    own_recogniser = None if isinstance(recogniser, str) else recogniser
    own_voice = None if isinstance(voice, str) else voice
    _require("recogniser", own_recogniser, ("decode", "spot"))
    _require("voice", own_voice, ("rate", "speak"))
    opening = open_models(
        loaded.settings, given=loaded.origins, recogniser=own_recogniser, voice=own_voice, tell=_log.info
    )
    async with opening as models:
        yield Agent(models)


def _require(name: str, given: object, members: Sequence[str]) -> None:
    """Refuse, before anything is loaded, an object that will fail when it is first needed."""
    missing = [member for member in members if not hasattr(given, member)]
    if given is not None and missing:
        raise ConfigError(f"{name} = {type(given).__name__}: it has no {' and no '.join(missing)}")
