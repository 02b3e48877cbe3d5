"""Writes what a judge says into docs/judges.md and the README, and holds it to the floor, which only rises.

`tests.judges.run` and `tests.judges.big_bench_audio` end with it. `floors.json` has the best score of each judge: a run
below it fails and leaves all as it was; a better one is the new floor once the file is committed. A part of a judge's
items sets no floor, and takes the place of none.
"""

from __future__ import annotations

import json
import math
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agent.plan.machine import this_machine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.config.settings import Settings

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "judges.md"
README: Final = ROOT / "README.md"
FLOORS: Final = Path(__file__).with_name("floors.json")
"""The best score of each judge: what passed, and of how many."""
UNITS: Final = {"big-bench-audio": "items", "tau-voice": "tests", "voice-evals": "checks"}
"""What judges count that do not judge turns."""
HELD: Final = {"tau-voice": "passed but for the judge's own clock"}
"""What a judge asserts beside, where it is no limit on a whole scenario."""
_NOTHING: Final = "–"


def score(results: dict[str, Any]) -> tuple[int, int]:
    """Give the turns that a judge let pass, and all."""
    scenarios = results["scenarios"]
    return sum(one["passed"] for one in scenarios), sum(one["turns"] for one in scenarios)


def _middle(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.0f} ms" if values else _NOTHING


def _worst(values: Sequence[float], unit: str) -> str:
    return f"{max(values):g} {unit}" if values else _NOTHING


def table(results: dict[str, Any]) -> str:
    """Lay a judge's results out, a row for each scenario."""
    rows = [
        [
            "scenario",
            f"{UNITS.get(results['judge'], 'turns')} passed",
            HELD.get(results["judge"], "assertions held"),
            "response, median",
            "slowest",
            "slowest stop",
            "longest gap in a reply",
        ]
    ]
    rows.append(["---"] * len(rows[0]))
    for one in results["scenarios"]:
        responses, stops = one["responses_ms"], one["stops_ms"]
        held = f"{sum(one['asserted'].values())} of {len(one['asserted'])}"
        row = [one["name"], f"{one['passed']} of {one['turns']}", held, _middle(responses)]
        rows.append([*row, _worst(responses, "ms"), _worst(stops, "ms"), _worst(one["gaps_s"], "s")])
    passed, turns = score(results)
    found = sorted(gap for one in results["scenarios"] for gap in one["gaps_s"])
    most = f"{found[math.ceil(0.95 * len(found)) - 1]:g} s in 95 %, n = {len(found)}" if found else _NOTHING
    total = f"{passed} of {turns}"
    rows.append(["all", total if results.get("part") else f"**{total}**", *[""] * 4, most])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def placed(page: str, judge: str, lines: str) -> str:
    """Put a judge's lines between its marks."""
    begin, end = f"<!-- {judge}: begin -->", f"<!-- {judge}: end -->"
    if begin not in page or end not in page:
        raise ValueError(f"the page has no place for {judge}: {begin} and {end}")
    return f"{page.partition(begin)[0]}{begin}\n{lines}\n{end}{page.partition(end)[2]}"


def machine_told(settings: Settings) -> str:
    """Name the machine that a run was on: its processor, and the kernels that suit it."""
    machine = this_machine(settings)
    return f"{machine.processor}, {machine.kernels}"


def scored(judge: str, passed: int, turns: int) -> str:
    """Word a score."""
    return f"{judge}: {passed} of {turns} {UNITS.get(judge, 'turns')} passed"


def record(results: dict[str, Any]) -> None:
    """Write a run's score down; exits where it is below the floor."""
    judge = results["judge"]
    passed, turns = score(results)
    told = scored(judge, passed, turns)
    floors = json.loads(FLOORS.read_text(encoding="utf-8"))
    best = floors.get(judge)
    if results.get("part") and best:
        print(f"{told}, a part of its items; the pages keep what all of them gave")
        return
    if best and passed * best[1] < best[0] * turns:
        raise SystemExit(f"{told}, where {best[0]} of {best[1]} did before; the pages stay as they are")
    sessions = "one session" if results["repeat"] == 1 else f"{results['repeat']} sessions"
    part = f" ({results['part']})" if results.get("part") else ""
    lines = f"{results['machine']}, {sessions} of each scenario{part}\n\n{table(results)}"
    PAGE.write_text(placed(PAGE.read_text(encoding="utf-8"), judge, lines), encoding="utf-8")
    line = f"{told} ({results['machine']}){part}"
    README.write_text(placed(README.read_text(encoding="utf-8"), judge, line), encoding="utf-8")
    if not part:
        rows = [f'  "{name}": [{of[0]}, {of[1]}]' for name, of in sorted({**floors, judge: (passed, turns)}.items())]
        FLOORS.write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")
