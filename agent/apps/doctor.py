"""Looks at the machine and says what would keep `descant talk` from working, and how to mend it.

Looks only: nothing is fetched or changed, but for the engine's kernels, which are compiled as at any first start. A
robot is looked at where the settings name one. It does not know how its findings are shown.
"""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import sys
from dataclasses import dataclass, replace
from enum import Enum, auto
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.config.invocation import open_store
from agent.errors import AgentError
from agent.models.served import check_vocabulary, servers_of, vocabulary_in
from agent.plan.record import any_kept
from agent.robot.access import look
from audio.speaking.voices import PACKAGES, VOICES, VoiceBackend
from reasoning.errors import DeviceUnavailable, ReasoningError, StoreError
from reasoning.prompting.profiles.profile import UNKNOWN, profile_of
from reasoning.prompting.profiles.reading import known_profiles
from reasoning.store.catalogue import CATALOGUE
from reasoning.store.store import StoreState
from robots.errors import RobotInputError
from robots.options import RobotOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.config.settings import Loaded, ModelOptions, Settings
    from reasoning.native.instruction_sets import Use
    from reasoning.native.library import Survey
    from reasoning.options import EngineOptions
    from reasoning.store.store import Store
    from reasoning.vllm.servers import Look, Servers

_NEEDED_MEMORY_GB = 3.0
"""Resident memory of the whole agent with the default models."""
_PYTHON = (3, 11)


