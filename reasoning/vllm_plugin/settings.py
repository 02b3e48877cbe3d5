"""What the server's owner can set, and the secret that signs sessions."""

from __future__ import annotations

import os
import secrets
from typing import Any, Final

from .blocks import PluginLimits

SECRET: Final = "LIVE_VIEWS_SECRET"  # noqa: S105 - the name of the variable
_SECRET_BYTES: Final = 32
_LIMITS: Final = {"max_blocks": "blocks", "max_view": "view"}


def make_secret() -> None:
    """Make a secret for the processes that this one starts, where the owner has given none."""
    os.environ.setdefault(SECRET, secrets.token_urlsafe(_SECRET_BYTES))


def secret() -> bytes:
    """Give the secret that signs sessions; the same in all processes of a server."""
    try:
        found = os.environ[SECRET].encode()
    except KeyError:
        raise RuntimeError(f"{SECRET} is not set: the plugin live_views is not loaded, see VLLM_PLUGINS") from None
    if len(found) < _SECRET_BYTES:
        raise ValueError(f"{SECRET} has {len(found)} bytes; a secret has at least {_SECRET_BYTES}")
    return found


def limits(additional_config: Any) -> PluginLimits:  # noqa: ANN401 - vLLM takes any
    """Read `--additional-config '{"live_views": {"max_blocks": 32, "max_view": 8}}'`."""
    given = additional_config.get("live_views", {}) if isinstance(additional_config, dict) else {}
    for name, value in given.items():
        if name not in _LIMITS:
            raise ValueError(f"live_views has no setting {name!r}; it has {', '.join(_LIMITS)}")
        if type(value) is not int or value < 1:
            raise ValueError(f"live_views.{name} is a number from 1 on, not {value!r}")
    return PluginLimits(**{_LIMITS[name]: value for name, value in given.items()})
