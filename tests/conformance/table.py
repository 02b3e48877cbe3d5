"""Writes the table client x scenario into the README: `python -m tests.conformance.table [RESULTS]`.

The results are those of `tests.conformance.run`. `--check` writes nothing and fails when the page says something else.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "README.md"
RESULTS: Final = ROOT / "build" / "conformance" / "results.json"
BEGIN: Final = "<!-- conformance: begin -->"
END: Final = "<!-- conformance: end -->"
_MARKS: Final = {"passed": "yes", "failed": "**no**", "not offered": "not offered"}


def table(reports: Sequence[dict[str, Any]]) -> str:
    """Lay the reports out, a row for each scenario."""
    clients = list(dict.fromkeys(f"{report['client']} {report['version']}" for report in reports))
    scenarios = list(dict.fromkeys(report["scenario"] for report in reports))
    marks = {
        (report["scenario"], f"{report['client']} {report['version']}"): _MARKS[report["outcome"]] for report in reports
    }
    rows = [["scenario", *clients], ["---"] * (len(clients) + 1)]
    rows += [[scenario, *(marks.get((scenario, client), "") for client in clients)] for scenario in scenarios]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def placed(page: str, lines: str) -> str:
    """Put the table between its marks."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no place for the table: {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{lines}\n{END}{after}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", nargs="?", type=Path, default=RESULTS)
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    page = PAGE.read_text(encoding="utf-8")
    new = placed(page, table(json.loads(given.results.read_text())))
    if given.check:
        sys.exit(0 if new == page else f"{PAGE} differs from {given.results}: python -m tests.conformance.table")
    PAGE.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
