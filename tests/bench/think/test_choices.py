"""The table of what development questions are answered by."""

from __future__ import annotations

from bench.think.choices import ChoiceMade, table


def test_the_table_counts_policies_and_gives_the_range_of_each_probe() -> None:
    made = [
        ChoiceMade("facts", "Who was it?", (-1.0, -2.0), "none"),
        ChoiceMade("sums", "2 plus 2?", (1.0,), "sums"),
        ChoiceMade("facts", "Where is it?", (0.5, 0.25), "plain"),
        ChoiceMade("facts", "When?", (-0.5, -1.0), "none"),
    ]
    assert table(made, ("need", "kind"))[2:] == [
        "| facts | 2 | 1 | 0 | -1.0, -0.5, 0.5 | -2.0, -1.0, 0.2 |",
        "| sums | 0 | 0 | 1 | 1.0, 1.0, 1.0 |  |",
    ]
