"""Has outside judges talk to `descant serve` and writes down what they say: `python -m tests.judges.run voicebench`.

Each judge runs in its own virtual environment under build/judges, by its own rules; nothing here decides whether a turn
was good. A score below the floor (`tests.judges.table`) fails.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import signal
import statistics
import sys
from contextlib import asynccontextmanager
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from agent.config.settings import load
from tests.judges.callers import speak_callers
from tests.judges.judge_pipecat import pipecat
from tests.judges.judge_tau_voice import tau_voice
from tests.judges.judge_voice_evals import voice_evals
from tests.judges.scenario import BUILD, HERE, ROOT, Scenario
from tests.judges.table import machine_told, record

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

START_S: Final = 400.0
CLIENT: Final = "client_voicebench:Realtime"


@asynccontextmanager
async def serving() -> AsyncIterator[str]:
    """Serve with the default models in a process of its own; give the address of its Realtime endpoint."""
    # A caller has a machine of its own elsewhere, and its clock is none that the server may hold up.
    command = [
        "nice",
        "-n",
        "5",
        sys.executable,
        "-c",
        "from agent.cli.main import main; main()",
        "serve",
        "--port",
        "0",
    ]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        async with asyncio.timeout(START_S):
            while not (ready := re.search(rb"(ws://\S+/v1)\)", await process.stdout.readline())):
                if process.stdout.at_eof():
                    raise SystemExit("the server did not start")
        yield f"{ready[1].decode()}/realtime"
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await process.wait()


def gaps(agent: Sequence[Sequence[float]], user: Sequence[Sequence[float]]) -> list[float]:
    """Give the agent's silences into which nobody spoke, in seconds."""
    silences = [(end, start) for (_, end), (start, _) in pairwise(agent)]
    return [
        round(start - end, 2)
        for end, start in silences
        if not any(spoken < start and over > end for spoken, over in user)
    ]


def read_voicebench(name: str, report: dict[str, Any]) -> Scenario:
    """Read a report of voicebench."""
    sessions = report["sessions"]
    turns = [turn for session in sessions for turn in session["turns"]]
    return Scenario(
        name,
        len(turns),
        sum(turn["passed"] for turn in turns),
        [turn["response_latency_ms"] for turn in turns if turn["expect"] == "respond" and turn["responded"]],
        [turn["stop_latency_ms"] for turn in turns if turn["stop_latency_ms"] is not None],
        [gap for one in sessions for gap in gaps(one["agent_segments"], one["user_segments"])],
        {one["key"]: one["passed"] for one in report["assertions"]},
        [f"{turn['id']}: {note}" for turn in turns if not turn["passed"] for note in turn["notes"]],
    )


async def voicebench(url: str, repeat: int, at_once: int) -> list[Scenario]:
    """Play every scenario of voicebench, so many callers of each at once."""
    python = BUILD / "voicebench" / "venv" / "bin" / "python"
    if not python.exists():
        raise SystemExit(f"{python} is not there: make judge-voicebench")
    told = []
    for file in sorted((HERE / "voicebench").glob("*.yaml")):
        told += await asyncio.gather(*(_played(python, file, url, repeat, caller) for caller in range(at_once)))
        print(*(note for one in told[-at_once:] for note in one.notes), sep="\n", flush=True)
    return told


async def _played(python: Path, file: Path, url: str, repeat: int, caller: int) -> Scenario:
    """Play a scenario in a process of its own."""
    out = BUILD / "voicebench" / f"{file.stem}-{caller}"
    play = ["-m", "voicebench", "run", str(file), "--adapter", CLIENT, "--option", f"url={url}"]
    process = await asyncio.create_subprocess_exec(
        python, *play, "--repeat", str(repeat), "--out", out, "--format", "json", "--quiet", cwd=HERE
    )
    if await process.wait() > 1:
        raise SystemExit(f"{file.name}: the judge could not run it")
    report = json.loads(next(out.glob("*.json")).read_text(encoding="utf-8"))
    return read_voicebench(report["scenario"]["name"], report)


JUDGES: Final = {
    "pipecat": pipecat,
    "tau-voice": tau_voice,
    "voicebench": voicebench,
    "voice-evals": voice_evals,
}


async def run(judge: str, repeat: int, at_once: int) -> dict[str, Any]:
    """Have a judge talk to the server; give its results, ready to be kept."""
    settings = load().settings
    speak_callers()
    async with serving() as url:
        scenarios = await JUDGES[judge](url, repeat, at_once)
    return {
        "judge": judge,
        "machine": machine_told(settings),
        "repeat": repeat,
        "at_once": at_once,
        "scenarios": [asdict(one) for one in scenarios],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("judge", choices=JUDGES)
    parser.add_argument("--repeat", type=int, default=3, help="sessions of each scenario")
    parser.add_argument("--at-once", type=int, default=1, help="callers of each scenario at the same time")
    given = parser.parse_args()
    results = asyncio.run(run(given.judge, given.repeat, given.at_once))
    # The page's score is that of one caller at a time.
    folder = BUILD if given.at_once == 1 else BUILD / f"{given.at_once} at once"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{given.judge}.json"
    file.write_text(json.dumps(results, indent=1), encoding="utf-8")
    for one in results["scenarios"]:
        middle = statistics.median(one["responses_ms"]) if one["responses_ms"] else float("nan")
        print(f"{one['name']:28} {one['passed']} of {one['turns']}, responses {middle:.0f} ms, gaps {one['gaps_s']}")
    found = sorted(gap for one in results["scenarios"] for gap in one["gaps_s"])
    if found:
        print(
            f"{len(found)} gaps inside replies: 95th percentile {np.percentile(found, 95):.2f} s, longest {found[-1]} s"
        )
    if given.at_once == 1:
        record(results)


if __name__ == "__main__":
    main()
