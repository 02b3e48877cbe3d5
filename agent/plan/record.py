"""Keeps what was measured, one small file for each machine and set of models, and trusts nothing that it reads."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import asdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import platformdirs

from agent.errors import ForeignRecord
from agent.plan.choice import MachineMeasures

if TYPE_CHECKING:
    from pathlib import Path

    from agent.plan.machine import PlanKey

_LONGEST_S: Final = 60.0
_ROWS: Final = 8


def default_folder() -> Path:
    """Where measurements are kept."""
    return platformdirs.user_cache_path("descant") / "plans"


def any_kept(folder: Path | None = None) -> bool:
    """Say whether anything was ever measured here."""
    return any((folder or default_folder()).glob("*.json"))


def file_of(folder: Path, key: PlanKey) -> Path:
    """Give the file of a key."""
    digest = hashlib.sha256(json.dumps(key.document(), sort_keys=True).encode()).hexdigest()
    return folder / f"{digest[:16]}.json"


def recall(folder: Path, key: PlanKey) -> MachineMeasures | None:
    """Give what was measured for this key; None where nothing was.

    Raises:
        ForeignRecord: there is a file that is torn, of another key, or holds what cannot be.

    """
    file = file_of(folder, key)
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise ForeignRecord(f"{file} cannot be read ({type(error).__name__})") from None
    if not isinstance(document, dict) or document.get("key") != key.document():
        raise ForeignRecord(f"{file} is of another machine or model")
    try:
        return _measured(document["measured"])
    except (KeyError, TypeError, ValueError) as error:
        raise ForeignRecord(f"{file} holds no measurement ({error})") from None


def keep(folder: Path, key: PlanKey, measured: MachineMeasures) -> None:
    """Write it, whole or not at all; where that cannot be, the next start measures again."""
    file = file_of(folder, key)
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    text = json.dumps({"key": key.document(), "measured": asdict(measured)}, indent=1)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part.write_text(text + "\n", encoding="utf-8")
        part.replace(file)
    except OSError:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _measured(found: dict[str, Any]) -> MachineMeasures:
    steps = tuple(_seconds(step) for step in found["steps_s"])
    if len(steps) != _ROWS or any(later < sooner for sooner, later in pairwise(steps)):
        raise ValueError(f"steps_s = {found['steps_s']!r}")
    threads, busy = found["threads"], found["busy"]
    if type(threads) is not int or not 1 <= threads <= 1024 or type(busy) is not bool:
        raise ValueError(f"threads = {threads!r}, busy = {busy!r}")
    token_s, decode_s, clause_s = (_seconds(found[name]) for name in ("token_s", "decode_s", "clause_s"))
    return MachineMeasures(threads, steps, token_s, decode_s, clause_s, busy)


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < _LONGEST_S:
        raise ValueError(f"{value!r} s is no time that a step takes")
    return float(value)