class Verdict(Enum):
    """Whether a finding matters."""

    GOOD = auto()
    NOTE = auto()
    """Something is missing that `talk` does without."""
    BAD = auto()
    """`talk` would not work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    """What was looked at."""
    verdict: Verdict
    """Whether it matters."""
    found: str
    """What was found."""
    mend: str = ""
    """What to do; empty when nothing is wrong."""


def examine_plan(loaded: Loaded) -> list[Finding]:
    """Look what was chosen for this machine, if it was measured; measures nothing."""
    if not any_kept():
        return [Finding("plan", Verdict.GOOD, "none yet: the first start measures this machine")]
    fitting = _import("agent.plan.fitting")
    found = None if isinstance(fitting, str) else fitting.known(loaded.settings, loaded.origins)
    if found is None or found.plan is None:
        return [Finding("plan", Verdict.GOOD, "none yet for these models: the next start measures this machine")]
    return [Finding("plan", Verdict.GOOD if found.plan.prompt else Verdict.NOTE, found.told())]


def examine(options: ModelOptions, store: Store, native: Use = "auto") -> list[Finding]:
    """Look at everything, in the order in which it is best mended; `native` is the setting of that name."""
    return [
        _python(),
        _torch(),
        *_kernels(native),
        _library("ctranslate2", "speech recognition", "pip install descant"),
        _voice_engine(options.voice),
        *_devices(),
        _optional("pywebrtc_audio", "echo cancellation; wear headphones", "pywebrtc-audio"),
        _optional("textual", "picture in the terminal; lines instead", "textual"),
        _memory(),
        *_models(options, store),
        *_turn(options, store),
        _disk(options, store),
    ]


def examine_device(options: EngineOptions) -> list[Finding]:
    """Look where the embedded engine would compute; nothing where the language model is left to servers."""
    module = _import("reasoning.engine.device")
    if options.kind != "torch" or isinstance(module, str):
        return []
    try:
        at = module.place(options.device, options.native)
    except DeviceUnavailable as error:
        return [Finding("device", Verdict.BAD, str(error), "set engine.device to auto")]
    there = module.present()
    told = f"{at.device}, in {str(at.dtype).removeprefix('torch.')}; torch finds {', '.join(there)}"
    if at.device.type != "cpu":
        return [Finding("device", Verdict.NOTE, told, "the engine has not been run there: make check-gpu")]
    if options.device == "auto" and options.native in {"auto", "off"} and there[0] != "cpu":
        return [Finding("device", Verdict.NOTE, told, f"to see why, set engine.device to {there[0]}")]
    return [Finding("device", Verdict.GOOD, told)]


async def examine_robot(options: RobotOptions) -> list[Finding]:
    """Look at the broker and the robot, if the settings name any; takes up to ten seconds when nobody is there."""
    usual = RobotOptions()
    if (options.map, options.broker, options.address, options.user) == (None, usual.broker, usual.address, usual.user):
        return []
    try:
        seen = await look(options)
    except RobotInputError as error:
        return [Finding("robot", Verdict.NOTE, str(error), "see docs/robots.md, or: descant robot map")]
    broker = f"broker {options.broker}"
    if seen.broker:
        return [Finding(broker, Verdict.NOTE, seen.broker, "see docs/robots.md, section The broker")]
    found = [Finding(broker, Verdict.GOOD, "reached")]
    if seen.refused:
        found.append(Finding("robot's messages", Verdict.NOTE, f"refused: {seen.refused}", "mend the robot's program"))
    if options.map is None:
        return [*found, Finding("site map", Verdict.NOTE, "none", "nothing moves without one: set robot.map")]
    what = f"robot {options.address}"
    if seen.command:
        return [*found, Finding(what, Verdict.NOTE, seen.command, "more: descant robot state")]
    return [*found, Finding(what, Verdict.GOOD, "it can be commanded")]


async def examine_servers(settings: Settings) -> list[Finding]:
    """Look at the language model servers, if the settings leave the model to some."""
    if settings.engine.kind != "vllm":
        return []
    try:
        servers = servers_of(settings)
    except AgentError as error:
        return [Finding("language model servers", Verdict.BAD, str(error), "see docs/vllm.md")]
    try:
        looks = await servers.look()
        found = [finding for look in looks for finding in _server(look, settings)]
        return [*found, *await _vocabulary(settings, servers)] if any(not look.wrong for look in looks) else found
    finally:
        await servers.aclose()


def _server(look: Look, settings: Settings) -> Iterator[Finding]:
    what, model = f"server {look.url}", look.model
    if model is None:
        yield Finding(what, Verdict.BAD, look.wrong, "start vLLM there, or mend vllm.servers; see docs/vllm.md")
        return
    yield Finding(what, Verdict.GOOD, f"{model.name}, {model.context} tokens, answers in token ids")
    if model.context <= settings.engine.context:
        mend = f"set engine.context to {model.context - 1} or less"
        yield Finding("context", Verdict.BAD, f"the server's is not above {settings.engine.context}", mend)
    if look.cache_block:
        yield Finding("prefix caching", Verdict.GOOD, f"on, in blocks of {look.cache_block} tokens")
    else:
        yield Finding("prefix caching", Verdict.NOTE, "off, or not told", "start it with --enable-prefix-caching")
    if look.live_views:
        yield Finding("live views", Verdict.GOOD, "on: writers read growing thoughts")
    else:
        yield Finding("live views", Verdict.GOOD, "none: writers are re-submitted as thoughts grow")
    profile = profile_of(f"{model.root} {model.name}", known_profiles(settings.models.profiles))
    found = "none has this name: greedy, and no probe" if profile is UNKNOWN else profile.name
    yield Finding("model profile", Verdict.GOOD, found)


async def _vocabulary(settings: Settings, servers: Servers) -> list[Finding]:
    name = settings.models.llm
    try:
        file = open_store(settings.models).language_model(name)
        checked = await check_vocabulary(servers, vocabulary_in(file), file)
    except ReasoningError as error:
        return [Finding("vocabulary", Verdict.BAD, str(error), "name the served model's folder by models.llm")]
    told = "is the served model's" if checked else "cannot be checked: the server has no /tokenize"
    return [Finding("vocabulary", Verdict.GOOD if checked else Verdict.NOTE, f"{name} {told}")]


def _python() -> Finding:
    found = f"{platform.python_version()} in {sys.prefix}"
    if sys.version_info < _PYTHON:
        return Finding("python", Verdict.BAD, found, "install Python 3.11 or newer")
    return Finding("python", Verdict.GOOD, found)


def _import(name: str) -> Any | str:  # noqa: ANN401 - a module, or why there is none
    try:
        return importlib.import_module(name)
    except (ImportError, OSError) as error:
        return " ".join(str(error).split()) or type(error).__name__


def _torch() -> Finding:
    torch = _import("torch")
    if isinstance(torch, str):
        return Finding("torch", Verdict.BAD, torch, "pip install torch==2.13.0")
    device = "CUDA" if torch.cuda.is_available() else f"CPU, {torch.backends.cpu.get_cpu_capability()}"
    return Finding("torch", Verdict.GOOD, f"{torch.__version__}, {device}, {torch.get_num_threads()} threads")


def _kernels(use: Use) -> Iterator[Finding]:
    native = _import("reasoning.native.library")
    if isinstance(native, str):
        yield Finding("kernels", Verdict.NOTE, native, "replies come later without them")
    elif use == "off":
        yield Finding("kernels", Verdict.NOTE, "none: engine.native is off", "replies come later without them")
    else:
        found: Survey = native.survey(use)
        yield _used_kernels(found, use)
        for why in found.passed_over:
            yield Finding("kernels passed over", Verdict.NOTE, why, "install descant again, or set CC")


def _used_kernels(found: Survey, use: Use) -> Finding:
    if found.used is None:
        if use != "auto":
            return Finding("kernels", Verdict.BAD, found.wrong, "set engine.native to auto")
        return Finding("kernels", Verdict.NOTE, f"none: {found.wrong}", "replies come later without them: install gcc")
    where = "compiled for this process alone, as the cache cannot be written"
    if found.origin != "passing":
        where = f"{'came with the package' if found.origin == 'shipped' else 'compiled here'}, {found.path}"
    told = f"{found.used}, {where}; this processor can run {', '.join(found.possible)}"
    if use == "auto" and (found.used != found.possible[0] or found.used == "generic"):
        return Finding("kernels", Verdict.NOTE, told, "replies come later; try models.llm=qwen2.5-coder-0.5b")
    if found.origin == "passing":
        return Finding("kernels", Verdict.NOTE, told, "every start waits for the compiler: set XDG_CACHE_HOME")
    return Finding("kernels", Verdict.GOOD, told)


def _library(name: str, use: str, mend: str, *, distribution: str | None = None) -> Finding:
    module = _import(name)
    if isinstance(module, str):
        return Finding(name, Verdict.BAD, f"no {use}: {module}", mend)
    try:
        return Finding(name, Verdict.GOOD, version(distribution or name))
    except PackageNotFoundError:
        return Finding(name, Verdict.GOOD, "of an unknown version")


def _optional(name: str, use: str, distribution: str) -> Finding:
    finding = _library(name, use, "pip install 'descant[desktop]'", distribution=distribution)
    return finding if finding.verdict is Verdict.GOOD else replace(finding, verdict=Verdict.NOTE)


def _devices() -> Iterator[Finding]:
    sounddevice = _import("sounddevice")
    if isinstance(sounddevice, str):
        yield Finding(
            "audio devices",
            Verdict.NOTE,
            "sounddevice is missing",
            "files work; for a microphone: pip install 'descant[desktop]'",
        )
        return
    try:
        devices = list(sounddevice.query_devices())
    except sounddevice.PortAudioError as error:
        yield Finding("audio devices", Verdict.NOTE, str(error), "files work; for a microphone, mend the sound system")
        return
    for kind, channels in (("microphone", "max_input_channels"), ("loudspeaker", "max_output_channels")):
        names = [device["name"] for device in devices if device[channels] > 0]
        if names:
            yield Finding(kind, Verdict.GOOD, ", ".join(names))
        else:
            yield Finding(kind, Verdict.NOTE, "none", "files work; connect one to talk live")


def _memory() -> Finding:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    found = f"{total:.1f} GB, {os.cpu_count()} processors"
    if total < _NEEDED_MEMORY_GB:
        return Finding("memory", Verdict.NOTE, found, "the default model wants 3 GB; try models.llm=qwen2.5-coder-0.5b")
    return Finding("memory", Verdict.GOOD, found)


def _voice_engine(voice: str) -> Finding:
    backend = VOICES[voice].backend if voice in VOICES else VoiceBackend.PIPER
    package, distribution, extra = PACKAGES[backend]
    return _library(package, "voice", f"pip install 'descant[{extra}]'", distribution=distribution)


def _models(options: ModelOptions, store: Store) -> Iterator[Finding]:
    voice = VOICES.get(options.voice)
    if voice is None:
        yield Finding(f"voice {options.voice}", Verdict.BAD, "no such voice", "descant voices")
    named = [("llm", options.llm), ("asr", options.asr), ("voice", voice.model if voice else "")]
    for use, name in named:
        if not name:
            # Its library brings it along.
            continue
        what = f"{use} {name}"
        if name not in CATALOGUE:
            yield _own_file(what, name)
            continue
        try:
            state = store.status(name).state
        except StoreError as error:
            yield Finding(what, Verdict.BAD, str(error), "set models.cache_dir to a folder of yours")
            continue
        if state is StoreState.VERIFIED:
            yield Finding(what, Verdict.GOOD, state)
        elif state is StoreState.UNVERIFIED:
            yield Finding(
                what, Verdict.NOTE, state, f"it is checked at its first use; or: descant models verify {name}"
            )
        else:
            yield Finding(what, Verdict.BAD, state, f"descant models pull {name}")


def _turn(options: ModelOptions, store: Store) -> Iterator[Finding]:
    if options.turn in CATALOGUE:
        state = store.status(options.turn).state
        good = state in {StoreState.VERIFIED, StoreState.UNVERIFIED}
        mend = "" if good else f"words and silence end a turn without it; or: descant models pull {options.turn}"
        yield Finding(f"turn {options.turn}", Verdict.GOOD if good else Verdict.NOTE, state, mend)


def _own_file(what: str, name: str) -> Finding:
    if what.startswith("llm") and Path(name).expanduser().is_file():
        return Finding(what, Verdict.GOOD, "a file of yours")
    if what.startswith("asr") and Path(name.partition(":")[2] or os.devnull).expanduser().is_dir():
        return Finding(what, Verdict.GOOD, "a folder of yours")
    return Finding(what, Verdict.BAD, "no such model", "descant models list")


def _disk(options: ModelOptions, store: Store) -> Finding:
    folder = next(path for path in (options.cache_dir, *options.cache_dir.absolute().parents) if path.exists())
    free = shutil.disk_usage(folder).free
    found = f"{free / 1e9:.1f} GB free in {options.cache_dir}"
    try:
        voice = VOICES[options.voice].model if options.voice in VOICES else ""
        statuses = [store.status(name) for name in (options.llm, options.asr, voice) if name in CATALOGUE]
    except StoreError:
        return Finding("disk", Verdict.NOTE, found)
    needed = sum(max(0, status.entry.size - status.present) for status in statuses)
    if free < needed:
        mend = f"{needed / 1e9:.1f} GB are still to come; free some, or set models.cache_dir"
        return Finding("disk", Verdict.BAD, found, mend)
    return Finding("disk", Verdict.GOOD, found)
