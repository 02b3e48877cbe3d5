"""voice-evals: what was said. Required facts, forbidden phrases, outcomes, word errors, and the time to stop."""

from __future__ import annotations

import asyncio
import hashlib
import json
import tomllib
import wave
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import soxr

from audio.io.sound_files import WavWriter
from tests.judges.bridge_voice_evals import CALLER_RATE, bridged
from tests.judges.scenario import BUILD, HERE, Scenario

if TYPE_CHECKING:
    from collections.abc import Mapping

SCENARIOS: Final = HERE / "voice_evals"
_STOP_MS: Final = 1000.0
"""What voicebench allows, too."""


def manifest() -> Path:
    """Tell the judge which file says which of its callers' lines, at the rate that it wants."""
    told, clips = BUILD / "voice-evals" / "callers.json", []
    for line in tomllib.loads((HERE / "callers.toml").read_text(encoding="utf-8"))["line"]:
        with wave.open(str(BUILD / "callers" / line["file"])) as reader:
            sound, rate = np.frombuffer(reader.readframes(reader.getnframes()), np.int16), reader.getframerate()
        file = told.with_name(line["file"])
        with WavWriter(file, CALLER_RATE) as writer:
            writer.write(soxr.resample(sound, rate, CALLER_RATE))
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        clips.append({"text": line["text"], "file": file.name, "sha256": digest})
    told.write_text(json.dumps({"format": {"sample_rate": CALLER_RATE}, "clips": clips}), encoding="utf-8")
    return told


def read(name: str, scenario: Mapping[str, Any], report: Mapping[str, Any]) -> Scenario:
    """Read a report: a check for the outcome, each fact, all forbidden phrases, and each interruption."""
    probe = report["probe"]
    scored = report["details"][0] if report["details"] else None
    facts = len(scenario["required_facts"])
    cuts = sum(step["cue"]["mode"] == "interrupt" for step in scenario["steps"])
    stops = [report["median_barge_in_stop_ms"]] if report["median_barge_in_stop_ms"] is not None else []
    passed = sum(stop <= _STOP_MS for stop in stops)
    notes = [*probe["exclusion_reasons"], *(str(error.get("message")) for error in probe["execution_failures"])]
    if scored is not None:
        passed += round(scored["fact_coverage"] * facts) + scored["task_complete"] + (not scored["hallucinations"])
        notes += [f"said: {phrase}" for phrase in scored["hallucinations"]]
    latency = probe["turn_latency"]
    responses = [latency[key] for key in ("e2e_p50_ms", "e2e_p95_ms") if latency.get(key) is not None]
    errors = {f"word errors {scored['wer']:.2f}": scored["wer"] <= 0.1} if scored is not None else {"scored": False}
    return Scenario(name, facts + 2 + cuts, passed, responses, stops, [], errors, notes)


async def voice_evals(url: str, repeat: int, at_once: int) -> list[Scenario]:
    """Play every scenario of voice-evals."""
    judge = BUILD / "voice-evals" / "venv" / "bin" / "voice-eval"
    if not judge.exists():
        raise SystemExit(f"{judge} is not there: make judge-voice-evals")
    callers, told = manifest(), []
    async with bridged(url) as address:
        for file in sorted(SCENARIOS.glob("*.json")):
            if file.name == "protocol.json":
                continue
            scenario = json.loads(file.read_text(encoding="utf-8"))
            for number in range(repeat * at_once):
                out = BUILD / "voice-evals" / f"{file.stem}-{number}"
                process = await asyncio.create_subprocess_exec(
                    judge, "probe", str(file), "--transport", address,
                    "--protocol-map", str(SCENARIOS / "protocol.json"),
                    "--caller", "fixture", "--fixture-manifest", str(callers),
                    "--connect-timeout-ms", "60000", "--output-dir", str(out), "--output", str(out.with_suffix(".json")),
                )  # fmt: skip
                if await process.wait() > 1:
                    raise SystemExit(f"{file.name}: the judge could not run it")
                report = json.loads(out.with_suffix(".json").read_text(encoding="utf-8"))
                told.append(read(scenario["name"], scenario, report))
                print(*told[-1].notes, sep="\n", flush=True)
    return told
