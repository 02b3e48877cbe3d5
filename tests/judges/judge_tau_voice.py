"""τ-Voice's provider suite (tau2-bench): what its evaluation needs of a realtime provider, test by test."""

from __future__ import annotations

import asyncio
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.judges.scenario import BUILD, HERE, Scenario, checkout

if TYPE_CHECKING:
    from collections.abc import Iterable

_SUITE: Final = Path("tests/test_voice/test_audio_native/test_provider_suite.py")
_TESTS: Final = 12
"""That its provider for the OpenAI Realtime protocol has."""


def read(reports: Iterable[dict[str, Any]]) -> list[Scenario]:
    """Read the reports of the suite's tests: a scenario for each of its classes.

    A test that its own clock alone fails has not passed, and is among what held, so that both numbers are told.
    """
    classes: dict[str, list[dict[str, Any]]] = {}
    for report in reports:
        name = report["test"].split("::")[1].removeprefix("Test")
        classes.setdefault(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower(), []).append(report)
    return [
        Scenario(
            name,
            len(told),
            sum(one["outcome"] == "passed" and not one["late_ms"] for one in told),
            responses_ms=[],
            stops_ms=[],
            gaps_s=[],
            asserted={f"{number}: {one['test']}": one["outcome"] == "passed" for number, one in enumerate(told)},
            notes=[note for one in told for note in _notes(one)],
        )
        for name, told in classes.items()
    ]


def _notes(one: dict[str, Any]) -> list[str]:
    name, late = one["test"].split("::")[-1], one["late_ms"]
    notes = [f"{name}: {len(late)} ticks took more than the judge allows, {max(late)} ms"] if late else []
    return [*notes, f"{name}: {one['note']}"] if one["outcome"] != "passed" else notes


async def tau_voice(url: str, repeat: int, at_once: int) -> list[Scenario]:
    """Run the suite's tests of its OpenAI provider so many times, one test after the other."""
    python, tau2 = BUILD / "tau-voice" / "venv" / "bin" / "python", checkout("TAU2", _SUITE)
    if not python.exists():
        raise SystemExit(f"{python} is not there: make judge-tau-voice")
    kept = BUILD / "tau-voice" / "reports.jsonl"
    kept.unlink(missing_ok=True)
    # The model's name chooses the judge's prices, and the key that the provider is not skipped.
    told = {
        "JUDGE_URL": url,
        "JUDGE_REPORT": str(kept),
        "OPENAI_API_KEY": "none",
        "PYTHONPATH": f"{tau2 / 'src'}:{HERE}",
    }
    command = ["-m", "pytest", "--noconftest", "-p", "client_tau_voice", "-p", "no:cacheprovider", "-q", "-k", "openai"]
    for _ in range(repeat * at_once):
        process = await asyncio.create_subprocess_exec(python, *command, _SUITE, cwd=tau2, env={**os.environ, **told})
        if await process.wait() > 1:
            raise SystemExit(f"{tau2 / _SUITE}: the judge could not run it")
    reports = [json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()]
    if len(reports) != _TESTS * repeat * at_once:
        raise SystemExit(f"{len(reports)} reports of {_TESTS} tests: another version of the suite?")
    scenarios = read(reports)
    print(*(note for one in scenarios for note in one.notes), sep="\n", flush=True)
    return scenarios
