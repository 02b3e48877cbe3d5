"""Drives `stage.py`, an engine with live views, from the tests, and lays the plugin beside vLLM uninstalled."""

from __future__ import annotations

import json
import os
import subprocess
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt

from tests.vllm.server import FOLDERS, PYTHON, ROOT, VllmServer

PLUGIN: Final = ROOT / "reasoning/vllm_plugin"
COMMAND_LINE: Final = (
    *("--worker-cls", "vllm_live_views.runner.LiveViewWorker"),
    *("--scheduler-cls", "vllm_live_views.scheduler.LiveViewScheduler"),
)
OPTIONS: Final = {
    "worker_cls": "vllm_live_views.runner.LiveViewWorker",
    "scheduler_cls": "vllm_live_views.scheduler.LiveViewScheduler",
}
ENVIRONMENT: Final = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_LOGGING_LEVEL": "WARNING",
}


def overlay(folder: Path) -> Path:
    """Make a folder for PYTHONPATH with what `pip install --no-deps` would install, from the tree as it is."""
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text())["project"]
    information = folder / f"vllm_live_views-{project['version']}.dist-info"
    information.mkdir(parents=True, exist_ok=True)
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 0\n")
    points = project["entry-points"]
    lines = [line for group in points for line in (f"[{group}]", *(f"{k} = {v}" for k, v in points[group].items()))]
    (information / "entry_points.txt").write_text("\n".join(lines) + "\n")
    if not (folder / "vllm_live_views").exists():
        (folder / "vllm_live_views").symlink_to(PLUGIN)
    return folder


def with_live_views(folder: Path) -> VllmServer:
    """Give a server that has the plugin; `folder` is to hold what it finds it by."""
    environment = {
        "PYTHONPATH": str(overlay(folder)),
        "VLLM_PLUGINS": "live_views",
        "LIVE_VIEWS_SECRET": "the owner's own secret, of more than 32 bytes",
    }
    return VllmServer(more=(*COMMAND_LINE, "--enable-prompt-tokens-details"), environment=environment)


class StageError(RuntimeError):
    """What the engine's process says went wrong."""


@dataclass
class Row:
    """One request's part of one step."""

    request: str
    first: int
    """Tokens of its block that had been computed before."""
    tokens: list[int]
    logits: npt.NDArray[np.float32]
    """Behind the last of these tokens."""


@dataclass
class Stage:
    """The engine's process."""

    process: subprocess.Popen[str]
    scratch: Path
    views: dict[str, list[str]] = field(default_factory=dict)
    """What each request was asked to read, as the tests asked for it."""
    written: dict[str, list[int]] = field(default_factory=dict)
    logprobs: dict[str, list[float]] = field(default_factory=dict)
    ended: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    """Finish reason and stop reason."""
    _sessions: dict[str, str] = field(default_factory=dict)

    def call(self, command: str, /, **arguments: object) -> Any:  # noqa: ANN401 - JSON
        """Send one command."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps([command, arguments]) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise StageError("the engine's process has ended; see its log")
        told = json.loads(line)
        if "error" in told:
            raise StageError(told["error"])
        return told["answer"]

    def add(
        self,
        request: str,
        prompt: Sequence[int],
        count: int,
        view: Sequence[str] = (),
        *,
        session: str = "s",
        **more: Any,  # noqa: ANN401 - parameters of sampling
    ) -> None:
        """Ask for a block named like its request."""
        if session not in self._sessions:
            self._sessions[session] = self.call("session")
        arguments: dict[str, object] = {"live_session": self._sessions[session], "live_block": request}
        if view:
            arguments["live_view"] = list(view)
        self.raw(request, prompt, count, arguments, view, **more)

    def raw(
        self,
        request: str,
        prompt: Sequence[int],
        count: int,
        arguments: dict[str, object],
        view: Sequence[str] = (),
        **more: object,
    ) -> None:
        """Ask with these very arguments; none make an ordinary request."""
        self.views[request], self.written[request], self.logprobs[request] = list(view), [], []
        self.ended.pop(request, None)
        self.call("add", request=request, prompt=list(prompt), arguments=arguments, max_tokens=count, **more)

    def abort(self, request: str) -> None:
        self.call("abort", request=request)
        self.ended[request] = ("aborted here", None)

    def step(self, count: int = 1) -> None:
        for output in self.call("step", count=count):
            self.written[output["request"]] += output["tokens"]
            self.logprobs[output["request"]] += output["logprobs"]
            if "finish" in output:
                self.ended[output["request"]] = (output["finish"], output["stop"])

    def until_idle(self, most: int = 2000) -> None:
        """Step until all requests have ended."""
        self.step(most)
        running = self.views.keys() - self.ended.keys()
        assert not running, f"still running after {most} steps: {sorted(running)}"

    def trace(self) -> list[list[Row]]:
        """Give all steps since the last time."""
        path = self.scratch / "logits.npy"
        steps, logits = self.call("trace", path=str(path)), iter(np.load(path))
        return [[Row(**row, logits=next(logits)) for row in step] for step in steps]

    def forget(self) -> None:
        """Begin anew on the same engine, which must have let go of everything."""
        state = self.call("state")
        assert (state["requests"], state["worker"], state["blocks"]) == ([], [], 0)
        assert state["free"] == state["pool"]
        for kept in (self.views, self.written, self.logprobs, self.ended, self._sessions):
            kept.clear()
        self.trace()
        self.call("forget_prefixes")


@contextmanager
def staged(scratch: Path, *, plugin: bool = True, model: str = "smollm2-135m", **arguments: object) -> Iterator[Stage]:
    """Have an engine in a process of its own, with the plugin or with nothing of it."""
    if not PYTHON.exists():
        raise RuntimeError(f"{PYTHON} is not there: make vllm")
    environment = {**os.environ, **ENVIRONMENT, "PYTHONPATH": str(overlay(scratch / "overlay"))}
    environment["VLLM_PLUGINS"] = "live_views" if plugin else ""
    log: IO[str]
    with (scratch / "stage.log").open("a") as log:
        process = subprocess.Popen(
            [PYTHON, Path(__file__).with_name("stage.py")],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=scratch,
        )
    stage = Stage(process, scratch)
    try:
        defaults: dict[str, object] = {
            "model": str(FOLDERS / model),
            "dtype": "float32",
            "enforce_eager": True,
            "max_model_len": 1024,
            "block_size": 32,
            "max_num_batched_tokens": 512,
            "max_num_seqs": 8,
            "disable_log_stats": True,
        }
        stage.call("start", **{**defaults, **(OPTIONS if plugin else {}), **arguments})
        yield stage
    finally:
        assert process.stdin
        assert process.stdout
        process.stdin.close()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
