"""Starts the process that renders a chat template (`confined`), and takes what it wrote, or how it ended.

One process answers all that is asked of a template when its model is loaded; it is gone when this returns. The same
template is asked once in a process's life, so that a conversation or a turn never waits for it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import jinja2
import markupsafe

from reasoning.errors import BadModel
from reasoning.prompting import confined

_DEADLINE_S: Final = 60.0
"""For a machine that is busy with other things: what it may compute is bounded more closely."""
_PASSED_ON: Final = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH", "PYTHONHOME", "SYSTEMROOT")
"""Of the environment: without them some interpreters do not start. Nothing else of it is a template's business."""


@dataclass(frozen=True, slots=True)
class TemplateLimits:
    """What a template may take, for everything that is asked of it together."""

    memory: int = 256 << 20
    """Bytes."""
    cpu_s: float = 4.0
    """Seconds of computing time; published templates take some hundredths."""
    by_system: bool = True
    """Whether the system holds it to that memory, beside the watch of the process itself."""


@dataclass(frozen=True, slots=True)
class TemplateUse:
    """A template as its model's file has it, and when it is used."""

    source: str
    now: str
    """Local time with its offset (ISO 8601), or nothing where the template does not ask for it."""
    asked: tuple[str, ...]
    """Variables of each rendering, as JSON."""


@dataclass(frozen=True, slots=True)
class Rendering:
    """What a template wrote."""

    text: str = ""
    error: str | None = None
    """Why it wrote nothing, in a line."""


@lru_cache(maxsize=32)
def render_all(use: TemplateUse, limits: TemplateLimits = TemplateLimits()) -> tuple[Rendering, ...]:
    """Render everything that is asked, in a process that ends with it. Raises BadModel, to follow the template's name.

    What a single rendering does wrong is told in its place; what is wrong with the template as a whole is raised.
    """
    found = _answer(use, limits)
    if found and "unread" in found[0]:
        raise BadModel(f"cannot be read: {found[0]['unread']}")
    return tuple(Rendering(one.get("text", ""), one.get("error")) for one in found)


def _answer(use: TemplateUse, limits: TemplateLimits) -> list[dict[str, str]]:
    asked: dict[str, Any] = {
        "source": use.source,
        "now": use.now or "1970-01-01",
        "asked": [json.loads(variables) for variables in use.asked],
        "limits": asdict(limits),
    }
    folders = dict.fromkeys(str(Path(module.__file__ or "").parents[1]) for module in (jinja2, markupsafe))
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    try:
        done = subprocess.run(  # noqa: S603 - this interpreter and a file of ours
            [sys.executable, "-s", "-S", "-P", confined.__file__],
            input=json.dumps(asked).encode() + b"\n",
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**environment, "PYTHONPATH": os.pathsep.join(folders)},
            timeout=_DEADLINE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise BadModel(f"cannot be rendered: it was not done after {_DEADLINE_S:g} s") from None
    except OSError as error:
        raise BadModel(f"cannot be rendered: no process can be started for it: {error.strerror}") from error
    if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        raise BadModel(f"cannot be rendered: it computes for more than {limits.cpu_s:g} s")
    if done.returncode == confined.TOO_LARGE:
        raise BadModel(f"cannot be rendered: it needs more than {limits.memory >> 20} MB of memory")
    if done.returncode != 0:
        raise BadModel(f"cannot be rendered: its process ended with {done.returncode}")
    try:
        found: list[dict[str, str]] = json.loads(done.stdout)
    except ValueError:
        # Where SIGCHLD is ignored, nobody learns how a process ended.
        raise BadModel("cannot be rendered: its process ended without an answer") from None
    return found
