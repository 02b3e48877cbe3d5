"""Plays every client's scenarios against the server and writes what came of it: `python -m tests.conformance.run`.

Each client runs in its own virtual environment under build/conformance, because their requirements contradict each
other. The table of the README is made from the results by `python -m tests.conformance.table`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import signal
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import soxr

from audio.io.sound_files import read_sound

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Sequence

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]
BUILD: Final = ROOT / "build" / "conformance"
CLIENTS: Final = ("openai", "pipecat", "livekit")
REAL: Final = ("text turn", "audio turn")
"""Scenarios that are played with the real language model, too."""
QUESTION: Final = ROOT / "tests" / "e2e" / "recordings" / "weekday.wav"
MOST_SESSIONS: Final = 2
START_S: Final = 120.0


@dataclass
class Server:
    """The server in a process of its own."""

    llm: str | None
    key: str
    port: int = 0
    process: Process | None = None

    async def start(self) -> None:
        model = [] if self.llm is None else ["--llm", self.llm]
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.conformance.rehearsal", "--key", self.key,
            "--max-sessions", str(MOST_SESSIONS), *model, cwd=ROOT, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        await self._listens()

    async def restart(self) -> None:
        """Let it close all sessions as a server does that restarts, and listen anew."""
        assert self.process is not None
        self.process.send_signal(signal.SIGHUP)
        await self._listens()

    async def stop(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
            await self.process.wait()

    async def _listens(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        line = await asyncio.wait_for(self.process.stdout.readline(), START_S)
        if not line:
            raise SystemExit("the server did not start")
        self.port = int(line)


@asynccontextmanager
async def serving(llm: str | None) -> AsyncIterator[Server]:
    server = Server(llm, secrets.token_hex(16))
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def write_question() -> Path:
    """Write the recorded question as the protocol wants it: 24 kHz, 16 bit, mono."""
    sound = np.concatenate(list(read_sound(QUESTION)))
    file = BUILD / "question.pcm"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes((soxr.resample(sound, 16_000, 24_000) * 32767).astype("<i2").tobytes())
    return file


async def play(client: str, server: Server, scenarios: Sequence[str]) -> list[dict[str, Any]]:
    """Play scenarios of one client (none: all); give their reports."""
    python = BUILD / client / "venv" / "bin" / "python"
    if not python.exists():
        raise SystemExit(f"{python} is not there: make conformance-{client}")
    stage = {
        "STAGE_PORT": str(server.port),
        "STAGE_KEY": server.key,
        "STAGE_SESSIONS": str(MOST_SESSIONS),
        "STAGE_QUESTION": str(write_question()),
    }
    process = await asyncio.create_subprocess_exec(
        python, HERE / f"client_{client}.py", *scenarios, cwd=HERE, env={**os.environ, **stage},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdin is not None
    reports = []
    async for line in process.stdout:
        if not line.startswith(b"{"):
            continue
        told = json.loads(line)
        if told == {"ask": "restart"}:
            await server.restart()
            process.stdin.write(b'{"done": "restart"}\n')
            continue
        reports.append(told)
        print(f"{client:9} {told['scenario']:20} {told['outcome']:12} {told['remark'] or ''}", flush=True)
    await process.wait()
    return reports


async def run(clients: Sequence[str], scenarios: Sequence[str], llm: str | None, results: Path) -> bool:
    """Play, and keep the results after each client; say whether all is well."""
    well = True
    async with serving(None) as server:
        for client in clients:
            reports = await play(client, server, scenarios)
            well &= keep(reports, results)
    if llm is not None:
        async with serving(llm) as server:
            for client in clients:
                real = await play(client, server, REAL)
                well &= keep([{**report, "scenario": f"{report['scenario']}, {llm}"} for report in real], results)
    return well


def keep(reports: Sequence[dict[str, Any]], results: Path) -> bool:
    """Put new reports in the place of older ones; say whether none failed."""
    kept = json.loads(results.read_text()) if results.exists() else []
    played = {(report["client"], report["scenario"]) for report in reports}
    kept = [report for report in kept if (report["client"], report["scenario"]) not in played]
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps([*kept, *reports], indent=1) + "\n")
    return all(report["outcome"] != "failed" for report in reports)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clients", nargs="*", default=CLIENTS, metavar="|".join(CLIENTS))
    parser.add_argument("--scenario", action="append", default=[], help="play only this one; repeatable")
    parser.add_argument("--llm", help="play text and audio turns with this language model, too")
    parser.add_argument("--json", type=Path, default=BUILD / "results.json", help="where the results are kept")
    given = parser.parse_args()
    sys.exit(not asyncio.run(run(given.clients, given.scenario, given.llm, given.json)))


if __name__ == "__main__":
    main()
