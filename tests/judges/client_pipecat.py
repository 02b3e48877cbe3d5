"""Pipecat's harness plays its own release scenarios with one of its example bots. In the judge's own environment.

    client_pipecat.py STAGE.json    the last line that it prints is what the harness found, as JSON

A scenario is played as it is written, but for three parts that it would download: the user's voice comes from files,
Whisper (one of the two that the harness knows) hears the bot's sound from a folder, and in the place of the language
model that judges stand words that a reply must have, for each criterion. All of them are played with sound, since
Pipecat's service for this protocol takes no text from a user.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loguru import logger
from pipecat.evals.harness import EvalSession
from pipecat.evals.judge import JUDGE_ASK_TEMPLATE, EvalJudge
from pipecat.evals.scenario import EvalScenario

logger.remove()
_CONNECT_S = 60.0


class Voice:
    """The user, from a folder that has a file for each of their lines."""

    def __init__(self, lines: dict[str, str]) -> None:
        self._lines = lines

    async def start(self) -> None:
        """Nothing to load."""

    async def aclose(self) -> None:
        """Nothing to close."""

    async def generate(self, text: str) -> tuple[bytes, int]:
        """Give the samples of a line, and their rate."""
        with wave.open(self._lines[text]) as reader:
            return reader.readframes(reader.getnframes()), reader.getframerate()


@dataclass
class Words:
    """Judges by words, in the place of a language model: all of a criterion's are there, or the reply goes on."""

    criteria: dict[str, list[str]]

    async def run_inference(self, context: Any, **_: Any) -> str:
        """Answer in the form that the harness asks its model for."""
        *said, asked = context.get_messages()
        start = max((place for place, one in enumerate(said) if one["role"] == "user"), default=-1)
        reply = " ".join(one["content"] for one in said[start + 1 :])
        patterns = {JUDGE_ASK_TEMPLATE.format(criterion=one): words for one, words in self.criteria.items()}[
            asked["content"]
        ]
        missing = [pattern for pattern in patterns if not re.search(pattern, reply, re.IGNORECASE)]
        return json.dumps({"verdict": "continue" if missing else "yes", "reason": f"{reply!r} lacks {missing}"})


def play(stage: dict[str, Any]) -> dict[str, Any]:
    """Start the bot, play a scenario with it, and say what the harness found."""
    name, port = stage["name"], str(stage["port"])
    scenario = EvalScenario.load(Path(stage["scenarios"]) / f"{name}.yaml")
    scenario.bot_audio, scenario.transcriber = True, {"service": "whisper", "model": stage["whisper"]}
    criteria = {}
    for turn, words in zip(scenario.turns, stage["words"][name], strict=True):
        for expected in turn.expect:
            if expected.event == "llm_response":
                expected.event = "response"
            if expected.eval is not None:
                criteria[expected.eval] = words
    command = [str(Path(__file__).with_name("client_pipecat_bot.py")), stage["bot"], "-t", "eval", "--port", port]
    with (
        Path(stage["logs"], f"{name}.bot.log").open("wb") as log,
        subprocess.Popen([sys.executable, *command], stdout=log, stderr=log) as bot,
    ):
        session = EvalSession.from_scenario(
            scenario, f"ws://127.0.0.1:{port}", connect_timeout_s=_CONNECT_S, stop_bot=True,
            judge=EvalJudge(Words(criteria)), speech=Voice(stage["lines"]),
        )  # fmt: skip
        try:
            result = asyncio.run(session.run())
        finally:
            bot.terminate()
    Path(stage["logs"], f"{name}.log").write_text("\n".join(result.debug_log), encoding="utf-8")
    return {
        "scenario": name,
        "turns": [{"status": turn.status, "notes": [str(one) for one in turn.failures]} for turn in result.turns],
        "failures": [str(one) for one in result.failures if one.turn_index < 0],
    }


if __name__ == "__main__":
    print(json.dumps(play(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))))
