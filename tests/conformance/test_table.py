from __future__ import annotations

import pytest

from tests.conformance.table import BEGIN, END, PAGE, placed, table

REPORTS = [
    {"client": "openai", "version": "3", "scenario": "text turn", "outcome": "passed"},
    {"client": "openai", "version": "3", "scenario": "restart", "outcome": "failed"},
    {"client": "pipecat", "version": "1", "scenario": "restart", "outcome": "not offered"},
]


def test_the_table_has_a_row_for_each_scenario_and_a_column_for_each_client() -> None:
    assert table(REPORTS).splitlines() == [
        "| scenario | openai 3 | pipecat 1 |",
        "| --- | --- | --- |",
        "| text turn | yes |  |",
        "| restart | **no** | not offered |",
    ]


def test_the_table_replaces_the_older_one_and_nothing_else() -> None:
    page = f"above\n{BEGIN}\nold\n{END}\nbelow\n"
    assert placed(page, "new") == f"above\n{BEGIN}\nnew\n{END}\nbelow\n"
    assert placed(PAGE.read_text(encoding="utf-8"), "new").count(BEGIN) == 1


def test_a_page_without_a_place_is_refused() -> None:
    with pytest.raises(ValueError, match="no place"):
        placed("nothing", "new")
