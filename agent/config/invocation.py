"""What the options before the command say, and how a command gets its settings and its models from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from agent.config.settings import Loaded, ModelOptions
    from reasoning.store.store import Store


@dataclass(frozen=True, slots=True)
class Invocation:
    """The options that stand before the command; commands find it in the context's `obj`."""

    config_file: Path | None
    """The settings file, when one is named."""
    assignments: tuple[str, ...]
    """`group.name=value`, as given."""

    def load(self, overrides: Mapping[str, object] | None = None) -> Loaded:
        """Read the settings; `overrides` are the command's own options by `group.name`, None for "not given".

        Raises:
            ConfigError: a setting or a value that is not allowed.

        """
        from agent.config.settings import load  # noqa: PLC0415 - pydantic is slow to import, `--help` must be quick
        from agent.errors import ConfigError  # noqa: PLC0415 - the same

        given: dict[str, object] = {}
        for assignment in self.assignments:
            key, sign, value = assignment.partition("=")
            if not sign:
                raise ConfigError(f"--set {assignment}: write it as group.name=value, as in models.offline=true.")
            given[key.strip()] = value
        given |= {key: value for key, value in (overrides or {}).items() if value is not None}
        return load(self.config_file, given)


def open_store(options: ModelOptions) -> Store:
    """Return the store of models that the settings name."""
    from reasoning.store.store import Store  # noqa: PLC0415 - see above

    return Store(options.cache_dir, offline=options.offline, local_dir=options.local_dir)


def server_key(file: Path | None) -> str | None:
    """Read the key of a server from its file. Raises ServerUnavailable."""
    from agent.realtime.server.keys import read_key  # noqa: PLC0415 - see above

    return None if file is None else read_key(file)


def engine_overrides(engine: str | None, servers: str | None, key_file: Path | None) -> dict[str, object]:
    """Give what --engine, --server and --api-key-file say of the engine; nothing where they mean another server."""
    if engine != "vllm":
        return {"engine.kind": engine}
    urls = None if servers is None else tuple(url.strip() for url in servers.split(",") if url.strip())
    return {"engine.kind": engine, "vllm.servers": urls, "vllm.api_key_file": key_file}


def no_models_here(mode: str | None, model: str | None) -> None:
    """Refuse options of models that are the server's. Raises ConfigError."""
    from agent.errors import ConfigError  # noqa: PLC0415 - see above

    if mode is not None or model is not None:
        given = "--mode" if mode is not None else "--model"
        raise ConfigError(f"{given} is the server's to choose: give it to `descant serve`, and leave it out here.")


def no_tools_here(tools: Sequence[str] | None) -> None:
    """Refuse tools of this machine where the conversation is a server's. Raises ConfigError."""
    from agent.errors import ConfigError  # noqa: PLC0415 - see above

    if tools:
        raise ConfigError("--tools does not go with --server: a Realtime client brings its own functions.")


def no_cost_here(*, cost: bool) -> None:
    """Refuse to tell what a server spends. Raises ConfigError."""
    from agent.errors import ConfigError  # noqa: PLC0415 - see above

    if cost:
        raise ConfigError("--cost does not go with --server: it is computed there; its /metrics tell what it spends.")
