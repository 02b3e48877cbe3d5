"""Descant as a library: a voice agent whose language model thinks, listens and speaks at the same time.

    import descant

    async with descant.open() as agent:
        print(await agent.ask("What is 12 times 7?"))

docs/library.md has the rest. Everything public is named in `__all__`; a name is imported when it is first used, so that
`import descant` loads neither models nor their libraries.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from descant.errors import DescantError

if TYPE_CHECKING:
    from agent import __version__
    from agent.conversation import timeline as events
    from agent.conversation.timeline import Event
    from agent.errors import BadQuestion, ConfigError, EventsUnread, NothingHeard, TalkBusy
    from agent.library.agent import Agent, open  # noqa: A004 - it is written descant.open
    from agent.library.sources import Microphone, Recording
    from agent.library.talk import Talk
    from audio.errors import BadAudio, BadVoice, CannotWrite, EarsUnavailable, NoDevice, VoiceUnavailable
    from audio.hearing.agreement import Word
    from audio.hearing.transcriber import Recogniser
    from audio.hearing.whisper import Hypothesis
    from audio.speaking.synthesizer import Voice
    from reasoning.errors import BadModel, BadTool, EngineFailed, ModelUnavailable, UnknownModel
    from reasoning.tools.calls import Tool
    from reasoning.tools.functions import tool

__all__ = (
    "Agent",
    "BadAudio",
    "BadModel",
    "BadQuestion",
    "BadTool",
    "BadVoice",
    "CannotWrite",
    "ConfigError",
    "DescantError",
    "EarsUnavailable",
    "EngineFailed",
    "Event",
    "EventsUnread",
    "Hypothesis",
    "Microphone",
    "ModelUnavailable",
    "NoDevice",
    "NothingHeard",
    "Recogniser",
    "Recording",
    "Talk",
    "TalkBusy",
    "Tool",
    "UnknownModel",
    "Voice",
    "VoiceUnavailable",
    "Word",
    "__version__",
    "events",
    "open",
    "tool",
)

_HOMES = {
    "agent": ("__version__",),
    "agent.conversation.timeline": ("Event",),
    "agent.errors": ("BadQuestion", "ConfigError", "EventsUnread", "NothingHeard", "TalkBusy"),
    "agent.library.agent": ("Agent", "open"),
    "agent.library.sources": ("Microphone", "Recording"),
    "agent.library.talk": ("Talk",),
    "audio.errors": ("BadAudio", "BadVoice", "CannotWrite", "EarsUnavailable", "NoDevice", "VoiceUnavailable"),
    "audio.hearing.agreement": ("Word",),
    "audio.hearing.transcriber": ("Recogniser",),
    "audio.hearing.whisper": ("Hypothesis",),
    "audio.speaking.synthesizer": ("Voice",),
    "reasoning.errors": ("BadModel", "BadTool", "EngineFailed", "ModelUnavailable", "UnknownModel"),
    "reasoning.tools.calls": ("Tool",),
    "reasoning.tools.functions": ("tool",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name == "events":
        value: object = import_module("agent.conversation.timeline")
    elif name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
    else:
        raise AttributeError(f"module 'descant' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
