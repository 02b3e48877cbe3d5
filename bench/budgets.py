"""`descant bench budget`: joules saved against answers lost, from conversations that `descant bench think` has kept.

Rows whose budgets of thinking differ are compared question by question with the one that may think longest. Of each row
alone it is told what shorter budgets would at most have lost: its right answers whose thoughts had not ended by then.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.table import Table

from bench.errors import ReportError
from bench.statistics import difference, paired, ratio
from bench.think.kept import kept_lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_SHORTER: Final = (32, 48, 64, 96, 128, 192, 256)


@dataclass(frozen=True, slots=True)
class Answered:
    """A question in one row."""

    question: tuple[str, int, str, str]
    right: bool
    thought: int
    """Tokens of the thinker."""
    cost: float
    """Joules; where the file has none, tokens of all roles."""


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """A row of the file."""

    name: str
    mode: str
    budget: str
    think_tokens: int
    answered: Mapping[tuple[str, int, str, str], Answered]


def read_rows(file: Path) -> tuple[list[BudgetRow], str]:
    """Give the rows that think, the longest budget first, and the unit of what they cost. Raises ReportError."""
    lines = kept_lines(file)
    if not lines:
        raise ReportError(f"{file} is not there, or empty; make it with: descant bench think --keep {file}")
    rows: dict[str, Mapping[str, Any]] = lines[0]["settings"]["rows"]
    samples = [line for line in lines[1:] if "row" in line]
    unit = "J" if samples and all(sample.get("joules") is not None for sample in samples) else "tokens"
    found = [
        BudgetRow(
            name,
            row["mode"],
            str(row["loop"].get("budget", "fixed")),
            int(row["loop"]["think_tokens"]),
            {one.question: one for one in (_answered(each, unit) for each in samples if each["row"] == name)},
        )
        for name, row in rows.items()
        if row["mode"] != "no-think"
    ]
    if not any(row.answered for row in found):
        raise ReportError(f"{file}: no row that thinks has a conversation yet; let the run go on")
    return sorted(found, key=lambda row: (-row.think_tokens, row.budget != "fixed")), unit


def _answered(sample: Mapping[str, Any], unit: str) -> Answered:
    tokens = sample["tokens"]
    cost = float(sample["joules"]) if unit == "J" else float(sum(tokens.values()))
    key = (str(sample["task"]), int(sample["number"]), str(sample["scenario"]), str(sample["question"]))
    return Answered(key, bool(sample["right"]), int(tokens.get("thinker", 0)), cost)


def against_longest(rows: Sequence[BudgetRow]) -> list[dict[str, Any]]:
    """Compare each row with the first one of its mode: answers lost and cost saved, as shares, with 95 % intervals."""
    found = []
    for row in rows:
        first = next(other for other in rows if other.mode == row.mode)
        both = [key for key in first.answered if key in row.answered]
        if row is first or not both:
            continue
        right = [[float(of.answered[key].right) for key in both] for of in (first, row)]
        cost = [[of.answered[key].cost for key in both] for of in (row, first)]
        found.append(
            {"row": row.name, "against": first.name, "lost": paired(right, difference), "cost": paired(cost, ratio)}
        )
    return found


def at_most_lost(row: BudgetRow) -> list[dict[str, Any]]:
    """Say what shorter budgets would have saved of the thoughts, and at most have lost of the right answers."""
    answered = list(row.answered.values())
    whole = sum(one.thought for one in answered)
    return [
        {
            "tokens": tokens,
            "right": fmean(one.right and one.thought <= tokens for one in answered),
            "spent": fmean(min(one.thought, tokens) for one in answered),
            "lost": sum(one.right and one.thought > tokens for one in answered),
            "saved": 1 - sum(min(one.thought, tokens) for one in answered) / whole,
        }
        for tokens in _SHORTER
        if tokens < row.think_tokens and whole
    ]


def run(file: Path) -> None:
    """Print both tables."""
    rows, unit = read_rows(file)
    console = Console()
    table = Table("row", "against", "questions", "lost, points (95 %)", f"{unit} saved (95 %)", box=None)
    for one in against_longest(rows):
        lost, cost = one["lost"], one["cost"]
        table.add_row(
            one["row"],
            one["against"],
            str(lost["items"]),
            f"{100 * lost['value']:+.1f} ({100 * lost['low']:+.1f}…{100 * lost['high']:+.1f})",
            f"{1 - cost['value']:.0%} ({1 - cost['high']:.0%}…{1 - cost['low']:.0%})",
        )
    if table.row_count:
        console.print(table)
    for row in rows:
        table = Table(
            f"{row.name}, {row.think_tokens}", "right then", "tokens", "lost at most", "saved of thoughts", box=None
        )
        for one in at_most_lost(row):
            table.add_row(
                str(one["tokens"]),
                f"{one['right']:.0%}",
                f"{one['spent']:.0f}",
                f"{one['lost']} of {sum(each.right for each in row.answered.values())}",
                f"{one['saved']:.0%}",
            )
        if table.row_count:
            console.print(table)
