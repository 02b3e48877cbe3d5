"""The benchmark of the live path, with a model that babbles: it ends early in order, and reports what it has."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.agent.command_line import MODELS, write_babbler

pytestmark = [pytest.mark.e2e, pytest.mark.live]


@pytest.mark.timeout(300)
def test_a_run_that_is_ended_reports_the_exchanges_that_it_held(tmp_path: Path) -> None:
    for name in ("whisper-tiny.en", "piper-en-us-joe"):
        if not (MODELS / name).is_dir():
            pytest.skip("needs ears and voice: descant models pull")
    report = tmp_path / "latency.json"
    command = [str(Path(sys.executable).with_name("descant")), "--set", "engine.native=off", "bench", "latency"]
    running = subprocess.Popen(
        [*command, "--n", "40", "--model", str(write_babbler(tmp_path / "babbler.gguf")), "--json", str(report)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "120"},
    )
    assert running.stderr is not None
    held = 0
    while not held:
        line = running.stderr.readline()
        assert line, "it ended by itself"
        held += " of 40  " in line
    running.send_signal(signal.SIGTERM)
    table, errors = running.communicate(timeout=120)
    assert running.returncode == 0, errors
    assert "Traceback" not in errors
    results = json.loads(report.read_text(encoding="utf-8"))["results"]
    assert held <= results["turns"] == len(results["exchanges"]) < 40
    for exchange in results["exchanges"]:
        assert exchange["end_of_turn_s"] > 0
        assert exchange["memory_mb"] > 0
    assert results["word_error_rate"] < 0.2
    assert "missed ends: 0 %" in table
