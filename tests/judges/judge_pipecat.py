"""Pipecat's release scenarios, with its own example bot for the Realtime protocol and `descant serve` as its LLM."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import socket
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agent.config.settings import load
from reasoning.store.store import Store
from tests.judges.callers import speak_lines
from tests.judges.scenario import BUILD, HERE, Scenario, checkout

if TYPE_CHECKING:
    from collections.abc import Mapping

_BOT: Final = Path("examples/realtime/realtime-openai.py")
_SCENARIOS: Final = Path("scripts/release-evals/scenarios")
_FOLDER: Final = BUILD / "pipecat"
_VOICE: Final = "kokoro-af_heart"
"""That of Pipecat's scenarios, too."""
_EARS: Final = "whisper-base"
"""What hears the bot's sound for the judge."""
_LINE: Final = re.compile(r'^ *- user: (".*")$', re.MULTILINE)


def read(told: Mapping[str, Any]) -> Scenario:
    """Read what the harness says of a scenario: a turn that it did not come to counts as one that failed."""
    turns = told["turns"]
    notes = [*told["failures"], *(note for turn in turns for note in turn["notes"])]
    return Scenario(
        told["scenario"],
        len(turns),
        sum(turn["status"] == "passed" for turn in turns),
        responses_ms=[],
        stops_ms=[],
        gaps_s=[],
        asserted={},
        notes=[f"{told['scenario']}: {note}" for note in notes],
    )


def _voiced(scenarios: Path, names: list[str]) -> dict[str, str]:
    """Speak what the scenarios' user says; give the file of each line."""
    text = "\n".join((scenarios / f"{name}.yaml").read_text(encoding="utf-8") for name in names)
    lines = [json.loads(line) for line in _LINE.findall(text)]
    files = {line: _FOLDER / "lines" / f"{hashlib.sha256(line.encode()).hexdigest()[:16]}.wav" for line in lines}
    speak_lines(_VOICE, files)
    return {line: str(file) for line, file in files.items()}


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


async def pipecat(url: str, repeat: int, at_once: int) -> list[Scenario]:
    """Play the scenarios of pipecat.toml so many times, one after the other."""
    python, folder = _FOLDER / "venv" / "bin" / "python", checkout("PIPECAT", _BOT)
    if not python.exists():
        raise SystemExit(f"{python} is not there: make judge-pipecat")
    table, options = tomllib.loads((HERE / "pipecat.toml").read_text(encoding="utf-8")), load().settings.models
    names = list(table)
    stage = {
        "bot": str(folder / _BOT),
        "scenarios": str(folder / _SCENARIOS),
        "words": {name: one["turns"] for name, one in table.items()},
        "lines": _voiced(folder / _SCENARIOS, names),
        "whisper": str(Store(options.cache_dir, offline=True, local_dir=options.local_dir).ensure(_EARS)),
        "logs": str(_FOLDER),
    }
    told, file = [], _FOLDER / "stage.json"
    for _ in range(repeat * at_once):
        for name in names:
            file.write_text(json.dumps({**stage, "name": name, "port": _free_port()}), encoding="utf-8")
            process = await asyncio.create_subprocess_exec(
                python, HERE / "client_pipecat.py", file, stdout=asyncio.subprocess.PIPE,
                env={**os.environ, "JUDGE_URL": url, "OPENAI_API_KEY": "none"},
            )  # fmt: skip
            out, _ = await process.communicate()
            if process.returncode:
                raise SystemExit(f"{name}: the judge could not run it")
            told.append(read(json.loads(out.splitlines()[-1])))
            print(*told[-1].notes, sep="\n", flush=True)
    return told
