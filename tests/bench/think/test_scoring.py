from __future__ import annotations

import pytest

from bench.think.items.question import Kind, TaskQuestion
from bench.think.scoring import right, stated

APPLES = "Maria has 5 boxes with 6 apples in each box. She sells 12 apples. How many are left?"
FLIGHT = "A flight departed at 9:35 and arrived at 11:55. How long was the flight?"
DAY = "Starting from Wednesday, March 30, 2022, which weekday was it 2 days before?"
FAMILY = "Liam is married to Lisa. They have a child called Owen. What is Liam to Owen?"


def asked(question: str, kind: Kind) -> TaskQuestion:
    return TaskQuestion("task", 0, question, "", kind)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("18", "18"),
        ("The answer is 18.", "18"),
        ("There are eighteen apples left.", "18"),
        ("There are 18 apples left after she sells 12 of the 30.", "18"),
        ("Maria has 30 apples. She sells 12. So 18 are left.", "18"),
        ("First I thought it was 20. No, it is 18.", "18"),
        ("The answer is 18, because 5 times 6 is 30 and 30 minus 12 is 18.", "18"),
        ("She has $1,250.50 now.", "1250.5"),
        ("That is one thousand two hundred and fifty dollars.", "1250"),
        ("That makes twenty-four.", "24"),
        ("That makes twenty four in total.", "24"),
        ("The result is minus 4.", "-4"),
        ("The result is -4.", "-4"),
        ("The result is negative four.", "-4"),
        ("8 minus 3 leaves 7.", "7"),
        ("12 - 5 = 7", "7"),
        ("So x = -3.", "-3"),
        ("It comes to 42.0 in all.", "42"),
        ("I do not know.", None),
        ("", None),
        ("The total is 18. Is there anything else I can help you with?", "18"),
        ("Eighteen apples are left in the 5 boxes.", "18"),
    ],
)
def test_the_last_stated_number_counts(text: str, value: str | None) -> None:
    assert stated(text, asked(APPLES, "number")) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("The flight was 2 hours and 20 minutes long.", "140"),
        ("It took two hours twenty minutes.", "140"),
        ("Two hours and twenty.", "140"),
        ("The flight lasted 140 minutes.", "140"),
        ("It was 2:20.", "140"),
        ("The duration is 02:20.", "140"),
        ("From 9:35 to 11:55 is 2 hours, 20 minutes.", "140"),
        ("The flight took two and a half hours.", "150"),
        ("About an hour and a half.", "90"),
        ("Half an hour.", "30"),
        ("It lasted 45 minutes.", "45"),
        ("It departed at 9:35.", "575"),
        ("The duration between 9:35 and 11:55 is -2:20.", "140"),
        ("One hour.", "60"),
        ("No idea.", None),
    ],
)
def test_durations_are_minutes(text: str, value: str | None) -> None:
    assert stated(text, asked(FLIGHT, "duration")) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("It was a Monday.", "Monday"),
        ("Two days before Wednesday is Monday.", "Monday"),
        ("Monday is two days before Wednesday.", "Monday"),
        ("First Tuesday, then Monday.", "Monday"),
        ("It was on a monday", "Monday"),
        ("Seven days before, it was also Wednesday.", "Wednesday"),
        ("In March.", None),
    ],
)
def test_weekdays(text: str, value: str | None) -> None:
    assert stated(text, asked(DAY, "weekday")) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Liam is Owen's father.", "father"),
        ("Liam is the dad of Owen.", "father"),
        ("She is his grandma.", "grandmother"),
        ("He is the grand father.", "grandfather"),
        ("She is the mother in law.", "mother-in-law"),
        ("Owen is his son, so Liam is his father.", "father"),
        ("They are married.", None),
    ],
)
def test_relations(text: str, value: str | None) -> None:
    assert stated(text, asked(FAMILY, "relation")) == value


@pytest.mark.parametrize(
    ("kind", "answer", "text", "verdict"),
    [
        ("number", "18", "There are 30 apples, minus 12 leaves eighteen.", True),
        ("number", "18", "There are 18, no, 20 are left.", False),
        ("number", "-4", "It is four.", False),
        ("weekday", "Monday", "It was Monday.", True),
    ],
)
def test_right(kind: Kind, answer: str, text: str, verdict: bool) -> None:
    assert right(text, TaskQuestion("task", 0, APPLES, answer, kind)) is verdict


def test_who_names_all_options_has_chosen_none() -> None:
    item = TaskQuestion("a", 0, "Which is first: the quail, a blue jay, or the falcon?", "the quail", "option",
                        options=("the quail", "a blue jay", "the falcon"))  # fmt: skip
    assert stated("The falcon, the quail, or the blue jay.", item) is None
    assert stated("It is the falcon or the quail.", item) is None
    assert stated("The quail is first, or so I think.", item) == "the quail"
    assert stated("Of the falcon, the blue jay and the quail, the quail is first.", item) == "the quail"
    assert stated("The blue jay or the falcon is last. The quail is first.", item) == "the quail"
