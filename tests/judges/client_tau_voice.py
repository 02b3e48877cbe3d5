"""Points τ-Voice's provider for the OpenAI Realtime protocol at a server, and keeps what pytest says of its tests.

A plugin of pytest, in the judge's own environment; JUDGE_URL and JUDGE_REPORT say where. No test is changed but for
this: a tick of the judge's that takes too long is kept, where it would end the test, so that a run tells both what the
judge says and what it would say but for its own clock.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from tau2.voice.audio_native.openai.provider import OpenAIRealtimeProvider

OpenAIRealtimeProvider.BASE_URL = os.environ["JUDGE_URL"]
_KEPT = Path(os.environ["JUDGE_REPORT"])
_late_ms: list[int] = []
"""Of the test that runs."""


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Let the suite's timer keep what it would raise for."""
    if not items:
        return
    suite = items[0].module
    allowed_ms = suite.TICK_DURATION_MS * suite.TICK_DURATION_MAX_FACTOR

    def run_tick(timer: Any, adapter: Any, user_audio: bytes, tick_number: int) -> Any:
        start = time.time()
        result = adapter.run_tick(user_audio, tick_number=tick_number)
        took_ms = (time.time() - start) * 1000
        timer.timings.append(took_ms)
        if took_ms > allowed_ms:
            _late_ms.append(round(took_ms))
        return result

    suite.TickTimer.run_tick = run_tick


def pytest_runtest_logstart() -> None:
    """Begin with no late tick."""
    _late_ms.clear()


def pytest_runtest_logreport(report: Any) -> None:
    """Keep a line for each test that ran, and for each that could not."""
    if report.when == "teardown" or (report.when == "setup" and report.passed):
        return
    crash = getattr(report.longrepr, "reprcrash", None)
    note = crash.message.splitlines()[0] if crash else ""
    told = {"test": report.nodeid, "outcome": report.outcome, "note": note, "late_ms": list(_late_ms)}
    with _KEPT.open("a", encoding="utf-8") as kept:
        kept.write(json.dumps(told) + "\n")
