"""The table of what development questions are answered by."""

from __future__ import annotations

from bench.think.choices import ChoiceMade, differences, table


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


def test_what_reading_early_changes_is_told_for_each_probe() -> None:
    made = [ChoiceMade("facts", "Who?", (0.0,), "none", (number / 10,)) for number in range(-20, 21)]
    made.append(ChoiceMade("sums", "2 plus 2?", (1.0, 1.0), "sums", (0.0, 0.5)))
    assert differences(made, ("kind", "need")) == [
        "kind, read early: -1.80 to +1.80, +0.00 in the median, -2.00 to +2.00 in all (42)",
        "need, read early: +0.50 to +0.50, +0.50 in the median, +0.50 to +0.50 in all (1)",
    ]
    assert differences([ChoiceMade("facts", "Who?", (0.0,), "none")], ("kind",)) == []
