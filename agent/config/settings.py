"""The settings: a TOML file, over it the environment, over it the command line.

Each group is a frozen dataclass of the room that uses it; a group is added by a line in `Settings`. This module
knows where a value came from and says so when it is wrong. It reads nothing at import.
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import Enum
from pathlib import Path
from typing import Any, cast

import platformdirs
from pydantic import ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from agent.config.field_docs import field_docs
from agent.conversation.options import TurnOptions
from agent.costs.options import CostOptions
from agent.errors import ConfigError
from agent.realtime.server.options import ServerOptions, StoreOptions
from audio.options import DeviceOptions, EarsOptions, VoiceOptions
from descant.ranges import OutOfRange, limits, numbers, ranges, refuse_outside
from reasoning.options import BESIDE_TOKENS, EngineOptions, LoopOptions, VllmOptions
from robots.options import RobotOptions

_PREFIX = "DESCANT_"
_NOT_SETTINGS = ("DESCANT_CONFIG", "DESCANT_DEBUG", "DESCANT_TEST_SPEECH", "DESCANT_TEST_QUESTIONS")
"""Variables that steer the program itself."""


def _default_cache_dir() -> Path:
    return platformdirs.user_cache_path("descant") / "models"


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """Which models, and where they are kept."""

    llm: str = "qwen2.5-coder-1.5b"
    """Language model: a name of `descant models list`, or a path to a .gguf file or a folder of safetensors."""
    asr: str = "whisper-tiny.en"
    """Speech recognition: a name of `descant models list`, or `whisper:FOLDER` or `moonshine:FOLDER` for a model of
    yours. Where nobody sets it, whisper-base hears on machines that have the time for it."""
    voice: str = "piper-en-us-joe"
    """Voice: a name of `descant voices`."""
    turn: str = "smart-turn-v3.2"
    """Judge of whether a turn sounds finished; empty: words and silence alone decide."""
    stop: str = "micro-stop-en"
    """Second ear for the word "stop", sooner than the recogniser; empty: the recogniser alone hears it."""
    cache_dir: Path = field(default_factory=_default_cache_dir)
    """Folder where models are kept; several gigabytes."""
    local_dir: Path | None = None
    """Folder with model files that you already have; they are checked and copied from there."""
    offline: bool = False
    """Never ask the network for a model."""
    profiles: Path | None = None
    """File with what you know of language models, such as how their tokens are drawn; see docs/models.md."""

    def __post_init__(self) -> None:
        """Open `~`, which no shell opens in a file."""
        object.__setattr__(self, "cache_dir", self.cache_dir.expanduser())
        if self.local_dir is not None:
            object.__setattr__(self, "local_dir", self.local_dir.expanduser())
        if self.profiles is not None:
            object.__setattr__(self, "profiles", self.profiles.expanduser())


class Settings(BaseSettings):
    """All settings, one field for each group."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_prefix=_PREFIX, env_nested_delimiter="__")

    models: ModelOptions = field(default_factory=ModelOptions)
    ears: EarsOptions = field(default_factory=EarsOptions)
    voice: VoiceOptions = field(default_factory=VoiceOptions)
    devices: DeviceOptions = field(default_factory=DeviceOptions)
    engine: EngineOptions = field(default_factory=EngineOptions)
    vllm: VllmOptions = field(default_factory=VllmOptions)
    loop: LoopOptions = field(default_factory=LoopOptions)
    turns: TurnOptions = field(default_factory=TurnOptions)
    robot: RobotOptions = field(default_factory=RobotOptions)
    server: ServerOptions = field(default_factory=ServerOptions)
    costs: CostOptions = field(default_factory=CostOptions)
    store: StoreOptions = field(default_factory=StoreOptions)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is the library's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the same
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the same
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the same
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what `load` has merged; it reads the sources itself, to know where each value came from."""
        return (init_settings,)


@dataclass(frozen=True, slots=True)
class Loaded:
    """The effective settings, and where they came from."""

    settings: Settings
    """The values."""
    origins: Mapping[str, str]
    """Where a value came from, by `group.field`; a default is left out."""
    file: Path | None
    """The settings file that was read."""


def default_file() -> Path:
    """Where the settings file is looked for when none is named."""
    return platformdirs.user_config_path("descant") / "config.toml"


def load(
    file: Path | None = None, overrides: Mapping[str, object] | None = None, *, given_by: str = "command line"
) -> Loaded:
    """Read the settings.

    file: the TOML file; else the variable DESCANT_CONFIG, else `default_file()` when it exists.
    overrides: values by `group.field` that go before all others; None stands for "not given".
    given_by: who gave those, for messages.

    Raises:
        ConfigError: a file that cannot be read, a name that does not exist, a value that is not allowed.

    """
    file = _find_file(file)
    merged: dict[str, dict[str, object]] = {}
    origins: dict[str, str] = {}
    for key, value, origin in (*_from_file(file), *_from_environment(), *_overriding(overrides or {}, given_by)):
        group, _, name = key.partition(".")
        _require_known(group, name, value, origin)
        if isinstance(value, bool) and name in numbers(_options_of(group)):
            raise ConfigError(f"{key} = {_toml(value)} ({origin}): it is a number, and neither true nor false.")
        merged.setdefault(group, {})[name] = value
        origins[key] = origin
    try:
        settings = Settings.model_validate(merged)
    except ValidationError as error:
        raise _refused(error, origins) from None
    for group in Settings.model_fields:
        try:
            refuse_outside(getattr(settings, group))
        except OutOfRange as error:
            raise _outside(group, error, origins) from None
    _require_room(settings, origins)
    return Loaded(settings, origins, file)


def _refused(error: ValidationError, origins: Mapping[str, str]) -> ConfigError:
    """Tell the first value that has the wrong type, or that a group itself refuses."""
    first = error.errors()[0]
    group, *rest = (str(part) for part in first["loc"])
    found = first.get("ctx", {}).get("error")
    if isinstance(found, OutOfRange):
        return _outside(group, found, origins)
    key = ".".join([group, *rest[:1]])
    places = {origin for known, origin in origins.items() if known == key or not rest}
    where = origins.get(key) or ", ".join(sorted(places))
    told = first["msg"].removeprefix("Value error, ")
    return ConfigError(f"{key} = {_show(first['input'])} ({where}): {told[:1].lower()}{told[1:]}.")


def _outside(group: str, error: OutOfRange, origins: Mapping[str, str]) -> ConfigError:
    key = f"{group}.{error.name}"
    return ConfigError(f"{key} = {_show(error.value)} ({origins.get(key, 'default')}) {error.wrong}.")


def _require_room(settings: Settings, origins: Mapping[str, str]) -> None:
    """Refuse a context that thoughts and a reply alone fill. Raises ConfigError."""
    context, loop = settings.engine.context, settings.loop
    least = loop.think_tokens + loop.reply_tokens + BESIDE_TOKENS
    if context < least:
        keys = ("engine.context", "loop.think_tokens", "loop.reply_tokens")
        where = ", ".join(dict.fromkeys(origins[key] for key in keys if key in origins))
        raise ConfigError(
            f"engine.context = {context} ({where}) is not allowed: at least loop.think_tokens + loop.reply_tokens + "
            f"{BESIDE_TOKENS} = {least}, since thoughts and reply have to fit beside the question."
        )


def render(loaded: Loaded, chosen: Mapping[str, object] | None = None, measured: Sequence[str] = ()) -> str:
    """Write the effective settings as TOML, with a comment that explains each.

    chosen: values by `group.field` that hold on this machine where nobody sets another. They stand in comments: read
        again as a file, the text sets none of them.
    measured: what they were chosen by, in lines.
    """
    chosen = chosen or {}
    lines = [f"# settings file: {loaded.file or f'none (would be {default_file()})'}"]
    lines += [f"# measured: {line}" for line in measured]
    for group in Settings.model_fields:
        options = getattr(loaded.settings, group)
        docs = field_docs(type(options))
        lines += ["", f"[{group}]"]
        for item in fields(options):
            value, key = getattr(options, item.name), f"{group}.{item.name}"
            by_machine = key in chosen and key not in loaded.origins
            origin = "chosen for this machine" if by_machine else loaded.origins.get(key, "default")
            lines.append(f"# {docs.get(item.name, item.name)} [{origin}]")
            lines += _bounds(type(options), item.name)
            if by_machine:
                lines.append(f"# {item.name} = {_toml(chosen[key])}")
            else:
                lines.append(f"# {item.name} =" if value is None else f"{item.name} = {_toml(value)}")
    return "\n".join(lines) + "\n"


def _bounds(options: type, name: str) -> Iterator[str]:
    """Say in comments what a number may be, and why."""
    if name in ranges(options):
        yield f"# From {ranges(options)[name]}: {ranges(options)[name].why}."
    for limit in limits(options).get(name, ()):
        yield f"# At most {limit.other}: {limit.why}."


def _find_file(file: Path | None) -> Path | None:
    named = file or (Path(os.environ["DESCANT_CONFIG"]) if os.environ.get("DESCANT_CONFIG") else None)
    if named is None:
        return default_file() if default_file().is_file() else None
    if not named.is_file():
        raise ConfigError(f"there is no settings file '{named}'; see `descant config show` for what goes into one.")
    return named


def _from_file(file: Path | None) -> Iterator[tuple[str, object, str]]:
    if file is None:
        return
    try:
        tables = TomlConfigSettingsSource(Settings, file)()
    except (ValueError, RecursionError) as error:
        # A number of thousands of digits and brackets without end are no TOMLDecodeError.
        raise ConfigError(f"{file} is not valid TOML: {error}.") from None
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}.") from None
    yield from _flat(tables, lambda _: str(file))


def _from_environment() -> Iterator[tuple[str, object, str]]:
    groups = {f"{_PREFIX}{group}__".upper() for group in Settings.model_fields}
    for variable in os.environ:
        name = variable.upper()
        if name.startswith(_PREFIX) and name not in _NOT_SETTINGS and not name.startswith(tuple(groups)):
            near = _near(name, [f"{_PREFIX}{key.replace('.', '__')}".upper() for key in _keys()])
            raise ConfigError(f"the environment variable {variable} names no setting; {near}")
    try:
        tables = EnvSettingsSource(Settings)()
    except (SettingsError, ValueError, RecursionError) as error:
        raise ConfigError(f"environment: {error}.") from None
    yield from _flat(tables, lambda key: f"environment variable {_PREFIX}{key.replace('.', '__').upper()}")


def _overriding(overrides: Mapping[str, object], given_by: str) -> Iterator[tuple[str, object, str]]:
    for key, value in overrides.items():
        if value is not None:
            yield key, value, given_by


def _flat(tables: Mapping[str, Any], origin: Callable[[str], str]) -> Iterator[tuple[str, object, str]]:
    for group, table in tables.items():
        if isinstance(table, Mapping):
            for name, value in table.items():
                yield f"{group}.{name}", value, origin(f"{group}.{name}")
        else:
            yield group, table, origin(group)


def _keys() -> list[str]:
    return [f"{group}.{name}" for group in Settings.model_fields for name in _names(group)]


def _names(group: str) -> list[str]:
    return [item.name for item in fields(_options_of(group))]


def _options_of(group: str) -> type[Any]:
    return cast("type[Any]", Settings.model_fields[group].annotation)


def _require_known(group: str, name: str, value: object, origin: str) -> None:
    key = f"{group}.{name}" if name else group
    if key not in _keys():
        raise ConfigError(f"there is no setting {key} = {_show(value)} ({origin}); {_near(key, _keys())}")


def _near(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=2, cutoff=0.75)
    return f"did you mean {' or '.join(near)}?" if near else "`descant config show` lists them all."


def _show(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:
        # Python writes no whole number of thousands of digits.
        text = "a number of thousands of digits"
    return text if len(text) <= 80 else f"{text[:77]}..."


def _toml(value: object) -> str:
    match value:
        case Enum():
            return _toml(value.value)
        case bool() | int() | float():
            return str(value).lower()
        case list() | tuple() | set() | frozenset():
            return f"[{', '.join(_toml(item) for item in value)}]"
        case _:
            # A JSON string is a TOML basic string once nothing but ASCII is escaped.
            return json.dumps(str(value), ensure_ascii=False)
