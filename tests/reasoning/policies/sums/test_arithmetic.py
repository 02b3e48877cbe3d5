"""Which calculations are put right, and which are left as they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from languages.known import language_of
from reasoning.policies.sums.arithmetic import put_right

EN, DE, ES = map(language_of, ("en", "de", "es"))
NUMBER = st.integers(0, 999)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("4 * 9 = 35 dollars", "4 * 9 = 36 dollars"),
        ("2. Cost of the tickets: 4 * 9 = 35 dollars.", "2. Cost of the tickets: 4 * 9 = 36 dollars."),
        ("$4 * 9 = $35", "$4 * 9 = $36"),
        ("$3.50 * 3 = $10.00", "$3.50 * 3 = $10.50"),
        ("12 x 8 = 94", "12 x 8 = 96"),
        ("12 - 5 - 3 = 5", "12 - 5 - 3 = 4"),
        ("2 + 3 * 4 = 15", "2 + 3 * 4 = 14"),
        ("8 cats * 4 legs = 31 legs", "8 cats * 4 legs = 32 legs"),
        ("5.5 / 2 = 4", "5.5 / 2 = 2.75"),
        ("3 - 8 = -6", "3 - 8 = -5"),
        ("Answer: 5 + 5 = 11", "Answer: 5 + 5 = 10"),
        ("3:45 pm + 90 minutes = 4:35 pm", "3:45 pm + 90 minutes = 5:15 pm"),
        ("1. End of the trip: 4:55 pm + 1 hour = 6:00 pm", "1. End of the trip: 4:55 pm + 1 hour = 5:55 pm"),
        ("11:30 a.m. + 1 hour and 30 minutes = 1:00 a.m.", "11:30 a.m. + 1 hour and 30 minutes = 1:00 pm"),
        ("11:50 pm + 20 minutes = 12:10 pm", "11:50 pm + 20 minutes = 12:10 am"),
        ("15:45 + 90 minutes = 17:05", "15:45 + 90 minutes = 17:15"),
        ("5:15 pm - 90 minutes = 3:55 pm", "5:15 pm - 90 minutes = 3:45 pm"),
    ],
)
def test_a_wrong_result_is_put_right(wrong: str, right: str) -> None:
    assert put_right(wrong, EN) == right
    assert put_right(right, EN) is None


@pytest.mark.parametrize(
    "step",
    [
        "",
        "Let me see.",
        "10 / 3 = 3.33",
        "2 / 3 = 0.66",
        "7 / 2 = 3",
        "7 / 0 = 3",
        "2 + 3 * 4 = 20",
        "5 - 8 = 3",
        "60 minutes + 30 minutes = 1.5 hours",
        "1 hour + 30 minutes = 95 minutes",
        "2 hours * 3 = 360 minutes",
        "3 dozen + 4 = 7",
        "2 million + 5 = 7",
        "20% * 50 = 9",
        "20% of 50 = 9",
        "x + 5 = 12",
        "2x + 3 = 9",
        "12 - x = 5",
        "36 + 4 = 40 = 41",
        "January 1 + 5 days = January 7",
        "9 * 9 = 80, so it is less",
        "4 times 9 is 35",
        "3:45 + 90 minutes = 5:15",
        "9:10 + 4:50 = 13:00",
        "4 plus 2 + 3 = 9",
        f"{'a b ' * 35}= 1 + 1 = 3",
        f"1 + 1 {'word' * 40} = 3",
        f"{'1 + ' * 100}1 = 3",
    ],
)
def test_what_is_right_or_may_be_meant_otherwise_is_left_alone(step: str) -> None:
    assert put_right(step, EN) is None


def test_numbers_and_times_are_read_as_the_language_writes_them() -> None:
    assert put_right("36 + 2,50 = 39,50 Euro", DE) == "36 + 2,50 = 38,50 Euro"
    assert put_right("1.200 + 34 = 1.234", DE) is None
    assert put_right("15:45 + 90 Minuten = 16:35", DE) == "15:45 + 90 Minuten = 17:15"
    assert put_right("4 * 9 = 35 euros", ES) == "4 * 9 = 36 euros"
    assert put_right("9:50 + 1 hora y 20 minutos = 10:70", ES) == "9:50 + 1 hora y 20 minutos = 11:10"


@given(NUMBER, NUMBER, st.sampled_from("+-*"), NUMBER)
def test_a_result_is_changed_if_and_only_if_it_is_wrong(a: int, b: int, sign: str, told: int) -> None:
    right = {"+": a + b, "-": a - b, "*": a * b}[sign]
    assert put_right(f"{a} {sign} {b} = {right}", EN) is None
    if told not in {right, abs(right)}:
        assert put_right(f"{a} {sign} {b} = {told}", EN) == f"{a} {sign} {b} = {right}"


@given(st.integers(0, 1439), st.integers(1, 600))
def test_clock_times_go_on_at_midnight(begins: int, lasts: int) -> None:
    def told(minutes: int) -> str:
        hour, minute = divmod(minutes % 1440, 60)
        return f"{hour % 12 or 12}:{minute:02} {'pm' if hour > 11 else 'am'}"

    head = f"{told(begins)} + {lasts} minutes = "
    assert put_right(head + told(begins + lasts), EN) is None
    assert put_right(head + told(begins + lasts + 5), EN) == head + told(begins + lasts)


@given(st.text("0123456789+-*/= .:,$xapm%", max_size=160))
def test_any_text_is_read(step: str) -> None:
    right = put_right(step, EN)
    assert right is None or put_right(right, EN) is None
