"""Real model files for tests: those that are in the user's cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import platformdirs
import pytest

from reasoning.formats.gguf import GgufFile, open_gguf
from reasoning.store.store import Store

if TYPE_CHECKING:
    from pathlib import Path


def model_path(name: str) -> Path:
    path = Store(platformdirs.user_cache_path("descant") / "models", offline=True).file(name)
    if path is None:
        pytest.skip(f"needs the model {name}: descant models pull {name}")
    return path


def model_file(name: str) -> GgufFile:
    return open_gguf(model_path(name))
