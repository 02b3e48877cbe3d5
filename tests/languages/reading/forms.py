"""The tables of written forms."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

HERE: Final = Path(__file__).parent


class WrittenForm(NamedTuple):
    """A line of a table."""

    kind: str
    written: str
    said: str


def table(language: str) -> list[WrittenForm]:
    """Give the forms of a language, by its name in lower case."""
    lines = (HERE / f"{language}.tsv").read_text(encoding="utf-8").splitlines()
    return [WrittenForm(*line.split("\t")) for line in lines[1:]]
